"""One portal's bad records pause that portal's topic, and cost the others nothing."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaProducer

from contracts.topics import PORTAL_REQUESTS
from tests.intake.harness import Portal
from tests.process import run_warm, until
from tests.topics import undecodable_batch

pytestmark = [pytest.mark.infra, pytest.mark.plain_clients]

CONSENT = {"given_at": "2026-11-01T12:00:00+03:00", "advertising": False}


def topic_of(portal: Portal) -> str:
    return f"{PORTAL_REQUESTS}.{portal.name}"


async def send_lead(portal: Portal, key: str) -> None:
    """Write a good lead to the portal's topic."""
    client = {"full_name": "Ветлугин Пётр", "phone": "8 916 555-01-23"}
    await portal.send(key, {"partner_id": portal.partner, "client": client, "consent": CONSENT})


async def send_bad(portal: Portal, count: int) -> None:
    """Write records that are no requests to the portal's topic, all to one partition, and a good lead behind them."""
    client = {"full_name": "Заречная Анна", "phone": "8 916 555-01-24"}
    good = {"partner_id": portal.partner, "client": client, "consent": CONSENT}
    producer = AIOKafkaProducer(bootstrap_servers=portal.bootstrap)
    await producer.start()
    try:
        for n in range(count + 1):
            headers = [("ce_id", f"bad-{n}".encode()), ("ce_type", b"submit-lead.v1"), ("ce_source", b"/x")]
            value = b"not json" if n < count else json.dumps(good).encode()
            await producer.send(topic_of(portal), value, headers=headers, partition=0)
    finally:
        await producer.stop()


async def send_undecodable(portal: Portal) -> None:
    """Write a record to the portal's topic whose header name is not UTF-8."""
    producer = AIOKafkaProducer(bootstrap_servers=portal.bootstrap)
    await producer.start()
    try:
        await (await producer.send_batch(undecodable_batch(producer), topic_of(portal), partition=0))
    finally:
        await producer.stop()


async def until_health(portal: Portal, *texts: str) -> str:
    """Wait until intake is ready, and degraded for reasons that hold these texts. Returns the reasons."""
    async with httpx.AsyncClient(base_url=portal.intake.instances[-1].admin, trust_env=False) as http:

        async def look() -> str | None:
            answer = await http.get("/health/ready")
            reason = str(answer.json().get("reasons", {}).get("reading", ""))
            return reason if answer.status_code == 200 and all(text in reason for text in texts) else None

        return await until(look, f"health says {texts}")


async def until_silent(portal: Portal) -> None:
    """Wait until intake's health says nothing of the portal's topic."""
    async with httpx.AsyncClient(base_url=portal.intake.instances[-1].admin, trust_env=False) as http:

        async def look() -> bool | None:
            answer = await http.get("/health/ready")
            return True if answer.status_code == 200 and f"{topic_of(portal)} " not in answer.text else None

        await until(look, f"nothing is said of {topic_of(portal)}")


async def order(portal: Portal, *arguments: str) -> dict[str, Any]:
    """Run `python -m services.intake …`, which must succeed, and return what it prints."""
    by = ("--who", "ольга", "--why", "портал исправил формат", "--json")
    environment = {"KAFKA_BOOTSTRAP_SERVERS": portal.bootstrap}
    done = await asyncio.to_thread(run_warm, "services.intake", *arguments, *by, environment=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


async def test_sixty_bad_records_of_a_portal_pause_its_topic_alone(portal: Portal, office: Portal) -> None:
    await portal.register()
    await office.register()
    await send_bad(portal, 60)
    topic = topic_of(portal)

    said = await until_health(portal, f"{topic} is paused since 20", f"python -m services.intake resume {topic} --who")
    assert topic_of(office) not in said
    await send_lead(office, "b-1")
    await office.published("leads", "lead-submitted.v1", 1)
    assert (await portal.lead()).status_code == 202, "the portal's HTTP requests go on, too"
    assert len(await portal.published("dead-letters", "dead-letter.v1", 50)) == 50

    assert (await order(portal, "resume", topic))["outcome"] == "done"

    assert len(await portal.published("dead-letters", "dead-letter.v1", 60)) == 60
    await portal.published("leads", "lead-submitted.v1", 2)
    await until_silent(portal)
    await send_lead(portal, "a-2")
    await portal.published("leads", "lead-submitted.v1", 3)


async def test_a_portals_topic_stays_paused_over_a_restart(portal: Portal, office: Portal) -> None:
    await portal.register()
    await office.register()
    await send_bad(portal, 200)
    topic = topic_of(portal)
    before = await until_health(portal, f"{topic} is paused since")
    await portal.published("dead-letters", "dead-letter.v1", 50)

    portal.intake.kill()
    await portal.intake.start()
    after = await until_health(portal, f"{topic} is paused since")

    assert after.partition(" UTC")[0] == before.partition(" UTC")[0]
    await send_lead(office, "b-1")
    await office.published("leads", "lead-submitted.v1", 1)
    assert len(await portal.published("dead-letters", "dead-letter.v1", 50)) == 50
    for letters in (100, 150, 200):
        await order(portal, "resume", topic)
        await portal.published("dead-letters", "dead-letter.v1", letters)
    await portal.published("leads", "lead-submitted.v1", 1)


async def test_an_undecodable_record_of_a_portal_is_skipped_by_command(portal: Portal, office: Portal) -> None:
    await portal.register()
    await office.register()
    await send_undecodable(portal)
    await send_bad(portal, 0)
    topic = topic_of(portal)
    await until_health(portal, f"{topic}/0 cannot be read", f"python -m services.intake skip {topic} 0 0 --who")
    await send_lead(office, "b-1")
    await office.published("leads", "lead-submitted.v1", 1)

    assert (await order(portal, "skip", topic, "0", "0"))["outcome"] == "done"

    await portal.published("leads", "lead-submitted.v1", 1)
    (letter,) = await portal.published("dead-letters", "dead-letter.v1", 1)
    assert (letter["partition"], letter["offset"], letter["reason"]) == (0, 0, "skipped-unread")
