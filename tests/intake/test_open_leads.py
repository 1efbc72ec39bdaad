"""The limit on the open leads of one partner: those under review and those reserved."""

import asyncio
import uuid
from datetime import UTC, date, datetime
from typing import Any

import pytest

from contracts.reservations import ReservationClosed, ReservationOpened
from tests.intake.harness import Portal
from tests.process import until

pytestmark = [pytest.mark.infra, pytest.mark.settings(INTAKE_RESERVED_AT_MOST="2")]


def client(number: int) -> dict[str, str]:
    return {"full_name": "Ветлугин Пётр", "phone": f"+7916778{number:04d}"}


def fields(lead: dict[str, Any], count: int) -> dict[str, Any]:
    return {
        "lead_id": lead["lead_id"],
        "client_key": lead["client_key"],
        "partner_id": lead["partner_id"],
        "reservation_id": uuid.uuid4(),
        "client": lead["client"],
        "confirmed_at": datetime.now(UTC),
        "reserved_through": date(2027, 5, 24),
        "reserved_until": datetime(2027, 5, 24, 21, tzinfo=UTC),
        "history_count": count,
    }


async def shown(portal: Portal, status: str, count: int) -> None:
    async def seen() -> bool | None:
        items = (await portal.http.get("/v1/leads", params={"status": status})).json()["items"]
        return True if len(items) == count else None

    await until(seen, f"{count} leads are {status}")


async def test_leads_under_review_count_while_1c_is_locked(portal: Portal) -> None:
    await portal.register()

    answers = [await portal.lead(client=client(n)) for n in range(5)]

    assert [one.status_code for one in answers] == [202, 202, 422, 422, 422]
    assert answers[-1].json()["code"] == "over-limit"


async def test_concurrent_leads_are_counted_one_by_one(portal: Portal) -> None:
    await portal.register()

    answers = await asyncio.gather(*(portal.lead(client=client(100 + n)) for n in range(8)))

    assert sorted(one.status_code for one in answers) == [202] * 2 + [422] * 6


async def test_reserved_clients_count_until_their_reservations_end(portal: Portal) -> None:
    await portal.register()
    for n in range(2):
        await portal.lead(client=client(200 + n))
    leads = await portal.published("leads", "lead-submitted.v1", 2)
    await portal.reservations_publish(*(ReservationOpened(**fields(lead, 1)) for lead in leads))
    await shown(portal, "confirmed", 2)
    full = await portal.lead(client=client(210))

    ended = ReservationClosed(**fields(leads[0], 2), closed_at=datetime.now(UTC), outcome="withdrawn")
    await portal.reservations_publish(ended)
    await shown(portal, "withdrawn", 1)

    assert (full.status_code, full.json()["code"]) == (422, "over-limit")
    assert (await portal.lead(client=client(211))).status_code == 202
