"""What a rule receives and returns. Pure: a domain may import this and stay free of frameworks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from hashlib import sha1
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar
from uuid import UUID

S = TypeVar("S")

_VERSION_BITS = 0xF000_C000_0000_0000_0000
_VERSION_5 = 0x5000_8000_0000_0000_0000
_EVENTS = UUID("6f1b1c0e-5b0f-4a52-9d5a-3c1d9c6f9a10")


class Message(Protocol):
    """A message that may leave: what the chassis needs to know of it, and no more."""

    ce_type: ClassVar[str]
    topic: ClassVar[str]

    @property
    def key(self) -> str: ...

    @property
    def subject(self) -> str | None: ...

    def model_dump_json(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Cause:
    """Where a decision comes from: the id of the message that caused it, and the story it belongs to.

    Frozen plain text, so a domain can keep it beside a fact and name it again later.
    """

    id: str
    correlation: str
    traceparent: str | None = None


# Tuples, where one is made for each message: a frozen dataclass takes three times as long.


class Event(NamedTuple):
    """A message to publish. `cause` names an earlier cause than the input at hand, where there is one.

    From one named cause, a kind of message may follow at one time only: the ids are derived from both.
    """

    message: Message
    cause: Cause | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """A call to a foreign system to be made after the transaction: a durable work row.

    `ref` is unique within `kind`: asking for the same call twice makes one row. Calls of one key are made one at
    a time, in the order they were asked for.
    """

    kind: str
    ref: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    cause: Cause | None = None
    delay: timedelta = timedelta(0)


class Decision(NamedTuple, Generic[S]):
    """The state after a message, what is told to others, what is to be done, and the answer to whoever asked."""

    state: S
    events: tuple[Event, ...] = ()
    tasks: tuple[Task, ...] = ()
    reply: Any = None


@lru_cache(4096)
def derived_id(cause_id: str, kind: str, counter: int = 0) -> UUID:
    """The id of what follows from a cause: doing the same again, after a restore too, yields the same id."""
    return named_id(_EVENTS, f"{cause_id}/{kind}/{counter}")


def named_id(namespace: UUID, name: str) -> UUID:
    """A UUIDv5, as `uuid.uuid5` makes it in twice the time: each message needs several."""
    digest = sha1(namespace.bytes + name.encode(), usedforsecurity=False).digest()
    number = int.from_bytes(digest[:16], "big")
    return UUID(int=(number & ~_VERSION_BITS) | _VERSION_5)
