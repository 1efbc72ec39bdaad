"""The types of the processor: inputs, rules, stores, outcomes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar
from uuid import UUID

from chassis.database.pool import Connection
from chassis.database.writing import Rows
from chassis.decision import Cause, Decision, Message

S = TypeVar("S")

MakeDeadLetter = Callable[[str, UUID], Message]
"""A stable reason code, and the token of the letter's place among the open letters → the dead letter."""


ReplayOutcome = Literal["handled", "repeated", "superseded", "dead-letter"]
"""What became of the replay of a dead letter; `superseded`: its state is older than the state of the service."""


class StateVersion(NamedTuple):
    """Which version of a whole state a message holds: `sequence` grows for one key, `source` and `kind`."""

    source: str
    kind: str
    sequence: int


@dataclass(frozen=True, slots=True)
class Replay:
    """The input is the replay of a dead letter, read at `record` (topic/partition/offset).

    `outcome_message` makes the message about what became of it.
    """

    record: str
    outcome_message: Callable[[ReplayOutcome], Message]


@dataclass(frozen=True, slots=True)
class Input:
    """One message, outcome, request or timer to decide, about one key.

    `inbox_id`: the id under which a repeat is recognized. `work_id`: the claimed work row whose outcome this is.
    `step`: distinguishes decisions that follow from one cause at different times, so that their events get different
    ids. Inputs from a topic also have a `record_id` (the record's identity), its `place` (`topic/partition/offset`) and
    `dead_letter`, which makes the dead letter of the record. `parked_place`: the record is a replay of the one whose
    open letter has this token. `replay`: the record is a replay, and what becomes of it is published. `version`: the
    body is the whole state of its key, in this version.
    """

    key: str
    body: Any
    cause: Cause
    inbox_id: UUID | None = None
    work_id: int | None = None
    dead_letter: MakeDeadLetter | None = None
    step: str = ""
    parked_place: UUID | None = None
    record_id: UUID | None = None
    replay: Replay | None = None
    version: StateVersion | None = None
    place: str | None = None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The body of a record that cannot be decoded. The processor sends the record to the dead letters."""

    reason: str


class Outcome(NamedTuple):
    """The result of an input: the rule's reply (None for a repeat), or a permanent error."""

    reply: Any = None
    error: Exception | None = None


class Halt(Exception):
    """Raised by `Input.dead_letter`: too many dead letters. The batch must stay uncommitted, and reading must stop."""


class Store(Protocol[S]):
    """A service's rows behind one kind of key, read and written under the keys' locks, in one transaction."""

    async def load(self, tx: Connection, inputs: Sequence[Input]) -> dict[str, S]:
        """The state of every key among `inputs`. A key without rows has its empty state."""
        ...

    def save(self, changes: Mapping[str, tuple[S, S]]) -> Sequence[Rows]:
        """The rows to write. `changes`: key → (state before, state after)."""
        ...


Decide = Callable[[S, Any, Cause, datetime], Decision[S]]
"""State, body, cause, now → decision."""


@dataclass(frozen=True, slots=True)
class Rule(Generic[S]):
    """How inputs with a `body` of one type are decided, on the states of `store`.

    `topic`: the topic on which messages of this type arrive; None for bodies that do not come from Kafka.
    """

    body: type
    store: Store[S]
    decide: Decide[S]
    topic: str | None = None


@dataclass(frozen=True, slots=True)
class ClaimedTask:
    """A work row that a transaction has just written. `owner`: the identity that claimed it in passing, or None."""

    kind: str
    ref: str
    key: str
    payload: Mapping[str, Any]
    cause: Cause
    id: int = 0
    owner: int | None = None


class Claimer(Protocol):
    """The worker of one kind of work in this process."""

    def has_capacity(self) -> bool:
        """Whether the worker takes more work right now."""
        ...

    def accept(self, tasks: Sequence[ClaimedTask]) -> None:
        """Take tasks that are committed. Those with this process as owner are claimed; the others wait in the table."""
        ...
