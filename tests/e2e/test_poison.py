"""What nobody can read, on every topic that is consumed: it ends in the dead letters, and the next lead passes."""

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
from contracts.topics import DEAD_LETTERS, LEADS, PARTNERS, PORTAL_REQUESTS, RESERVATIONS, VERDICTS, portal_requests
from deploy.local.secrets_file import Secrets
from deploy.local.system import LocalSystem
from tests.e2e.world import World, invent
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
# Who reads that kind, and so cannot read a broken one of it.
OF_KIND = {
    PORTAL_TOPIC: ["intake"],
    PARTNERS: ["onec-gateway", "notifier"],
    LEADS: ["onec-gateway"],
    VERDICTS: ["reservations"],
    RESERVATIONS: ["onec-gateway", "notifier", "intake"],
}
OF_TOPIC = {**OF_KIND, LEADS: ["onec-gateway", "reservations"], VERDICTS: ["reservations", "intake", "notifier"]}
Headers = list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Poison:
    """`reason` for a topic inside the system, and for a portal's; None where it is passed over."""

    what: str
    headers: Headers
    value: bytes | None
    inside: str | None
    portal: str | None


def poisons(topic: str) -> list[Poison]:
    kind = KIND[topic]
    sample = json.loads((SAMPLES / f"{kind}.json").read_text())["value"]
    first = next(iter(sample))
    good = json.dumps(sample).encode()

    def envelope(of: bytes = kind.encode()) -> Headers:
        return [("ce_specversion", b"1.0"), ("ce_id", _id()), ("ce_type", of), ("ce_source", b"/poison")]

    readable = f"{kind.rpartition('.')[0]}.v9".encode()
    return [
        Poison("not JSON", envelope(), b"not json", "invalid", "invalid"),
        Poison("wrong types", envelope(), json.dumps({**sample, first: {"wrong": []}}).encode(), "invalid", "invalid"),
        Poison("null value", envelope(), None, "invalid", "invalid"),
        Poison("no headers", [], good, "no-envelope", "no-envelope"),
        Poison("header bytes that are not UTF-8", envelope(b"\xff\xfe"), good, None, "unknown-type"),
        Poison("unknown kind", envelope(b"never-heard.v1"), good, None, "unknown-type"),
        Poison("newer version", envelope(readable), good, None, "unknown-type"),
    ]


def _id() -> bytes:
    return uuid.uuid4().hex.encode()


@pytest.mark.parametrize("topic", KIND)
async def test_what_cannot_be_read_ends_in_the_dead_letters_and_the_next_lead_passes(
    system: LocalSystem, world: World, topic: str
) -> None:
    kinds = poisons(topic)
    rng = random.Random()
    sent = {(await _send(world, topic, poison.headers, poison.value)): poison for poison in kinds}

    expected = Counter(
        (service, place, reason)
        for place, poison in sent.items()
        if (reason := poison.portal if topic == PORTAL_TOPIC else poison.inside) is not None
        for service in (OF_TOPIC if reason == "no-envelope" else OF_KIND)[topic]
    )
    letters = await _letters(system, topic, expected.total())
    told = [(letter["service"], (letter["partition"], letter["offset"]), letter["reason"]) for letter in letters]
    assert Counter(told) == expected
    for letter in letters:
        poison = sent[letter["partition"], letter["offset"]]
        original = letter["original"]
        assert [(name, base64.b64decode(value)) for name, value in original["headers"]] == poison.headers
        assert (None if original["value"] is None else base64.b64decode(original["value"])) == poison.value
    await _passes(world, rng)


async def test_a_text_too_large_for_us_is_a_dead_letter_of_a_portal_and_cannot_get_onto_our_own_topics(
    system: LocalSystem, world: World
) -> None:
    huge = json.dumps({"partner_id": "длинно" * 50_000}, ensure_ascii=False).encode()
    assert len(huge) > 300 * 1024
    headers = [("ce_specversion", b"1.0"), ("ce_id", _id()), ("ce_type", b"submit-lead.v1"), ("ce_source", b"/poison")]
    partition, offset = await _send(world, PORTAL_TOPIC, headers, huge)

    letters = await _letters(system, PORTAL_TOPIC, 1, at=(partition, offset))
    assert base64.b64decode(letters[0]["original"]["value"]) == huge
    for topic in (PARTNERS, LEADS, VERDICTS, RESERVATIONS):
        with pytest.raises(MessageSizeTooLargeError):
            await _send(world, topic, headers, huge)


