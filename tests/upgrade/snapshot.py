"""`python -m tests.upgrade.snapshot FOLDER`: run the whole system, cut it off in the middle, and keep what is left.

Everything is pending at the end: a lead whose check 1C has not answered, a lead that the gateway has not read, a live
reservation, two requests that wait in the dead letters, an SMS that the provider has not taken. Beside them stand
stories that are over: an expired reservation, a sale with its reward. All persons are invented, all keys are made for
this snapshot alone.
"""

import asyncio
import random
import shutil
import sys
import tempfile
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx

from chassis.clock import read_shift
from deploy.local.parts import PORTAL, SERVICES
from deploy.local.ports import Ports
from deploy.local.system import LocalSystem
from tests.e2e.world import Person, World, advance_clock, invent
from tests.infra import with_database
from tests.process import until
from tests.upgrade import stored
from tests.upgrade.operators import open_letters
from tests.upgrade.stored import Expected, Story

ENVIRONMENT: Final = {
    "ALLOW_CLOCK_SHIFT": "true",
    "INTAKE_ACCEPT_PLAIN_CLIENTS": "false",
    "ONEC_WATCH_EVERY": "PT1S",
}
# What the reservations cannot write for a while, so that a request of one client ends in the dead letters.
BROKEN_TABLE: Final = "history"


