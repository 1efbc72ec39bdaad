"""What an earlier commit left in the middle of its work comes to the right end under the code at hand.

Each folder of `snapshots` is a system that was cut off: see the README there. All of them are met as an operator and a
portal meet them, so that a snapshot outlives every change of what is inside.
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

import pytest
from dateutil.relativedelta import relativedelta

from deploy.local import Kafka, LocalSystem, Ports
from deploy.local.parts import DEFAULT, PREFIXES, SERVICES
from deploy.local.secrets_file import DATABASES
from tests.e2e.world import World, advance_clock, invent
from tests.infra import DatabaseFactory, run
from tests.process import until
from tests.upgrade import stored
from tests.upgrade.operators import dead_letters, open_letters, verify_history
from tests.upgrade.stored import Expected, Story

pytestmark = [pytest.mark.infra, pytest.mark.timeout(300)]

SNAPSHOTS = sorted(path.parent for path in (Path(__file__).parent / "snapshots").glob(f"*/{stored.EXPECTED}"))
# With its offsets lost, every group reads everything once more: what was handled must be known as such.
LOST = [pytest.param((path, False), id=f"{path.name}-offsets-lost", marks=pytest.mark.long) for path in SNAPSHOTS]
KEPT = [pytest.param((path, True), id=path.name) for path in SNAPSHOTS]
# However long ago a snapshot was taken, to the services it is the next minute.
FOREVER = "P36500D"


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
    """What lies in the folder of a system beside its servers' data: its secrets, its simulators, its clock."""
    shutil.copyfile(snapshot / stored.SECRETS, folder / "secrets.json")
    for simulator in stored.SIMULATORS:
        stored.restore_simulator(simulator, snapshot, folder / simulator)
    expected = Expected.model_validate_json((snapshot / stored.EXPECTED).read_text())
    shift = expected.taken_at - datetime.now(UTC)
    (folder / "clock.json").write_text(json.dumps({"shift_seconds": shift.total_seconds()}))
    return expected


@pytest.fixture
async def world(upgraded: Upgraded) -> AsyncIterator[World]:
    met = World(upgraded.system.endpoints())
    yield met
    await met.close()


@pytest.mark.parametrize("name", ["under-way", "unread"])
async def test_a_lead_under_way_is_confirmed_with_one_sms_and_one_entry(
    upgraded: Upgraded, world: World, name: str
) -> None:
    """`under-way` has met a closed 1C; `unread` stands on its topic, not read by the gateway."""
    story = upgraded.story(name)
    assert story.status == "under-review"

    lead = await world.until_status(story.lead_id, "confirmed", "rejected")

    assert lead["status"] == "confirmed"
    assert lead["reserved_through"] is not None
    await _entered(world, story)
    await _has_sms(world, story, 1)


async def test_a_live_reservation_is_shown_as_before(upgraded: Upgraded, world: World) -> None:
    story = upgraded.story("live")

    lead = await world.lead(story.lead_id)

    assert (lead["status"], lead["reserved_through"]) == ("confirmed", story.reserved_through)
    assert story.lead_id in [lead["lead_id"] for lead in await world.leads(story.partner_id)]
    await _entered(world, story)


async def test_a_request_of_before_sent_again_is_answered_again(upgraded: Upgraded, world: World) -> None:
    for story in upgraded.expected.stories.values():
        answer = await world.submit(story.partner_id, story.client, story.key)

        assert answer.status_code == 202, answer.text
        assert answer.headers["Idempotent-Replayed"] == "true"
        assert answer.json()["lead_id"] == story.lead_id


async def test_what_is_over_stays_as_it_was(upgraded: Upgraded, world: World) -> None:
    for name in ("expired", "sold"):
        story = upgraded.story(name)
        lead = await world.lead(story.lead_id)
        assert (lead["status"], lead["reserved_through"]) == (story.status, story.reserved_through)
        for request_id in story.requests:
            assert (await world.request(request_id))["status"] == "done"
        await _entered(world, story)
        await _has_sms(world, story, story.sms)


async def test_a_client_of_before_is_refused_to_another_and_a_new_one_is_confirmed(
    upgraded: Upgraded, world: World
) -> None:
    rng = random.Random()
    (await world.register_partner("partner-new", invent(rng))).raise_for_status()
    statuses = {}
    for client in (upgraded.story("live").client, invent(rng)):
        lead = (await world.submit("partner-new", client)).raise_for_status().json()
        statuses[client] = await world.until_status(lead["lead_id"], "confirmed", "rejected")

    assert [(lead["status"], lead["reason"]) for lead in statuses.values()] == [
        ("rejected", "client-taken"),
        ("confirmed", None),
    ]


