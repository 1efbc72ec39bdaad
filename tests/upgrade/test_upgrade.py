"""A system that an earlier commit left in the middle of its work is upgraded to this code and finishes the work.

Each folder of `snapshots` is the data of a system that was cut off: see the README there. The tests use only the
interfaces of portals and operators, so that a snapshot stays valid when the inside of the services changes.
"""

import asyncio
import contextlib
import json
import random
import shlex
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError
from dateutil.relativedelta import relativedelta

from contracts.topics import PARTNERS
from deploy.local.kafka import Kafka
from deploy.local.parts import DEFAULT, PREFIXES, SERVICES
from deploy.local.ports import Ports
from deploy.local.secrets_file import DATABASES
from deploy.local.system import LocalSystem
from tests.e2e.harness import SystemHarness, advance_clock, invent
from tests.infra import DatabaseFactory, run
from tests.process import until
from tests.upgrade import stored
from tests.upgrade.operators import dead_letters, open_letters, verify_history, waiting
from tests.upgrade.stored import Expected, Story

pytestmark = [pytest.mark.infra, pytest.mark.timeout(300)]

SNAPSHOTS = sorted(path.parent for path in (Path(__file__).parent / "snapshots").glob(f"*/{stored.EXPECTED}"))
# Without the committed offsets every group reads all records again: the handled ones must be recognised.
LOST = [pytest.param((path, False), id=f"{path.name}-offsets-lost", marks=pytest.mark.long) for path in SNAPSHOTS]
KEPT = [pytest.param((path, True), id=path.name) for path in SNAPSHOTS]
# A snapshot may be years old; to the services the next minute has come. Retention must not delete its rows.
FOREVER = "P36500D"
# Consumer group → the setting of its database.
READERS_OF_PARTNERS = {"notifier": "NOTIFIER_DATABASE_URL", "onec-gateway": "ONEC_DATABASE_URL"}


@dataclass(frozen=True, slots=True)
class Upgraded:
    """The restored system, running on the code at hand."""

    system: LocalSystem
    expected: Expected

    def story(self, name: str) -> Story:
        return self.expected.stories[name]


@pytest.fixture(scope="module", params=[*KEPT, *LOST])
def upgraded(request: pytest.FixtureRequest, module_database_factory: DatabaseFactory) -> Iterator[Upgraded]:
    snapshot, offsets = request.param
    with contextlib.ExitStack() as cleanup:
        folder = Path(tempfile.mkdtemp(prefix="truce-upgrade-"))
        cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
        kafka = Kafka(folder / "kafka")
        cleanup.callback(kafka.stop)
        run(stored.restore_topics(snapshot, kafka.start().bootstrap, offsets=offsets))
        run(stored.leave_old_marks(snapshot, kafka.bootstrap, READERS_OF_PARTNERS))
        expected = _put_in_place(snapshot, folder)
        environment = {
            "ALLOW_CLOCK_SHIFT": "true",
            "INTAKE_ACCEPT_PLAIN_CLIENTS": "false",
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
        }
        for service in SERVICES:
            prefix, url = PREFIXES[service], module_database_factory()
            if (dump := snapshot / stored.DATABASES / f"{service}.sql").exists():
                stored.restore_database(dump, url)
            kept = dict.fromkeys((f"{prefix}INBOX_KEPT_FOR", f"{prefix}WORK_KEPT_FOR"), FOREVER)
            environment |= {f"{prefix}DATABASE_URL": url, **kept}
        blueprint = replace(DEFAULT, migrate=("sh", "-c", _migrations()))
        system = LocalSystem(folder, Ports.free(), environment, blueprint=blueprint)
        cleanup.callback(system.stop)
        system.start()
        yield Upgraded(system, expected)


def _migrations() -> str:
    """The operator's command of each service that has a database, two at a time."""
    services = " ".join(service for service in SERVICES if service in DATABASES)
    return f"printf '%s\\n' {services} | xargs -P 2 -I@ {shlex.quote(sys.executable)} -m services.@ migrate"


def _put_in_place(snapshot: Path, folder: Path) -> Expected:
    """Restore the other files of the system's folder: secrets, data of the simulators, clock."""
    shutil.copyfile(snapshot / stored.SECRETS, folder / "secrets.json")
    for simulator in stored.SIMULATORS:
        stored.restore_simulator(simulator, snapshot, folder / simulator)
    expected = Expected.model_validate_json((snapshot / stored.EXPECTED).read_text())
    shift = expected.taken_at - datetime.now(UTC)
    (folder / "clock.json").write_text(json.dumps({"shift_seconds": shift.total_seconds()}))
    return expected


@pytest.fixture
async def harness(upgraded: Upgraded) -> AsyncIterator[SystemHarness]:
    made = SystemHarness(upgraded.system.endpoints())
    yield made
    await made.close()


