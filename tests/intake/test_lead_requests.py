"""Requests about a lead: intake finds the lead, publishes the request, and shows its outcome to the portal."""

import json
import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest

from contracts.reservations import (
    ReservationClosed,
    ReservationExtended,
    ReservationOpened,
    ReservationReopened,
    ReservationRequestRefused,
    RewardAccrued,
    RewardClaimAccepted,
)
from contracts.sealing import encrypt_to
from tests.contracts.keys import INTAKE_JWK, private
from tests.intake.harness import Portal
from tests.process import until

pytestmark = pytest.mark.infra

CLIENT = {"full_name": "Ветлугин Пётр Семёнович", "phone": "8 (916) 555-01-23"}


def base_fields(lead: dict[str, Any], event: dict[str, Any], count: int) -> dict[str, Any]:
    """The fields that every event of a lead's reservation has."""
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


async def reserved(office: Portal, client: dict[str, str] = CLIENT) -> tuple[dict[str, Any], dict[str, Any]]:
    """A lead with a live reservation: the response to its submission, and its `lead-submitted` event."""
    await office.register()
    answer = await office.lead(client=client)
    assert answer.status_code == 202, answer.text
    lead: dict[str, Any] = answer.json()
    (event,) = await office.published("leads", "lead-submitted.v1", 1)
    await office.reservations_publish(ReservationOpened(**base_fields(lead, event, 1)))
    await lead_becomes(office, lead, "confirmed")
    return lead, event


async def lead_becomes(office: Portal, lead: dict[str, Any], status: str) -> dict[str, Any]:
    async def seen() -> dict[str, Any] | None:
        shown: dict[str, Any] = (await office.http.get(f"/v1/leads/{lead['lead_id']}")).json()
        return shown if shown["status"] == status else None

    return await until(seen, f"the lead is {status}")


async def request_becomes(office: Portal, request_id: str, status: str) -> dict[str, Any]:
    async def seen() -> dict[str, Any] | None:
        shown: dict[str, Any] = (await office.http.get(f"/v1/requests/{request_id}")).json()
        return shown if shown["status"] == status else None

    return await until(seen, f"the request is {status}")


async def post(office: Portal, path: str, body: dict[str, Any], key: str | None = None) -> httpx.Response:
    return await office.http.post(f"/v1/{path}", json=body, headers={"Idempotency-Key": key or str(uuid.uuid4())})


def return_body(office: Portal, **changes: Any) -> dict[str, Any]:
    body = {"partner_id": office.partner, "client": CLIENT, "manager": "manager-3", "reason": "ждёт ипотеку"}
    return body | changes


async def test_return_finds_the_client_by_phone_and_name_and_is_published(office: Portal) -> None:
    lead, event = await reserved(office)
    named = {"full_name": " петр  ветлугин семенович", "phone": "+7 916 555 01 23"}

    answer = await post(office, "returns", return_body(office, client=named), "one")
    again = await post(office, "returns", return_body(office, client=named), "one")

    assert (answer.status_code, again.status_code) == (202, 202)
    assert answer.json() == again.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    (published,) = await office.published("leads", "return-requested.v1", 1)
    assert (published["lead_id"], published["client_key"]) == (lead["lead_id"], event["client_key"])
    assert (published["manager"], published["reason"], published["portal"]) == (
        "manager-3",
        "ждёт ипотеку",
        office.name,
    )
    assert (await request_becomes(office, answer.json()["request_id"], "pending"))["reason"] is None


async def test_return_that_is_meant_again_says_so_over_http_and_topic(office: Portal) -> None:
    await reserved(office)

    plain = await post(office, "returns", return_body(office))
    meant = await post(office, "returns", return_body(office, again=True))
    sealed = encrypt_to(private(INTAKE_JWK), json.dumps(CLIENT).encode())
    await office.send("by-topic", return_body(office, client=sealed, again=True), kind="return-lead.v1")

    published = await office.published("leads", "return-requested.v1", 3)
    assert (plain.status_code, meant.status_code) == (202, 202)
    assert [one["again"] for one in published] == [False, True, True]


async def test_extension_by_reservations_shows_in_the_request_and_the_leads_history(office: Portal) -> None:
    lead, event = await reserved(office)
    request = (await post(office, "returns", return_body(office))).json()["request_id"]
    extended = base_fields(lead, event, 2) | {"reserved_through": date(2027, 11, 24)}

    await office.reservations_publish(
        ReservationExtended(**extended, request_id=request, extended_at=datetime.now(UTC))
    )

    done = await request_becomes(office, request, "done")
    assert done["result"] == {"lead_id": lead["lead_id"], "reserved_through": "2027-11-24"}
    shown = await lead_becomes(office, lead, "confirmed")
    assert shown["reserved_through"] == "2027-11-24"
    assert [one["event"] for one in shown["history"]] == ["received", "confirmed", "extended"]


async def test_refusal_by_reservations_shows_in_the_request(office: Portal) -> None:
    lead, event = await reserved(office)
    request = (await post(office, "returns", return_body(office))).json()["request_id"]
    refusal = ReservationRequestRefused(
        request_id=request,
        portal=office.name,
        portal_request_id="r",
        request_type="return-lead.v1",
        reason="extension-limit",
        partner_id=event["partner_id"],
        lead_id=lead["lead_id"],
        client_key=event["client_key"],
        refused_at=datetime.now(UTC),
    )

    await office.reservations_publish(refusal)

    assert (await request_becomes(office, request, "refused"))["reason"] == "extension-limit"


