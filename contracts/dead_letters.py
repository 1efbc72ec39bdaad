"""Topic `dead-letters`: records that could not be handled, encrypted whole, for an operator to read and replay."""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar, Final, Literal, Protocol
from uuid import UUID

import orjson
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from pydantic import Field

from contracts import topics
from contracts.base import Message, Time
from contracts.sealing import encrypt_to

REPLAY: Final = "replay"
"""The header that marks a replay: `<service> <token>`, or `<service> <token> discard` to remove the parked record.

A record has one such header for each time it was replayed. Only the named service handles the record.
"""
REPLAY_LETTER: Final = "replay-letter"
"""The header of a replay or discard with the `ce_id` of the dead letter.

The record then has a key of its own, `replay/<ce_id>` or `discard/<ce_id>`: on a compacted topic it never takes the
place of the original record or of a newer one. Earlier versions published it without this header, under the original
key.
"""
REPLAY_KEY: Final = "replay-key"
"""The header with the key of the original record; a record without a key has no such header."""
REPLAY_SINCE: Final = "replay-since"
"""The header with the time at which the original record first became a dead letter, in business time."""

ReplayOutcome = Literal["handled", "repeated", "superseded", "dead-letter"]

BEGINNING_BYTES: Final = 64 * 1024
"""A letter of a record that is too large keeps so much of its value."""
_BEGINNING_HEADERS: Final = 64
_BEGINNING_HEADER_BYTES: Final = 1024


class DeadLetter(Message):
    """A record that a service could not handle.

    `original` decrypts to `{"key", "headers": [[name, value]], "value", "token"}`: base64 texts or null. `token` is the
    place of the letter among the open letters of the service, and of a parked record in the queue of its key; a replay
    names it in the header `replay`. If the record is not `whole`, key, headers and value are only their beginnings, and
    there are `size` (bytes of all of them) and `sha256` (of all of them, see `record_digest`), too.
    """

    ce_type: ClassVar[str] = "dead-letter.v1"
    topic: ClassVar[str] = topics.DEAD_LETTERS

    service: str
    original_topic: str
    partition: int
    offset: int
    reason: Annotated[str, Field(description="a stable code; it holds no content of the record")]
    attempts: Annotated[int, Field(ge=1)] = 1
    whole: Annotated[bool, Field(description="false: the record is too large, only its beginning is kept")] = True
    original: Annotated[str, Field(min_length=1, description="Compact JWE (ECDH-ES, A256GCM) to the operators' key")]

    @property
    def key(self) -> str:
        return f"{self.original_topic}/{self.partition}/{self.offset}"


class DeadLetterResolved(Message):
    """An operator has replayed or discarded the record of a dead letter. The letter is no longer open."""

    ce_type: ClassVar[str] = "dead-letter-resolved.v1"
    topic: ClassVar[str] = topics.DEAD_LETTERS

    letter: Annotated[str, Field(min_length=1, description="`ce_id` of the dead letter")]
    action: Literal["replayed", "discarded"]
    by: str
    reason: str
    at: Time

    @property
    def key(self) -> str:
        return self.letter


class DeadLetterReplayed(Message):
    """A service has read the replay of a dead letter.

    `handled`: it took effect. `repeated`: the message was handled before. `superseded`: it holds an older state than
    the service has, so it has no effect. `dead-letter`: it is a dead letter again.
    """

    ce_type: ClassVar[str] = "dead-letter-replayed.v1"
    topic: ClassVar[str] = topics.DEAD_LETTERS

    letter: Annotated[str, Field(min_length=1, description="`ce_id` of the dead letter")]
    service: str
    outcome: ReplayOutcome

    @property
    def key(self) -> str:
        return self.letter


class KafkaRecord(Protocol):
    """The parts of a consumed record that a dead letter keeps."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...
    @property
    def value(self) -> bytes | None: ...


def record_bytes(record: KafkaRecord) -> int:
    """The size of a record as the limits of `contracts.topics` count it.

    It is at least its size in a batch, less the batch's framing, and at least three quarters of its size in a letter's
    JSON, where a header has more framing, and a character of its name up to six bytes.
    """
    named = sum(16 + 6 * len(name.encode()) + len(content or b"") for name, content in record.headers)
    return len(record.key or b"") + named + len(record.value or b"")


def record_digest(record: KafkaRecord) -> str:
    """SHA-256 in hex of a record's key, the name and content of each header, and its value.

    Each is preceded by its length in decimal and a colon, or is `-` if it is null.
    """
    digest = hashlib.sha256()
    for part in _parts(record):
        digest.update(b"-" if part is None else b"%d:" % len(part))
        digest.update(part or b"")
    return digest.hexdigest()


class DeadLetterWriter:
    """Makes the dead letters of one service, encrypted to the operators' public key: the service needs no secret.

    `public_jwk` is an EC JWK as JSON text. Raises ValueError for anything else.
    """

    def __init__(self, service: str, public_jwk: str) -> None:
        try:
            self._public_key = ECKey.import_key(orjson.loads(public_jwk))
        except (ValueError, TypeError, JoseError):
            raise ValueError("the dead letters' public key must be an EC JWK") from None
        self._service = service

    def write(self, record: KafkaRecord, reason: str, token: UUID | None) -> DeadLetter:
        """The dead letter of a record. `token`: its place among the open letters of the service.

        The letter fits into its topic, whatever the size of the record is.
        """
        whole = record_bytes(record) <= topics.MAX_WHOLE_RECORD_BYTES
        original = _whole(record) if whole else _beginning(record)
        original["token"] = None if token is None else str(token)
        return DeadLetter(
            service=self._service,
            original_topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            reason=reason,
            attempts=1 + sum(name == REPLAY for name, _ in record.headers),
            whole=whole,
            original=encrypt_to(self._public_key, orjson.dumps(original)),
        )

    def replayed(self, letter: UUID, outcome: ReplayOutcome) -> DeadLetterReplayed:
        """The message about the replay of a dead letter. `letter` is the letter's `ce_id`."""
        return DeadLetterReplayed(letter=str(letter), service=self._service, outcome=outcome)


def _whole(record: KafkaRecord) -> dict[str, Any]:
    return {
        "key": _text(record.key),
        "headers": [[name, _text(content)] for name, content in record.headers],
        "value": _text(record.value),
    }


def _beginning(record: KafkaRecord) -> dict[str, Any]:
    return {
        "key": _text(record.key, _BEGINNING_HEADER_BYTES),
        "headers": [
            [name[:_BEGINNING_HEADER_BYTES], _text(content, _BEGINNING_HEADER_BYTES)]
            for name, content in record.headers[:_BEGINNING_HEADERS]
        ],
        "value": _text(record.value, BEGINNING_BYTES),
        "size": sum(len(part or b"") for part in _parts(record)),
        "sha256": record_digest(record),
    }


def _parts(record: KafkaRecord) -> Iterator[bytes | None]:
    yield record.key
    for name, content in record.headers:
        yield name.encode()
        yield content
    yield record.value


def _text(content: bytes | None, at_most: int | None = None) -> str | None:
    return None if content is None else base64.b64encode(content[:at_most]).decode()
