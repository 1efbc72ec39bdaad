"""`make smoke`: the whole system on free ports in a scratch folder, its main path walked and timed.

Exit 0 only if every step held; the first that does not is shown with its reason, and the logs are kept.
"""

import asyncio
import random
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, TypeVar

from joserfc import jws
from joserfc.jwk import KeySet, OKPKey

from deploy.local.errors import LocalError
from deploy.local.ports import Ports
from deploy.local.system import LocalSystem
from tests.e2e.world import Person, World, advance_clock, invent
from tests.process import until

T = TypeVar("T")
SERVICES = ("intake", "onec_gateway", "reservations", "notifier")


def say(text: str) -> None:
    print(text, flush=True)


async def step(name: str, work: Awaitable[T]) -> T:
    """Do one step and print how long it took."""
    started = time.monotonic()
    try:
        result = await work
    except BaseException:
        say(f"  FAILED  {time.monotonic() - started:7.2f} s  {name}")
        raise
    say(f"      ok  {time.monotonic() - started:7.2f} s  {name}")
    return result


async def walk(system: LocalSystem, folder: Path) -> None:
    """Every step of the main path, each through what outside parties meet."""
    world = World(system.endpoints())
    rng = random.Random()  # persons nobody met before, so that a kept folder would do as well
    anna, boris, client, on_topic, known, racing = (invent(rng) for _ in range(6))
    try:
        await step("two partners are registered", _register(world, anna, boris))
        key = str(uuid.uuid4())
        answer = await step("a lead is taken over HTTP, with a receipt", _submit(world, client, key))
        await step("the receipt verifies with the published key", _verify(world, answer["receipt"]))
        lead = await step("the lead is confirmed", world.until_status(answer["lead_id"], "confirmed", "rejected"))
        assert lead["status"] == "confirmed", f"it is {lead['status']} ({lead['reason']})"
        say(f"                      reserved through {lead['reserved_through']}")
        await step("1C's partner journal holds it, as active", _journal_entry(world, answer["lead_id"]))
        texts = await step("the realtor has the SMS", world.until_sms(anna.phone, 1))
        say(f"                      «{texts[0]}»")

        topic_key = f"topic-{uuid.uuid4()}"
        await step("a lead is sent on the portal's topic", world.submit_on_topic("anna", on_topic, topic_key))
        await step("it is confirmed", _confirmed_of(world, "anna", 2))
        await step("the realtor has the SMS", world.until_sms(anna.phone, 2))

        await step("a second partner's same client is refused", _refused(world, "boris", client))
        texts = await step("the second partner has the SMS", world.until_sms(boris.phone, 1))
        say(f"                      «{texts[0]}»")
        await world.seed_direct_client(known)
        await step("1C's own client is refused", _refused(world, "anna", known))
        await step("a repeated key is answered again", _repeat(world, client, key, answer["lead_id"]))

        await step("every service is restarted under a lead", _restart_under(system, world, racing))

        advance_clock(folder, "P6M2D")
        await step("six months later the reservation has expired", world.until_status(answer["lead_id"], "expired"))
        texts = await step("the realtor has the SMS", world.until_sms(anna.phone, 5))
        say(f"                      «{texts[-1]}»")
        await step("1C's general journal has the client", _handed_over(world, client.phone))
        await step("1C's partner journal holds it no longer as active", _inactive(world, answer["lead_id"]))
    finally:
        await world.close()


async def _register(world: World, anna: Person, boris: Person) -> None:
    for partner_id, person in (("anna", anna), ("boris", boris)):
        answer = await world.register_partner(partner_id, person)
        assert answer.status_code == 201, f"{answer.status_code} {answer.text}"


async def _submit(world: World, client: Person, key: str) -> dict[str, str]:
    answer = await world.submit("anna", client, key)
    assert answer.status_code == 202, f"{answer.status_code} {answer.text}"
    body: dict[str, str] = answer.json()
    assert body["status"] == "under-review"
    return body


async def _verify(world: World, receipt: str) -> None:
    keys = [OKPKey.import_key(key) for key in (await world.keys())["keys"] if key["kty"] == "OKP"]
    jws.deserialize_compact(receipt, KeySet([*keys]), algorithms=["Ed25519"])


async def _journal_entry(world: World, lead_id: str) -> None:
    async def look() -> dict[str, Any] | None:
        return next((one for one in await world.journal() if one["lead_id"] == lead_id), None)

    entry = await until(look, "the entry is in the partner journal")
    assert entry["state"] == "Активен", entry


async def _confirmed_of(world: World, partner_id: str, count: int) -> None:
    async def look() -> object:
        confirmed = [lead for lead in await world.leads(partner_id) if lead["status"] == "confirmed"]
        return True if len(confirmed) >= count else None

    await until(look, f"{count} leads of {partner_id} are confirmed")


async def _refused(world: World, partner_id: str, client: Person) -> None:
    answer = await world.submit(partner_id, client)
    lead = await world.until_status(answer.json()["lead_id"], "confirmed", "rejected")
    assert (lead["status"], lead["reason"]) == ("rejected", "client-taken"), lead


async def _repeat(world: World, client: Person, key: str, lead_id: str) -> None:
    answer = await world.submit("anna", client, key)
    assert answer.status_code == 202
    assert answer.headers["Idempotent-Replayed"] == "true"
    assert answer.json()["lead_id"] == lead_id


async def _restart_under(system: LocalSystem, world: World, client: Person) -> None:
    answer = await world.submit("anna", client)
    assert answer.status_code == 202, f"{answer.status_code} {answer.text}"
    for service in SERVICES:
        await asyncio.to_thread(system.restart, service)
    lead = await world.until_status(answer.json()["lead_id"], "confirmed", "rejected")
    assert lead["status"] == "confirmed", lead


async def _handed_over(world: World, phone: str) -> None:
    async def look() -> object:
        digits = phone[-10:]
        return next((one for one in await world.general_journal() if digits in "".join(one["phones"])), None)

    await until(look, "the client is in the general journal")


async def _inactive(world: World, lead_id: str) -> None:
    async def look() -> object:
        entry = next(one for one in await world.journal() if one["lead_id"] == lead_id)
        return True if entry["state"] != "Активен" else None

    await until(look, "the partner journal's entry is not active")


def main() -> int:
    """Run, print, stop; the exit code."""
    folder = Path(tempfile.mkdtemp(prefix="truce-smoke-"))
    settings = {"ALLOW_CLOCK_SHIFT": "true", "INTAKE_ACCEPT_PLAIN_CLIENTS": "false"}
    system = LocalSystem(folder, Ports.free(), env=settings, report=lambda line: say(f"          {line}"))
    started = time.monotonic()
    held = False
    try:
        system.start()
        say(f"      ok  {time.monotonic() - started:7.2f} s  the system is up")
        asyncio.run(walk(system, folder))
        held = True
    except LocalError as error:
        say(f"  FAILED  the system did not start: {error}")
    except Exception as error:
        say(f"          {type(error).__name__}: {error}")
    finally:
        system.stop()
    if not held:
        say(f"smoke failed; logs are in {folder / 'logs'}")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    say(f"smoke held in {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