@pytest.mark.parametrize("name", ["Ветлугин Павел Семёнович", "Ветлугина Пётр Семёнович", "Пётр"])
async def test_wrong_name_is_refused_without_showing_the_right_name(office: Portal, name: str) -> None:
    await reserved(office)

    answer = await post(office, "returns", return_body(office, client={**CLIENT, "full_name": name}))

    assert (answer.status_code, answer.json()["code"]) == (422, "name-mismatch")
    assert "Семёнович" not in answer.text


async def test_client_of_another_partner_or_without_reservation_is_an_unknown_lead(office: Portal) -> None:
    await office.register()
    await office.lead(client=CLIENT)

    answers = [
        await post(office, "returns", return_body(office)),
        await post(office, "returns", return_body(office, partner_id="somebody")),
        await post(office, "reward-claims", {"lead_id": str(uuid.uuid4()), "partner_id": office.partner}),
    ]

    assert {(one.status_code, one.json()["code"]) for one in answers} == {(422, "unknown-lead")}


async def test_partner_withdraws_its_own_lead_and_no_other(office: Portal, portal: Portal) -> None:
    lead, event = await reserved(office)
    path, body = f"leads/{lead['lead_id']}/withdrawal", {"partner_id": office.partner, "reason": "ошибка в номере"}

    others = await post(portal, path, body)
    answer = await post(office, path, body)
    request = answer.json()["request_id"]
    closed = base_fields(lead, event, 2) | {
        "closed_at": datetime.now(UTC),
        "outcome": "withdrawn",
        "request_id": request,
    }
    await office.reservations_publish(ReservationClosed(**closed))

    assert (others.status_code, others.json()["code"]) == (422, "unknown-lead")
    assert answer.status_code == 202
    await request_becomes(office, request, "done")
    assert [one["event"] for one in (await lead_becomes(office, lead, "withdrawn"))["history"]][-1] == "withdrawn"


async def test_withdrawal_by_a_manager_needs_the_scope_and_a_name(office: Portal, portal: Portal) -> None:
    lead, _ = await reserved(office)
    path = f"leads/{lead['lead_id']}/withdrawal"

    without = await post(portal, path, {"manager": "manager-3", "reason": "ошибка"})
    unnamed = await post(office, path, {"reason": "ошибка"})
    manager = await post(office, path, {"manager": "manager-3", "reason": "ошибка"})

    assert without.status_code == 403
    assert (unnamed.status_code, unnamed.json()["code"]) == (422, "who-asks")
    assert manager.status_code == 202
    (published,) = await office.published("leads", "withdrawal-requested.v1", 1)
    assert published["manager"] == "manager-3"


async def test_claim_and_settlement_are_published_and_their_outcome_shows(office: Portal) -> None:
    lead, event = await reserved(office)
    claimed = (await post(office, "reward-claims", {"lead_id": lead["lead_id"], "partner_id": office.partner})).json()
    reward = {
        "lead_id": lead["lead_id"],
        "client_key": event["client_key"],
        "partner_id": event["partner_id"],
        "claim_id": claimed["claim_id"],
        "deal": "d1",
        "contract_number": "ДДУ-7",
    }
    accepted = RewardClaimAccepted(**reward, request_id=claimed["request_id"], accepted_at=datetime.now(UTC))
    await office.reservations_publish(accepted)
    await request_becomes(office, claimed["request_id"], "done")
    body = {"decision": "accrue", "reason": "2 %", "decided_by": "accountant-1"}
    path = f"reward-claims/{claimed['claim_id']}/settlement"

    without = await post(office, path, body)
    settled = await post(office, path, {**body, "amount": "249000.00", "currency": "RUB"})
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
    await office.reservations_publish(accrued)

    assert (without.status_code, without.json()["code"]) == (422, "no-amount")
    (published,) = await office.published("leads", "reward-settlement-requested.v1", 1)
    assert (published["claim_id"], published["amount"], published["lead_id"]) == (
        claimed["claim_id"],
        "249000.00",
        lead["lead_id"],
    )
    assert (await request_becomes(office, request, "done"))["result"]["amount"] == "249000.00"


async def test_settlement_of_an_unknown_claim_is_refused(office: Portal) -> None:
    body = {"decision": "decline", "reason": "нет сделки", "decided_by": "accountant-1"}

    answer = await post(office, f"reward-claims/{uuid.uuid4()}/settlement", body)

    assert (answer.status_code, answer.json()["code"]) == (422, "unknown-lead")


async def test_requests_from_a_topic_are_published_or_refused_like_those_over_http(office: Portal) -> None:
    lead, _ = await reserved(office)
    body = {"lead_id": lead["lead_id"], "partner_id": office.partner, "reason": "ошибка в номере"}

    await office.send("w1", body, kind="withdraw-lead.v1")
    await office.send("w2", body | {"partner_id": "somebody"}, kind="withdraw-lead.v1")

    (published,) = await office.published("leads", "withdrawal-requested.v1", 1)
    (refused,) = await office.published("leads", "request-refused.v1", 1)
    assert published["portal_request_id"] == "w1"
    assert (refused["portal_request_id"], refused["reason"]) == ("w2", "not-yours")


async def test_older_event_that_arrives_late_does_not_undo_a_newer_event(office: Portal) -> None:
    lead, event = await reserved(office)
    at = datetime.now(UTC)
    await office.reservations_publish(
        ReservationReopened(**base_fields(lead, event, 3), reopened_at=at + timedelta(seconds=1)),
        ReservationClosed(**base_fields(lead, event, 2), closed_at=at, outcome="won", deal="d1"),
    )

    async def whole() -> dict[str, Any] | None:
        shown: dict[str, Any] = (await office.http.get(f"/v1/leads/{lead['lead_id']}")).json()
        return shown if len(shown["history"]) == 4 else None

    shown = await until(whole, "the whole history")
    assert shown["status"] == "confirmed"
    assert [one["event"] for one in shown["history"]] == ["received", "confirmed", "won", "reopened"]
