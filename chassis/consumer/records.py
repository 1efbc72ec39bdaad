"""Consumed records, and how they are decoded into inputs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol
from uuid import UUID

from pydantic import BaseModel, ValidationError

from chassis.decision import Message
from chassis.envelope import cause_of, inbox_id
from chassis.observability import metrics
from chassis.processor.model import Input

REPLAY: Final = "replay"
"""Header of a replayed dead letter: `<service> <token>`, or `<service> <token> discard` to remove the parked record."""


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
        return Input(key=body.key, body=body, cause=cause, inbox_id=inbox_id(source, cause.id))

    return decode


def read_replay(header: str) -> tuple[str, UUID | None, bool]:
    """The service, the token (None if it is missing or malformed), and whether to discard, of a `replay` header."""
    service, _, rest = header.partition(" ")
    token, _, discard = rest.partition(" ")
    try:
        return service, UUID(token) if token else None, discard == "discard"
    except ValueError:
        return service, None, False