@pytest.mark.parametrize("name", ["under-way", "unread"])
async def test_a_lead_under_way_is_confirmed_with_one_sms_and_one_entry(
    upgraded: Upgraded, harness: SystemHarness, name: str
) -> None:
    """The check of `under-way` found 1C closed. The gateway has not read `unread` from its topic."""
    story = upgraded.story(name)
    assert story.status == "under-review"

    lead = await harness.until_status(story.lead_id, "confirmed", "rejected")

    assert lead["status"] == "confirmed"
    assert lead["reserved_through"] is not None
    await _entered(harness, story)
    await _has_sms(harness, story, 1)


async def test_replays_and_discards_of_the_earlier_version_are_read_and_change_no_partner(upgraded: Upgraded) -> None:
    bootstrap = upgraded.system.endpoints()["kafka"]

    async def read() -> bool | None:
        return True if await stored.unread(bootstrap, PARTNERS, READERS_OF_PARTNERS) == 0 else None

    await until(read, "both services have read the topic of the partners")
    partners = {story.partner_id: "active" for story in upgraded.expected.stories.values()}
    for service, setting in READERS_OF_PARTNERS.items():
        connection = await asyncpg.connect(upgraded.system.environment(service.replace("-", "_"))[setting])
        try:
            rows = await connection.fetch("SELECT partner_id, status FROM partners WHERE partner_id <> 'partner-new'")
        finally:
            await connection.close()
        assert {row["partner_id"]: row["status"] for row in rows} == partners
    letters = await asyncio.to_thread(open_letters, upgraded.system)
    assert [letter for letter in letters if letter["topic"] == PARTNERS] == []


async def test_kafka_refuses_a_bomb_on_a_portals_topic_that_was_made_before(upgraded: Upgraded) -> None:
    endpoints = upgraded.system.endpoints()
    producer = AIOKafkaProducer(bootstrap_servers=endpoints["kafka"], compression_type="gzip", max_request_size=2**22)
    await producer.start()
    try:
        with pytest.raises(MessageSizeTooLargeError):
            await producer.send_and_wait(f"portal-requests.{endpoints['portal']}", b"a" * 1_500_000)
    finally:
        await producer.stop()


async def test_a_live_reservation_is_unchanged(upgraded: Upgraded, harness: SystemHarness) -> None:
    story = upgraded.story("live")

    lead = await harness.lead(story.lead_id)

    assert (lead["status"], lead["reserved_through"]) == ("confirmed", story.reserved_through)
    assert story.lead_id in [lead["lead_id"] for lead in await harness.leads(story.partner_id)]
    await _entered(harness, story)


async def test_a_request_repeated_after_the_upgrade_gets_the_same_answer(
    upgraded: Upgraded, harness: SystemHarness
) -> None:
    for story in upgraded.expected.stories.values():
        answer = await harness.submit(story.partner_id, story.client, story.key)

        assert answer.status_code == 202, answer.text
        assert answer.headers["Idempotent-Replayed"] == "true"
        assert answer.json()["lead_id"] == story.lead_id


async def test_an_expired_lead_and_a_sold_lead_are_unchanged(upgraded: Upgraded, harness: SystemHarness) -> None:
    for name in ("expired", "sold"):
        story = upgraded.story(name)
        lead = await harness.lead(story.lead_id)
        assert (lead["status"], lead["reserved_through"]) == (story.status, story.reserved_through)
        for request_id in story.requests:
            assert (await harness.request(request_id))["status"] == "done"
        await _entered(harness, story)
        await _has_sms(harness, story, story.sms)


async def test_a_client_held_before_the_upgrade_is_rejected_and_a_new_client_is_confirmed(
    upgraded: Upgraded, harness: SystemHarness
) -> None:
    rng = random.Random()
    (await harness.register_partner("partner-new", invent(rng))).raise_for_status()
    statuses = {}
    for client in (upgraded.story("live").client, invent(rng)):
        lead = (await harness.submit("partner-new", client)).raise_for_status().json()
        statuses[client] = await harness.until_status(lead["lead_id"], "confirmed", "rejected")

    assert [(lead["status"], lead["reason"]) for lead in statuses.values()] == [
        ("rejected", "client-taken"),
        ("confirmed", None),
    ]


