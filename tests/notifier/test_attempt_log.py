"""One suite for the record of attempts in PostgreSQL and for its test double in memory."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Protocol
from uuid import UUID

import pytest_asyncio

from chassis.service import Database, execute, write_rows
from services.notifier.domain.in_doubt import Attempt
from services.notifier.domain.model import SUPERSEDED, ClientState, Limits, PartnerState, Sms
from services.notifier.store.attempts import PostgresAttemptLog
from services.notifier.store.clients import ClientStore
from services.notifier.store.partners import PartnerStore
from services.notifier.work import AttemptLog
from tests.notifier.decisions import notify
from tests.notifier.doubles import InMemoryAttemptLog
from tests.notifier.samples import opened, partner

SAMPLE = notify(ClientState(), opened()).state.messages[0]
LIMITS = Limits(per_hour=2, per_day=3)
HOUR_S, DAY_S = 3600, 86400


def sms(number: int, partner_id: str = "p1") -> Sms:
    return replace(SAMPLE, message_id=UUID(int=number), place=number, partner_id=partner_id)


class Bed(Protocol):
    """An attempt log, and what other parts of the service and the clock do to it."""

    @property
    def log(self) -> AttemptLog: ...

    async def add(self, *messages: Sms) -> None: ...
    async def add_partner(self, partner_id: str, person: str) -> None: ...
    async def make_obsolete(self) -> None: ...
    async def let_pass(self, seconds: float) -> None: ...


class InMemoryBed:
    def __init__(self) -> None:
        self.log = InMemoryAttemptLog(persons={}, limits=LIMITS)

    async def add(self, *messages: Sms) -> None:
        self.log.messages |= {each.message_id: each for each in messages}

    async def add_partner(self, partner_id: str, person: str) -> None:
        self.log.persons[partner_id] = person

    async def make_obsolete(self) -> None:
        self.log.make_obsolete()

    async def let_pass(self, seconds: float) -> None:
        self.log.now_s += seconds


class PostgresBed:
    def __init__(self, database: Database) -> None:
        self._database = database
        self.log = PostgresAttemptLog(database, LIMITS)

    async def add(self, *messages: Sms) -> None:
        rows = ClientStore().save({SAMPLE.client_key: (ClientState(), ClientState(messages))})
        async with self._database.transaction() as tx:
            for each in rows:
                await write_rows(tx, each)

    async def add_partner(self, partner_id: str, person: str) -> None:
        rows = PartnerStore().save({partner_id: (None, PartnerState(partner_id, person, "active"))})
        async with self._database.transaction() as tx:
            for each in rows:
                await write_rows(tx, each)

    async def make_obsolete(self) -> None:
        async with self._database.single() as tx:
            await execute(tx, "UPDATE messages SET obsolete = $1", SUPERSEDED)

    async def let_pass(self, seconds: float) -> None:
        async with self._database.single() as tx:
            await execute(tx, "UPDATE attempts SET began_at = began_at - make_interval(secs => $1)", seconds)


@pytest_asyncio.fixture
async def bed(memory_or_postgres: str | None) -> AsyncIterator[Bed]:
    if memory_or_postgres is None:
        yield InMemoryBed()
        return
    database = Database(memory_or_postgres, name="test")
    yield PostgresBed(database)
    await database.close()


async def recorded(bed: Bed, each: Sms) -> Attempt | None:
    """The recorded attempt with its age in whole seconds."""
    attempt = (await bed.log.outgoing([each.message_id]))[each.message_id].attempt
    return attempt and replace(attempt, age_s=round(attempt.age_s, -1))


async def test_an_sms_is_read_with_its_recipient_and_without_an_attempt(bed: Bed) -> None:
    person = partner().person
    await bed.add(sms(1), sms(2, "p2"))
    await bed.add_partner("p1", person)
    found = await bed.log.outgoing([UUID(int=1), UUID(int=2), UUID(int=3)])

    assert found.keys() == {UUID(int=1), UUID(int=2)}
    assert [(item.sms, item.person, item.attempt) for _, item in sorted(found.items())] == [
        (sms(1), person, None),
        (sms(2, "p2"), None, None),
    ]


async def test_an_attempt_that_begins_is_recorded_with_its_age(bed: Bed) -> None:
    await bed.add(sms(1))

    assert await bed.log.begin(sms(1), "smsc", None) == "begun"
    assert await recorded(bed, sms(1)) == Attempt("smsc")
    await bed.let_pass(60)
    assert await recorded(bed, sms(1)) == Attempt("smsc", age_s=60)


async def test_only_one_process_begins_the_first_attempt(bed: Bed) -> None:
    await bed.add(sms(1))
    results = [await bed.log.begin(sms(1), provider, None) for provider in ("smsc", "kannel")]

    assert results == ["begun", "taken"]
    assert await recorded(bed, sms(1)) == Attempt("smsc")


async def test_only_one_process_begins_a_repeated_attempt(bed: Bed) -> None:
    await bed.add(sms(1))
    await bed.log.begin(sms(1), "smsc", None)
    first = Attempt("smsc", lookups=4, misses=2)
    await bed.log.record_lookup(UUID(int=1), first)
    await bed.let_pass(60)
    results = [await bed.log.begin(sms(1), "smsc", first) for _ in range(2)]

    assert results == ["begun", "taken"]
    assert await recorded(bed, sms(1)) == Attempt("smsc", lookups=4, misses=0, sends=2)


async def test_a_repeated_attempt_does_not_begin_once_the_first_is_forgotten(bed: Bed) -> None:
    await bed.add(sms(1))
    await bed.log.begin(sms(1), "smsc", None)
    await bed.log.forget(UUID(int=1))

    assert await bed.log.begin(sms(1), "smsc", Attempt("smsc")) == "taken"


async def test_a_first_attempt_is_forgotten_and_a_repeated_one_is_not(bed: Bed) -> None:
    await bed.add(sms(1), sms(2))
    for number in (1, 2):
        await bed.log.begin(sms(number), "smsc", None)
    await bed.log.begin(sms(2), "smsc", Attempt("smsc"))
    for number in (1, 2):
        await bed.log.forget(UUID(int=number))

    assert await recorded(bed, sms(1)) is None
    assert await recorded(bed, sms(2)) == Attempt("smsc", sends=2)


async def test_the_numbers_of_lookups_and_misses_are_kept(bed: Bed) -> None:
    await bed.add(sms(1), sms(2))
    await bed.log.begin(sms(1), "smsc", None)
    for number in (1, 2):
        await bed.log.record_lookup(UUID(int=number), Attempt("smsc", lookups=2, misses=1))

    assert await recorded(bed, sms(1)) == Attempt("smsc", lookups=2, misses=1)
    assert await recorded(bed, sms(2)) is None


async def test_no_attempt_begins_on_an_sms_that_is_no_longer_true(bed: Bed) -> None:
    await bed.add(sms(1), sms(2), sms(3))
    for number in (2, 3):
        await bed.log.begin(sms(number), "smsc", None)
    await bed.make_obsolete()

    assert await bed.log.begin(sms(1), "smsc", None) == "obsolete"
    assert await bed.log.begin(sms(2), "smsc", None) == "taken"
    assert await bed.log.begin(sms(3), "smsc", Attempt("smsc")) == "taken"
    assert await recorded(bed, sms(1)) is None


async def test_one_recipient_gets_at_most_the_limits_of_an_hour_and_of_a_day(bed: Bed) -> None:
    await bed.add(*map(sms, range(1, 7)), sms(9, "p2"))

    async def begin(*numbers: int) -> list[str]:
        return [await bed.log.begin(sms(number), "smsc", None) for number in numbers]

    assert await begin(1, 2, 3) == ["begun", "begun", "over-limit"]
    assert await bed.log.begin(sms(9, "p2"), "smsc", None) == "begun"
    await bed.let_pass(HOUR_S + 10)
    assert await begin(3, 4) == ["begun", "over-limit"]
    await bed.let_pass(DAY_S - HOUR_S)
    assert await begin(4, 5, 6) == ["begun", "begun", "over-limit"]


async def test_a_repeated_attempt_counts_against_no_limit(bed: Bed) -> None:
    await bed.add(sms(1), sms(2))
    for number in (1, 2):
        await bed.log.begin(sms(number), "smsc", None)

    assert await bed.log.begin(sms(1), "smsc", Attempt("smsc")) == "begun"


async def test_attempts_that_begin_at_once_count_each_other(bed: Bed) -> None:
    await bed.add(*map(sms, range(1, 6)))
    results = await asyncio.gather(*(bed.log.begin(sms(number), "smsc", None) for number in range(1, 6)))

    assert sorted(results) == ["begun", "begun", "over-limit", "over-limit", "over-limit"]
