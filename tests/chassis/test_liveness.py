"""Due work and the age of events are looked at in time, whatever else goes on."""

import asyncio

import httpx
import pytest

from tests.chassis.harness import Harness
from tests.process import until

pytestmark = pytest.mark.infra


async def test_a_retry_is_called_in_time_while_other_calls_arrive_all_the_time(sample: Harness) -> None:
    await sample.start()
    await sample.publish({"name": "retried", "n": 0, "action": "call-retry-once"})

    async def traffic() -> None:
        n = 0
        while True:
            await sample.publish({"name": f"other-{n}", "n": 0, "action": "call"})
            n += 1
            await asyncio.sleep(0.2)

    task = asyncio.create_task(traffic())
    try:
        await sample.wait_for("SELECT count(*) FROM work WHERE ref = 'retried/0' AND state = 'done'", 1)
    finally:
        task.cancel()


async def test_the_age_of_the_oldest_event_is_shown_while_kafka_is_down(sample: Harness) -> None:
    await sample.query(
        "INSERT INTO outbox (event_id, topic, key, headers, value, created_at)"
        " SELECT gen_random_uuid(), 'nowhere', 'name-' || n, '[]', '{}', now() - interval '1 hour'"
        " FROM generate_series(1, 600) AS n"
    )
    await sample.start(KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1", wait=False)

    async def old() -> bool | None:
        try:
            metrics = await sample.metrics()
        except httpx.ConnectError:
            return None  # the process is still starting
        for line in metrics.splitlines():
            if line.startswith("truce_outbox_oldest_event_age_seconds{"):
                return True if float(line.rpartition(" ")[2]) > 3600 else None
        return None

    await until(old, "the oldest event is an hour old")
