"""What portals' producers do on their topics harms nobody: undecodable records, bombs, transactions."""

import asyncio
import json
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from confluent_kafka import KafkaError, Producer

from chassis.limits import MEASURE_LAG_EVERY_S, SILENT_CLIENT_S
from contracts.topics import (
    DEAD_LETTERS,
    LEADS,
    MAX_DEAD_LETTER_BYTES,
    MAX_REQUEST_RECORD_BYTES,
    PARTITIONS,
    portal_requests,
)
from deploy.topics import provision
from tests.infra import kafka_settings
from tests.intake.harness import Portal
from tests.process import until
from tests.topics import begun_transaction, publish_undecodable

pytestmark = [pytest.mark.infra, pytest.mark.plain_clients]

CODECS = ["gzip", "snappy", "lz4", "zstd"]
BOMB = b"a" * 1_500_000
Headers = list[tuple[str, bytes | None]]


def headers() -> Headers:
    """The headers of a request with an id of its own."""
    identity = uuid.uuid4().hex.encode()
    return [("ce_specversion", b"1.0"), ("ce_id", identity), ("ce_type", b"submit-lead.v1"), ("ce_source", b"/x")]


def lead(portal: Portal, number: int, **more: Any) -> bytes:
    """The body of a lead of client `number`."""
    client = {"full_name": "Ветлугин Пётр", "phone": f"+7916555{number:04d}"}
    consent = {"given_at": "2026-11-01T12:00:00+03:00", "advertising": False}
    return json.dumps({"partner_id": portal.partner, "client": client, "consent": consent, **more}).encode()


async def write_leads(portal: Portal, numbers: Iterable[int], partitions: Iterable[int]) -> None:
    """Write a lead of each client, uncompressed, to the partitions by turns."""
    chosen = list(partitions)
    producer = AIOKafkaProducer(bootstrap_servers=portal.bootstrap, linger_ms=2)
    await producer.start()
    try:
        sent = [
            await producer.send(
                portal.topic, lead(portal, number), headers=headers(), partition=chosen[number % len(chosen)]
            )
            for number in numbers
        ]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


def write(portal: Portal, *values: bytes, codec: str = "none", more: Sequence[tuple[str, bytes]] = ()) -> list[Any]:
    """Write records to partition 0, each compressed by `codec`. Returns the error of each, or None."""
    producer = Producer(
        {"bootstrap.servers": portal.bootstrap, "message.max.bytes": 100_000_000, "compression.type": codec}
    )
    errors: list[Any] = []
    for value in values:
        producer.produce(
            portal.topic,
            value,
            partition=0,
            headers=[*headers(), *more],
            on_delivery=lambda error, _: errors.append(error),
        )
        producer.flush(30)
    return errors


async def as_provisioned_before(portal: Portal) -> None:
    """Give the portal's topic the settings of the version that let portals compress what they liked."""
    config = {**portal_requests(portal.name).config}
    del config["compression.type"]
    admin = AIOKafkaAdminClient(bootstrap_servers=portal.bootstrap)
    await admin.start()

    async def applies() -> bool | None:
        (found,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, portal.topic)])
        values = {entry[0]: entry[1] for entry in found.resources[0][4]}
        return True if values["compression.type"] == "producer" else None

    try:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, portal.topic, config)])
        await until(applies, "the topic has its former settings")
    finally:
        await admin.close()


async def leads(portal: Portal, count: int) -> int:
    """How many different leads of the portal were published, as soon as there are `count`."""
    return len(await portal.published(LEADS, "lead-submitted.v1", count))


async def letters(portal: Portal, count: int) -> list[dict[str, Any]]:
    """The dead letters of the portal's records, as soon as there are `count`."""
    return await portal.published(DEAD_LETTERS, "dead-letter.v1", count)


# --- records that cannot be decoded


@pytest.mark.parametrize("turn", range(5))
async def test_an_undecodable_record_costs_no_lead_on_other_partitions(portal: Portal, turn: int) -> None:
    # aiokafka takes the partitions in a random order: hence several turns.
    await portal.register()
    portal.intake.stop()
    bad, *others = range(turn, turn + PARTITIONS)
    good = [partition % PARTITIONS for partition in others]
    await write_leads(portal, range(100), good)
    await publish_undecodable(portal.bootstrap, portal.topic, bad)
    await portal.intake.start()
    await portal.intake.wait_for_log("partition_unreadable", f'"{portal.topic}"')

    await write_leads(portal, range(100, 100 + len(good)), good)

    assert await leads(portal, 100 + len(good)) == 100 + len(good)
    assert (await portal.lead()).status_code == 202


@pytest.mark.parametrize("codec", CODECS)
async def test_leads_of_every_codec_are_read_on_a_topic_of_an_earlier_version(portal: Portal, codec: str) -> None:
    await portal.register()
    await as_provisioned_before(portal)

    assert write(portal, *(lead(portal, n) for n in range(5)), codec=codec) == [None] * 5

    assert await leads(portal, 5) == 5


# --- records that are too large


