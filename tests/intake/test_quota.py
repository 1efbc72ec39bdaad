"""Limits of one partner: leads taken in an hour and in a day, and clients reserved at once."""

import asyncio
import json
import uuid
from datetime import UTC, date, datetime
from typing import Any

import pytest

from contracts.reservations import ReservationOpened
from contracts.sealing import encrypt_to
from tests.contracts.keys import INTAKE_JWK, private
from tests.intake.harness import Portal
from tests.process import until

pytestmark = [
    pytest.mark.infra,
    pytest.mark.settings(INTAKE_LEADS_PER_HOUR="5", INTAKE_LEADS_PER_DAY="8", INTAKE_RESERVED_AT_MOST="4"),
]


def client(number: int) -> dict[str, str]:
    return {"full_name": "Ветлугин Пётр", "phone": f"+7916777{number:04d}"}


async def test_leads_over_the_hourly_quota_are_refused_with_a_time_to_retry(portal: Portal) -> None:
    await portal.register()

    answers = [await portal.lead(client=client(n)) for n in range(7)]

    assert [one.status_code for one in answers] == [202] * 5 + [429] * 2
    assert answers[-1].json()["code"] == "over-quota"
    assert 3500 < int(answers[-1].headers["Retry-After"]) <= 3600


async def test_concurrent_leads_are_counted_one_by_one(portal: Portal) -> None:
    await portal.register()

    answers = await asyncio.gather(*(portal.lead(client=client(n)) for n in range(20)))

    assert sorted(one.status_code for one in answers) == [202] * 5 + [429] * 15


async def test_repeated_request_over_the_quota_gets_its_first_reply(portal: Portal) -> None:
    await portal.register()
    first = await portal.lead("first", client=client(0))
    for n in range(1, 6):
        await portal.lead(client=client(n))

    assert (await portal.lead("first", client=client(0))).json() == first.json()


async def test_partner_at_the_limit_of_reserved_clients_may_submit_no_more(portal: Portal) -> None:
    await portal.register()
    for n in range(4):
        await portal.lead(client=client(100 + n))
    leads = await portal.published("leads", "lead-submitted.v1", 4)
    await portal.reservations_publish(*(opened(lead) for lead in leads))

    async def reserved() -> bool | None:
        shown = (await portal.http.get("/v1/leads", params={"status": "confirmed"})).json()["items"]
        return True if len(shown) == 4 else None

    await until(reserved, "four clients are reserved")
    answer = await portal.lead(client=client(200))

    assert (answer.status_code, answer.json()["code"]) == (422, "over-limit")


async def test_refusal_of_a_request_from_a_topic_is_published(portal: Portal) -> None:
    await portal.register()
    for n in range(5):
        await portal.lead(client=client(n))
    sealed = encrypt_to(private(INTAKE_JWK), json.dumps(client(9)).encode())
    consent = {"given_at": "2026-11-01T12:00:00+03:00"}

    await portal.send("over", {"partner_id": portal.partner, "client": sealed, "consent": consent})

    (refused,) = await portal.published("leads", "request-refused.v1", 1)
    assert (refused["portal_request_id"], refused["reason"]) == ("over", "over-quota")


def opened(lead: dict[str, Any]) -> ReservationOpened:
    return ReservationOpened(
        lead_id=lead["lead_id"],
        client_key=lead["client_key"],
        partner_id=lead["partner_id"],
        reservation_id=uuid.uuid4(),
        client=lead["client"],
        confirmed_at=datetime.now(UTC),
        reserved_through=date(2027, 5, 24),
        reserved_until=datetime(2027, 5, 24, 21, tzinfo=UTC),
        history_count=1,
    )
