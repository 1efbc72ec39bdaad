"""`make smoke`: starts the whole system on free ports in a scratch folder, runs the main path, and prints each step.

The exit code is 0 if every step passed. The first step that fails is printed with its reason, and the logs are kept.
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
from deploy.local.parts import SERVICES
from deploy.local.ports import Ports
from deploy.local.system import LocalSystem
from tests.e2e.harness import Person, SystemHarness, advance_clock, invent
from tests.process import until

T = TypeVar("T")


def report(text: str) -> None:
    print(text, flush=True)


async def step(name: str, work: Awaitable[T]) -> T:
    """Run one step and print its duration."""
    started = time.monotonic()
    try:
        result = await work
    except BaseException:
        report(f"  FAILED  {time.monotonic() - started:7.2f} s  {name}")
        raise
    report(f"      ok  {time.monotonic() - started:7.2f} s  {name}")
    return result


async def run_main_path(system: LocalSystem, folder: Path) -> None:
    """Run every step of the main path through public interfaces."""
    harness = SystemHarness(system.endpoints())
    rng = random.Random()  # random persons, so that the steps pass in a used folder too
    anna, boris, client, on_topic, known, racing = (invent(rng) for _ in range(6))
    try:
        await step("two partners are registered", _register(harness, anna, boris))
        key = str(uuid.uuid4())
        accepted = await step("a lead is accepted over HTTP, with a receipt", _submit(harness, client, key))
        await step("the receipt verifies with the published key", _verify(harness, accepted["receipt"]))
        lead = await step("the lead is confirmed", harness.until_status(accepted["lead_id"], "confirmed", "rejected"))
        assert lead["status"] == "confirmed", f"it is {lead['status']} ({lead['reason']})"
        report(f"                      reserved through {lead['reserved_through']}")
        await step("1C's partner journal has an active entry", _until_in_partner_journal(harness, accepted["lead_id"]))
        texts = await step("the realtor has the SMS", harness.until_sms(anna.phone, 1))
        report(f"                      «{texts[0]}»")

        topic_key = f"topic-{uuid.uuid4()}"
        await step("a lead is sent on the portal's topic", harness.submit_on_topic("anna", on_topic, topic_key))
        await step("it is confirmed", _until_confirmed(harness, "anna", 2))
        await step("the realtor has the SMS", harness.until_sms(anna.phone, 2))

        await step("a second partner's lead of the same client is rejected", _submit_rejected(harness, "boris", client))
        texts = await step("the second partner has the SMS", harness.until_sms(boris.phone, 1))
        report(f"                      «{texts[0]}»")
        await harness.seed_direct_client(known)
        await step("a client with an enquiry in 1C is rejected", _submit_rejected(harness, "anna", known))
        await step(
            "a repeated idempotency key gets the same response", _repeat(harness, client, key, accepted["lead_id"])
        )

        await step(
            "every service is restarted while a lead is under review", _restart_services(system, harness, racing)
        )

        advance_clock(folder, "P6M2D")
        await step("six months later the reservation has expired", harness.until_status(accepted["lead_id"], "expired"))
        texts = await step("the realtor has the SMS", harness.until_sms(anna.phone, 5))
        report(f"                      «{texts[-1]}»")
        await step("1C's general journal has the client", _until_in_general_journal(harness, client.phone))
        await step("1C's partner journal has no active entry of it", _until_inactive(harness, accepted["lead_id"]))
    finally:
        await harness.close()


async def _register(harness: SystemHarness, anna: Person, boris: Person) -> None:
    for partner_id, person in (("anna", anna), ("boris", boris)):
        response = await harness.register_partner(partner_id, person)
        assert response.status_code == 201, f"{response.status_code} {response.text}"


async def _submit(harness: SystemHarness, client: Person, key: str) -> dict[str, str]:
    response = await harness.submit("anna", client, key)
    assert response.status_code == 202, f"{response.status_code} {response.text}"
    body: dict[str, str] = response.json()
    assert body["status"] == "under-review"
    return body


async def _verify(harness: SystemHarness, receipt: str) -> None:
    keys = [OKPKey.import_key(key) for key in (await harness.keys())["keys"] if key["kty"] == "OKP"]
    jws.deserialize_compact(receipt, KeySet([*keys]), algorithms=["Ed25519"])


async def _until_in_partner_journal(harness: SystemHarness, lead_id: str) -> None:
    async def look() -> dict[str, Any] | None:
        return next((entry for entry in await harness.journal() if entry["lead_id"] == lead_id), None)

    entry = await until(look, "the entry is in the partner journal")
    assert entry["state"] == "Активен", entry


async def _until_confirmed(harness: SystemHarness, partner_id: str, count: int) -> None:
    async def look() -> object:
        confirmed = [lead for lead in await harness.leads(partner_id) if lead["status"] == "confirmed"]
        return True if len(confirmed) >= count else None

    await until(look, f"{count} leads of {partner_id} are confirmed")


async def _submit_rejected(harness: SystemHarness, partner_id: str, client: Person) -> None:
    response = await harness.submit(partner_id, client)
    lead = await harness.until_status(response.json()["lead_id"], "confirmed", "rejected")
    assert (lead["status"], lead["reason"]) == ("rejected", "client-taken"), lead


async def _repeat(harness: SystemHarness, client: Person, key: str, lead_id: str) -> None:
    response = await harness.submit("anna", client, key)
    assert response.status_code == 202
    assert response.headers["Idempotent-Replayed"] == "true"
    assert response.json()["lead_id"] == lead_id


async def _restart_services(system: LocalSystem, harness: SystemHarness, client: Person) -> None:
    response = await harness.submit("anna", client)
    assert response.status_code == 202, f"{response.status_code} {response.text}"
    for service in SERVICES:
        await asyncio.to_thread(system.restart, service)
    lead = await harness.until_status(response.json()["lead_id"], "confirmed", "rejected")
    assert lead["status"] == "confirmed", lead


async def _until_in_general_journal(harness: SystemHarness, phone: str) -> None:
    async def look() -> object:
        digits = phone[-10:]
        return next((entry for entry in await harness.general_journal() if digits in "".join(entry["phones"])), None)

    await until(look, "the client is in the general journal")


async def _until_inactive(harness: SystemHarness, lead_id: str) -> None:
    async def look() -> object:
        entry = next(entry for entry in await harness.journal() if entry["lead_id"] == lead_id)
        return True if entry["state"] != "Активен" else None

    await until(look, "the entry in the partner journal is inactive")


def main() -> int:
    """Run the main path on a new system. Returns the exit code."""
    folder = Path(tempfile.mkdtemp(prefix="truce-smoke-"))
    settings = {"ALLOW_CLOCK_SHIFT": "true", "INTAKE_ACCEPT_PLAIN_CLIENTS": "false"}
    system = LocalSystem(folder, Ports.free(), env=settings, report=lambda line: report(f"          {line}"))
    started = time.monotonic()
    passed = False
    try:
        system.start()
        report(f"      ok  {time.monotonic() - started:7.2f} s  the system has started")
        asyncio.run(run_main_path(system, folder))
        passed = True
    except LocalError as error:
        report(f"  FAILED  the system did not start: {error}")
    except Exception as error:
        report(f"          {type(error).__name__}: {error}")
    finally:
        system.stop()
    if not passed:
        report(f"smoke failed; the logs are in {folder / 'logs'}")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    report(f"smoke passed in {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