async def test_a_parked_request_is_replayed_and_those_behind_it_follow(upgraded: Upgraded, world: World) -> None:
    """Returns of one client, six months more by each: the two of before, and one that comes after the upgrade."""
    story, system = upgraded.story("parked"), upgraded.system
    for request_id in story.requests:
        assert (await world.request(request_id))["status"] == "pending"
    letters = await asyncio.to_thread(open_letters, system)
    assert {letter["id"] for letter in letters} == set(upgraded.expected.letters)

    body = {"partner_id": story.partner_id, "client": story.client.plain, "manager": "olga", "reason": "once more"}
    third = (await world.ask("returns", body)).raise_for_status().json()["request_id"]

    async def behind() -> list[dict[str, Any]] | None:
        letters = await asyncio.to_thread(open_letters, system)
        return letters if len(letters) > len(upgraded.expected.letters) else None

    await until(behind, "the third one waits behind them")
    assert (await world.request(third))["status"] == "pending"
    await asyncio.to_thread(dead_letters, system, "replay", "--all", "--by", "olga")

    for request_id in (*story.requests, third):
        assert (await world.until_answered(request_id))["status"] == "done"
    assert await asyncio.to_thread(open_letters, system) == []
    lead = await world.lead(story.lead_id)
    assert lead["status"] == "confirmed"
    before, after = (date.fromisoformat(str(day)) for day in (story.reserved_through, lead["reserved_through"]))
    # Months are counted from the confirmation, whose day a short month cuts.
    assert abs(after - (before + relativedelta(months=18))) <= timedelta(days=1)
    await _entered(world, story)
    # A date that is untrue before it is sent is not sent.
    texts = await _has_text(world, story, f"{after:%d.%m.%Y}")
    assert len(texts) <= story.sms + 3, texts


async def test_a_waiting_sms_is_sent_once(upgraded: Upgraded, world: World) -> None:
    story = upgraded.story("waiting")
    assert story.sms == 0

    await _has_sms(world, story, 1)
    await _entered(world, story)


async def test_a_reservation_of_before_ends_on_its_day_and_nothing_happened_twice(
    upgraded: Upgraded, world: World
) -> None:
    """The last: six months pass."""
    for name in ("under-way", "unread"):
        await world.until_status(upgraded.story(name).lead_id, "confirmed")
    await _has_sms(world, upgraded.story("waiting"), 1)

    advance_clock(upgraded.system.folder, "P6M2D")

    for name in ("live", "waiting", "under-way", "unread"):
        story = upgraded.story(name)
        await world.until_status(story.lead_id, "expired")
        await _handed_over(world, story)
        await _has_sms(world, story, 2)
    sms = Counter((message["to"], message["text"]) for message in await world.messages())
    assert [text for text, times in sms.items() if times > 1] == []
    await _entered(world, *upgraded.expected.stories.values())
    await asyncio.to_thread(verify_history, upgraded.system)
    assert await asyncio.to_thread(open_letters, upgraded.system) == []


async def _has_sms(world: World, story: Story, count: int) -> None:
    texts = await world.until_sms(story.realtor.phone, count)
    assert len(texts) == count, texts


async def _has_text(world: World, story: Story, part: str) -> list[str]:
    """All texts on the partner's telephone, once one of them has this part."""

    async def look() -> list[str] | None:
        texts = await world.sms(story.realtor.phone)
        return texts if any(part in text for text in texts) else None

    return await until(look, f"an SMS with {part}")


async def _entered(world: World, *stories: Story) -> None:
    """1C's partner journal has each lead once."""
    wanted = Counter(story.lead_id for story in stories)

    async def look() -> bool | None:
        found = Counter(entry["lead_id"] for entry in await world.journal() if entry["lead_id"] in wanted)
        assert found <= wanted, found
        return True if found == wanted else None

    await until(look, "the entry is in the partner journal")


async def _handed_over(world: World, story: Story) -> None:
    """1C's general journal has the client once."""
    digits = story.client.phone[-10:]

    async def look() -> list[dict[str, Any]] | None:
        entries = await world.general_journal()
        return [one for one in entries if digits in "".join("".join(one["phones"]).split())] or None

    assert len(await until(look, "the client is in the general journal")) == 1
