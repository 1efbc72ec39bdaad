"""What is asked about a lead afterwards: found, compared and passed on, and what becomes of it shown to who asked."""

import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest

from contracts.base import Message
from contracts.reservations import (
    ReservationClosed,
    ReservationExtended,
    ReservationOpened,
    ReservationReopened,
    ReservationRequestRefused,
    RewardAccrued,
    RewardClaimAccepted,
)
from tests.intake.conftest import Portal
from tests.process import until
from tests.topics import publish

pytestmark = pytest.mark.infra

CLIENT = {"full_name": "Ветлугин Пётр Семёнович", "phone": "8 (916) 555-01-23"}
SOURCE = "/truce/reservations"


async def told(portal: Portal, *messages: Message) -> None:
    await publish(portal.intake.bootstrap, messages, source=SOURCE)


def about(lead: dict[str, Any], event: dict[str, Any], count: int) -> dict[str, Any]:
    """What every event of a lead's reservation says."""
    return {
        "lead_id": lead["lead_id"],
        "client_key": event["client_key"],
        "partner_id": event["partner_id"],
        "reservation_id": uuid.uuid4(),
        "client": event["client"],
        "confirmed_at": datetime(2026, 11, 24, 12, tzinfo=UTC),
        "reserved_through": date(2027, 5, 24),
        "reserved_until": datetime(2027, 5, 24, 21, tzinfo=UTC),
        "history_count": count,
        "history_head": "5a" * 32,
    }


async def reserved(desk: Portal, client: dict[str, str] = CLIENT) -> tuple[dict[str, Any], dict[str, Any]]:
    """A lead with a live reservation: as it was answered, and as it was told."""
    await desk.register()
    answer = await desk.lead(client=client)
    assert answer.status_code == 202, answer.text
    lead: dict[str, Any] = answer.json()
    (event,) = await desk.published("leads", "lead-submitted.v1", 1)
    await told(desk, ReservationOpened(**about(lead, event, 1)))
    await shows(desk, lead, "confirmed")
    return lead, event


async def shows(desk: Portal, lead: dict[str, Any], status: str) -> dict[str, Any]:
    async def seen() -> dict[str, Any] | None:
        shown: dict[str, Any] = (await desk.http.get(f"/v1/leads/{lead['lead_id']}")).json()
        return shown if shown["status"] == status else None

    return await until(seen, f"the lead is {status}")


async def becomes(desk: Portal, request_id: str, status: str) -> dict[str, Any]:
    async def seen() -> dict[str, Any] | None:
        shown: dict[str, Any] = (await desk.http.get(f"/v1/requests/{request_id}")).json()
        return shown if shown["status"] == status else None

    return await until(seen, f"the request is {status}")


async def asks(desk: Portal, path: str, body: dict[str, Any], key: str | None = None) -> httpx.Response:
    return await desk.http.post(f"/v1/{path}", json=body, headers={"Idempotency-Key": key or str(uuid.uuid4())})


def returning(desk: Portal, **changes: Any) -> dict[str, Any]:
    body = {"partner_id": desk.partner, "client": CLIENT, "manager": "manager-3", "reason": "ждёт ипотеку"}
    return body | changes


async def test_client_named_on_the_telephone_is_found_and_the_request_is_passed_on(desk: Portal) -> None:
    lead, event = await reserved(desk)
    named = {"full_name": " петр  ветлугин семенович", "phone": "+7 916 555 01 23"}

    answer = await asks(desk, "returns", returning(desk, client=named), "one")
    again = await asks(desk, "returns", returning(desk, client=named), "one")

    assert (answer.status_code, again.status_code) == (202, 202)
    assert answer.json() == again.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    (passed,) = await desk.published("leads", "return-requested.v1", 1)
    assert (passed["lead_id"], passed["client_key"]) == (lead["lead_id"], event["client_key"])
    assert (passed["manager"], passed["reason"], passed["portal"]) == ("manager-3", "ждёт ипотеку", desk.name)
    assert (await becomes(desk, answer.json()["request_id"], "pending"))["reason"] is None


