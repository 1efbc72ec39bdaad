"""Text that people type: refused with a code that names the field, over HTTP and on topics, or published as it is."""

import json
import uuid
from typing import Any

import httpx
import pytest

from tests.intake.harness import Portal
from tests.intake.test_lead_requests import CLIENT, request_becomes, reserved, return_body

pytestmark = [pytest.mark.infra, pytest.mark.plain_clients]

ODD = "Ждёт «ипотеку»:\n1) банк\\u0000; 2) \u202eсправа налево, 🏠, \uffff, \u2028, e\u0301"
"""Every kind of character that is allowed, and the letters of an escape of NUL."""


def errors_of(answer: httpx.Response) -> list[tuple[str, str]]:
    return [(error["field"], error["code"]) for error in answer.json()["errors"]]


async def call(portal: Portal, method: str, path: str, body: dict[str, Any]) -> httpx.Response:
    """Send a body with any text in it: lone surrogates are escaped, as another JSON writer may do it."""
    headers = {"Idempotency-Key": str(uuid.uuid4()), "Content-Type": "application/json"}
    return await portal.http.request(method, f"/v1/{path}", content=json.dumps(body), headers=headers)


async def submit(portal: Portal, **changes: Any) -> httpx.Response:
    consent = {"given_at": "2026-11-01T12:00:00+03:00"}
    return await call(
        portal, "POST", "leads", {"partner_id": portal.partner, "client": CLIENT, "consent": consent, **changes}
    )


async def register(portal: Portal, **changes: Any) -> httpx.Response:
    agreement = {"number": "A-1", "signed_on": "2026-01-15"}
    body = {"full_name": "Заречная Анна", "phone": "+79165550199", "agreement": agreement, **changes}
    return await call(portal, "PUT", f"partners/{portal.partner}", body)


async def refused_over_http(portal: Portal, path: str, body: dict[str, Any], field: str, code: str) -> None:
    answer = await call(portal, "POST", path, body)

    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["status"]) == (422, code, 422), answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert errors_of(answer) == [(field, code)]
    assert "управляющие символы" in problem["detail"] or "недопустимые символы" in problem["detail"]


@pytest.mark.parametrize("bad", ["a\x00b", "a\ud800", "a\x1b[31m", "a\x85", "\ttab", "a\r\n"])
async def test_every_text_of_a_request_over_http_is_refused_by_its_field(office: Portal, bad: str) -> None:
    lead, claim = f"leads/{uuid.uuid4()}/withdrawal", f"reward-claims/{uuid.uuid4()}/settlement"
    settlement = {"decision": "decline", "reason": "нет сделки", "decided_by": "accountant-1"}
    about = {"lead_id": str(uuid.uuid4()), "partner_id": office.partner}

    await refused_over_http(office, "returns", return_body(office, reason=bad), "reason", "invalid-text")
    await refused_over_http(office, "returns", return_body(office, manager=bad), "manager", "invalid-text")
    await refused_over_http(office, lead, {"manager": "m", "reason": bad}, "reason", "invalid-text")
    await refused_over_http(office, lead, {"manager": bad, "reason": "r"}, "manager", "invalid-text")
    await refused_over_http(office, "reward-claims", {**about, "note": bad}, "note", "invalid-text")
    await refused_over_http(office, claim, {**settlement, "reason": bad}, "reason", "invalid-text")
    await refused_over_http(office, claim, {**settlement, "decided_by": bad}, "decided_by", "invalid-text")
    assert errors_of(await submit(office, note=bad)) == [("note", "invalid-text")]
    agreement = {"number": bad, "signed_on": "2026-01-15"}
    assert errors_of(await register(office, agreement=agreement)) == [("agreement.number", "invalid-text")]


async def test_two_faulty_texts_of_a_request_are_both_named(office: Portal) -> None:
    answer = await call(office, "POST", "returns", return_body(office, manager="a\nb", reason="a\x00b"))

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-text")
    assert errors_of(answer) == [("manager", "invalid-text"), ("reason", "invalid-text")]


@pytest.mark.parametrize(("name", "code"), [("full_name", "invalid-name"), ("phone", "invalid-phone")])
@pytest.mark.parametrize("bad", ["Анна\x00", "\ud800", "Анна\x1b"])
async def test_name_and_phone_keep_the_codes_of_their_own(office: Portal, name: str, code: str, bad: str) -> None:
    assert errors_of(await submit(office, client={**CLIENT, name: bad})) == [(f"client.{name}", code)]
    assert errors_of(await register(office, **{name: bad})) == [(name, code)]


async def test_a_faulty_text_on_a_topic_is_answered_and_is_no_dead_letter(office: Portal) -> None:
    consent = {"given_at": "2026-11-01T12:00:00+03:00"}
    lead = {"partner_id": office.partner, "client": CLIENT, "consent": consent}
    partner = {"partner_id": office.partner, "full_name": "Анна", "phone": "+79165550199"}
    agreement = {"number": "A\x00", "signed_on": "2026-01-15"}
    sent = [
        ("return-lead.v1", return_body(office, reason="a\x00b"), "invalid-text", "reason"),
        ("return-lead.v1", return_body(office, manager="a\ud800"), "invalid-text", "manager"),
        ("submit-lead.v1", {**lead, "note": "a\x7f"}, "invalid-text", "note"),
        ("submit-lead.v1", {**lead, "client": {**CLIENT, "full_name": "А\x00"}}, "invalid-name", "client.full_name"),
        ("register-partner.v1", {**partner, "agreement": agreement}, "invalid-text", "agreement.number"),
    ]
    for number, (kind, body, _, _) in enumerate(sent):
        await office.send(f"bad-{number}", body, kind=kind)
    await office.send("bad-0", sent[0][1], kind=sent[0][0])  # repeated: no second answer
    await office.send("bad-1", sent[0][1], kind=sent[0][0])  # another content under a used id
    await office.send("last", b"not json")

    # The records keep their order, so all before the unreadable one are answered when its dead letter is there.
    (letter,) = await office.published("dead-letters", "dead-letter.v1", 1)
    assert letter["reason"] == "invalid"
    refusals = await office.published("leads", "request-refused.v1", len(sent) + 1)

    found = {(one["portal_request_id"], one["request_type"], one["reason"], one["field"]) for one in refusals}
    expected = {(f"bad-{number}", kind, code, field) for number, (kind, _, code, field) in enumerate(sent)}
    assert found == expected | {("bad-1", "return-lead.v1", "id-conflict", None)}
    shown = await request_becomes(office, refusals[0]["request_id"], "refused")
    assert shown["reason"] == refusals[0]["reason"]


async def test_any_other_text_is_published_as_it_was_typed(office: Portal) -> None:
    lead, _ = await reserved(office)
    body = {"manager": "О'Нил \u200bАнна", "reason": ODD, "lead_id": lead["lead_id"]}

    over_http = await call(office, "POST", f"leads/{lead['lead_id']}/withdrawal", body)
    await office.send("w1", body, kind="withdraw-lead.v1")

    assert over_http.status_code == 202, over_http.text
    published = await office.published("leads", "withdrawal-requested.v1", 2)
    assert {(one["manager"], one["reason"]) for one in published} == {("О'Нил \u200bАнна", ODD)}
