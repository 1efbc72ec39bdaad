"""A service as small as can be, run as a real process: it counts what it hears about a key, and calls for it.

It stands in for no service of ours; it is how the chassis' promises are tested without any business in the way.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar

import asyncpg
from alembic import op
from pydantic import Field
from pydantic_settings import SettingsConfigDict
from sqlmodel import Field as Column
from sqlmodel import SQLModel

from chassis import tables
from chassis.commands.cli import service_cli
from chassis.database.pool import driver_url
from chassis.decision import Cause, Decision, Event, Task
from chassis.service import (
    Answer,
    Connection,
    Done,
    Input,
    Job,
    Rows,
    Rule,
    Service,
    Work,
    call_each,
    fetch,
)
from chassis.settings import ServiceSettings
from contracts.base import Message
from contracts.dead_letters import DeadLetterWriter

# Each test has topics and a group of its own.
SUFFIX = os.environ.get("SAMPLE_SUFFIX", "")
BROKEN = bool(os.environ.get("SAMPLE_BROKEN"))
HEARD, TOLD = f"sample-heard{SUFFIX}", f"sample-told{SUFFIX}"


class Heard(Message):
    """`wish`: what the test wants the service to do with it."""

    ce_type: ClassVar[str] = "heard.v1"
    topic: ClassVar[str] = HEARD

    name: str
    n: int
    wish: str = "count"

    @property
    def key(self) -> str:
        return self.name


class Told(Message):
    """The count after a message, or `called` with the number of its call."""

    ce_type: ClassVar[str] = "told.v1"
    topic: ClassVar[str] = TOLD

    name: str
    n: int
    count: int
    called: bool = False

    @property
    def key(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Called:
    """The outcome of a call."""

    n: int


@dataclass(frozen=True, slots=True)
class Tally:
    """How often a name was heard."""

    name: str
    count: int = 0


def heard(tally: Tally, message: Heard, _: Cause, __: datetime) -> Decision[Tally]:
    """Counts; or fails, or asks for a call, or for one that fails the first time, as the test wishes."""
    if message.wish == "fail" or (message.wish == "fail-if-broken" and BROKEN):
        raise ValueError("as wished")
    after = Tally(tally.name, tally.count + 1)
    told = Event(Told(name=tally.name, n=message.n, count=after.count))
    if not message.wish.startswith("call"):
        return Decision(after, (told,))
    again = message.wish == "call-again"
    return Decision(after, (told,), (Task("call", f"{message.name}/{message.n}", {"n": message.n, "again": again}),))


def called(tally: Tally, body: Called, _: Cause, __: datetime) -> Decision[Tally]:
    """Tells that a call was made."""
    return Decision(tally, (Event(Told(name=tally.name, n=body.n, count=tally.count, called=True)),))


class TallyRow(SQLModel, table=True):
    """A tally at rest."""

    __tablename__ = "tallies"

    name: str = Column(primary_key=True)
    count: int


class Tallies:
    """State by name."""

    async def load(self, tx: Connection, inputs: Sequence[Input]) -> dict[str, Tally]:
        names = sorted({item.key for item in inputs})
        found = {row["name"]: Tally(**row) for row in await fetch(tx, TallyRow, "name", names)}
        return {name: found.get(name, Tally(name)) for name in names}

    def save(self, changes: Mapping[str, tuple[Tally, Tally]]) -> Sequence[Rows]:
        rows = [{"name": after.name, "count": after.count} for _, after in changes.values()]
        return [Rows(TallyRow, rows)]


class Foreign:
    """The foreign system: a table that remembers every call, its beginning before its end."""

    def __init__(self, url: str) -> None:
        self._url = driver_url(os.environ.get("SAMPLE_FOREIGN_URL", url))
        self._call_s = float(os.environ.get("SAMPLE_CALL_S", "0.01"))
        self._gate = asyncio.Semaphore(int(os.environ.get("SAMPLE_CALLS_AT_ONCE", "8")))

    def perform(self, jobs: Sequence[Job]) -> AsyncIterator[tuple[Job, Answer]]:
        return call_each(jobs, self._call, self._gate)

    async def _call(self, job: Job) -> Answer:
        connection = await asyncpg.connect(self._url)
        try:
            call = await connection.fetchval(
                "INSERT INTO calls (name, n, in_doubt) VALUES ($1, $2, $3) RETURNING id",
                job.key,
                job.payload["n"],
                job.in_doubt,
            )
            await asyncio.sleep(self._call_s)  # the foreign system takes its time
            if job.payload["again"] and job.attempt == 1:
                raise ConnectionError("as wished")
            await connection.execute("UPDATE calls SET ended = clock_timestamp() WHERE id = $1", call)
            return Done(Called(job.payload["n"]))
        finally:
            await connection.close()


class Settings(ServiceSettings):
    """`SAMPLE_…`."""

    model_config = SettingsConfigDict(env_prefix="SAMPLE_")

    dead_letters_public_key: Annotated[str, Field(validation_alias="DEAD_LETTERS_PUBLIC_KEY")]


def build(settings: Settings) -> Service:
    """The wiring table."""
    tallies = Tallies()
    foreign = Foreign(settings.database_url.get_secret_value())
    return Service(
        name=f"sample{SUFFIX}",
        settings=settings,
        rules=(Rule(Heard, tallies, heard, topic=HEARD), Rule(Called, tallies, called)),
        produces={TOLD: (Told,)},
        work=(Work("call", foreign.perform, concurrency=8, backoff_s=(0.05, 0.2)),),
        dead_letter=DeadLetterWriter(f"sample{SUFFIX}", settings.dead_letters_public_key).write,
    )


def create_tables() -> None:
    """Called by the one migration of this service."""
    tables.create_v1()
    tables.create_v2()
    op.execute("CREATE TABLE tallies (name text PRIMARY KEY, count integer NOT NULL)")
    op.execute(
        "CREATE TABLE calls (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, n integer,"
        " in_doubt boolean, began timestamptz NOT NULL DEFAULT clock_timestamp(), ended timestamptz)"
    )


if __name__ == "__main__":
    service_cli("sample", Settings, build)()