async def test_what_reservations_decides_shows_under_the_request_and_in_the_leads_history(desk: Portal) -> None:
    lead, event = await reserved(desk)
    request = (await asks(desk, "returns", returning(desk))).json()["request_id"]
    longer = about(lead, event, 2) | {"reserved_through": date(2027, 11, 24)}

    await told(desk, ReservationExtended(**longer, request_id=request, extended_at=datetime.now(UTC)))

    done = await becomes(desk, request, "done")
    assert done["result"] == {"lead_id": lead["lead_id"], "reserved_through": "2027-11-24"}
    shown = await shows(desk, lead, "confirmed")
    assert shown["reserved_through"] == "2027-11-24"
    assert [one["event"] for one in shown["history"]] == ["received", "confirmed", "extended"]


async def test_refusal_of_reservations_shows_under_the_request(desk: Portal) -> None:
    lead, event = await reserved(desk)
    request = (await asks(desk, "returns", returning(desk))).json()["request_id"]
    refusal = ReservationRequestRefused(
        request_id=request,
        portal=desk.name,
        portal_request_id="r",
        request_type="return-lead.v1",
        reason="extension-limit",
        partner_id=event["partner_id"],
        lead_id=lead["lead_id"],
        client_key=event["client_key"],
        refused_at=datetime.now(UTC),
    )

    await told(desk, refusal)

    assert (await becomes(desk, request, "refused"))["reason"] == "extension-limit"


@pytest.mark.parametrize("name", ["Ветлугин Павел Семёнович", "Ветлугина Пётр Семёнович", "Пётр"])
async def test_near_miss_of_the_name_is_refused_and_tells_nothing(desk: Portal, name: str) -> None:
    await reserved(desk)

    answer = await asks(desk, "returns", returning(desk, client={**CLIENT, "full_name": name}))

    assert (answer.status_code, answer.json()["code"]) == (422, "name-mismatch")
    assert "Семёнович" not in answer.text


async def test_client_of_another_partner_or_without_reservation_is_no_lead_of_this_partner(desk: Portal) -> None:
    await desk.register()
    await desk.lead(client=CLIENT)

    answers = [
        await asks(desk, "returns", returning(desk)),
        await asks(desk, "returns", returning(desk, partner_id="somebody")),
        await asks(desk, "reward-claims", {"lead_id": str(uuid.uuid4()), "partner_id": desk.partner}),
    ]

    assert {(one.status_code, one.json()["code"]) for one in answers} == {(422, "unknown-lead")}


async def test_partner_withdraws_its_own_lead_and_the_client_is_free(desk: Portal, portal: Portal) -> None:
    lead, event = await reserved(desk)
    path, body = f"leads/{lead['lead_id']}/withdrawal", {"partner_id": desk.partner, "reason": "ошибка в номере"}

    others = await asks(portal, path, body)
    answer = await asks(desk, path, body)
    request = answer.json()["request_id"]
    closed = about(lead, event, 2) | {"closed_at": datetime.now(UTC), "outcome": "withdrawn", "request_id": request}
    await told(desk, ReservationClosed(**closed))

    assert (others.status_code, others.json()["code"]) == (422, "unknown-lead")
    assert answer.status_code == 202
    await becomes(desk, request, "done")
    assert [one["event"] for one in (await shows(desk, lead, "withdrawn"))["history"]][-1] == "withdrawn"


async def test_managers_withdrawal_needs_the_scope_and_one_who_asks(desk: Portal, portal: Portal) -> None:
    lead, _ = await reserved(desk)
    path = f"leads/{lead['lead_id']}/withdrawal"

    without = await asks(portal, path, {"manager": "manager-3", "reason": "ошибка"})
    nobody = await asks(desk, path, {"reason": "ошибка"})
    manager = await asks(desk, path, {"manager": "manager-3", "reason": "ошибка"})

    assert without.status_code == 403
    assert (nobody.status_code, nobody.json()["code"]) == (422, "who-asks")
    assert manager.status_code == 202
    (passed,) = await desk.published("leads", "withdrawal-requested.v1", 1)
    assert passed["manager"] == "manager-3"


