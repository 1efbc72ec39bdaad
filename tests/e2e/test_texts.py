"""A text with every kind of allowed character passes all services and is stored as it was typed."""

import json
import random

import asyncpg
import pytest

from deploy.local.system import LocalSystem
from tests.e2e.harness import SystemHarness, invent

pytestmark = [pytest.mark.infra, pytest.mark.timeout(300)]

REASON = "Ждёт «ипотеку»:\n1) банк\\u0000; 2) \u202eсправа налево, 🏠, \uffff, \u2028, e\u0301"


async def test_a_text_passes_all_services_unchanged(system: LocalSystem, harness: SystemHarness) -> None:
    rng = random.Random()
    realtor, client = invent(rng), invent(rng)
    partner = f"texts-{rng.randrange(10**9)}"
    await harness.register_partner(partner, realtor)
    lead = (await harness.submit(partner, client)).json()["lead_id"]
    await harness.until_status(lead, "confirmed")

    refused = await harness.post_request(f"leads/{lead}/withdrawal", {"partner_id": partner, "reason": "a\x00b"})
    taken = await harness.post_request(f"leads/{lead}/withdrawal", {"partner_id": partner, "reason": REASON})

    assert (refused.status_code, refused.json()["code"]) == (422, "invalid-text")
    assert (await harness.until_request_done(taken.json()["request_id"]))["status"] == "done"
    connection = await asyncpg.connect(system.environment("reservations")["RESERVATIONS_DATABASE_URL"])
    try:
        entries = [json.loads(row["entry"]) for row in await connection.fetch("SELECT entry FROM history")]
        parked = await connection.fetchval("SELECT count(*) FROM parked")
    finally:
        await connection.close()
    (entry,) = [one for one in entries if one["lead"] == lead and one["what"] == "withdrawn"]
    assert entry["why"] == REASON
    assert parked == 0
