"""CloudEvents 1.0 in Kafka binary mode: the headers of a record, written and read."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

import orjson

from chassis.decision import Cause, Message, named_id

Headers = list[tuple[str, bytes]]

_SEEN = UUID("0d0c5a52-7c1e-4c39-9a0b-6f2f6f0d1f77")


class Outgoing(NamedTuple):
    """An event ready for the wire. `stored` is its headers as the outbox keeps them, `summary` what the log says of it:
    what is told, about which lead, in which story."""

    event_id: UUID
    topic: str
    key: str
    texts: Sequence[tuple[str, str]]
    value: bytes
    stored: str
    summary: Mapping[str, str] = MappingProxyType({})

    @property
    def headers(self) -> Headers:
        """As the record has them. Made when it leaves: many are only written at first."""
        return [(name, text.encode()) for name, text in self.texts]

    def size(self) -> int:
        """Bytes of the value and the headers together, these as they are stored."""
        return len(self.value) + len(self.stored)


# All events of a batch have one time.
_text_of = lru_cache(16)(datetime.isoformat)


def headers_from_json(text: str) -> list[tuple[str, str]]:
    return [(name, value) for name, value in orjson.loads(text)]


def encode(
    message: Message, *, event_id: UUID, source: str, at: datetime, cause: Cause, sequence: int | None
) -> Outgoing:
    """The record of one event. `sequence` counts what this producer says about this key."""
    identity, subject = str(event_id), message.subject
    headers = [
        ("ce_specversion", "1.0"),
        ("ce_id", identity),
        ("ce_type", message.ce_type),
        ("ce_source", source),
        ("ce_time", _text_of(at)),
        ("ce_correlationid", cause.correlation),
        ("ce_causationid", cause.id),
        ("content-type", "application/json"),
    ]
    if subject is not None:
        headers.append(("ce_subject", subject))
    if sequence is not None:
        headers.append(("ce_sequence", str(sequence)))
    if (trace := _next_span(cause.traceparent, event_id)) is not None:
        headers.append(("traceparent", trace))
    return Outgoing(
        event_id,
        message.topic,
        message.key,
        headers,
        message.model_dump_json().encode(),
        orjson.dumps(headers).decode(),
        {
            "type": message.ce_type,
            "id": identity,
            "subject": subject or "",
            "correlation": cause.correlation,
        },
    )


def read_headers(raw: Sequence[tuple[str, bytes | None]]) -> dict[str, str]:
    """Header values as text. Bytes that are not UTF-8 are replaced, null is left out: a record is never lost here."""
    return {name: value.decode(errors="replace") for name, value in raw if value is not None}


def cause_of(headers: dict[str, str]) -> Cause:
    """The cause that a consumed message is. Raises KeyError without a `ce_id`."""
    return Cause(
        id=headers["ce_id"],
        correlation=headers.get("ce_correlationid", headers["ce_id"]),
        traceparent=headers.get("traceparent"),
    )


def inbox_id(source: str, message_id: str) -> UUID:
    """The inbox key of a message: the same (`ce_source`, `ce_id`) is the same message."""
    return named_id(_SEEN, f"{source}\n{message_id}")


def _next_span(traceparent: str | None, event_id: UUID) -> str | None:
    """W3C trace context: the same trace, this event as the parent span."""
    if traceparent is None:
        return None
    parts = traceparent.split("-")
    if len(parts) != 4 or len(parts[1]) != 32:
        return None
    return f"{parts[0]}-{parts[1]}-{event_id.hex[:16]}-{parts[3]}"
