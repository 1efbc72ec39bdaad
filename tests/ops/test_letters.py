"""Dead letters: which are open, what is in them, and in which order they are replayed."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey

from chassis.consumer.records import read_replay
from contracts.dead_letters import BEGINNING_BYTES, REPLAY, DeadLetterWriter, record_digest
from services.ops.letters import (
    Letter,
    Whole,
    choose,
    discard_headers,
    in_replay_order,
    open_letters,
    replay_headers,
    unseal,
)

KEY = ECKey.generate_key("P-256", {"kid": "d1"})
WRITER = DeadLetterWriter("intake", json.dumps(KEY.as_dict(private=False)))
AT = datetime(2026, 11, 28, 12, tzinfo=UTC)


class Record:
    """A consumed record that could not be handled."""

    topic = "leads"
    partition = 2
    key = b"k1"
    headers = (("ce_id", b"1"), ("odd", b"\xff"), ("empty", None))
    value = b"not JSON"

    def __init__(self, offset: int) -> None:
        self.offset = offset


def letter(identity: str, offset: int = 7, token: UUID | None = None, at: datetime = AT) -> Letter:
    return Letter(identity, at, WRITER.write(Record(offset), "failed", token))


def test_a_letter_opens_to_the_whole_record_with_the_operators_key_only() -> None:
    token = UUID(int=5)

    found, original = unseal(letter("a", token=token), KEY)

    assert found.record == "leads/2/7"
    assert (original.key, original.headers, original.value) == (Record.key, [*Record.headers], Record.value)
    assert original.token == str(token)
    with pytest.raises(ValueError, match="letter a does not open"):
        unseal(letter("a"), ECKey.generate_key("P-256"))


def test_a_letter_of_a_record_that_was_too_large_opens_to_its_beginning() -> None:
    record = Record(7)
    record.value = b"v" * 2_000_000

    _, original = unseal(Letter("a", AT, WRITER.write(record, "invalid", None)), KEY)

    assert original.cut_from == Whole(2_000_017, record_digest(record))
    assert original.value == b"v" * BEGINNING_BYTES


def test_a_letter_is_open_until_it_is_resolved_and_the_oldest_comes_first() -> None:
    newer, older, resolved = letter("a"), letter("b", at=AT - timedelta(days=1)), letter("c")

    assert open_letters([newer, older, resolved], {"c"}) == [older, newer]


@given(st.permutations(range(5)))
def test_parked_records_are_replayed_in_the_order_of_parking_after_all_others(order: list[int]) -> None:
    # A record that failed again keeps its place: its token sorts before later ones, whatever its letter's age is.
    letters = [
        letter("not parked", offset=1),
        letter("not parked either", offset=2),
        letter("first", offset=5, token=UUID(int=1 << 64), at=AT + timedelta(days=1)),
        letter("second", offset=3, token=UUID(int=2 << 64)),
        letter("third", offset=4, token=UUID(int=3 << 64)),
    ]
    unsealed = [unseal(found, KEY) for found in letters]

    assert in_replay_order(unsealed[number] for number in order) == unsealed


def test_a_replay_and_a_discard_name_the_service_and_the_place_of_the_record() -> None:
    token = UUID(int=5)
    parked, original = unseal(letter("a", token=token), KEY)

    *headers, (name, mark) = replay_headers(parked, original)
    assert (headers, name) == (original.headers, REPLAY)
    assert read_replay((mark or b"").decode()) == ("intake", token, False)

    ((name, mark),) = discard_headers(parked, str(token))
    assert name == REPLAY
    assert read_replay((mark or b"").decode()) == ("intake", token, True)


def test_a_letter_is_chosen_by_the_beginning_of_its_id_if_only_one_has_it() -> None:
    letters = [letter("ab1"), letter("ab2"), letter("cd")]

    assert choose(letters, ["cd", "ab1"]) == [letters[2], letters[0]]
    with pytest.raises(ValueError, match="no open letters have an id that begins with x"):
        choose(letters, ["x"])
    with pytest.raises(ValueError, match="2 open letters have an id that begins with ab"):
        choose(letters, ["ab"])