async def test_a_portals_client_that_does_not_open_is_a_dead_letter(system: LocalSystem, world: World) -> None:
    strangers = encrypt_to(ECKey.generate_key("P-256", {"kid": "x"}), b'{"full_name": "a", "phone": "b"}')
    consent = {"given_at": "2026-11-01T12:00:00Z", "advertising": True}
    body = {"partner_id": "p", "client": strangers, "consent": consent}
    headers = [("ce_specversion", b"1.0"), ("ce_id", _id()), ("ce_type", b"submit-lead.v1"), ("ce_source", b"/poison")]
    place = await _send(world, PORTAL_TOPIC, headers, json.dumps(body).encode())

    (letter,) = await _letters(system, PORTAL_TOPIC, 1, at=place)
    assert letter["reason"] == "does-not-open"


@pytest.mark.parametrize("fault", ["sealed with a foreign key", "bound to another lead"])
async def test_a_lead_whose_client_cannot_be_opened_is_never_decided_and_stops_nobody(
    system: LocalSystem, world: World, fault: str
) -> None:
    """Keys are rotated by people: the one that is missing may come. Until then it is under review."""
    rng = random.Random()
    sample = json.loads((SAMPLES / "lead-submitted.v1.json").read_text())["value"]
    person = invent(rng)
    foreign = json.dumps({"keys": [{"kty": "oct", "kid": "f", "k": "A" * 43}]})
    keys = foreign if fault == "sealed with a foreign key" else Secrets(system.folder / "secrets.json")["sealing_keys"]
    sealed = Sealer(keys).seal(Person.parse(person.full_name, person.phone), "another-lead")
    lead = LeadSubmitted.model_validate(
        {**sample, "lead_id": str(uuid.uuid4()), "client_key": f"k1:{uuid.uuid4().hex * 2}", "client": sealed}
    )
    await publish(world.endpoints["kafka"], [lead], source="/poison")

    url = system.environment("onec_gateway")["ONEC_DATABASE_URL"]

    async def noted() -> str | None:
        connection = await asyncpg.connect(url)
        note: str | None = await connection.fetchval(
            "SELECT note FROM work WHERE kind = 'check' AND ref = $1 AND state = 'waiting'", str(lead.lead_id)
        )
        await connection.close()
        return note

    assert await until(noted, "the check waits for a key") == "unsealable"
    await _passes(world, rng)


async def _passes(world: World, rng: random.Random) -> None:
    """A good lead goes all the way, on every topic there is."""
    partner, realtor = f"after-{uuid.uuid4().hex[:8]}", invent(rng)
    await world.register_partner(partner, realtor)
    await world.submit_on_topic(partner, invent(rng), f"after-{uuid.uuid4()}")
    await world.until_sms(realtor.phone, 1)
    (lead,) = await world.leads(partner)
    await world.until_status(lead["lead_id"], "confirmed")


async def _send(world: World, topic: str, headers: Headers, value: bytes | None) -> tuple[int, int]:
    producer = AIOKafkaProducer(bootstrap_servers=world.endpoints["kafka"], max_request_size=2**21)
    await producer.start()
    try:
        put = await producer.send_and_wait(topic, value, key=b"poison", headers=headers)
        return put.partition, put.offset
    finally:
        await producer.stop()


async def _letters(
    system: LocalSystem, topic: str, count: int, at: tuple[int, int] | None = None
) -> Sequence[dict[str, Any]]:
    """The letters of one topic (or one record of it), opened, once there are `count` of them and no more come."""
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
        return await until(look, "they are still there, and no more of them")
    finally:
        await consumer.stop()


def test_every_topic_that_is_consumed_is_poisoned_here() -> None:
    read = {topic: readers for topic, (_, readers) in FLOW.items() if topic not in (PORTAL_REQUESTS, DEAD_LETTERS)}
    ours = {topic: readers for topic, readers in OF_TOPIC.items() if topic != PORTAL_TOPIC}
    assert {topic: sorted(readers) for topic, readers in ours.items()} == {
        topic: sorted(reader.replace("_", "-") for reader in readers) for topic, readers in read.items() if readers
    }
