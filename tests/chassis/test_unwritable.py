"""Partitions that cannot be written, on three brokers: the others go on, nothing is published twice or out of order.

A partition has replicas on two brokers here and needs both of them.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from chassis.outbox.partitions import partition_of
from deploy.local.kafka import KafkaCluster
from tests.chassis.harness import PARTITIONS, Harness, assert_in_order, requests
from tests.process import until

pytestmark = [pytest.mark.infra, pytest.mark.timeout(600)]

REPLICAS = {0: [1, 2], 1: [3, 1], 2: [1, 3]}
"""Partition of the results → its brokers. Only partition 0 needs broker 2."""
NAMES = 12
STUCK = {f"name-{number}" for number in range(NAMES) if partition_of(f"name-{number}", PARTITIONS) == 0}


@pytest.fixture
async def cluster(kafka_cluster: KafkaCluster) -> KafkaCluster:
    """All three brokers run."""
    await asyncio.to_thread(kafka_cluster.start)
    return kafka_cluster


@pytest.fixture
async def sample(cluster: KafkaCluster, sample_database: str, tmp_path: Path) -> AsyncIterator[Harness]:
    """The sample service on three brokers."""
    harness = Harness(cluster.bootstrap, sample_database, f"-{uuid.uuid4().hex[:8]}", tmp_path)
    results = NewTopic(harness.results_topic, -1, -1, replica_assignments=REPLICAS)
    admin = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap)
    await admin.start()
    try:
        topics = harness.topics(await admin.list_topics(), replicas=3)
        await admin.create_topics([results, *(topic for topic in topics if topic.name != results.name)])
        yield harness
    finally:
        harness.close()
        await admin.close()


async def insert_events(sample: Harness, first: int, last: int) -> None:
    """Store events `first` to `last` of every name in the outbox, without an owner, as after a crash."""
    await sample.query(
        "INSERT INTO outbox (event_id, topic, key, headers, value) SELECT gen_random_uuid(), "
        f"'{sample.results_topic}', 'name-' || k, json_build_array(json_build_array('ce_id', k || '/' || n),"
        " json_build_array('ce_sequence', (n + 1)::text))::text,"
        " convert_to(json_build_object('name', 'name-' || k, 'n', n, 'count', n + 1)::text, 'UTF8')"
        f" FROM generate_series({first}, {last}) AS n, generate_series(0, {NAMES - 1}) AS k ORDER BY n, k"
    )


def connections(pid: int, cluster: KafkaCluster) -> int:
    """How many connections to brokers a process has."""
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            inodes.add(link.readlink().name)
        except FileNotFoundError:
            continue
    ports = {f"{node.port:04X}" for node in cluster.nodes.values()}
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    return sum(row[2].rpartition(":")[2] in ports and f"socket:[{row[9]}]" in inodes for row in rows)


async def test_a_partition_that_cannot_be_written_does_not_stop_the_others(
    sample: Harness, cluster: KafkaCluster
) -> None:
    await sample.start()
    await sample.publish(*requests(names=NAMES, each=1))
    await sample.results(NAMES)
    cluster.nodes[2].kill()

    await insert_events(sample, 1, 20)

    moving = NAMES - len(STUCK)
    results = await sample.results(NAMES + 20 * moving)
    assert {name: len(events) for name, events in results.items() if name not in STUCK} == {
        f"name-{number}": 21 for number in range(NAMES) if f"name-{number}" not in STUCK
    }
    await sample.wait_for_log(0, "partition_unwritable")
    assert f"{sample.results_topic}/0 has acknowledged nothing" in (await sample.health())["reasons"]["publishing"]

    await asyncio.to_thread(cluster.nodes[2].start)
    assert_in_order(await sample.results(21 * NAMES), names=NAMES, each=21)
    await sample.wait_for("SELECT count(*) FROM outbox", 0)
    assert len(await sample.read(sample.results_topic, lambda found: len(found) >= 21 * NAMES)) == 21 * NAMES
    await sample.wait_for_metric("truce_unwritable_partitions", 0)


@pytest.mark.parametrize("seconds", [20, pytest.param(180, marks=pytest.mark.long)])
async def test_an_outage_of_two_brokers_repeats_no_event_and_leaves_no_producer_behind(
    sample: Harness, cluster: KafkaCluster, seconds: int
) -> None:
    process = await sample.start()
    await sample.publish(*requests(names=NAMES, each=1))
    await sample.results(NAMES)
    await sample.wait_for("SELECT count(*) FROM outbox", 0)
    before = connections(process.pid, cluster)

    for number in (2, 3):
        cluster.nodes[number].kill()
    steps = 10
    for step in range(steps):
        await insert_events(sample, 1 + 2 * step, 2 + 2 * step)
        await asyncio.sleep(seconds / steps)  # the events come during the whole outage
    await asyncio.to_thread(cluster.start)

    total = NAMES * (1 + 2 * steps)
    assert_in_order(await sample.results(total), names=NAMES, each=1 + 2 * steps)
    await sample.wait_for("SELECT count(*) FROM outbox", 0)
    assert len(await sample.read(sample.results_topic, lambda found: len(found) >= total)) == total

    async def none_left() -> bool | None:
        return True if connections(process.pid, cluster) <= before + 1 else None

    await until(none_left, f"no more connections than the {before} before the outage")
