"""A dead letter fits into its topic, whatever record it is made of."""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import pytest

from chassis.decision import Cause
from chassis.envelope import encode
from contracts.dead_letters import BEGINNING_BYTES, DeadLetterWriter, record_bytes, record_digest
from contracts.sealing import decrypt_with
from contracts.topics import FRAMING_BYTES, MAX_DEAD_LETTER_BYTES, MAX_WHOLE_RECORD_BYTES
from tests.contracts.keys import OPERATOR_JWK, private

KEY = private(OPERATOR_JWK)
WRITER = DeadLetterWriter("onec-gateway", json.dumps(KEY.as_dict(private=False)))
TOKEN = UUID(int=7)


@dataclass(frozen=True)
class Sent:
    """A consumed record. The name of its topic is as long as Kafka allows."""

    key: bytes | None = None
    headers: Sequence[tuple[str, bytes | None]] = ()
    value: bytes | None = None
    topic: str = "t" * 249
    partition: int = 2**31 - 1
    offset: int = 2**63 - 1


def of_whole_size(**parts: Any) -> Sent:
    """A record of the largest size that is kept whole: its value fills what the other parts leave."""
    left = MAX_WHOLE_RECORD_BYTES - record_bytes(Sent(**parts))
    return Sent(**parts, value=b"v" * left)


WHOLE = {
    "a long value": of_whole_size(),
    "a long key": Sent(key=b"k" * MAX_WHOLE_RECORD_BYTES),
    "one long header": Sent(headers=[("", b"h" * (MAX_WHOLE_RECORD_BYTES - 16))]),
    "many empty headers": Sent(headers=[("", None)] * (MAX_WHOLE_RECORD_BYTES // 16)),
    "many short headers": Sent(headers=[("", b"1")] * (MAX_WHOLE_RECORD_BYTES // 17)),
    "names that JSON escapes": Sent(headers=[("\0" * 1000, b"")] * (MAX_WHOLE_RECORD_BYTES // 6016)),
    "Cyrillic names": of_whole_size(headers=[("имя", b"")] * 1000),
}
CUT = {
    "a bomb, unpacked": Sent(value=b"a" * 1_500_000),
    "a value that is a byte too long": Sent(value=b"v" * (MAX_WHOLE_RECORD_BYTES + 1)),
    "a long key": Sent(key=b"k" * 5_000_000),
    "one long header": Sent(headers=[("h", b"h" * 5_000_000)]),
    "one long name": Sent(headers=[("\0" * 1_000_000, None)]),
    "many empty headers": Sent(headers=[("", None)] * 500_000),
    "many long headers": Sent(headers=[("\0" * 2000, b"h" * 2000)] * 5_000, value=b"v" * 5_000_000),
}


def letter_of(record: Sent) -> tuple[dict[str, Any], int]:
    """The opened content of a record's letter, and the bytes of the letter as it is published."""
    letter = WRITER.write(record, "r" * 100, TOKEN)
    cause = Cause("c" * 255, "c" * 255, "00-" + "a" * 32 + "-" + "b" * 16 + "-01")
    event = encode(
        letter, event_id=TOKEN, source="/truce/onec-gateway", at=datetime.now(UTC), cause=cause, sequence=2**63
    )
    opened = orjson.loads(decrypt_with([KEY], letter.original))
    return {**opened, "whole": letter.whole}, event.size() + len(event.key)


@pytest.mark.parametrize("what", WHOLE)
def test_a_letter_of_a_record_within_the_limit_holds_the_whole_record(what: str) -> None:
    record = WHOLE[what]
    assert record_bytes(record) <= MAX_WHOLE_RECORD_BYTES

    opened, size = letter_of(record)

    assert size <= MAX_DEAD_LETTER_BYTES
    assert (opened["whole"], opened["token"]) == (True, str(TOKEN))
    assert [(name, _bytes(content)) for name, content in opened["headers"]] == list(record.headers)
    assert (_bytes(opened["key"]), _bytes(opened["value"])) == (record.key, record.value)


@pytest.mark.parametrize("what", CUT)
def test_a_letter_over_the_limit_holds_size_digest_and_beginning_of_the_record(what: str) -> None:
    record = CUT[what]

    opened, size = letter_of(record)

    assert size <= MAX_DEAD_LETTER_BYTES
    assert (opened["whole"], opened["token"]) == (False, str(TOKEN))
    headers = sum(len(name) + len(content or b"") for name, content in record.headers)
    assert opened["size"] == len(record.key or b"") + headers + len(record.value or b"")
    assert opened["sha256"] == record_digest(record)
    assert (record.value or b"").startswith(_bytes(opened["value"]) or b"")
    if record.value is not None:
        assert len(_bytes(opened["value"]) or b"") == BEGINNING_BYTES
    for (name, content), (whole_name, whole_content) in zip(opened["headers"], record.headers, strict=False):
        assert whole_name.startswith(name)
        assert (whole_content or b"").startswith(_bytes(content) or b"")


def test_the_digest_of_a_record_can_be_computed_from_its_parts() -> None:
    record = Sent(key=None, headers=[("ce_id", b"1"), ("odd", None)], value=b"{}")

    assert record_digest(record) == hashlib.sha256(b"-5:ce_id1:13:odd-2:{}").hexdigest()


def test_records_whose_parts_only_join_to_the_same_bytes_have_different_digests() -> None:
    joined = [Sent(key=b"ab", value=b"c"), Sent(key=b"a", value=b"bc"), Sent(key=b"abc"), Sent(value=b"abc")]
    joined += [Sent(headers=[("ab", b"c")]), Sent(headers=[("a", b"bc")]), Sent(headers=[("abc", None)])]

    assert len({record_digest(record) for record in joined}) == len(joined)


def test_the_counted_size_of_a_record_is_at_least_its_size_in_a_batch() -> None:
    largest_framing = 10  # the lengths of a header's name and content, five bytes each at most
    for record in (*WHOLE.values(), *CUT.values()):
        headers = sum(largest_framing + len(name.encode()) + len(content or b"") for name, content in record.headers)
        in_batch = len(record.key or b"") + headers + len(record.value or b"")
        assert in_batch <= record_bytes(record)
    assert FRAMING_BYTES > 1024, "the framing of the batch, and the header of a replay"


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)