async def test_claim_and_settlement_are_passed_on_and_their_outcome_shows(desk: Portal) -> None:
    lead, event = await reserved(desk)
    claimed = (await asks(desk, "reward-claims", {"lead_id": lead["lead_id"], "partner_id": desk.partner})).json()
    reward = {
        "lead_id": lead["lead_id"],
        "client_key": event["client_key"],
        "partner_id": event["partner_id"],
        "claim_id": claimed["claim_id"],
        "deal": "d1",
        "contract_number": "ДДУ-7",
    }
    accepted = RewardClaimAccepted(**reward, request_id=claimed["request_id"], accepted_at=datetime.now(UTC))
    await told(desk, accepted)
    await becomes(desk, claimed["request_id"], "done")
    body = {"decision": "accrue", "reason": "2 %", "decided_by": "accountant-1"}
    path = f"reward-claims/{claimed['claim_id']}/settlement"

    without = await asks(desk, path, body)
    settled = await asks(desk, path, {**body, "amount": "249000.00", "currency": "RUB"})
    request = settled.json()["request_id"]
    accrued = RewardAccrued(
        **reward,
        request_id=request,
        amount="249000.00",
        currency="RUB",
        decided_by="accountant-1",
        reason="2 %",
        accrued_at=datetime.now(UTC),
    )
    await told(desk, accrued)

    assert (without.status_code, without.json()["code"]) == (422, "no-amount")
    (passed,) = await desk.published("leads", "reward-settlement-requested.v1", 1)
    assert (passed["claim_id"], passed["amount"], passed["lead_id"]) == (
        claimed["claim_id"],
        "249000.00",
        lead["lead_id"],
    )
    assert (await becomes(desk, request, "done"))["result"]["amount"] == "249000.00"


async def test_settlement_of_no_claim_is_refused(desk: Portal) -> None:
    body = {"decision": "decline", "reason": "нет сделки", "decided_by": "accountant-1"}

    answer = await asks(desk, f"reward-claims/{uuid.uuid4()}/settlement", body)

    assert (answer.status_code, answer.json()["code"]) == (422, "unknown-lead")


async def test_portals_topic_asks_the_same_and_is_answered_there(desk: Portal) -> None:
    lead, _ = await reserved(desk)
    body = {"lead_id": lead["lead_id"], "partner_id": desk.partner, "reason": "ошибка в номере"}

    await desk.send("w1", body, kind="withdraw-lead.v1")
    await desk.send("w2", body | {"partner_id": "somebody"}, kind="withdraw-lead.v1")

    (passed,) = await desk.published("leads", "withdrawal-requested.v1", 1)
    (refused,) = await desk.published("leads", "request-refused.v1", 1)
    assert passed["portal_request_id"] == "w1"
    assert (refused["portal_request_id"], refused["reason"]) == ("w2", "not-yours")


async def test_old_news_that_comes_again_does_not_undo_what_is_newer(desk: Portal) -> None:
    lead, event = await reserved(desk)
    at = datetime.now(UTC)
    await told(
        desk,
        ReservationReopened(**about(lead, event, 3), reopened_at=at + timedelta(seconds=1)),
        ReservationClosed(**about(lead, event, 2), closed_at=at, outcome="won", deal="d1"),
    )

    async def whole() -> dict[str, Any] | None:
        shown: dict[str, Any] = (await desk.http.get(f"/v1/leads/{lead['lead_id']}")).json()
        return shown if len(shown["history"]) == 4 else None

    shown = await until(whole, "all of the history")
    assert shown["status"] == "confirmed"
    assert [one["event"] for one in shown["history"]] == ["received", "confirmed", "won", "reopened"]