class Scene:
    """The stories of a snapshot, each of a partner and a client of its own."""

    def __init__(self, system: LocalSystem) -> None:
        self.world = World(system.endpoints())
        self._system = system
        self._random = random.Random()
        self._stories: dict[str, dict[str, Any]] = {}

    async def begin(self, name: str) -> str:
        """Register a partner and submit a lead; its id."""
        realtor, client = invent(self._random), invent(self._random)
        (await self.world.register_partner(f"partner-{name}", realtor)).raise_for_status()
        return await self._submit(name, realtor, client)

    async def confirmed(self, name: str) -> str:
        """The same until 1C's partner journal has it and the SMS has gone."""
        lead_id = await self.begin(name)
        await self.held(lead_id)
        await self.sms(name, 1)
        return lead_id

    async def held(self, lead_id: str) -> None:
        await self.world.until_status(lead_id, "confirmed")

        async def entered() -> bool | None:
            return True if any(entry["lead_id"] == lead_id for entry in await self.world.journal()) else None

        await until(entered, "the entry is in the partner journal")

    async def sms(self, name: str, count: int) -> None:
        await self.world.until_sms(self._stories[name]["realtor"].phone, count)

    async def request(self, name: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = (await self.world.ask(path, body)).raise_for_status().json()
        self._stories[name]["requests"].append(answer["request_id"])
        return answer

    async def give_back(self, name: str) -> None:
        """The partner manager gives the client to the partner for six more months."""
        story = self._stories[name]
        body = {"partner_id": story["partner_id"], "client": story["client"].plain}
        await self.request(name, "returns", {**body, "manager": "olga", "reason": "the client still looks"})

    def client(self, name: str) -> Person:
        client: Person = self._stories[name]["client"]
        return client

    async def stories(self) -> dict[str, Story]:
        """As the portal sees them now."""
        found = {}
        for name, story in self._stories.items():
            lead = await self.world.lead(story["lead_id"])
            seen = {"status": lead["status"], "reserved_through": lead["reserved_through"]}
            texts = await self.world.sms(story["realtor"].phone)
            found[name] = Story(**{**story, "requests": tuple(story["requests"])}, **seen, sms=len(texts))
        return found

    async def _submit(self, name: str, realtor: Person, client: Person) -> str:
        key = str(uuid.uuid4())
        answer = (await self.world.submit(f"partner-{name}", client, key)).raise_for_status().json()
        self._stories[name] = {
            "partner_id": f"partner-{name}",
            "realtor": realtor,
            "client": client,
            "key": key,
            "lead_id": answer["lead_id"],
            "requests": [],
        }
        return str(answer["lead_id"])


async def act(system: LocalSystem) -> Expected:
    """Everything that happens before the cut. The services are dead at the end; the servers run."""
    scene = Scene(system)
    try:
        await _is_over(scene, system)
        await scene.confirmed("live")
        letters = await _parked(scene, system)
        await _sms_waits(scene, system)
        await _under_way(scene, system)
        stories = await scene.stories()
    finally:
        await scene.world.close()
    for service in SERVICES:
        if system.pid(service) is not None:
            system.kill(service)
    taken_at = datetime.now(UTC) + read_shift(system.folder / "clock.json")
    return Expected(taken_at=taken_at, stories=stories, letters=letters)


async def _is_over(scene: Scene, system: LocalSystem) -> None:
    """One reservation has expired and was handed over; one client has bought, and the reward is accrued."""
    lead_id = await scene.confirmed("expired")
    advance_clock(system.folder, "P6M2D")
    await scene.world.until_status(lead_id, "expired")
    digits = scene.client("expired").phone[-10:]

    async def handed_over() -> bool | None:
        entries = await scene.world.general_journal()
        return True if any(digits in "".join(entry["phones"]) for entry in entries) else None

    await until(handed_over, "the general journal has the client")
    await scene.sms("expired", 2)

    lead_id = await scene.confirmed("sold")
    sale = {"action": "sell", **scene.client("sold").plain, "amount": 9_500_000, "contract_number": "17/05"}
    await _control(system, "onec", "office", sale)
    await scene.world.until_status(lead_id, "won")
    claim = await scene.request("sold", "reward-claims", {"lead_id": lead_id, "partner_id": "partner-sold"})
    await scene.world.until_answered(claim["request_id"])
    settlement = await scene.request(
        "sold",
        f"reward-claims/{claim['claim_id']}/settlement",
        {
            "decision": "accrue",
            "amount": "190000.00",
            "currency": "RUB",
            "reason": "2% of the contract",
            "decided_by": "vera",
        },
    )
    await scene.world.until_answered(settlement["request_id"])
    await scene.sms("sold", 4)


async def _parked(scene: Scene, system: LocalSystem) -> tuple[str, ...]:
    """Of two requests about one client the first cannot be handled, and the second waits behind it."""
    lead_id = await scene.confirmed("parked")
    url = with_database(system.endpoints()["postgres"], "reservations")
    await _execute(
        url,
        f"""
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF to_jsonb(NEW)::text LIKE '%{lead_id}%' THEN RAISE EXCEPTION 'broken for a while'; END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER refuse BEFORE INSERT ON {BROKEN_TABLE} FOR EACH ROW EXECUTE FUNCTION refuse();
        """,
    )
    for count in (1, 2):
        await scene.give_back("parked")

        async def arrived(count: int = count) -> list[dict[str, Any]] | None:
            letters = await asyncio.to_thread(open_letters, system)
            return letters if len(letters) == count else None

        letters = await until(arrived, f"{count} dead letters")
    await _execute(url, f"DROP TRIGGER refuse ON {BROKEN_TABLE}; DROP FUNCTION refuse()")
    assert {letter["reason"] for letter in letters} == {"failed", "behind-parked"}
    return tuple(letter["id"] for letter in letters)


async def _sms_waits(scene: Scene, system: LocalSystem) -> None:
    """The provider is down when the notifier calls it."""
    await _control(system, "sms", "fault", {"mode": "down"})
    await scene.held(await scene.begin("waiting"))
    await _until_struck(system, "sms", "down")


async def _under_way(scene: Scene, system: LocalSystem) -> None:
    """1C is closed when the gateway checks one lead; the other stands on its topic, not read by the gateway."""
    await _control(system, "onec", "fault", {"mode": "infobase_locked"})
    await scene.begin("under-way")
    await _until_struck(system, "onec", "infobase_locked")
    system.kill("onec_gateway")
    await scene.begin("unread")


async def _control(system: LocalSystem, simulator: str, call: str, order: dict[str, Any]) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        (await http.post(f"{system.endpoints()[simulator]}/__sim/{call}", json=order)).raise_for_status()


async def _until_struck(system: LocalSystem, simulator: str, fault: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:

        async def struck() -> bool | None:
            calls = (await http.get(f"{system.endpoints()[simulator]}/__sim/calls")).json()
            return True if any(call["fault"] == fault for call in calls) else None

        await until(struck, f"the {simulator} simulator met the fault")


async def _execute(url: str, statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statements)
    finally:
        await connection.close()


def write(system: LocalSystem, expected: Expected, folder: Path) -> None:
    """Everything that an upgrade finds. Stops the simulators."""
    folder.mkdir(parents=True, exist_ok=True)
    endpoints = system.endpoints()
    for service in SERVICES:
        url = with_database(endpoints["postgres"], service)
        stored.dump_database(url, folder / stored.DATABASES / f"{service}.sql")
    asyncio.run(stored.dump_topics(endpoints["kafka"], PORTAL, folder))
    for simulator in stored.SIMULATORS:
        system.stop_program(simulator)
        stored.dump_simulator(simulator, system.folder / simulator, folder)
    shutil.copyfile(system.folder / "secrets.json", folder / stored.SECRETS)
    stored.write_json(folder / stored.EXPECTED, expected.model_dump(mode="json"))


def main(folder: Path) -> None:
    scratch = Path(tempfile.mkdtemp(prefix="truce-snapshot-"))
    report: Callable[[str], None] = print
    system = LocalSystem(scratch, Ports.free(), ENVIRONMENT, report, restart_services=False)
    try:
        system.start()
        write(system, asyncio.run(_in_time(act(system))), folder)
    finally:
        system.stop()
        shutil.rmtree(scratch, ignore_errors=True)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    report(f"{folder}: {size / 1024:.0f} KiB")


async def _in_time(work: Awaitable[Expected]) -> Expected:
    async with asyncio.timeout(300):
        return await work


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tests.upgrade.snapshot FOLDER")
    main(Path(sys.argv[1]))
