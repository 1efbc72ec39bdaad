"""Whatever the provider does and however often the notifier is killed: nobody is told twice, and every message ends."""

import asyncio
import random
from collections import Counter
from typing import Any
from uuid import UUID

import pytest

from contracts.person import Person
from tests.notifier.samples import partner as a_partner
from tests.notifier.samples import rejected
from tests.notifier.world import REPORT_SECRET, World
from tests.simulators.tests.processes import Sim

pytestmark = [pytest.mark.infra, pytest.mark.timeout(1200)]
DEADLINE_S = 600.0
REFUSED = {"6": "failed", "7": "failed", "8": "failed"}


def provoke(sms: Sim, url: str, seed: int) -> None:
    """10 % accepted and cut off, 5 % refused, 5 % slow; a third of the reports doubled, a third out of order."""
    sms.post("callbacks", {"url": url, "secret": REPORT_SECRET})
    faults: list[dict[str, Any]] = [
        {"mode": "accept_then_cut", "probability": 0.10, "match": {"call": "send"}},
        *({"mode": "refuse", "code": code, "probability": 0.05 / 3, "match": {"call": "send"}} for code in (6, 7, 8)),
        {"mode": "slow", "seconds": 1.5, "probability": 0.05, "match": {"call": "send"}},
        {"mode": "callback_doubled", "probability": 0.33},
        {"mode": "callback_swapped", "probability": 0.33},
    ]
    for number, fault in enumerate(faults):
        sms.post("fault", {**fault, "seed": seed + number})


def a_client(number: int) -> Person:
    return Person.parse("Иванов Иван", f"+7916{number:07d}")


@pytest.mark.long  # an answer that was lost is looked for during a minute at least
async def test_nobody_is_told_twice_and_every_message_ends(world: World) -> None:
    count, kills = 5000, 20
    rng = random.Random(count)
    provoke(world.sms, world.reports, seed=count)
    settings = {"HTTP_PORT": str(world.port), "PER_HOUR": "0", "PER_DAY": "0"}
    await world.tell(a_partner("p1"), *(rejected(lead, client=a_client(lead)) for lead in range(1, count + 1)))
    for _ in range(kills):
        instance = await world.start(settings, wait=False)
        done = len(world.sms.get("messages"))
        # Killed somewhere in the work, not before it.
        for _ in range(200):
            if len(world.sms.get("messages")) > done:
                break
            await asyncio.sleep(0.05)
        await asyncio.sleep(rng.uniform(0, 1.0))
        instance.kill()
    await world.start(settings, wait=False)
    ended = f"SELECT 1 FROM messages HAVING count(*) FILTER (WHERE settled_at IS NOT NULL) = {count}"
    await world.wait_for(ended, DEADLINE_S)

    sent = Counter(message["id"] for message in world.sms.get("messages"))
    assert max(sent.values()) == 1
    found = await world.rows("SELECT message_id::text AS id, lead_id, status, detail, provider FROM messages")
    assert {row["lead_id"] for row in found} == {UUID(int=lead) for lead in range(1, count + 1)}
    for row in found:
        if row["id"] in sent:
            assert row["status"] in ("sent", "delivered"), tuple(row)
        else:
            # SMSC can be asked, so there is nothing that nobody knows.
            assert (row["status"], row["provider"]) == (REFUSED[row["detail"]], "smsc"), tuple(row)
    told = await world.statuses(count)
    assert {status.message_id for status in told} == {UUID(row["id"]) for row in found}
    # An event may leave once more after a crash, as the same event.
    assert max(Counter((status.message_id, status.status) for status in set(told)).values()) == 1
