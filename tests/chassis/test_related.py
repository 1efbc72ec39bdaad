"""Related keys: a decision reads the states of other keys, which are locked with its own key, in key order."""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import asyncpg
import pytest

from chassis.clock import Clock
from chassis.database.errors import is_transient
from chassis.database.presence import Presence
from chassis.decision import Cause, Decision
from chassis.outbox.outbox import Outbox
from chassis.processor.processor import Processor
from chassis.service import Database, Input, Rule, keys_of
from tests.chassis.sample import Tally, TallyStore

pytestmark = pytest.mark.infra

CAUSE = Cause("test", "test")


@dataclass(frozen=True, slots=True)
class Claimed:
    """The name is to be counted, unless one of the related names is."""


@dataclass(frozen=True, slots=True)
class Counted:
    """The name is to be counted."""


def claim(tally: Tally, _: Claimed, __: Cause, ___: datetime, related: Mapping[str, Tally]) -> Decision[Tally]:
    """Count the name if none of the related names is counted. The reply is what was read of them."""
    read = {name: one.count for name, one in related.items()}
    return Decision(tally if any(read.values()) else Tally(tally.name, tally.count + 1), reply=read)


def count(tally: Tally, _: Counted, __: Cause, ___: datetime) -> Decision[Tally]:
    """Count the name."""
    return Decision(Tally(tally.name, tally.count + 1))


def processor_on(database: Database, url: str) -> Processor:
    store, presence = TallyStore(), Presence(url, "sample")
    return Processor(
        database,
        Outbox(database, presence, {}),
        presence,
        Clock(),
        source="/test",
        rules=(Rule(Claimed, store, claim, reads_related=True), Rule(Counted, store, count)),
        produces={},
    )


@pytest.fixture
async def database(sample_database: str) -> AsyncIterator[Database]:
    database = Database(sample_database, name="test", pool_size=8)
    yield database
    await database.close()


@pytest.fixture
def processor(database: Database, sample_database: str) -> Processor:
    return processor_on(database, sample_database)


def claimed(name: str, *related: str) -> Input:
    return Input(name, Claimed(), CAUSE, related=related)


async def counts(url: str) -> dict[str, int]:
    connection = await asyncpg.connect(url)
    try:
        return {row["name"]: row["count"] for row in await connection.fetch("SELECT name, count FROM tallies")}
    finally:
        await connection.close()


def test_keys_of_a_batch_are_each_once_and_in_order() -> None:
    assert keys_of([claimed("b", "c", "a"), claimed("c", "b")]) == ["a", "b", "c"]


async def test_a_rule_reads_the_states_of_related_keys(processor: Processor, sample_database: str) -> None:
    await processor.process([Input("a", Counted(), CAUSE)])

    (outcome,) = await processor.process([claimed("b", "a", "never-seen")])

    assert outcome.reply == {"a": 1, "never-seen": 0}
    assert await counts(sample_database) == {"a": 1}


async def test_a_decision_reads_what_an_earlier_input_of_its_batch_changed(
    processor: Processor, sample_database: str
) -> None:
    outcomes = await processor.process([claimed("a", "b"), claimed("b", "a")])

    assert [outcome.reply for outcome in outcomes] == [{"b": 0}, {"a": 1}]
    assert await counts(sample_database) == {"a": 1}


async def test_a_related_key_is_locked_until_the_decision_is_committed(
    processor: Processor, sample_database: str
) -> None:
    other = await asyncpg.connect(sample_database)
    try:
        async with other.transaction():
            await other.execute("INSERT INTO streams (key) VALUES ('a')")
            await other.execute("INSERT INTO tallies (name, count) VALUES ('a', 1)")
            deciding = asyncio.create_task(processor.process([claimed("b", "a")]))

            async def waits() -> bool:
                waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
                return bool(await other.fetchval(waiting))

            async with asyncio.timeout(20):
                while not await waits():
                    await asyncio.sleep(0.01)
        (outcome,) = await deciding
    finally:
        await other.close()

    assert outcome.reply == {"a": 1}


@pytest.mark.parametrize("seed", range(5))
async def test_of_related_keys_that_race_exactly_one_is_counted(
    processor: Processor, sample_database: str, seed: int
) -> None:
    shuffled = random.Random(seed)
    groups = [[f"group-{group}-{n}" for n in range(3)] for group in range(8)]
    batches: list[list[Input]] = [[] for _ in range(6)]
    for name, group in [(name, names) for names in groups for name in names]:
        others = [other for other in group if other != name]
        shuffled.shuffle(others)
        shuffled.choice(batches).append(claimed(name, *others))
    for batch in batches:
        shuffled.shuffle(batch)

    async def process(batch: list[Input]) -> None:
        """As the consumer does: new keys may deadlock, and PostgreSQL ends one of the transactions."""
        while True:
            try:
                await processor.process(batch)
                return
            except Exception as error:
                if not is_transient(error):
                    raise

    async with asyncio.timeout(30):
        await asyncio.gather(*(process(batch) for batch in batches if batch))

    counted = await counts(sample_database)
    assert [sum(counted.get(name, 0) for name in group) for group in groups] == [1] * len(groups)
