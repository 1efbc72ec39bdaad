"""Which submissions are taken, and in which order: rules without I/O."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.leads import LeadSubmitted, RequestRefused
from services.intake.domain.model import Lead, Refused, Taken
from tests.intake.driver import NOW, STATE, DomainDriver


def test_lead_of_an_active_partner_is_taken_and_published() -> None:
    decision = DomainDriver().submit()

    (published,) = (event.message for event in decision.events)
    assert isinstance(published, LeadSubmitted)
    assert (published.number, published.received_at, published.partner_id) == (1, NOW, "anna")
    assert decision.reply == Taken(decision.state.leads[published.lead_id])


def test_repeated_request_gets_the_first_reply_and_no_second_lead() -> None:
    driver = DomainDriver()
    lead = driver.take()
    before = driver.state

    again = driver.submit(now=NOW + timedelta(hours=1))

    assert again.reply == Taken(lead, replayed=True)
    assert again.events == ()
    assert again.state is before


def test_other_content_under_the_same_id_is_a_conflict() -> None:
    driver = DomainDriver()
    driver.take()

    decision = driver.submit(digest="another")

    assert decision.reply == Refused("id-conflict")
    assert decision.events == ()


def test_two_portals_may_choose_the_same_id() -> None:
    driver = DomainDriver()

    first, second = driver.take(), driver.take(portal="other")

    assert first.lead_id != second.lead_id


@given(st.lists(st.timedeltas(timedelta(seconds=-5), timedelta(seconds=5)), min_size=1, max_size=20))
def test_order_of_receipt_never_runs_back_whatever_the_clock_does(drifts: list[timedelta]) -> None:
    driver = DomainDriver()
    leads = [driver.take(key=f"r{number}", now=NOW + drift) for number, drift in enumerate(drifts)]

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
def test_submission_that_breaks_a_rule_is_refused_with_its_reason(changes: dict[str, Any], reason: str) -> None:
    decision = DomainDriver().submit(**changes)

    assert decision.reply == Refused(reason)
    assert decision.events == ()
    assert decision.state.leads == {}


def test_refusal_of_a_request_from_a_topic_is_published() -> None:
    decision = DomainDriver().submit(partner="nobody", over_http=False)

    (published,) = (event.message for event in decision.events)
    assert isinstance(published, RequestRefused)
    assert (published.reason, published.portal, published.portal_request_id) == ("unknown-partner", "demo", "r1")


def test_refusal_of_a_repeated_request_is_published_once() -> None:
    driver = DomainDriver()
    driver.submit(partner="nobody", over_http=False)

    again = driver.submit(partner="nobody", over_http=False)

    assert again.events == ()
    assert again.reply == Refused("unknown-partner")


@pytest.mark.parametrize("portal", ["mute", "revoked"])
def test_portals_topic_needs_the_scope_of_the_portals_key(portal: str) -> None:
    assert DomainDriver().submit(portal=portal, over_http=False).reply == Refused("forbidden")


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
def test_one_id_is_one_lead_with_the_first_content_however_often_it_is_sent(
    requests: list[tuple[str, str, str, str, bool]],
) -> None:
    driver = DomainDriver(replace(STATE, scopes={portal: frozenset({"leads"}) for portal in ("demo", "other")}))
    first_of: dict[tuple[str, str], tuple[str, Lead]] = {}
    published: list[LeadSubmitted] = []
    for portal, key, digest, partner_id, over_http in requests:
        decision = driver.submit(key, partner=partner_id, over_http=over_http, portal=portal, digest=digest)
        published += [event.message for event in decision.events if isinstance(event.message, LeadSubmitted)]
        if isinstance(decision.reply, Taken):
            first = first_of.setdefault((portal, key), (digest, decision.reply.lead))
            assert (digest, decision.reply.lead) == first

    assert [event.lead_id for event in published] == [lead.lead_id for _, lead in first_of.values()]
    assert set(driver.state.leads) == {lead.lead_id for _, lead in first_of.values()}
