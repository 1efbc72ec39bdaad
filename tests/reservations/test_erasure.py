"""The erasure of personal data: on request, and of clients whose matters ended long ago."""

import pytest

from chassis.clock import advance
from contracts.leads import ReturnRequested
from tests.reservations.harness import MOSCOW, Harness
from tests.reservations.samples import request_fields, sold_client

pytestmark = pytest.mark.infra

CLIENTS = "SELECT lead_id, partner_id, client FROM reservations"


async def test_erased_client_keeps_history_and_ledger_and_is_not_returned(reservations: Harness) -> None:
    sold = await sold_client(reservations)
    (live,) = [row for row in await reservations.fetch(CLIENTS) if row["partner_id"] == "boris"]

    refused = await reservations.command("erase", str(live["lead_id"]), "--who", "dpo", "--why", "запрос 7")
    done = await reservations.command("erase", str(sold.lead_id), "--who", "dpo", "--why", "запрос 7")
    await reservations.publish(ReturnRequested(**request_fields(sold), manager="manager-3", reason="передумал"))
    (answer,) = await reservations.published("request-refused")

    assert (refused.returncode, done.returncode) == (1, 0), done.stderr
    assert {row["client"] for row in await reservations.fetch(CLIENTS)} == {"", "sealed"}
    assert answer["reason"] == "unknown-lead"
    assert (await reservations.command("verify-history")).returncode == 0
    assert "Продан в срок" in (await reservations.command("explain", "--lead", str(sold.lead_id))).stdout
    assert len(await reservations.json_lines("ledger", "--json")) == 2


async def test_retention_erases_only_clients_whose_reservations_ended_long_ago(reservations: Harness) -> None:
    await sold_client(reservations)
    early = await reservations.command("retention")
    # Business time moves on by more than three years; the live reservation expires meanwhile.
    advance(reservations.clock, "P3Y7M", MOSCOW)
    await reservations.published("reservation-expired")

    dry = await reservations.command("retention", "--dry-run")
    late = await reservations.command("retention")

    assert "назад: 0" in early.stdout
    assert "назад: 2" in dry.stdout
    assert "это проба" in dry.stdout
    assert "назад: 2" in late.stdout
    assert {row["client"] for row in await reservations.fetch(CLIENTS)} == {""}
