"""Unreadable records on every consumed topic end in the dead letters, and the next lead passes."""

import base64
import json
import random
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError
from joserfc.jwk import ECKey

from contracts.asyncapi import FLOW
from contracts.leads import LeadSubmitted
from contracts.person import Person
from contracts.sealing import Sealer, decrypt_with, encrypt_to
from contracts.topics import (
    DEAD_LETTERS,
    LEADS,
    OPERATION_RESULTS,
    OPERATIONS,
    PARTNERS,
    PORTAL_REQUESTS,
    RESERVATIONS,
    VERDICTS,
    portal_requests,
)
from deploy.local.secrets_file import Secrets
from deploy.local.system import LocalSystem
from tests.e2e.harness import SystemHarness, invent
from tests.process import until
from tests.topics import publish

pytestmark = [pytest.mark.infra, pytest.mark.timeout(300)]

SAMPLES = Path(__file__).parents[2] / "contracts" / "samples"
PORTAL_TOPIC = portal_requests("demo").name
KIND = {
    PORTAL_TOPIC: "submit-lead.v1",
    PARTNERS: "partner.v1",
    LEADS: "lead-submitted.v1",
    VERDICTS: "lead-confirmed.v1",
    RESERVATIONS: "reservation-opened.v1",
}
# Topic → the services that read the kind of `KIND`, and so make a dead letter of an invalid record.
READERS_OF_KIND = {
    PORTAL_TOPIC: ["intake"],
    PARTNERS: ["onec-gateway", "notifier"],
    LEADS: ["onec-gateway"],
    VERDICTS: ["reservations"],
    RESERVATIONS: ["onec-gateway", "notifier", "intake"],
}
# Topic → all services that read the topic.
READERS_OF_TOPIC = {
    **READERS_OF_KIND,
    LEADS: ["onec-gateway", "reservations"],
    VERDICTS: ["reservations", "intake", "notifier"],
}
Headers = list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Poison:
    """An unreadable record, and the reason of its dead letter; a reason None: services skip the record.

    `inside` is the reason on topics inside the system, `portal` the reason on a portal's topic.
    """

    what: str
    headers: Headers
    value: bytes | None
    inside: str | None
    portal: str | None


def poisons(topic: str) -> list[Poison]:
    """Every way in which a record of a topic can be unreadable."""
    kind = KIND[topic]
    sample = json.loads((SAMPLES / f"{kind}.json").read_text())["value"]
    first = next(iter(sample))
    good = json.dumps(sample).encode()

    def envelope(of: bytes = kind.encode()) -> Headers:
        return [("ce_specversion", b"1.0"), ("ce_id", _id()), ("ce_type", of), ("ce_source", b"/poison")]

    newer = f"{kind.rpartition('.')[0]}.v9".encode()
    return [
        Poison("not JSON", envelope(), b"not json", "invalid", "invalid"),
        Poison("wrong types", envelope(), json.dumps({**sample, first: {"wrong": []}}).encode(), "invalid", "invalid"),
        Poison("null value", envelope(), None, "invalid", "invalid"),
        Poison("no headers", [], good, "no-envelope", "no-envelope"),
        Poison("header bytes that are not UTF-8", envelope(b"\xff\xfe"), good, None, "unknown-type"),
        Poison("unknown kind", envelope(b"unknown.v1"), good, None, "unknown-type"),
        Poison("newer version", envelope(newer), good, None, "unknown-type"),
    ]


def _id() -> bytes:
    return uuid.uuid4().hex.encode()


@pytest.mark.parametrize("topic", KIND)
async def test_an_unreadable_record_becomes_a_dead_letter_and_the_next_lead_passes(
    system: LocalSystem, harness: SystemHarness, topic: str
) -> None:
    kinds = poisons(topic)
    rng = random.Random()
    sent = {(await _send(harness, topic, poison.headers, poison.value)): poison for poison in kinds}

    expected = Counter(
        (service, place, reason)
        for place, poison in sent.items()
        if (reason := poison.portal if topic == PORTAL_TOPIC else poison.inside) is not None
        for service in (READERS_OF_TOPIC if reason == "no-envelope" else READERS_OF_KIND)[topic]
    )
    letters = await _letters(system, topic, expected.total())
    found = [(letter["service"], (letter["partition"], letter["offset"]), letter["reason"]) for letter in letters]
    assert Counter(found) == expected
    for letter in letters:
        poison = sent[letter["partition"], letter["offset"]]
        original = letter["original"]
        assert [(name, base64.b64decode(value)) for name, value in original["headers"]] == poison.headers
        assert (None if original["value"] is None else base64.b64decode(original["value"])) == poison.value
    await _assert_lead_passes(harness, rng)


async def test_a_portals_oversized_record_is_a_dead_letter_and_inner_topics_refuse_it(
    system: LocalSystem, harness: SystemHarness
) -> None:
    huge = json.dumps({"partner_id": "длинно" * 50_000}, ensure_ascii=False).encode()
    assert len(huge) > 300 * 1024
    headers = [("ce_specversion", b"1.0"), ("ce_id", _id()), ("ce_type", b"submit-lead.v1"), ("ce_source", b"/poison")]
    partition, offset = await _send(harness, PORTAL_TOPIC, headers, huge)

    letters = await _letters(system, PORTAL_TOPIC, 1, at=(partition, offset))
    assert base64.b64decode(letters[0]["original"]["value"]) == huge
    for topic in (PARTNERS, LEADS, VERDICTS, RESERVATIONS):
        with pytest.raises(MessageSizeTooLargeError):
            await _send(harness, topic, headers, huge)