async def test_a_parked_request_is_replayed_and_later_requests_of_its_client_follow(
    upgraded: Upgraded, harness: SystemHarness
) -> None:
    """Three returns of one client: two are parked before the upgrade, one is sent after it and says that it is meant.

    The second was filed within a day of the first, and gives no term of its own.
    """
    story, system = upgraded.story("parked"), upgraded.system
    for request_id in story.requests:
        assert (await harness.request(request_id))["status"] == "pending"
    letters = await asyncio.to_thread(open_letters, system)
    assert {letter["id"] for letter in letters} == set(upgraded.expected.letters)

    body: dict[str, Any] = {"partner_id": story.partner_id, "client": story.client.plain, "again": True}
    body |= {"manager": "olga", "reason": "once more"}
    third = (await harness.post_request("returns", body)).raise_for_status().json()["request_id"]

    async def behind() -> list[dict[str, Any]] | None:
        letters = await asyncio.to_thread(open_letters, system)
        return letters if len(letters) > len(upgraded.expected.letters) else None

    await until(behind, "the third request is parked behind the two others")
    assert (await harness.request(third))["status"] == "pending"
    (parked,) = await asyncio.to_thread(waiting, system, "reservations")
    assert (parked["kind"], parked["letters"]) == ("parked-client", 3)
    await asyncio.to_thread(dead_letters, system, "replay", "--all", "--by", "olga")

    answers = [await harness.until_request_done(request_id) for request_id in (*story.requests, third)]
    assert [answer["status"] for answer in answers] == ["done", "refused", "done"]
    assert answers[1]["reason"] == "already-returned"
    assert await asyncio.to_thread(open_letters, system) == []
    assert await asyncio.to_thread(waiting, system, "reservations") == []
    lead = await harness.lead(story.lead_id)
    assert lead["status"] == "confirmed"
    before, after = (date.fromisoformat(str(day)) for day in (story.reserved_through, lead["reserved_through"]))
    # Months are counted from the confirmation, whose day a short month cuts.
    assert abs(after - (before + relativedelta(months=12))) <= timedelta(days=1)
    await _entered(harness, story)
    # A date that is untrue before it is sent is not sent.
    texts = await _has_text(harness, story, f"{after:%d.%m.%Y}")
    assert len(texts) <= story.sms + 3, texts


@pytest.mark.parametrize("service", [service for service in SERVICES if service in DATABASES])
async def test_every_service_lists_what_waits_for_a_person(upgraded: Upgraded, service: str) -> None:
    rows = await asyncio.to_thread(waiting, upgraded.system, service)

    assert all(row["what"] and row["why"] and row["command"].startswith("python -m services.") for row in rows)


async def test_a_waiting_sms_is_sent_once(upgraded: Upgraded, harness: SystemHarness) -> None:
    story = upgraded.story("waiting")
    assert story.sms == 0

    await _has_sms(harness, story, 1)
    await _entered(harness, story)


async def test_a_reservation_made_before_the_upgrade_expires_once_on_its_day(
    upgraded: Upgraded, harness: SystemHarness
) -> None:
    """The last test of the module: it moves the clock by six months."""
    for name in ("under-way", "unread"):
        await harness.until_status(upgraded.story(name).lead_id, "confirmed")
    await _has_sms(harness, upgraded.story("waiting"), 1)

    advance_clock(upgraded.system.folder, "P6M2D")

    for name in ("live", "waiting", "under-way", "unread"):
        story = upgraded.story(name)
        await harness.until_status(story.lead_id, "expired")
        await _handed_over(harness, story)
        await _has_sms(harness, story, 2)
    sms = Counter((message["to"], message["text"]) for message in await harness.messages())
    assert [text for text, times in sms.items() if times > 1] == []
    await _entered(harness, *upgraded.expected.stories.values())
    await asyncio.to_thread(verify_history, upgraded.system)
    assert await asyncio.to_thread(open_letters, upgraded.system) == []


async def _has_sms(harness: SystemHarness, story: Story, count: int) -> None:
    texts = await harness.until_sms(story.realtor.phone, count)
    assert len(texts) == count, texts


async def _has_text(harness: SystemHarness, story: Story, part: str) -> list[str]:
    """All SMS texts to the partner, as soon as one of them contains `part`."""

    async def look() -> list[str] | None:
        texts = await harness.sms(story.realtor.phone)
        return texts if any(part in text for text in texts) else None

    return await until(look, f"an SMS with {part}")


async def _entered(harness: SystemHarness, *stories: Story) -> None:
    """1C's partner journal holds each lead once."""
    wanted = Counter(story.lead_id for story in stories)

    async def look() -> bool | None:
        found = Counter(entry["lead_id"] for entry in await harness.journal() if entry["lead_id"] in wanted)
        assert found <= wanted, found
        return True if found == wanted else None

    await until(look, "the entry is in the partner journal")


async def _handed_over(harness: SystemHarness, story: Story) -> None:
    """1C's general journal holds the client once."""
    digits = story.client.phone[-10:]

    async def look() -> list[dict[str, Any]] | None:
        entries = await harness.general_journal()
        return [one for one in entries if digits in "".join("".join(one["phones"]).split())] or None

    assert len(await until(look, "the client is in the general journal")) == 1
