"""Topic `dead-letters`: records that could not be handled, encrypted whole, for an operator to read and replay."""

import base64
from collections.abc import Sequence
from typing import Annotated, ClassVar, Final, Literal, Protocol
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


class DeadLetter(Message):
    """A record that a service could not handle.

    `original` decrypts to `{"key", "headers": [[name, value]], "value", "token"}`: base64 texts or null. `token` is the
    place of the letter among the open letters of the service, and of a parked record in the queue of its key; a replay
    names it in the header `replay`.
    """

    ce_type: ClassVar[str] = "dead-letter.v1"
    topic: ClassVar[str] = topics.DEAD_LETTERS

    service: str
    original_topic: str
    partition: int
    offset: int
    reason: Annotated[str, Field(description="a stable code; it holds no content of the record")]
    attempts: Annotated[int, Field(ge=1)] = 1
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
        """The dead letter of a record. `token`: its place among the open letters of the service."""
        original = {
            "key": _text(record.key),
            "headers": [[name, _text(content)] for name, content in record.headers],
            "value": _text(record.value),
            "token": None if token is None else str(token),
        }
        return DeadLetter(
            service=self._service,
            original_topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            reason=reason,
            attempts=1 + sum(name == REPLAY for name, _ in record.headers),
            original=encrypt_to(self._public_key, orjson.dumps(original)),
        )

    def replayed(self, letter: UUID, outcome: ReplayOutcome) -> DeadLetterReplayed:
        """The message about the replay of a dead letter. `letter` is the letter's `ce_id`."""
        return DeadLetterReplayed(letter=str(letter), service=self._service, outcome=outcome)


def _text(content: bytes | None) -> str | None:
    return None if content is None else base64.b64encode(content).decode()
