"""Who may stake a client, and in which order, without any I/O."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.decision import Cause
from contracts.leads import LeadSubmitted, RequestRefused
from contracts.partners import Partner
from contracts.portal import Agreement, Consent
from contracts.reservations import ReservationExpired, ReservationOpened
from contracts.verdicts import LeadRejected
from services.intake.domain import (
    Desk,
    Lead,
    LeadRequest,
    Origin,
    PartnerFile,
    PartnerRequest,
    Refused,
    Registered,
    Taken,
    lead_rejected,
    register_partner,
    reservation_told,
    submit_lead,
)

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
KEY = "k1:" + "0" * 64
CAUSE = Cause("c", "story")
CONSENT = Consent(given_at=NOW)
DESK = Desk(
    numbers=tuple(range(1, 100)),
    partners={"anna": "active", "boris": "suspended"},
    scopes={"demo": frozenset({"leads", "partners"}), "mute": frozenset({"partners"})},
)
AGREEMENT = Agreement(number="A-1", signed_on=date(2026, 1, 15))


def asked(key: str = "r1", *, partner: str = "anna", answered: bool = True, **changes: Any) -> LeadRequest:
    origin = Origin(changes.pop("portal", "demo"), key, changes.pop("digest", "d"), "submit-lead.v1", answered)
    return replace(LeadRequest(origin, partner, KEY, "sealed", CONSENT), **changes)


def partner(key: str = "p1", *, answered: bool = True, **changes: Any) -> PartnerRequest:
    origin = Origin(changes.pop("portal", "demo"), key, changes.pop("content", "d"), "register-partner.v1", answered)
    return replace(PartnerRequest(origin, "anna", AGREEMENT, "active", "sealed", "person"), **changes)


def taken(desk: Desk, **changes: Any) -> tuple[Desk, Lead]:
    decision = submit_lead(desk, asked(**changes), CAUSE, NOW)
    assert isinstance(decision.reply, Taken)
    return decision.state, decision.reply.lead


def test_lead_of_an_active_partner_is_taken_and_told() -> None:
    decision = submit_lead(DESK, asked(), CAUSE, NOW)

    (told,) = (event.message for event in decision.events)
    assert isinstance(told, LeadSubmitted)
    assert (told.number, told.received_at, told.partner_id) == (1, NOW, "anna")
    assert decision.reply == Taken(decision.state.leads[told.lead_id])


def test_same_request_is_answered_again_and_not_taken_again() -> None:
    desk, lead = taken(DESK)

    again = submit_lead(desk, asked(), CAUSE, NOW + timedelta(hours=1))

    assert again.reply == Taken(lead, replayed=True)
    assert again.events == ()
    assert again.state is desk


def test_other_content_under_the_same_id_is_a_conflict() -> None:
    desk, _ = taken(DESK)

    decision = submit_lead(desk, asked(digest="another"), CAUSE, NOW)

    assert decision.reply == Refused("id-conflict")
    assert decision.events == ()


def test_two_portals_may_choose_the_same_id() -> None:
    desk, first = taken(DESK)

    _, second = taken(desk, portal="other")

    assert first.lead_id != second.lead_id


@given(st.lists(st.timedeltas(timedelta(seconds=-5), timedelta(seconds=5)), min_size=1, max_size=20))
def test_order_of_receipt_never_runs_back_whatever_the_clock_does(drifts: list[timedelta]) -> None:
    desk = DESK
    leads = []
    for number, drift in enumerate(drifts):
        decision = submit_lead(desk, asked(f"r{number}"), CAUSE, NOW + drift)
        desk = decision.state
        leads.append(decision.reply.lead)

    assert leads == sorted(leads, key=lambda lead: lead.received_at)
    assert len({lead.received_at for lead in leads}) == len(leads)
    assert [lead.number for lead in leads] == sorted(lead.number for lead in leads)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"partner": "nobody"}, "unknown-partner"),
        ({"partner": "boris"}, "partner-suspended"),
        ({"consent": None}, "no-consent"),
        ({"refusal": "invalid-phone"}, "invalid-phone"),
    ],
)
def test_a_lead_that_may_not_be_is_refused_with_its_reason(changes: dict[str, Any], reason: str) -> None:
    decision = submit_lead(DESK, asked(**changes), CAUSE, NOW)

    assert decision.reply == Refused(reason)
    assert decision.events == ()
    assert decision.state.leads == {}


def test_who_does_not_wait_for_an_answer_reads_the_refusal_on_the_topic() -> None:
    decision = submit_lead(DESK, asked(partner="nobody", answered=False), CAUSE, NOW)

    (told,) = (event.message for event in decision.events)
    assert isinstance(told, RequestRefused)
    assert (told.reason, told.portal, told.portal_request_id) == ("unknown-partner", "demo", "r1")


def test_a_refusal_on_the_topic_is_told_once() -> None:
    first = submit_lead(DESK, asked(partner="nobody", answered=False), CAUSE, NOW)

    again = submit_lead(first.state, asked(partner="nobody", answered=False), CAUSE, NOW)

    assert again.events == ()
    assert again.reply == Refused("unknown-partner")


@pytest.mark.parametrize("portal", ["mute", "revoked"])
def test_a_portals_topic_carries_what_its_key_may(portal: str) -> None:
    assert submit_lead(DESK, asked(portal=portal, answered=False), CAUSE, NOW).reply == Refused("forbidden")


def test_a_partner_is_told_when_new_and_when_changed_and_not_otherwise() -> None:
    made = register_partner(PartnerFile(), partner("p1"), CAUSE, NOW)
    same = register_partner(made.state, partner("p2"), CAUSE, NOW)
    changed = register_partner(same.state, partner("p3", status="suspended"), CAUSE, NOW)

    assert [made.reply, same.reply, changed.reply] == [Registered(True), Registered(False), Registered(False)]
    assert [len(decision.events) for decision in (made, same, changed)] == [1, 0, 1]
    told = changed.events[0].message
    assert isinstance(told, Partner)
    assert told.status == "suspended"


def test_a_partner_on_the_topic_needs_the_scope() -> None:
    file = PartnerFile(scopes={"demo": frozenset({"leads"})})

    decision = register_partner(file, partner(answered=False), CAUSE, NOW)

    assert decision.reply == Refused("forbidden")
    assert decision.state.partner is None


def test_a_portal_learns_no_more_than_taken_or_yours() -> None:
    desk, lead = taken(DESK)
    reasons = ["held-by-partner", "known-to-builder", "not-a-client", "already-sold", "already-yours"]

    public = {
        reason: lead_rejected(desk, rejected(lead, reason), CAUSE, NOW).state.leads[lead.lead_id].public_reason
        for reason in reasons
    }

    assert public == dict.fromkeys(reasons[:4], "client-taken") | {"already-yours": "already-yours"}


def test_confirmed_is_shown_only_once_it_is_reserved() -> None:
    desk, lead = taken(DESK)
    assert lead.status == "under-review"

    after = reservation_told(desk, opened(lead), CAUSE, NOW).state.leads[lead.lead_id]

    assert after.status == "confirmed"
    assert after.reserved_through == date(2027, 5, 24)


@given(st.lists(st.sampled_from(["rejected", "opened", "expired"]), max_size=9))
def test_two_topics_read_in_any_interleaving_with_any_repeats_give_one_state(order: list[str]) -> None:
    desk, lead = taken(DESK)

    assert told_in(desk, lead, order) == told_in(desk, lead, sorted(set(order)))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["demo", "other"]),
            st.sampled_from(["r1", "r2"]),
            st.sampled_from(["one", "another"]),
            st.sampled_from(["anna", "boris"]),
            st.booleans(),
        ),
        max_size=25,
    )
)
def test_however_often_it_is_asked_an_id_is_one_lead_of_the_first_content_taken(
    asks: list[tuple[str, str, str, str, bool]],
) -> None:
    desk = replace(DESK, scopes={portal: frozenset({"leads"}) for portal in ("demo", "other")})
    taken_as: dict[tuple[str, str], tuple[str, Lead]] = {}
    told: list[LeadSubmitted] = []
    for portal, key, digest, partner_id, answered in asks:
        request = asked(key, partner=partner_id, answered=answered, portal=portal, digest=digest)
        decision = submit_lead(desk, request, CAUSE, NOW)
        desk = decision.state
        told += [event.message for event in decision.events if isinstance(event.message, LeadSubmitted)]
        if isinstance(decision.reply, Taken):
            first = taken_as.setdefault((portal, key), (digest, decision.reply.lead))
            assert (digest, decision.reply.lead) == first

    assert [event.lead_id for event in told] == [lead.lead_id for _, lead in taken_as.values()]
    assert set(desk.leads) == {lead.lead_id for _, lead in taken_as.values()}


@pytest.mark.parametrize("order", list(permutations(["opened", "expired", "opened", "expired"])))
def test_whatever_comes_first_and_however_often_the_end_is_the_same(order: tuple[str, ...]) -> None:
    desk, lead = taken(DESK)
    for what in order:
        if what == "opened":
            desk = reservation_told(desk, opened(lead), CAUSE, NOW).state
        else:
            desk = reservation_told(desk, expired(lead), CAUSE, NOW).state

    after = desk.leads[lead.lead_id]
    assert after.status == "expired"
    assert [event for _, event, _ in after.history()] == ["received", "confirmed", "expired"]


def told_in(desk: Desk, lead: Lead, order: list[str]) -> Lead:
    """The lead after what the other services said, in this order."""
    for what in order:
        if what == "rejected":
            desk = lead_rejected(desk, rejected(lead, "known-to-builder"), CAUSE, NOW).state
        elif what == "opened":
            desk = reservation_told(desk, opened(lead), CAUSE, NOW).state
        else:
            desk = reservation_told(desk, expired(lead), CAUSE, NOW).state
    return desk.leads[lead.lead_id]


def rejected(lead: Lead, reason: str) -> LeadRejected:
    return LeadRejected.model_validate(
        {**_about(lead), "received_at": NOW, "rejected_at": NOW, "reason": reason, "evidence": None}
    )


def opened(lead: Lead) -> ReservationOpened:
    return ReservationOpened.model_validate({**_about(lead), **_terms()})


def expired(lead: Lead) -> ReservationExpired:
    return ReservationExpired.model_validate({**_about(lead), **_terms(), "expired_at": _terms()["reserved_until"]})


def _about(lead: Lead) -> dict[str, Any]:
    return {
        "lead_id": lead.lead_id,
        "client_key": lead.client_key,
        "partner_id": lead.partner_id,
        "client": lead.client,
    }


def _terms() -> dict[str, Any]:
    return {
        "reservation_id": "8f14e45f-ceea-4672-a5c2-6d3e0f1a2b3c",
        "confirmed_at": NOW + timedelta(minutes=1),
        "reserved_through": date(2027, 5, 24),
        "reserved_until": NOW + timedelta(days=181),
    }
