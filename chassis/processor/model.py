"""The types of the processor: inputs, rules, stores, outcomes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar, cast
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
    body is the whole state of its key, in this version. `related`: further keys of the same store, which are locked
    with `key` and whose states the rule reads (`Rule.reads_related`).
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
    related: tuple[str, ...] = ()


def keys_of(inputs: Sequence[Input]) -> list[str]:
    """The keys of a batch whose states are loaded, related keys too: each once, sorted."""
    keys = {item.key for item in inputs}
    for item in inputs:
        if item.related:
            keys.update(item.related)
    return sorted(keys)


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
        """The state of every key of `inputs` (`keys_of`). A key without rows has its empty state."""
        ...

    def save(self, changes: Mapping[str, tuple[S, S]]) -> Sequence[Rows]:
        """The rows to write. `changes`: key → (state before, state after)."""
        ...


Decide = Callable[[S, Any, Cause, datetime], Decision[S]]
"""State, body, cause, now → decision."""
DecideRelated = Callable[[S, Any, Cause, datetime, Mapping[str, S]], Decision[S]]
"""State, body, cause, now, states of the related keys by key → decision. The states are read-only facts: the decision
changes the state of its own key alone."""


@dataclass(frozen=True, slots=True)
class Rule(Generic[S]):
    """How inputs with a `body` of one type are decided, on the states of `store`.

    `topic`: the topic on which messages of this type arrive; None for bodies that do not come from Kafka.
    `reads_related`: `decide` is a DecideRelated. Inputs from topics have no related keys.
    """

    body: type
    store: Store[S]
    decide: Decide[S] | DecideRelated[S]
    topic: str | None = None
    reads_related: bool = False

    def apply(self, states: Mapping[str, S], item: Input, now: datetime) -> Decision[S]:
        """Decide an input on the states of its keys."""
        if self.reads_related:
            related = {key: states[key] for key in item.related}
            return cast("DecideRelated[S]", self.decide)(states[item.key], item.body, item.cause, now, related)
        return cast("Decide[S]", self.decide)(states[item.key], item.body, item.cause, now)


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