@pytest.mark.parametrize("unpacked", [1_500_000, 3_000_000, 30_000_000])
async def test_a_bomb_on_a_topic_of_an_earlier_version_stops_no_other_lead(portal: Portal, unpacked: int) -> None:
    await portal.register()
    await as_provisioned_before(portal)

    errors = write(portal, b"a" * unpacked, lead(portal, 1), codec="gzip")

    assert errors == [None, None]
    assert await leads(portal, 1) == 1
    (letter,) = await letters(portal, 1)
    assert (letter["whole"], letter["reason"]) == (False, "invalid")
    assert len(letter["original"]) < MAX_DEAD_LETTER_BYTES


@pytest.mark.parametrize("codec", CODECS)
async def test_kafka_refuses_a_bomb_on_a_portals_topic_and_takes_a_small_lead(portal: Portal, codec: str) -> None:
    await portal.register()

    refused, taken = write(portal, BOMB, lead(portal, 1), codec=codec)

    assert (refused.code(), taken) == (KafkaError.MSG_SIZE_TOO_LARGE, None)
    assert await leads(portal, 1) == 1


async def test_kafka_refuses_a_bomb_once_a_topic_was_provisioned_again(portal: Portal) -> None:
    await as_provisioned_before(portal)
    assert write(portal, BOMB, codec="gzip") == [None]

    await provision(kafka_settings(portal.bootstrap), [portal_requests(portal.name)])

    (refused,) = write(portal, BOMB, codec="gzip")
    assert refused.code() == KafkaError.MSG_SIZE_TOO_LARGE


async def test_a_record_of_countless_headers_is_a_letter_that_fits_and_stops_no_lead(portal: Portal) -> None:
    """The record is small on its topic: two bytes a header. In a letter each takes a dozen."""
    await portal.register()

    assert write(portal, b"not a lead", more=[("", b"")] * 400_000) == [None]
    assert write(portal, lead(portal, 1)) == [None]

    assert await leads(portal, 1) == 1
    (letter,) = await letters(portal, 1)
    assert (letter["whole"], letter["reason"]) == (False, "invalid")


async def test_a_large_lead_is_taken_and_a_lead_that_a_letter_cannot_keep_whole_is_not(portal: Portal) -> None:
    await portal.register()
    large = lead(portal, 1, unknown="x" * (MAX_REQUEST_RECORD_BYTES - 2_000))
    too_large = lead(portal, 2, unknown="x" * MAX_REQUEST_RECORD_BYTES)

    assert write(portal, large, too_large, lead(portal, 3)) == [None] * 3

    assert await leads(portal, 2) == 2
    (letter,) = await letters(portal, 1)
    assert letter["reason"] == "too-large"


# --- transactions


async def test_a_lead_in_an_aborted_transaction_is_never_taken(portal: Portal) -> None:
    await portal.register()

    for number, ending in enumerate(["abort", "commit", "abort"]):
        producer = begun_transaction(portal.bootstrap)
        producer.produce(portal.topic, lead(portal, number), partition=0, headers=headers())
        producer.flush(30)
        (producer.commit_transaction if ending == "commit" else producer.abort_transaction)(30)
    await write_leads(portal, [3], [0])

    assert await leads(portal, 2) == 2
    shown = (await portal.http.get("/v1/leads")).json()["items"]
    assert {item["client"]["phone"] for item in shown} == {"+79165550001", "+79165550003"}


async def test_a_lead_behind_an_open_transaction_is_taken_when_the_transaction_ends(portal: Portal) -> None:
    await portal.register()
    producer = begun_transaction(portal.bootstrap)
    producer.produce(portal.topic, lead(portal, 1), partition=0, headers=headers())
    producer.flush(30)
    await write_leads(portal, [2], [0])
    await write_leads(portal, [3], [1])

    assert await leads(portal, 1) == 1
    producer.abort_transaction(30)

    assert await leads(portal, 2) == 2
    shown = (await portal.http.get("/v1/leads")).json()["items"]
    assert {item["client"]["phone"] for item in shown} == {"+79165550002", "+79165550003"}


@pytest.mark.parametrize("ending", ["commit", "abort", "none"])
async def test_an_idle_transactional_producer_is_no_lag(portal: Portal, ending: str) -> None:
    await portal.register()
    await write_leads(portal, [1], [0])
    producer = begun_transaction(portal.bootstrap)
    producer.produce(portal.topic, lead(portal, 2), partition=0, headers=headers())
    producer.flush(30)
    if ending != "none":
        (producer.commit_transaction if ending == "commit" else producer.abort_transaction)(30)
    await leads(portal, 2 if ending == "commit" else 1)

    await asyncio.sleep(MEASURE_LAG_EVERY_S + 1)  # a measurement falls into this time

    assert await portal.intake.lag(portal.topic) == 0
    if ending == "none":
        producer.abort_transaction(30)


@pytest.mark.long  # it waits for longer than a client may be silent
async def test_a_client_is_not_replaced_after_an_idle_transaction(portal: Portal) -> None:
    await portal.register()
    replaced = portal.intake.log.read_text().count("kafka_client_replaced")
    for ending in ("commit", "abort"):
        producer = begun_transaction(portal.bootstrap)
        producer.produce(portal.topic, lead(portal, 1), partition=0, headers=headers())
        producer.flush(30)
        (producer.commit_transaction if ending == "commit" else producer.abort_transaction)(30)
    await leads(portal, 1)

    await asyncio.sleep(SILENT_CLIENT_S + 2 * MEASURE_LAG_EVERY_S)

    assert portal.intake.log.read_text().count("kafka_client_replaced") == replaced
