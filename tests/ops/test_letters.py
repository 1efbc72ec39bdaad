"""Dead letters: which are open, what is in them, and in which order they are replayed."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey

from chassis.consumer.records import OriginalRecord, original_of, read_replay
from contracts.dead_letters import (
    BEGINNING_BYTES,
    REPLAY,
    REPLAY_KEY,
    REPLAY_LETTER,
    REPLAY_SINCE,
    DeadLetterReplayed,
    DeadLetterWriter,
    record_digest,
)
from services.ops.letters import (
    Letter,
    Outcomes,
    Whole,
    choose,
    discard_of,
    in_replay_order,
    open_letters,
    replay_of,
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

    again = replay_of(parked, original)
    assert again.headers[: len(original.headers)] == original.headers
    added = dict(again.headers[len(original.headers) :])
    assert read_replay((added[REPLAY] or b"").decode()) == ("intake", token, False)
    assert (again.key, added[REPLAY_LETTER], added[REPLAY_KEY]) == (b"replay/a", b"a", Record.key)
    assert again.value == Record.value

    mark = discard_of(parked, original)
    headers = dict(mark.headers)
    assert read_replay((headers[REPLAY] or b"").decode()) == ("intake", token, True)
    assert (mark.key, headers[REPLAY_LETTER], headers[REPLAY_KEY]) == (b"discard/a", b"a", Record.key)
    assert mark.value


def test_a_replay_is_read_as_the_original_record_and_its_next_letter_replays_alike() -> None:
    parked, original = unseal(letter("a"), KEY)
    again = replay_of(parked, original)
    read = original_of(OriginalRecord("leads", 2, 9, again.key, again.headers, again.value))
    assert (read.key, read.value) == (Record.key, Record.value)

    writer = DeadLetterWriter("intake", json.dumps(KEY.as_dict(private=False)))
    # An earlier version of the service writes the letter of the replay as it stands on the topic.
    of_earlier_version = OriginalRecord("leads", 2, 9, again.key, again.headers, again.value)
    for record in (read, of_earlier_version):
        later = Letter("b", AT + timedelta(days=1), writer.write(record, "failed", None))
        second = replay_of(*unseal(later, KEY))

        assert later.content.attempts == 2
        assert (second.key, dict(second.headers)[REPLAY_KEY]) == (b"replay/b", Record.key)
        names = [name for name, _ in second.headers]
        assert [names.count(name) for name in (REPLAY, REPLAY_LETTER, REPLAY_KEY, REPLAY_SINCE)] == [2, 1, 1, 1]
        # The time at which the record first became a dead letter.
        assert dict(second.headers)[REPLAY_SINCE] == AT.isoformat().encode()


def test_a_record_without_a_key_is_replayed_without_one() -> None:
    class Keyless(Record):
        key = None  # type: ignore[assignment]  # a portal may publish without a key

    writer = DeadLetterWriter("intake", json.dumps(KEY.as_dict(private=False)))
    again = replay_of(*unseal(Letter("a", AT, writer.write(Keyless(7), "failed", None)), KEY))

    assert REPLAY_KEY not in dict(again.headers)
    assert original_of(OriginalRecord("leads", 2, 9, again.key, again.headers, again.value)).key is None


def test_the_first_outcome_of_a_letters_service_counts() -> None:
    outcomes = Outcomes([letter("a"), letter("b")])

    for name, service, outcome in (
        ("a", "notifier", "handled"),
        ("a", "intake", "superseded"),
        ("x", "intake", "handled"),
    ):
        outcomes.add(DeadLetterReplayed.model_validate({"letter": name, "service": service, "outcome": outcome}))
    outcomes.add(DeadLetterReplayed(letter="a", service="intake", outcome="repeated"))

    assert outcomes.found == {"a": "superseded"}
    assert list(outcomes.missing) == ["b"]


def test_a_letter_is_chosen_by_the_beginning_of_its_id_if_only_one_has_it() -> None:
    letters = [letter("ab1"), letter("ab2"), letter("cd")]

    assert choose(letters, ["cd", "ab1"]) == [letters[2], letters[0]]
    with pytest.raises(ValueError, match="no open letters have an id that begins with x"):
        choose(letters, ["x"])
    with pytest.raises(ValueError, match="2 open letters have an id that begins with ab"):
        choose(letters, ["ab"])
