"""The notifier on real Kafka and PostgreSQL, against the SMS simulator's process."""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

import services.notifier
from chassis.database import Database
from chassis.migrations import upgrade
from contracts.client import Client
from services.notifier.domain import Attempt
from services.notifier.store import Attempts
from tests.infra import DatabaseFactory
from tests.notifier.samples import BUYER, REALTOR, expired, key_of, opened, partner, rejected
from tests.notifier.world import World, until
from tests.simulators.tests.processes import Sim

pytestmark = pytest.mark.infra

MIGRATIONS = Path(services.notifier.__file__).parent / "migrations"
OTHER_REALTOR = Client.parse("Сидоров Олег Петрович", "+79039998877")


@pytest.fixture
def world(fresh_topics: str, database_factory: DatabaseFactory, sms: Sim, folder: Path) -> Iterator[World]:
    database = database_factory("notifier", lambda url: upgrade(url, MIGRATIONS))
    made = World(fresh_topics, database, sms, folder)
    yield made
    made.stop()


async def test_each_event_is_one_sms_whatever_is_repeated(world: World) -> None:
    await world.start()
    # The partners come last: their topic may lag behind the others.
    await world.tell(opened(1), expired(1), times=3)
    await world.tell(rejected(2, "p2"), rejected(3, "p1", "already-yours"), times=2)
    await world.tell(partner("p1"), partner("p2", OTHER_REALTOR))
    statuses = await world.statuses(4)

    assert sorted((status.template, status.status, status.partner_id) for status in statuses) == [
        ("already-yours.v1", "sent", "p1"),
        ("confirmed.v1", "sent", "p1"),
        ("expired.v1", "sent", "p1"),
        ("rejected.v1", "sent", "p2"),
    ]
    assert sorted((message["to"], message["text"]) for message in world.sms.get("messages")) == [
        (REALTOR.phone, "Клиент Иванов И. закреплён за вами до 24.05.2027 включительно. Заявка 0001."),
        (REALTOR.phone, "Клиент Иванов И. уже закреплён за вами. Заявка 0003."),
        (REALTOR.phone, "Клиент Иванов И.: срок закрепления истёк, клиент передан застройщику. Заявка 0001."),
        (OTHER_REALTOR.phone, "Клиент Иванов И.: отказ, клиент уже в работе. Заявка 0002."),
    ]
    assert {row["state"] for row in await world.rows("SELECT state FROM work")} == {"done"}


async def test_messages_about_one_client_keep_their_order(world: World) -> None:
    await world.start()
    world.sms.post("fault", {"mode": "slow", "seconds": 1, "count": 1})
    await world.tell(partner("p1"), opened(1), expired(1))
    statuses = await world.statuses(2)

    assert [status.template for status in statuses] == ["confirmed.v1", "expired.v1"]
    assert [text.count("закреплён за вами") for text in world.texts()] == [1, 0]


async def test_an_answer_that_was_cut_off_is_looked_up_and_nothing_is_sent_twice(world: World) -> None:
    await world.start()
    world.sms.post("fault", {"mode": "accept_then_cut", "count": 1})
    await world.tell(partner("p1"), opened(1))
    [status] = await world.statuses(1)

    assert (status.status, status.detail) in {("sent", "status -1"), ("sent", "status 0"), ("sent", "status 1")}
    assert len(world.texts()) == 1


async def test_a_refusal_is_told_as_failed_with_the_providers_code(world: World) -> None:
    await world.start()
    world.sms.post("fault", {"mode": "refuse", "code": 8, "count": 1})
    await world.tell(partner("p1"), opened(1))
    [status] = await world.statuses(1)

    assert (status.status, status.detail, status.provider) == ("failed", "8", "smsc")
    assert (status.lead_id, status.client_key) == (UUID(int=1), key_of())
    [row] = await world.rows("SELECT status, provider, detail, settled_at IS NOT NULL AS settled FROM messages")
    assert tuple(row) == ("failed", "smsc", "8", True)


async def test_no_phone_no_name_and_no_text_in_logs_rows_and_events(world: World) -> None:
    process = await world.start()
    await world.tell(partner("p1"), opened(1), rejected(2))
    statuses = await world.statuses(2)
    assert process.terminate() == 0
    tables = [row["tablename"] for row in await world.rows("SELECT tablename FROM pg_tables WHERE schemaname='public'")]
    dump = [repr(await world.rows(f'SELECT t::text FROM "{table}" t')) for table in tables]
    seen = world.log.read_text() + repr(statuses) + "".join(dump)
    assert "sms send" in seen
    for secret in (REALTOR.phone[2:], BUYER.phone[2:], "Иванов", "Петрова", "закреплён", "отказ"):
        assert secret not in seen


async def test_an_attempt_is_begun_by_one_only(world: World) -> None:
    database = Database(world.database, name="test")
    desk, message = Attempts(database), UUID(int=77)

    assert await desk.begin(message, "smsc", None)
    assert not await desk.begin(message, "smsc", None)
    assert await desk.begin(message, "smsc", Attempt(0, sends=1))
    assert not await desk.begin(message, "smsc", Attempt(0, sends=1))
    await desk.forget(message)
    assert [row["sends"] for row in await world.rows("SELECT sends FROM attempts")] == [2]
    await database.close()


# The last one: Kafka remembers the dead member for ten seconds.


async def test_killed_in_the_middle_of_a_call_it_looks_before_it_sends(world: World) -> None:
    process = await world.start()
    world.sms.post("fault", {"mode": "slow", "seconds": 2, "count": 1, "match": {"call": "send"}})
    await world.tell(partner("p1"), opened(1))
    await until(lambda: world.sms.get("calls") or None, "the call to be under way")
    process.kill()
    await until(lambda: world.texts() or None, "the provider to take the message")
    # Its work needs no Kafka, which still waits for the dead member of the group.
    await world.start(wait=False)
    [status] = await world.statuses(1)

    assert status.status == "sent"
    assert len(world.texts()) == 1
    assert [call["path"] for call in world.sms.get("calls")].count("/rest/send/") == 1
