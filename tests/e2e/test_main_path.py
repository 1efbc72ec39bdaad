"""What the product promises, on the whole system."""

import asyncio
import base64
import hashlib
import json
import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from jwcrypto import jwk, jws

from contracts.person import fold_name
from deploy.local.system import LocalSystem
from tests.e2e.harness import Person, SystemHarness, invent
from tests.process import until

pytestmark = [pytest.mark.infra, pytest.mark.timeout(600)]

PARTNERS = 10
AT_ONCE = 32


@pytest.mark.parametrize("count", [150, pytest.param(1000, marks=pytest.mark.long)])
async def test_of_many_leads_the_first_received_holds_each_client(harness: SystemHarness, count: int) -> None:
    """A fifth of the leads is for clients of other leads, and a tenth of the requests is sent twice."""
    rng = random.Random(20261124)
    partners = await _register_partners(harness, rng)
    singles = [invent(rng) for _ in range(count * 4 // 5)]
    clients = singles + rng.choices(singles[: count // 10], k=count - len(singles))
    rng.shuffle(clients)
    requests = [(rng.choice(list(partners)), client, str(uuid.UUID(int=rng.getrandbits(128)))) for client in clients]
    repeats = rng.sample(requests, count // 10)

    responses = await _submit_all(harness, [*requests, *repeats])

    leads: dict[str, tuple[str, Person, dict[str, Any]]] = {}
    for (partner, client, _), response in zip([*requests, *repeats], responses, strict=True):
        assert response.status_code == 202, response.text
        leads[response.json()["lead_id"]] = (partner, client, response.json())
    assert len(leads) == count
    verdicts = await _verdicts(harness, partners, leads.keys())

    by_phone: dict[str, list[str]] = {}
    for lead_id, (_, client, _) in leads.items():
        by_phone.setdefault(client.phone, []).append(lead_id)
    assert len(by_phone) == len(singles)
    for rivals in by_phone.values():
        in_order = sorted(rivals, key=lambda lead_id: leads[lead_id][2]["number"])
        assert [verdicts[lead_id]["status"] for lead_id in in_order] == ["confirmed"] + ["rejected"] * (len(rivals) - 1)
        received = [datetime.fromisoformat(leads[lead_id][2]["received_at"]) for lead_id in in_order]
        assert received == sorted(received)
        holder = leads[in_order[0]][0]
        for lead_id in in_order[1:]:
            own = leads[lead_id][0] == holder
            assert verdicts[lead_id]["reason"] == ("already-yours" if own else "client-taken")

    held = {lead_id for lead_id, verdict in verdicts.items() if verdict["status"] == "confirmed"}
    await _until_journal_is(harness, held, leads.keys())
    await _until_one_sms_for_each_lead(harness, partners.values(), count)
    await _verify_receipts(harness, leads)


async def test_no_phone_and_no_name_is_readable_anywhere(system: LocalSystem, harness: SystemHarness) -> None:
    """Searches every topic, log, metric and table after the main path, except the simulators' own data."""
    rng = random.Random()
    realtor, client, rival, office = (invent(rng) for _ in range(4))
    tag = uuid.uuid4().hex[:8]
    strange = Person("Достопримечательнов Ювеналий", client.phone)
    await harness.register_partner(f"seen-{tag}", realtor)
    await harness.register_partner(f"rival-{tag}", rival)
    first = (await harness.submit(f"seen-{tag}", strange)).json()["lead_id"]
    await harness.until_status(first, "confirmed")
    await harness.seed_direct_client(office)
    for person in (strange, office):
        lead = (await harness.submit(f"rival-{tag}", person)).json()["lead_id"]
        await harness.until_status(lead, "rejected")
    await harness.submit_on_topic(f"seen-{tag}", rival, f"topic-{tag}")
    await harness.until_sms(realtor.phone, 2)
    await harness.until_sms(rival.phone, 2)
    refused = await harness.submit(f"seen-{tag}", Person("Достопримечательнов Ювеналий", "+7 916 12"))
    assert refused.status_code == 422
    assert "916 12" not in refused.text

    needles = [person.phone[-10:] for person in (realtor, strange, rival, office)]
    needles += ["Достопримечательнов", "Ювеналий", *(person.full_name for person in (realtor, rival, office))]
    needles = [spelling.casefold() for needle in needles for spelling in (needle, json.dumps(needle)[1:-1])]
    searched: Counter[str] = Counter()
    async for where, text in _everything(system):
        searched[where] += 1
        folded = text.casefold()
        for needle in needles:
            assert needle not in folded, f"{needle!r} is readable in {where}"
    for topic in ("leads", "verdicts", "reservations", "messages", "partners"):
        assert searched[f"topic {topic}"]
    assert searched.total() > 100


async def _register_partners(harness: SystemHarness, rng: random.Random) -> dict[str, str]:
    """Register partners; returns the phone of each partner id."""
    tag = uuid.uuid4().hex[:8]
    persons = {f"p{number}-{tag}": invent(rng) for number in range(PARTNERS)}
    for partner, person in persons.items():
        assert (await harness.register_partner(partner, person)).status_code == 201
    return {partner: person.phone for partner, person in persons.items()}


async def _submit_all(harness: SystemHarness, requests: list[tuple[str, Person, str]]) -> list[httpx.Response]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def submit(partner: str, client: Person, key: str) -> httpx.Response:
        async with gate:
            return await harness.submit(partner, client, key)

    return await asyncio.gather(*(submit(*request) for request in requests))


async def _verdicts(harness: SystemHarness, partners: Iterable[str], leads: Iterable[str]) -> dict[str, dict[str, Any]]:
    wanted = set(leads)

    async def look() -> dict[str, dict[str, Any]] | None:
        found = {lead["lead_id"]: lead for partner in partners for lead in await harness.leads(partner)}
        assert found.keys() == wanted
        return found if all(lead["status"] != "under-review" for lead in found.values()) else None

    return await until(look, "every lead has its verdict", deadline_s=240)


async def _until_journal_is(harness: SystemHarness, held: set[str], leads: Iterable[str]) -> None:
    ours = set(leads)

    async def look() -> bool | None:
        entries = [entry["lead_id"] for entry in await harness.journal() if entry["lead_id"] in ours]
        assert len(entries) == len(set(entries))
        assert set(entries) <= held
        return True if set(entries) == held else None

    await until(look, "1C's partner journal holds each confirmed lead once", deadline_s=240)


async def _until_one_sms_for_each_lead(harness: SystemHarness, phones: Iterable[str], leads: int) -> None:
    numbers = set(phones)

    async def look() -> bool | None:
        ids = [message["id"] for message in await harness.messages() if message["to"] in numbers]
        assert len(ids) == len(set(ids)) <= leads
        return True if len(ids) == leads else None

    await until(look, "the realtors have one SMS for each lead", deadline_s=240)


async def _verify_receipts(harness: SystemHarness, leads: dict[str, tuple[str, Person, dict[str, Any]]]) -> None:
    """Verify the signatures with another JOSE library than intake's, and recompute the commitments."""
    published = {key["kid"]: jwk.JWK(**key) for key in (await harness.keys())["keys"]}
    for lead_id, (partner, client, response) in leads.items():
        token = jws.JWS()
        token.allowed_algs = ["Ed25519"]
        token.deserialize(response["receipt"])
        kid = json.loads(token.objects["protected"])["kid"]
        token.verify(published[kid])
        receipt = json.loads(token.payload)
        assert (receipt["lead_id"], receipt["partner_id"]) == (lead_id, partner)
        assert (receipt["number"], receipt["received_at"]) == (response["number"], response["received_at"])
        salt = base64.urlsafe_b64decode(response["receipt_opening"] + "==")
        committed = hashlib.sha256(salt + client.phone.encode() + fold_name(client.full_name).encode()).digest()
        assert base64.urlsafe_b64decode(receipt["commitment"] + "==") == committed


async def _everything(system: LocalSystem) -> AsyncIterator[tuple[str, str]]:
    """(place, text) of everything that the system stores or shows, without simulators' data and portals' responses."""
    endpoints = system.endpoints()
    for log in sorted(Path(system.logs).iterdir()):
        yield str(log.name), log.read_text(errors="replace")
    for service, url in endpoints["admin"].items():
        for page in ("metrics", "health/ready"):
            yield f"{service} {page}", httpx.get(f"{url}/{page}").text
    async for where, text in _topics(endpoints["kafka"]):
        yield where, text
    for service in endpoints["admin"]:
        environment = system.environment(service)
        url = next(value for name, value in environment.items() if name.endswith("_DATABASE_URL"))
        async for where, text in _tables(url):
            yield f"{service} {where}", text


async def _topics(bootstrap: str) -> AsyncIterator[tuple[str, str]]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    names = [name for name in await admin.list_topics() if not name.startswith("__")]
    await admin.close()
    # A consumer without a group gets all partitions of its topics.
    consumer = AIOKafkaConsumer(*names, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        assert ends
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            for partition, records in (await consumer.getmany(timeout_ms=500)).items():
                for record in records:
                    parts = [record.key or b"", record.value or b"", *(value for _, value in record.headers)]
                    yield f"topic {partition.topic}", " ".join(part.decode(errors="replace") for part in parts)
    finally:
        await consumer.stop()


async def _tables(url: str) -> AsyncIterator[tuple[str, str]]:
    connection = await asyncpg.connect(url)
    try:
        names = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for (name,) in names:
            for row in await connection.fetch(f'SELECT t::text AS row FROM "{name}" AS t'):
                yield f"table {name}", str(row["row"])
    finally:
        await connection.close()
