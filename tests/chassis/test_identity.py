"""A process that lost its identity, or may have lost it, neither calls nor publishes under it.

The tests freeze the process, or hang or cut its connections, while it holds claims.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.chaos.proxy import Proxy
from tests.chassis.harness import Harness, assert_in_order, requests

pytestmark = pytest.mark.infra


@contextmanager
def proxied(sample: Harness) -> Iterator[tuple[Proxy, str]]:
    """A proxy before the database, and the database's URL through the proxy."""
    address = urlsplit(sample.url)
    assert address.port is not None
    proxy = Proxy(address.port).start()
    try:
        yield proxy, sample.url.replace(f":{address.port}/", f":{proxy.port}/")
    finally:
        proxy.stop()


@pytest.mark.parametrize("action", ["call", "call-retry-once"], ids=["success", "failure"])
async def test_a_process_frozen_during_a_call_makes_no_call_that_was_taken_over(sample: Harness, action: str) -> None:
    """Its connections hang, as after a live migration of its machine, so no error shows it the loss.

    `action`: how its own call, which was in flight, ends.
    """
    with proxied(sample) as (proxy, through):
        process = await sample.start(
            SAMPLE_DATABASE_URL=through, SAMPLE_FOREIGN_URL=sample.url, SAMPLE_CALLS_AT_ONCE="1", SAMPLE_CALL_S="3"
        )
        await sample.publish(*requests(names=5, each=1, action=action))
        await sample.wait_for("SELECT count(*) FROM work WHERE owner IS NOT NULL", 5)
        await sample.wait_for("SELECT count(*) FROM calls", 1)
        process.send_signal(signal.SIGSTOP)
        proxy.stall()
        await sample.start(KAFKA_GROUP_INSTANCE_ID="two")
        await sample.wait_for("SELECT count(*) FROM work WHERE state = 'done'", 5)

        process.send_signal(signal.SIGCONT)

        await sample.wait_for_log(0, "presence_lost")
        calls = await sample.query("SELECT name, in_doubt FROM calls ORDER BY id")
        assert sorted(call["name"] for call in calls[1:]) == [f"name-{number}" for number in range(5)]
        assert [call["in_doubt"] for call in calls] == [False] + [True] * 5

        proxy.heal()  # the answer of its own call arrives too late
        await sample.wait_for_readiness(200, instance=0)
        await sample.publish(*({"name": f"name-{number}", "n": 1} for number in range(5)))
        for events in (await sample.results(15)).values():
            assert [event["called"] for event in events] == [False, True, False]
            assert [event["sequence"] for event in events] == [1, 2, 3]
        work = await sample.query("SELECT state, attempts FROM work")
        assert [tuple(row) for row in work] == [("done", 2)] * 5


async def test_a_frozen_process_publishes_no_event_that_was_taken_over(sample: Harness) -> None:
    with proxied(sample) as (proxy, through):
        process = await sample.start(SAMPLE_DATABASE_URL=through)
        await sample.publish({"name": "earlier", "n": 0})
        await sample.results(1)
        await sample.hold_results()
        await sample.publish(*requests(names=5, each=1))
        await sample.wait_for("SELECT count(*) FROM outbox", 5)
        await sample.wait_for_log(0, "partition_unwritable")
        process.send_signal(signal.SIGSTOP)
        proxy.stall()
        await sample.pass_results()
        await sample.start(KAFKA_GROUP_INSTANCE_ID="two")
        assert_in_order(await sample.results(5), names=5, each=1)

        process.send_signal(signal.SIGCONT)

        await sample.wait_for_log(0, "presence_lost")
        proxy.heal()
        await sample.wait_for_readiness(200, instance=0)
        await sample.publish(*requests(names=5, each=2))
        assert_in_order(await sample.results(10), names=5, each=2)
        assert len(await sample.read(sample.results_topic, lambda found: len(found) >= 10)) == 10


async def test_events_that_wait_for_kafka_are_published_once_after_a_lost_identity(sample: Harness) -> None:
    await sample.start()
    await sample.hold_results()
    await sample.publish(*requests(names=5, each=1))
    await sample.wait_for("SELECT count(*) FROM outbox", 5)
    await sample.wait_for_log(0, "partition_unwritable")

    await sample.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name LIKE '% presence'"
    )
    await sample.wait_for_log(0, "presence_lost")
    await sample.pass_results()

    await sample.publish(*requests(names=5, each=2))
    assert_in_order(await sample.results(10), names=5, each=2)
    assert len(await sample.read(sample.results_topic, lambda found: len(found) >= 10)) == 10


async def test_events_and_work_of_a_commit_with_a_lost_answer_are_processed(sample: Harness) -> None:
    """Their rows name this process as the owner, and the process lives; but it does not have them in memory."""
    with proxied(sample) as (proxy, through):
        await sample.start(SAMPLE_DATABASE_URL=through, SAMPLE_FOREIGN_URL=sample.url)
        await sample.publish({"name": "earlier", "n": 0})
        await sample.results(1)
        proxy.delay(0.4)
        await sample.publish({"name": "name-0", "n": 0, "action": "call"})
        await sample.wait_for("SELECT count(*) FROM tallies", 2)
        proxy.reset(but=b" presence")
        proxy.heal()

        events = (await sample.results(3))["name-0"]
        assert [event["called"] for event in events] == [False, True]


async def test_a_claim_with_a_lost_answer_is_freed(sample: Harness) -> None:
    with proxied(sample) as (proxy, through):
        await sample.start(SAMPLE_DATABASE_URL=through, SAMPLE_FOREIGN_URL=sample.url)
        proxy.delay(0.4)
        await sample.query(
            "INSERT INTO work (kind, ref, key, payload, cause) VALUES"
            """ ('call', 'r', 'name-0', '{"n": 0, "action": "call"}', '{"id": "i", "correlation": "c"}')"""
        )
        await sample.wait_for("SELECT count(*) FROM work WHERE owner IS NOT NULL", 1)
        proxy.reset(but=b" presence")
        proxy.heal()

        await sample.wait_for("SELECT count(*) FROM work WHERE state = 'done'", 1)


async def test_a_call_whose_retry_could_not_be_stored_is_made_again(sample: Harness) -> None:
    await sample.start(SAMPLE_CALL_S="1")
    blocker = await asyncpg.connect(sample.url)
    async with blocker.transaction():
        await sample.publish({"name": "name-0", "n": 0, "action": "call-retry-once"})
        await sample.wait_for("SELECT count(*) FROM calls", 1)
        await blocker.execute("LOCK TABLE work IN EXCLUSIVE MODE")
        await sample.wait_for(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock' AND query LIKE '%UPDATE work w SET owner = NULL%'",
            1,
        )
    await blocker.close()

    await sample.wait_for("SELECT count(*) FROM work WHERE state = 'done'", 1)
