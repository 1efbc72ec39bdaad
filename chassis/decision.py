"""What a rule receives and returns. Pure: it is all that a service's `domain/` imports of the chassis."""

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
    """A message that a service publishes, as far as the chassis is concerned."""

    ce_type: ClassVar[str]
    topic: ClassVar[str]

    @property
    def key(self) -> str: ...

    @property
    def subject(self) -> str | None: ...

    def model_dump_json(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Cause:
    """The message that caused a decision: its id, the correlation id of its chain of causes, and its trace.

    Frozen plain text, so that a domain can store it beside a fact and name it as the cause of a later event.
    """

    id: str
    correlation: str
    traceparent: str | None = None

    @classmethod
    def read(cls, fields: Any) -> "Cause":
        """The cause whose fields were stored as JSON. Raises ValueError for fields that this version cannot read."""
        try:
            cause = cls(**fields)
        except TypeError:
            raise ValueError("these are not the fields of a cause") from None
        texts = (cause.id, cause.correlation, cause.traceparent if cause.traceparent is not None else "")
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("a field of the cause is not a text")
        return cause


# Event and Decision are tuples, because one of each is made for every message: a frozen dataclass takes three times as
# long.


class Event(NamedTuple):
    """A message to publish. `cause` is an earlier message that caused it; None means the input at hand.

    At most one decision may publish a given kind of message with a given explicit `cause`: the event's id is derived
    from both.
    """

    message: Message
    cause: Cause | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """A call to a foreign system that a worker makes after the transaction: a durable work row.

    `ref` is unique within `kind`: a second task with the same `kind` and `ref` is ignored. Tasks of one key are called
    one at a time, in the order of their creation. `delay` is real time.
    """

    kind: str
    ref: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    cause: Cause | None = None
    delay: timedelta = timedelta(0)


class Decision(NamedTuple, Generic[S]):
    """The result of a rule: the new state, events to publish, tasks to perform, and the reply to the caller.

    `superseded`: the message is older than the state and changes nothing in it. The operator who replayed it sees that.
    """

    state: S
    events: tuple[Event, ...] = ()
    tasks: tuple[Task, ...] = ()
    reply: Any = None
    superseded: bool = False


@lru_cache(4096)
def derived_id(cause_id: str, kind: str, counter: int = 0) -> UUID:
    """The id of something that follows from a cause. The same decision made again yields the same id, also after a
    restore from backup."""
    return named_id(_EVENTS, f"{cause_id}/{kind}/{counter}")


def named_id(namespace: UUID, name: str) -> UUID:
    """A UUIDv5, equal to `uuid.uuid5` in half the time: every message needs several."""
    digest = sha1(namespace.bytes + name.encode(), usedforsecurity=False).digest()
    number = int.from_bytes(digest[:16], "big")
    return UUID(int=(number & ~_VERSION_BITS) | _VERSION_5)
