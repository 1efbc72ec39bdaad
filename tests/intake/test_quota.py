"""Limits of one partner: leads taken in an hour and in a day."""

import asyncio
import json

import pytest

from contracts.sealing import encrypt_to
from tests.contracts.keys import INTAKE_JWK, private
from tests.intake.harness import Portal

pytestmark = [pytest.mark.infra, pytest.mark.settings(INTAKE_LEADS_PER_HOUR="5", INTAKE_LEADS_PER_DAY="8")]


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


async def test_refusal_of_a_request_from_a_topic_is_published(portal: Portal) -> None:
    await portal.register()
    for n in range(5):
        await portal.lead(client=client(n))
    sealed = encrypt_to(private(INTAKE_JWK), json.dumps(client(9)).encode())
    consent = {"given_at": "2026-11-01T12:00:00+03:00"}

    await portal.send("over", {"partner_id": portal.partner, "client": sealed, "consent": consent})

    (refused,) = await portal.published("leads", "request-refused.v1", 1)
    assert (refused["portal_request_id"], refused["reason"]) == ("over", "over-quota")