async def test_a_portals_client_sealed_to_another_key_is_a_dead_letter(
    system: LocalSystem, harness: SystemHarness
) -> None:
    sealed = encrypt_to(ECKey.generate_key("P-256", {"kid": "x"}), b'{"full_name": "a", "phone": "b"}')
    consent = {"given_at": "2026-11-01T12:00:00Z", "advertising": True}
    body = {"partner_id": "p", "client": sealed, "consent": consent}
    headers = [("ce_specversion", b"1.0"), ("ce_id", _id()), ("ce_type", b"submit-lead.v1"), ("ce_source", b"/poison")]
    place = await _send(harness, PORTAL_TOPIC, headers, json.dumps(body).encode())

    (letter,) = await _letters(system, PORTAL_TOPIC, 1, at=place)
    assert letter["reason"] == "does-not-open"


@pytest.mark.parametrize("fault", ["sealed with a foreign key", "bound to another lead"])
async def test_a_lead_whose_client_cannot_be_opened_stays_under_review_and_blocks_nobody(
    system: LocalSystem, harness: SystemHarness, fault: str
) -> None:
    """An operator can still add the missing key, so the lead waits for it."""
    rng = random.Random()
    sample = json.loads((SAMPLES / "lead-submitted.v1.json").read_text())["value"]
    person = invent(rng)
    foreign = json.dumps({"keys": [{"kty": "oct", "kid": "f", "k": "A" * 43}]})
    keys = foreign if fault == "sealed with a foreign key" else Secrets(system.folder / "secrets.json")["sealing_keys"]
    sealed = Sealer(keys).seal(Person.parse(person.full_name, person.phone), "another-lead")
    lead = LeadSubmitted.model_validate(
        {**sample, "lead_id": str(uuid.uuid4()), "client_key": f"k1:{uuid.uuid4().hex * 2}", "client": sealed}
    )
    await publish(harness.endpoints["kafka"], [lead], source="/poison")

    url = system.environment("onec_gateway")["ONEC_DATABASE_URL"]

    async def note() -> str | None:
        connection = await asyncpg.connect(url)
        found: str | None = await connection.fetchval(
            "SELECT note FROM work WHERE kind = 'check' AND ref = $1 AND state = 'waiting'", str(lead.lead_id)
        )
        await connection.close()
        return found

    assert await until(note, "the check waits for a key") == "unsealable"
    await _assert_lead_passes(harness, rng)


async def _assert_lead_passes(harness: SystemHarness, rng: random.Random) -> None:
    """Submit a valid lead and wait for its SMS and its confirmation; it uses every topic."""
    partner, realtor = f"after-{uuid.uuid4().hex[:8]}", invent(rng)
    await harness.register_partner(partner, realtor)
    await harness.submit_on_topic(partner, invent(rng), f"after-{uuid.uuid4()}")
    await harness.until_sms(realtor.phone, 1)
    (lead,) = await harness.leads(partner)
    await harness.until_status(lead["lead_id"], "confirmed")


async def _send(harness: SystemHarness, topic: str, headers: Headers, value: bytes | None) -> tuple[int, int]:
    producer = AIOKafkaProducer(bootstrap_servers=harness.endpoints["kafka"], max_request_size=2**21)
    await producer.start()
    try:
        sent = await producer.send_and_wait(topic, value, key=b"poison", headers=headers)
        return sent.partition, sent.offset
    finally:
        await producer.stop()


async def _letters(
    system: LocalSystem, topic: str, count: int, at: tuple[int, int] | None = None
) -> Sequence[dict[str, Any]]:
    """Wait for `count` dead letters of a topic, or of its record `at` (partition, offset); return them, opened."""
    key = ECKey.import_key(json.loads(Secrets(system.folder / "secrets.json")["dead_letters_key"]))
    consumer = AIOKafkaConsumer(
        DEAD_LETTERS, bootstrap_servers=system.endpoints()["kafka"], auto_offset_reset="earliest"
    )
    await consumer.start()
    found: dict[bytes, dict[str, Any]] = {}

    async def look() -> list[dict[str, Any]] | None:
        for records in (await consumer.getmany(timeout_ms=300)).values():
            for record in records:
                letter = json.loads(record.value)
                place = (letter["partition"], letter["offset"])
                if letter["original_topic"] == topic and at in (None, place):
                    letter["original"] = json.loads(decrypt_with([key], letter["original"]))
                    found[dict(record.headers)["ce_id"]] = letter
        return list(found.values()) if len(found) >= count else None

    try:
        await until(look, f"{count} dead letters of {topic}")
        return await until(look, f"no other dead letters of {topic}")
    finally:
        await consumer.stop()


def test_every_consumed_topic_gets_unreadable_records_here() -> None:
    elsewhere = (PORTAL_REQUESTS, DEAD_LETTERS, OPERATIONS, OPERATION_RESULTS)
    read = {topic: readers for topic, (_, readers) in FLOW.items() if topic not in elsewhere}
    tested = {topic: readers for topic, readers in READERS_OF_TOPIC.items() if topic != PORTAL_TOPIC}
    assert {topic: sorted(readers) for topic, readers in tested.items()} == {
        topic: sorted(reader.replace("_", "-") for reader in readers) for topic, readers in read.items() if readers
    }
