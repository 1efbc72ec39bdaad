"""CloudEvents 1.0 in Kafka's binary mode: the headers of a record, written and read."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

import orjson

from chassis.decision import Cause, Message, named_id

Headers = list[tuple[str, bytes]]

# The escape of NUL, but not a backslash in the text with `u0000` behind it.
_NUL_IN_JSON = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_INBOX = UUID("0d0c5a52-7c1e-4c39-9a0b-6f2f6f0d1f77")


class Outgoing(NamedTuple):
    """An encoded event. `stored` is its headers as JSON text, as the outbox stores them; `summary` is what the log
    shows of it: type, id, subject (the lead), correlation id."""

    event_id: UUID
    topic: str
    key: str
    texts: Sequence[tuple[str, str]]
    value: bytes
    stored: str
    summary: Mapping[str, str] = MappingProxyType({})

    @property
    def headers(self) -> Headers:
        """The headers of the Kafka record. Encoded only when the event is published: many are only stored at first."""
        return [(name, text.encode()) for name, text in self.texts]

    def is_storable(self) -> bool:
        """Whether the services that read the event can store its texts in PostgreSQL: none of them holds NUL."""
        # A lone surrogate never gets this far: the JSON cannot be written.
        return not (
            "\0" in self.key
            or (b"\\u0000" in self.value and _NUL_IN_JSON.search(self.value))
            or ("\\u0000" in self.stored and _NUL_IN_JSON.search(self.stored.encode()))
        )

    def size(self) -> int:
        """Bytes of the value and of the headers as the outbox stores them."""
        return len(self.value) + len(self.stored)


# All events of a batch have the same time.
_isoformat = lru_cache(16)(datetime.isoformat)


def headers_from_json(text: str) -> list[tuple[str, str]]:
    """The headers that `Outgoing.stored` holds."""
    return [(name, value) for name, value in orjson.loads(text)]


def encode(
    message: Message, *, event_id: UUID, source: str, at: datetime, cause: Cause, sequence: int | None
) -> Outgoing:
    """The record of one event. `sequence` numbers the events that this service publishes with this key."""
    identity, subject = str(event_id), message.subject
    headers = [
        ("ce_specversion", "1.0"),
        ("ce_id", identity),
        ("ce_type", message.ce_type),
        ("ce_source", source),
        ("ce_time", _isoformat(at)),
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
            "correlation_id": cause.correlation,
        },
    )


def read_headers(raw: Sequence[tuple[str, bytes | None]]) -> dict[str, str]:
    """Header values as text, by name. Bytes that are not UTF-8 and NUL, which PostgreSQL cannot store, are replaced and
    null values left out, so that no record is lost over its headers."""
    return {name: value.decode(errors="replace").replace("\0", "\ufffd") for name, value in raw if value is not None}


def cause_of(headers: dict[str, str]) -> Cause:
    """The cause for events and tasks that follow from a consumed message. Raises KeyError without a `ce_id`."""
    return Cause(
        id=headers["ce_id"],
        correlation=headers.get("ce_correlationid", headers["ce_id"]),
        traceparent=headers.get("traceparent"),
    )


def inbox_id(source: str, message_id: str) -> UUID:
    """The inbox id of a message. Messages with the same `ce_source` and `ce_id` are the same message."""
    return named_id(_INBOX, f"{source}\n{message_id}")


def _next_span(traceparent: str | None, event_id: UUID) -> str | None:
    """W3C trace context for an event: the same trace, with this event as the parent span."""
    if traceparent is None:
        return None
    parts = traceparent.split("-")
    if len(parts) != 4 or len(parts[1]) != 32:
        return None
    return f"{parts[0]}-{parts[1]}-{event_id.hex[:16]}-{parts[3]}"
