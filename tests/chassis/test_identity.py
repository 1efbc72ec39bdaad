"""What a process may still do once it has lost its identity, or cannot know whether it has: nothing.

Connections hang or end at the worst moment, one at a time; the process lives on.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.chaos.proxy import Proxy
from tests.chassis.conftest import Sample, assert_in_order, messages

pytestmark = pytest.mark.infra


@contextmanager
def proxied(sample: Sample) -> Iterator[tuple[Proxy, str]]:
    """A proxy before the database, and the database's address behind it."""
    address = urlsplit(sample.url)
    assert address.port is not None
    proxy = Proxy(address.port).start()
    try:
        yield proxy, sample.url.replace(f":{address.port}/", f":{proxy.port}/")
    finally:
        proxy.stop()


@pytest.mark.parametrize("late", ["call", "call-again"], ids=["success", "failure"])
async def test_what_was_taken_over_from_a_frozen_process_is_not_called_for_by_it_when_it_wakes_up(
    sample: Sample, late: str
) -> None:
    """Its connections hang, as after a machine was moved: nothing tells it that it is not alone any more.

    `late`: how its own call, which was in flight, ends."""
    with proxied(sample) as (proxy, through):
        process = await sample.start(
            SAMPLE_DATABASE_URL=through, SAMPLE_FOREIGN_URL=sample.url, SAMPLE_CALLS_AT_ONCE="1", SAMPLE_CALL_S="3"
        )
        await sample.say(*messages(names=5, each=1, wish=late))
        await sample.until("SELECT count(*) FROM work WHERE owner IS NOT NULL", 5)
        await sample.until("SELECT count(*) FROM calls", 1)
        process.send_signal(signal.SIGSTOP)
        proxy.stall()
        await sample.start(KAFKA_GROUP_INSTANCE_ID="two")
        await sample.until("SELECT count(*) FROM work WHERE state = 'done'", 5)

        process.send_signal(signal.SIGCONT)

        await sample.until_logged(0, "presence_lost")
        calls = await sample.query("SELECT name, in_doubt FROM calls ORDER BY id")
        assert sorted(call["name"] for call in calls[1:]) == [f"name-{number}" for number in range(5)]
        assert [call["in_doubt"] for call in calls] == [False] + [True] * 5

        proxy.heal()  # and what it has to say of its own call comes too late
        await sample.until_health(200, instance=0)
        await sample.say(*({"name": f"name-{number}", "n": 1} for number in range(5)))
        for told in (await sample.stories(15)).values():
            assert [event["called"] for event in told] == [False, True, False]
            assert [event["sequence"] for event in told] == [1, 2, 3]
        work = await sample.query("SELECT state, attempts FROM work")
        assert [tuple(row) for row in work] == [("done", 2)] * 5


async def test_what_was_taken_over_from_a_frozen_process_is_not_told_by_it_when_it_wakes_up(sample: Sample) -> None:
    with proxied(sample) as (proxy, through):
        process = await sample.start(SAMPLE_DATABASE_URL=through)
        await sample.hearing(0)
        await sample.say(*messages(names=5, each=1))
        await sample.until("SELECT count(*) FROM outbox", 5)
        await sample.until_logged(0, "publishing_failed")
        process.send_signal(signal.SIGSTOP)
        proxy.stall()
        await sample.hearing(2**20)
        await sample.start(KAFKA_GROUP_INSTANCE_ID="two")
        assert_in_order(await sample.stories(5), names=5, each=1)

        process.send_signal(signal.SIGCONT)

        await sample.until_logged(0, "presence_lost")
        proxy.heal()
        await sample.until_health(200, instance=0)
        await sample.say(*messages(names=5, each=2))
        assert_in_order(await sample.stories(10), names=5, each=2)
        assert len(await sample.read(sample.told, lambda so_far: len(so_far) >= 10)) == 10


async def test_what_waits_to_be_told_leaves_once_though_its_owner_lost_it_meanwhile(sample: Sample) -> None:
    await sample.start()
    await sample.hearing(0)
    await sample.say(*messages(names=5, each=1))
    await sample.until("SELECT count(*) FROM outbox", 5)
    await sample.until_logged(0, "publishing_failed")

    await sample.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name LIKE '% presence'"
    )
    await sample.until_logged(0, "presence_lost")
    await sample.hearing(2**20)

    await sample.say(*messages(names=5, each=2))
    assert_in_order(await sample.stories(10), names=5, each=2)
    assert len(await sample.read(sample.told, lambda so_far: len(so_far) >= 10)) == 10


async def test_a_commit_whose_answer_was_lost_leaves_nothing_behind(sample: Sample) -> None:
    """What it wrote under this process's name is in nobody's hand, though the process lives."""
    with proxied(sample) as (proxy, through):
        await sample.start(SAMPLE_DATABASE_URL=through, SAMPLE_FOREIGN_URL=sample.url)
        await sample.say({"name": "earlier", "n": 0})
        await sample.stories(1)
        proxy.delay(0.4)
        await sample.say({"name": "name-0", "n": 0, "wish": "call"})
        await sample.until("SELECT count(*) FROM tallies", 2)
        proxy.reset(but=b" presence")
        proxy.heal()

        told = (await sample.stories(3))["name-0"]
        assert [event["called"] for event in told] == [False, True]


async def test_a_claim_whose_answer_was_lost_is_free_again(sample: Sample) -> None:
    with proxied(sample) as (proxy, through):
        await sample.start(SAMPLE_DATABASE_URL=through, SAMPLE_FOREIGN_URL=sample.url)
        proxy.delay(0.4)
        await sample.query(
            "INSERT INTO work (kind, ref, key, payload, cause) VALUES"
            """ ('call', 'r', 'name-0', '{"n": 0, "again": false}', '{"id": "i", "correlation": "c"}')"""
        )
        await sample.until("SELECT count(*) FROM work WHERE owner IS NOT NULL", 1)
        proxy.reset(but=b" presence")
        proxy.heal()

        await sample.until("SELECT count(*) FROM work WHERE state = 'done'", 1)


async def test_a_call_that_could_not_be_put_back_is_made_again(sample: Sample) -> None:
    await sample.start(SAMPLE_CALL_S="1")
    blocker = await asyncpg.connect(sample.url)
    async with blocker.transaction():
        await sample.say({"name": "name-0", "n": 0, "wish": "call-again"})
        await sample.until("SELECT count(*) FROM calls", 1)
        await blocker.execute("LOCK TABLE work IN EXCLUSIVE MODE")
        await sample.until(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock' AND query LIKE '%UPDATE work w SET owner = NULL%'",
            1,
        )
    await blocker.close()

    await sample.until("SELECT count(*) FROM work WHERE state = 'done'", 1)
