"""Records that cannot be decoded cost only their own partition."""

import asyncio
import json
import struct
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.record.util import calc_crc32c
from confluent_kafka import Producer

from tests.chassis.harness import Harness, headers_for
from tests.process import until

pytestmark = pytest.mark.infra

CRC_AT = 17
CHECKED_FROM = 21


def undecodable_batch(producer: AIOKafkaProducer, records: int = 1) -> Any:
    """A batch whose first record has a header name that is not UTF-8. Kafka accepts it, aiokafka cannot decode it."""
    batch = producer.create_batch()
    batch.append(timestamp=None, key=b"bad", value=b"{}", headers=[("zz", b"1")])
    for _ in range(records - 1):
        batch.append(timestamp=None, key=b"behind", value=b"{}", headers=[])
    buffer = batch._build()
    at = buffer.index(b"zz")
    buffer[at : at + 2] = b"\xff\xff"
    struct.pack_into(">I", buffer, CRC_AT, calc_crc32c(bytes(buffer[CHECKED_FROM:])))
    return batch


async def publish_to(sample: Harness, partition: int, name: str, numbers: range) -> None:
    """Publish requests to one partition, whatever their key."""
    producer = AIOKafkaProducer(bootstrap_servers=sample.bootstrap)
    await producer.start()
    try:
        for n in numbers:
            request = {"name": name, "n": n}
            await producer.send(
                sample.requests_topic,
                json.dumps(request).encode(),
                key=name.encode(),
                partition=partition,
                headers=headers_for(request),
            )
    finally:
        await producer.stop()


async def publish_undecodable(sample: Harness, partition: int, records: int = 1) -> None:
    """Publish a batch that cannot be decoded."""
    producer = AIOKafkaProducer(bootstrap_servers=sample.bootstrap)
    await producer.start()
    try:
        batch = undecodable_batch(producer, records)
        await (await producer.send_batch(batch, sample.requests_topic, partition=partition))
    finally:
        await producer.stop()


async def readiness(sample: Harness) -> httpx.Response:
    """The readiness of the last instance."""
    async with httpx.AsyncClient(base_url=sample.instances[-1].admin) as client:
        return await client.get("/health/ready")


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_records_of_every_codec_are_read(sample: Harness, codec: str) -> None:
    await sample.start()
    producer = Producer({"bootstrap.servers": sample.bootstrap, "compression.type": codec})
    for n in range(20):
        request = {"name": "a", "n": n}
        producer.produce(
            sample.requests_topic, json.dumps(request).encode(), key=b"a", headers=dict(headers_for(request))
        )
    await asyncio.to_thread(producer.flush, 20)

    assert [event["n"] for event in (await sample.results(20))["a"]] == list(range(20))


@pytest.mark.parametrize("turn", range(5))
async def test_an_undecodable_record_costs_no_record_of_other_partitions(sample: Harness, turn: int) -> None:
    # aiokafka takes the partitions in a random order: hence several turns, each with keys of its own.
    zero, two = f"zero-{turn}", f"two-{turn}"
    await publish_to(sample, 0, zero, range(100))
    await publish_to(sample, 2, two, range(100))
    await publish_undecodable(sample, 1)
    await sample.start()
    await sample.wait_for_log(0, "partition_unreadable")

    await publish_to(sample, 0, zero, range(100, 101))
    await publish_to(sample, 2, two, range(100, 101))

    results = await sample.results(202)
    assert [event["n"] for event in results[zero]] == list(range(101))
    assert [event["n"] for event in results[two]] == list(range(101))


async def test_records_before_an_undecodable_one_are_read_and_later_ones_wait(sample: Harness) -> None:
    await sample.start()
    await publish_to(sample, 1, "one", range(10))
    await publish_undecodable(sample, 1)
    await publish_to(sample, 1, "one", range(10, 15))
    await sample.wait_for_log(0, "partition_unreadable")
    await publish_to(sample, 2, "two", range(1))

    results = await sample.results(11)
    assert [event["n"] for event in results["one"]] == list(range(10))
    assert [event["n"] for event in results["two"]] == [0]


async def test_health_and_a_metric_name_the_partition_that_cannot_be_read(sample: Harness) -> None:
    await sample.start()
    await publish_undecodable(sample, 1)
    await sample.wait_for_log(0, "partition_unreadable")

    ready = await readiness(sample)
    assert ready.status_code == 200, "the other partitions are read: the service can be relied on"
    assert ready.json()["status"] == "degraded"
    assert f"{sample.requests_topic}/1 cannot be read at offset 0" in ready.json()["reasons"]["reading"]
    lines = (await sample.metrics()).splitlines()
    (line,) = [line for line in lines if line.startswith("truce_unreadable_partitions{")]
    assert f'topic="{sample.requests_topic}"' in line
    assert line.endswith(" 1.0")


@pytest.mark.long  # it waits for the next try, a minute later
async def test_a_partition_is_read_again_once_the_undecodable_record_is_gone(sample: Harness) -> None:
    await sample.start()
    await publish_undecodable(sample, 1)
    await publish_to(sample, 1, "one", range(5))
    await sample.wait_for_log(0, "partition_unreadable")

    admin = AIOKafkaAdminClient(bootstrap_servers=sample.bootstrap)
    await admin.start()
    await admin.delete_records({TopicPartition(sample.requests_topic, 1): RecordsToDelete(before_offset=1)})
    await admin.close()

    async def read_again() -> bool | None:
        return True if "partition_readable" in (sample.folder / "0.log").read_text() else None

    await until(read_again, "the partition is read again", 120)
    assert [event["n"] for event in (await sample.results(5))["one"]] == list(range(5))
    assert (await readiness(sample)).json() == {"status": "ok"}


@pytest.mark.long  # as above
async def test_a_partition_that_still_cannot_be_read_is_paused_again(sample: Harness) -> None:
    await sample.start()
    await publish_undecodable(sample, 1)
    await sample.wait_for_log(0, "partition_unreadable")

    async def paused_again() -> bool | None:
        tries = [line for line in sample.log(0) if line["event"] == "partition_unreadable"]
        return True if len(tries) > 1 else None

    await until(paused_again, "the partition was tried again and paused again", 120)
    await publish_to(sample, 2, "two", range(3))
    assert [event["n"] for event in (await sample.results(3))["two"]] == list(range(3))
    assert not [line for line in sample.log(0)[-20:] if line["event"] == "poll_failed"][3:]
