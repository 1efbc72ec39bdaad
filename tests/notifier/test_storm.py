"""Whatever the provider does and however often the notifier is killed: no SMS is sent twice, and each is settled."""

import asyncio
import random
from collections import Counter
from typing import Any
from uuid import UUID

import pytest

from contracts.person import Person
from tests.notifier.harness import REPORT_SECRET, Harness
from tests.notifier.samples import partner as a_partner
from tests.notifier.samples import rejected
from tests.simulators.tests.processes import Sim

pytestmark = [pytest.mark.infra, pytest.mark.timeout(1200)]
DEADLINE_S = 600.0
REFUSED = {"6": "failed", "7": "failed", "8": "failed"}


def inject_faults(sms: Sim, url: str, seed: int) -> None:
    """Make the simulator lose 10 % of its answers, refuse 5 % and delay 5 % of the calls, double a third of the reports
    and send a third of them out of order."""
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


@pytest.mark.long  # an SMS whose answer was lost is looked up for at least a minute
async def test_no_sms_is_sent_twice_and_every_sms_is_settled(harness: Harness) -> None:
    count, kills = 5000, 20
    rng = random.Random(count)
    inject_faults(harness.sms, harness.reports, seed=count)
    settings = {"HTTP_PORT": str(harness.port), "PER_HOUR": "0", "PER_DAY": "0"}
    await harness.publish(a_partner("p1"), *(rejected(lead, client=a_client(lead)) for lead in range(1, count + 1)))
    for _ in range(kills):
        instance = await harness.start(settings, wait=False)
        done = len(harness.sms.get("messages"))
        # Killed while it sends, not before.
        for _ in range(200):
            if len(harness.sms.get("messages")) > done:
                break
            await asyncio.sleep(0.05)
        await asyncio.sleep(rng.uniform(0, 1.0))
        instance.kill()
    await harness.start(settings, wait=False)
    ended = f"SELECT 1 FROM messages HAVING count(*) FILTER (WHERE settled_at IS NOT NULL) = {count}"
    await harness.wait_for_row(ended, DEADLINE_S)

    sent = Counter(message["id"] for message in harness.sms.get("messages"))
    assert max(sent.values()) == 1
    found = await harness.rows("SELECT message_id::text AS id, lead_id, status, detail, provider FROM messages")
    assert {row["lead_id"] for row in found} == {UUID(int=lead) for lead in range(1, count + 1)}
    for row in found:
        if row["id"] in sent:
            assert row["status"] in ("sent", "delivered"), tuple(row)
        else:
            # SMSC has a lookup call, so no SMS stays unknown.
            assert (row["status"], row["provider"]) == (REFUSED[row["detail"]], "smsc"), tuple(row)
    published = await harness.statuses(count)
    assert {status.message_id for status in published} == {UUID(row["id"]) for row in found}
    # An event may be published once more after a crash, as the same event.
    assert max(Counter((status.message_id, status.status) for status in set(published)).values()) == 1
