"""Intake over HTTP and on its topics: a running process, a portal in front, real Kafka and PostgreSQL."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from contracts.sealing import encrypt_to
from contracts.topics import DEAD_LETTERS
from contracts.verdicts import LeadRejected
from tests.contracts.keys import KEY, sealer
from tests.intake.harness import Portal, sealing_key
from tests.process import until
from tests.topics import publish, published

pytestmark = pytest.mark.infra

CLIENT = {"full_name": "  ветлугин   Пётр ", "phone": "8 (916) 555-01-23"}


async def test_lead_is_stored_published_and_shown_to_its_portal(portal: Portal) -> None:
    assert (await portal.register()).status_code == 201

    answer = await portal.lead(client=CLIENT)

    assert answer.status_code == 202
    body = answer.json()
    assert answer.headers["Location"] == f"/v1/leads/{body['lead_id']}"
    assert body["status"] == "under-review"
    shown = (await portal.http.get(f"/v1/leads/{body['lead_id']}")).json()
    assert shown["client"] == {"full_name": "ветлугин Пётр", "phone": "+79165550123"}
    assert (shown["status"], [one["event"] for one in shown["history"]]) == ("under-review", ["received"])
    (event,) = await portal.published("leads", "lead-submitted.v1", 1)
    assert event["lead_id"] == body["lead_id"]
    assert event["_key"].decode() == event["client_key"]
    assert sealer(KEY).open(event["client"], body["lead_id"]).phone == "+79165550123"


async def test_repeated_key_gets_the_first_response_and_other_content_a_conflict(portal: Portal) -> None:
    await portal.register()

    first, again = await portal.lead("one"), await portal.lead("one")
    other = await portal.lead("one", note="another")

    assert again.json() == first.json()
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (409, "id-conflict")
    assert len((await portal.http.get("/v1/leads")).json()["items"]) == 1


async def test_one_key_for_many_concurrent_clients_is_one_lead(portal: Portal) -> None:
    await portal.register()

    answers = await asyncio.gather(
        *(portal.lead("same", client={**CLIENT, "phone": f"+7916555{n:04d}"}) for n in range(20))
    )

    assert sorted(answer.status_code for answer in answers) == [202] + [409] * 19


async def test_refusal_is_a_problem_that_names_the_field(portal: Portal) -> None:
    await portal.register()
    wrong: list[tuple[dict[str, Any], str, str]] = [
        ({"client": {**CLIENT, "phone": "12"}}, "invalid-phone", "client.phone"),
        ({"client": {**CLIENT, "full_name": "  "}}, "invalid-name", "client.full_name"),
        ({"consent": None}, "no-consent", "consent"),
        ({"partner_id": "nobody"}, "unknown-partner", "partner_id"),
        ({"client": "not.a.jwe"}, "does-not-open", "client"),
        ({"client": {"phone": "+79165550123"}}, "missing", "client.full_name"),
    ]

    for body, code, field in wrong:
        answer = await portal.lead(**body)

        problem = answer.json()
        assert (answer.status_code, problem["status"], problem["code"]) == (422, 422, code)
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert problem.keys() >= {"type", "title", "detail"}
        assert [(error["field"], error["code"]) for error in problem["errors"]] == [(field, code)]


async def test_body_over_the_limit_is_refused_with_and_without_a_content_length(portal: Portal) -> None:
    async def in_parts() -> AsyncIterator[bytes]:
        for _ in range(80):
            yield b"x" * 1024

    with_length = await portal.lead(note="x" * 70_000)
    without_length = await portal.http.post("/v1/leads", content=in_parts(), headers={"Idempotency-Key": "parts"})

    assert [(one.status_code, one.json()["code"]) for one in (with_length, without_length)] == [(413, "too-large")] * 2


async def test_problems_never_repeat_what_was_sent(portal: Portal) -> None:
    await portal.register()

    for body in ({"client": {"full_name": 5, "phone": "secret-79165550123"}}, {"partner_id": "Достопримечательнов Ю"}):
        answer = await portal.lead(**body)
        assert answer.status_code == 422
        assert "79165550123" not in answer.text
        assert "Достопримечательнов" not in answer.text


async def test_request_needs_a_key_and_its_scope(portal: Portal) -> None:
    limited = json.loads(portal.portals("add", "limited", "--scopes", "partners", "--json").stdout)["key"]

    statuses = []
    for key in (None, "trk_wrong", limited):
        headers = {"Authorization": f"Bearer {key}"} if key else {"Authorization": ""}
        statuses.append((await portal.http.get("/v1/leads", headers=headers)).status_code)

    assert statuses == [401, 401, 403]


async def test_revoked_key_stops_working(portal: Portal) -> None:
    assert (await portal.http.get("/v1/leads")).status_code == 200

    assert portal.portals("revoke", portal.name).returncode == 0

    async def refused() -> bool | None:
        return True if (await portal.http.get("/v1/leads")).status_code == 401 else None

    await until(refused, "the key is refused")


async def test_post_needs_an_idempotency_key(portal: Portal) -> None:
    for headers in ({}, {"Idempotency-Key": "x" * 256}, {"Idempotency-Key": "with space"}):
        answer = await portal.lead(headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "idempotency-key-required")


async def test_unknown_paths_and_methods_are_problems(portal: Portal) -> None:
    missing = await portal.http.get(f"/v1/leads/{uuid.uuid4()}")
    nowhere = await portal.http.get("/v1/nothing")
    method = await portal.http.delete("/v1/leads")

    assert [one.json()["code"] for one in (missing, nowhere, method)] == [
        "not-found",
        "not-found",
        "method-not-allowed",
    ]


async def test_suspended_partner_may_not_submit(portal: Portal) -> None:
    await portal.register()
    changed = await portal.register(status="suspended")

    answer = await portal.lead()

    assert changed.status_code == 200
    assert answer.json()["code"] == "partner-suspended"


async def test_list_of_leads_has_pages_and_shows_one_portals_leads(portal: Portal) -> None:
    await portal.register()
    for n in range(5):
        await portal.lead(client={**CLIENT, "phone": f"+7916555{n:04d}"})
    other = json.loads(portal.portals("add", "other", "--scopes", "leads", "--json").stdout)["key"]

    first = (await portal.http.get("/v1/leads?limit=3")).json()
    second = (await portal.http.get(f"/v1/leads?limit=3&cursor={first['next_cursor']}")).json()
    foreign = (await portal.http.get("/v1/leads", headers={"Authorization": f"Bearer {other}"})).json()

    assert [len(page["items"]) for page in (first, second, foreign)] == [3, 2, 0]
    assert second["next_cursor"] is None
    assert len({lead["lead_id"] for page in (first, second) for lead in page["items"]}) == 5


async def test_sealed_lead_on_a_topic_is_taken_once(portal: Portal) -> None:
    await portal.register()
    sealed = encrypt_to(sealing_key((await _jwks(portal.http))["keys"]), json.dumps(CLIENT).encode())
    body = {"partner_id": portal.partner, "client": sealed, "consent": {"given_at": "2026-11-01T12:00:00+03:00"}}

    await portal.send("t1", body)
    await portal.send("t1", body)
    await portal.send("t2", {**body, "partner_id": "nobody"})

    (refused,) = await portal.published("leads", "request-refused.v1", 1)
    assert (refused["reason"], refused["portal_request_id"]) == ("unknown-partner", "t2")
    (event,) = await portal.published("leads", "lead-submitted.v1", 1)
    items = (await portal.http.get("/v1/leads")).json()["items"]
    assert [lead["lead_id"] for lead in items] == [event["lead_id"]]
    request = (await portal.http.get(f"/v1/requests/{refused['request_id']}")).json()
    assert (request["status"], request["reason"]) == ("refused", "unknown-partner")


async def test_record_that_cannot_be_decoded_goes_to_the_dead_letters(portal: Portal) -> None:
    await portal.register()
    consent = {"given_at": "2026-11-01T12:00:00+03:00"}

    await portal.send("d1", b"not json")
    await portal.send("d2", {"partner_id": portal.partner, "client": CLIENT, "consent": consent})
    await portal.send("d3", {"partner_id": portal.partner, "client": "a.b.c", "consent": consent})
    await portal.send("d4", {}, kind="unheard-of.v1")

    letters = await portal.published("dead-letters", "dead-letter.v1", 4)
    reasons = sorted(letter["reason"] for letter in letters)
    assert reasons == ["does-not-open", "invalid", "plain-client", "unknown-type"]


async def test_partner_on_a_topic_is_registered(portal: Portal) -> None:
    boris = f"boris-of-{portal.name}"
    sealed = encrypt_to(sealing_key((await _jwks(portal.http))["keys"]), json.dumps(CLIENT).encode())
    body = {"partner_id": boris, "person": sealed, "agreement": {"number": "B-1", "signed_on": "2026-02-01"}}

    await portal.send("b1", body, kind="register-partner.v1")

    (event,) = await portal.published("partners", "partner.v1", 1)
    assert (event["partner_id"], event["status"]) == (boris, "active")
    assert sealer(KEY).open(event["person"], boris).phone == "+79165550123"


async def test_late_replay_of_a_registration_does_not_replace_a_newer_one(portal: Portal) -> None:
    boris, carol = f"boris-of-{portal.name}", f"carol-of-{portal.name}"
    sealed = encrypt_to(sealing_key((await _jwks(portal.http))["keys"]), json.dumps(CLIENT).encode())
    body = {"partner_id": boris, "person": sealed, "agreement": {"number": "B-1", "signed_on": "2026-02-01"}}
    first_read_at = datetime.now(UTC).isoformat().encode()
    await portal.send("newer", {**body, "status": "suspended"}, kind="register-partner.v1")
    await portal.published("partners", "partner.v1", 1)

    letter = str(uuid.uuid4())
    late = [("replay", b"intake"), ("replay-letter", letter.encode()), ("replay-since", first_read_at)]
    await portal.send("older", {**body, "status": "active"}, kind="register-partner.v1", headers=late)
    await portal.send("marker", {**body, "partner_id": carol}, kind="register-partner.v1")

    events = await portal.published("partners", "partner.v1", 2)
    assert {event["partner_id"]: event["status"] for event in events} == {boris: "suspended", carol: "active"}
    assert len(events) == 2
    (answer,) = await published(
        portal.bootstrap, DEAD_LETTERS, "dead-letter-replayed.v1", 1, lambda value: value["letter"] == letter
    )
    assert answer["outcome"] == "superseded"


async def test_rejection_is_shown_without_its_true_reason(portal: Portal) -> None:
    await portal.register()
    lead_id = (await portal.lead()).json()["lead_id"]
    (event,) = await portal.published("leads", "lead-submitted.v1", 1)
    now = datetime.now(UTC)

    await publish(
        portal.bootstrap,
        [
            LeadRejected(
                lead_id=event["lead_id"],
                client_key=event["client_key"],
                partner_id=portal.partner,
                client=event["client"],
                received_at=now,
                rejected_at=now,
                reason="held-by-partner",
            )
        ],
        source="/truce/onec-gateway",
    )

    async def rejected() -> dict[str, Any] | None:
        lead: dict[str, Any] = (await portal.http.get(f"/v1/leads/{lead_id}")).json()
        return lead if lead["status"] == "rejected" else None

    lead = await until(rejected, "the lead is rejected")
    assert lead["reason"] == "client-taken"
    assert "held-by-partner" not in json.dumps(lead)


# The last test of the module: it kills the process, and Kafka keeps the dead member for ten seconds.


async def test_accepted_leads_survive_a_kill(portal: Portal) -> None:
    await portal.register()
    accepted = [
        (await portal.lead(client={**CLIENT, "phone": f"+7916555{n:04d}"})).json()["lead_id"] for n in range(30)
    ]

    portal.intake.kill()
    # The outbox needs no consumer group, so it publishes while Kafka still waits for the dead member.
    await portal.intake.start(wait=False)

    submitted = await portal.published("leads", "lead-submitted.v1", 30)
    assert sorted(event["lead_id"] for event in submitted) == sorted(accepted)
    portal.intake.kill()  # a clean stop would wait for Kafka too


async def _jwks(http: httpx.AsyncClient) -> dict[str, Any]:
    answer: dict[str, Any] = (await http.get("/.well-known/jwks.json")).json()
    return answer
