"""The sample service: two states, one event, one kind of call, one timer, one background task.

It is run as a real process on the whole chassis.

python -m tests.chassis.sample run
"""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar

import asyncpg
from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict
from sqlmodel import Field as Column
from sqlmodel import SQLModel

from chassis.commands import operations, work
from chassis.commands.cli import service_cli
from chassis.database.pool import driver_url
from chassis.decision import Cause, Decision, Event, Task
from chassis.service import (
    Answer,
    Connection,
    Done,
    Input,
    Job,
    Operations,
    Park,
    Performed,
    Refused,
    Rows,
    Rule,
    Runtime,
    Service,
    Timer,
    Work,
    call_each,
    fetch,
    keys_of,
    rows,
)
from chassis.settings import ServiceSettings
from contracts.base import Message
from contracts.dead_letters import DeadLetterWriter
from contracts.operations import Operation, OperationDone, OperationRefused, ResumeTopic, SkipRecord

# Each test has its own topics and its own consumer group.
SUFFIX = os.environ.get("SAMPLE_SUFFIX", "")
BROKEN = bool(os.environ.get("SAMPLE_BROKEN"))
# A second group on the same topics needs a name of its own.
NAME = os.environ.get("SAMPLE_NAME", f"sample{SUFFIX}")
REQUESTS, RESULTS, STATES = f"sample-requests{SUFFIX}", f"sample-results{SUFFIX}", f"sample-states{SUFFIX}"


class CountRequested(Message):
    """Request number `n` about `name`. `action` is what the service does: see `count`.

    `note` goes into the event of the request, which is padded with `padding` bytes.
    """

    ce_type: ClassVar[str] = "count-requested.v1"
    topic: ClassVar[str] = REQUESTS

    name: str
    n: int
    action: str = "count"
    note: str = ""
    padding: int = 0

    @property
    def key(self) -> str:
        return self.name


class Counted(Message):
    """The tally after request `n`; with `called`, request `n` had its call, and the tally is unchanged."""

    ce_type: ClassVar[str] = "counted.v1"
    topic: ClassVar[str] = RESULTS

    name: str
    n: int
    count: int
    called: bool = False
    note: str = ""
    padding: str = ""

    @property
    def key(self) -> str:
        return self.name


class Described(Message):
    """The whole state of `name`, on a compacted topic. With the action `unreadable-while-broken` a process with
    `SAMPLE_BROKEN` cannot read it; with `fail-while-broken` its rule raises there."""

    ce_type: ClassVar[str] = "described.v1"
    topic: ClassVar[str] = STATES
    is_state: ClassVar[bool] = True

    name: str
    text: str
    action: str = ""

    @property
    def key(self) -> str:
        return self.name

    @field_validator("action")
    @classmethod
    def _readable(cls, action: str) -> str:
        if action == "unreadable-while-broken" and BROKEN:
            raise ValueError("as the message demands")
        return action


@dataclass(frozen=True, slots=True)
class CallDone:
    """The outcome of the call of request `n`."""

    n: int


@dataclass(frozen=True, slots=True)
class FallenDue:
    """A name of the table `faults` has fallen due."""

    fault: str


@dataclass(frozen=True, slots=True)
class Tally:
    """How many requests about `name` were counted."""

    name: str
    count: int = 0


def count(tally: Tally, request: CountRequested, _: Cause, __: datetime) -> Decision[Tally]:
    """Count the request, and do what its `action` names.

    `count`: nothing more. `fail`: raise. `fail-while-broken`: raise in a process with `SAMPLE_BROKEN`. `call`: call the
    foreign system. `call-retry-once`, `call-park-once`: the first attempt of the call fails, or is parked.
    """
    if request.action == "fail" or (request.action == "fail-while-broken" and BROKEN):
        raise ValueError("as the request demands")
    after = Tally(tally.name, tally.count + 1)
    padded = "x" * request.padding
    event = Event(Counted(name=tally.name, n=request.n, count=after.count, note=request.note, padding=padded))
    if not request.action.startswith("call"):
        return Decision(after, (event,))
    task = Task("call", f"{request.name}/{request.n}", {"n": request.n, "action": request.action})
    return Decision(after, (event,), (task,))


def record_call(tally: Tally, body: CallDone, _: Cause, __: datetime) -> Decision[Tally]:
    """Publish that a call was made."""
    return Decision(tally, (Event(Counted(name=tally.name, n=body.n, count=tally.count, called=True)),))


def describe(_: str | None, message: Described, __: Cause, ___: datetime) -> Decision[str | None]:
    """Replace the text."""
    if message.action == "fail-while-broken" and BROKEN:
        raise ValueError("as the message demands")
    return Decision(message.text)


class DescriptionRow(SQLModel, table=True):
    """The newest text of a name."""

    __tablename__ = "descriptions"

    name: str = Column(primary_key=True)
    text: str


class DescriptionStore:
    """Texts by name."""

    async def load(self, tx: Connection, inputs: Sequence[Input]) -> dict[str, str | None]:
        names = sorted({item.key for item in inputs})
        found = {row["name"]: row["text"] for row in await fetch(tx, DescriptionRow, "name", names)}
        return {name: found.get(name) for name in names}

    def save(self, changes: Mapping[str, tuple[str | None, str | None]]) -> Sequence[Rows]:
        return [Rows(DescriptionRow, [{"name": name, "text": after} for name, (_, after) in changes.items()])]


