"""Consumed records, and how they are decoded into inputs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

from pydantic import BaseModel, ValidationError

from chassis.decision import Message
from chassis.envelope import cause_of, inbox_id
from chassis.observability import metrics
from chassis.processor.model import Input, ReplayOutcome, StateVersion

REPLAY: Final = "replay"
"""Header of a replayed dead letter: `<service> <token>`, or `<service> <token> discard` to remove the parked record."""
REPLAY_LETTER: Final = "replay-letter"
"""Header of a replay that has a key of its own: the id of the dead letter."""
REPLAY_KEY: Final = "replay-key"
"""Header of such a replay: the key of the original record; absent if it had none."""

_MAX_SEQUENCE_DIGITS: Final = 18
"""A column of type bigint holds every number of so many digits."""


class Record(Protocol):
    """A consumed Kafka record."""

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


WriteDeadLetter = Callable[[Record, str, UUID], Message]
"""Record, stable reason code, and the token of the letter's place among the open letters → its dead letter."""


WriteReplayed = Callable[[UUID, ReplayOutcome], Message]
"""Id of a dead letter, and what became of its replay → the message about it."""


@dataclass(frozen=True, slots=True)
class OriginalRecord:
    """A replayed record with its original key, and without the headers that name it as a replay of a letter."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    value: bytes | None


class Poison(Exception):
    """A record that cannot be decoded. `reason` is a stable code and quotes nothing of the record."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


Decode = Callable[[Record, dict[str, str]], Input | None]
"""Record and its headers → an input, or None to skip the record. Raises Poison."""


def decode_events(models: Sequence[type[BaseModel]]) -> Decode:
    """The decoder of topics inside the system. Messages of other kinds or versions than `models` are skipped."""
    known: Mapping[str, type[BaseModel]] = {vars(model)["ce_type"]: model for model in models}
    states = frozenset(kind for kind, model in known.items() if getattr(model, "is_state", False))

    def decode(record: Record, headers: dict[str, str]) -> Input | None:
        try:
            kind, source, cause = headers["ce_type"], headers["ce_source"], cause_of(headers)
        except KeyError:
            raise Poison("no-envelope") from None
        model = known.get(kind)
        if model is None:
            metrics.RECORDS_SKIPPED.labels(record.topic).inc()
            return None
        try:
            body: Any = model.model_validate_json(record.value or b"")
        except ValidationError:
            raise Poison("invalid") from None
        version = _state_version(source, kind, headers.get("ce_sequence")) if kind in states else None
        return Input(key=body.key, body=body, cause=cause, inbox_id=inbox_id(source, cause.id), version=version)

    return decode


class ReplayMark(NamedTuple):
    """A `replay` header: the service, the token (None if it is missing or malformed), and whether to discard."""

    service: str
    token: UUID | None
    discard: bool


def read_replay(header: str) -> ReplayMark:
    """The parts of a `replay` header."""
    service, _, rest = header.partition(" ")
    token, _, discard = rest.partition(" ")
    return ReplayMark(service, _uuid(token), discard == "discard")


def letter_of(headers: Mapping[str, str]) -> UUID | None:
    """The id of the dead letter that a record with these headers replays, or None."""
    return _uuid(headers.get(REPLAY_LETTER, ""))


def original_of(record: Record) -> Record:
    """The original of a replay: another failure then makes a dead letter with the original key.

    A replay of an earlier version has the original key already.
    """
    if all(name != REPLAY_LETTER for name, _ in record.headers):
        return record
    key = next((value for name, value in record.headers if name == REPLAY_KEY), None)
    headers = [(name, value) for name, value in record.headers if name not in (REPLAY_KEY, REPLAY_LETTER)]
    return OriginalRecord(record.topic, record.partition, record.offset, key, headers, record.value)


def _state_version(source: str, kind: str, sequence: str | None) -> StateVersion | None:
    """None without a sequence: then the order of reading is all that is known."""
    if sequence is None or not (sequence.isascii() and sequence.isdigit()) or len(sequence) > _MAX_SEQUENCE_DIGITS:
        return None
    return StateVersion(source, kind.rpartition(".")[0], int(sequence))


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