def fall_due(tally: Tally, body: FallenDue, _: Cause, __: datetime) -> Decision[Tally]:
    """Count once and publish it as request 0, unless the fault is that of this rule."""
    if body.fault == "rule":
        raise ValueError("as the fault demands")
    after = Tally(tally.name, tally.count + 1)
    return Decision(after, (Event(Counted(name=tally.name, n=0, count=after.count)),))


async def names_due(tx: Connection, _: datetime, limit: int) -> list[Input]:
    """The names of the table `faults` that were not counted yet. The fault `due` is one of this function."""
    found = await rows(
        tx,
        "SELECT name, fault FROM faults f WHERE fault <> 'watch' AND name NOT IN (SELECT name FROM tallies) LIMIT $1",
        limit,
    )
    if any(row.fault == "due" for row in found):
        raise ValueError("as the fault demands")
    return [Input(row.name, FallenDue(row.fault), Cause(f"due/{row.name}", f"due/{row.name}")) for row in found]


async def watch(runtime: Runtime) -> None:
    """A background task that fails while the table `faults` has the fault `watch`."""
    while True:
        async with runtime.database.single() as tx:
            if await rows(tx, "SELECT 1 FROM faults WHERE fault = 'watch'"):
                raise LookupError("as the fault demands")
        await asyncio.sleep(0.2)  # the interval of the watch


class TallyRow(SQLModel, table=True):
    """A stored tally."""

    __tablename__ = "tallies"

    name: str = Column(primary_key=True)
    count: int


class TallyStore:
    """Tallies by name."""

    async def load(self, tx: Connection, inputs: Sequence[Input]) -> dict[str, Tally]:
        names = keys_of(inputs)
        found = {row["name"]: Tally(**row) for row in await fetch(tx, TallyRow, "name", names)}
        return {name: found.get(name, Tally(name)) for name in names}

    def save(self, changes: Mapping[str, tuple[Tally, Tally]]) -> Sequence[Rows]:
        changed = [{"name": after.name, "count": after.count} for _, after in changes.values()]
        return [Rows(TallyRow, changed)]


class ForgetTally(Operation):
    """An operation of the service's own: the tally of `name` is deleted."""

    ce_type: ClassVar[str] = "forget-tally.v1"

    name: str


async def forget_tally(tx: Connection, order: ForgetTally) -> Performed | Refused:
    """Delete a tally, and answer how much it was."""
    if order.name == "broken":
        raise ValueError("as the order demands")
    found = await rows(tx, "DELETE FROM tallies WHERE name = $1 RETURNING count", order.name)
    return Performed(str(found[0].count)) if found else Refused("no-tally")


OPERATIONS = Operations(ResumeTopic, SkipRecord, OperationDone, OperationRefused, handlers={ForgetTally: forget_tally})


class ForeignSystem:
    """The foreign system: a table of calls. Each row is inserted when its call begins and completed when it ends."""

    def __init__(self, url: str) -> None:
        self._url = driver_url(os.environ.get("SAMPLE_FOREIGN_URL", url))
        self._call_s = float(os.environ.get("SAMPLE_CALL_S", "0.01"))
        self._gate = asyncio.Semaphore(int(os.environ.get("SAMPLE_CALLS_AT_ONCE", "8")))

    def perform(self, jobs: Sequence[Job]) -> AsyncIterator[tuple[Job, Answer]]:
        return call_each(jobs, self._call, self._gate)

    async def _call(self, job: Job) -> Answer:
        action = job.payload["action"]
        connection = await asyncpg.connect(self._url)
        try:
            call = await connection.fetchval(
                "INSERT INTO calls (name, n, in_doubt) VALUES ($1, $2, $3) RETURNING id",
                job.key,
                job.payload["n"],
                job.in_doubt,
            )
            await asyncio.sleep(self._call_s)  # the duration of a call
            if action == "call-retry-once" and job.attempt == 1:
                raise ConnectionError("as the request demands")
            if action == "call-park-once" and job.attempt == 1:
                return Park("refused")
            await connection.execute("UPDATE calls SET ended = clock_timestamp() WHERE id = $1", call)
            return Done(CallDone(job.payload["n"]))
        finally:
            await connection.close()


def read_arguments(job: Job) -> tuple[str, int]:
    """What `ForeignSystem` reads of a job."""
    return str(job.payload["action"]), int(job.payload["n"])


class Settings(ServiceSettings):
    """`SAMPLE_…`."""

    model_config = SettingsConfigDict(env_prefix="SAMPLE_")

    dead_letters_public_key: Annotated[str, Field(validation_alias="DEAD_LETTERS_PUBLIC_KEY")]


def build(settings: Settings) -> Service:
    """The wiring table."""
    tallies = TallyStore()
    letters = DeadLetterWriter(NAME, settings.dead_letters_public_key)
    foreign = ForeignSystem(settings.database_url.get_secret_value())
    return Service(
        name=NAME,
        settings=settings,
        rules=(
            Rule(CountRequested, tallies, count, topic=REQUESTS),
            Rule(CallDone, tallies, record_call),
            Rule(FallenDue, tallies, fall_due),
            Rule(Described, DescriptionStore(), describe, topic=STATES),
        ),
        produces={RESULTS: (Counted,)},
        operations=OPERATIONS,
        work=(Work("call", foreign.perform, concurrency=8, backoff_s=(0.05, 0.2), read=read_arguments),),
        timers=(Timer("name-due", names_due),),
        background={"watch": watch},
        dead_letter=letters.write,
        replayed=letters.replayed,
    )


if __name__ == "__main__":
    app = service_cli("sample", Settings, build)
    work.add_commands(app, "sample", Settings)
    operations.add_commands(app, f"sample{SUFFIX}", OPERATIONS)
    app()
