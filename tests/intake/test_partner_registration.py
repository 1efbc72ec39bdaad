"""Registration of partners: a rule without I/O."""

from dataclasses import replace
from datetime import timedelta

from contracts.partners import Partner
from services.intake.domain.model import PartnerState, Refused, Registered
from services.intake.domain.partners import register_partner
from tests.intake.driver import CAUSE, NOW, registration


def test_partner_is_published_when_new_and_when_changed_and_not_otherwise() -> None:
    made = register_partner(PartnerState(), registration("p1"), CAUSE, NOW)
    same = register_partner(made.state, registration("p2"), CAUSE, NOW)
    changed = register_partner(same.state, registration("p3", status="suspended"), CAUSE, NOW)

    assert [made.reply, same.reply, changed.reply] == [Registered(True), Registered(False), Registered(False)]
    assert [len(decision.events) for decision in (made, same, changed)] == [1, 0, 1]
    published = changed.events[0].message
    assert isinstance(published, Partner)
    assert published.status == "suspended"


def test_registration_on_a_topic_needs_the_scope() -> None:
    state = PartnerState(scopes={"demo": frozenset({"leads"})})

    decision = register_partner(state, registration(over_http=False), CAUSE, NOW)

    assert decision.reply == Refused("forbidden")
    assert decision.state.partner is None


def test_replayed_registration_that_was_read_before_the_newest_changes_nothing() -> None:
    state = PartnerState(scopes={"demo": frozenset({"partners"})})
    now = register_partner(state, registration("p1", over_http=False, status="suspended"), CAUSE, NOW).state

    late = replace(registration("p2", over_http=False), first_read_at=NOW - timedelta(minutes=1))
    decision = register_partner(now, late, CAUSE, NOW + timedelta(hours=1))

    assert decision.events == ()
    assert decision.superseded
    assert decision.reply == Registered(False)
    assert decision.state.partner == now.partner
    assert ("demo", "p2") in decision.state.requests


def test_replayed_registrations_take_effect_in_their_own_order() -> None:
    state = PartnerState(scopes={"demo": frozenset({"partners"})})
    for number, status in enumerate(("active", "suspended", "active", "suspended")):
        replayed = registration(f"p{number}", over_http=False, status=status)
        at = replace(replayed, first_read_at=NOW + timedelta(seconds=number))
        decision = register_partner(state, at, CAUSE, NOW + timedelta(hours=1))
        state = decision.state

        assert len(decision.events) == 1
        assert state.partner is not None
        assert state.partner.status == status


def test_repeated_registration_over_http_outdates_replays_of_earlier_records() -> None:
    state = PartnerState(scopes={"demo": frozenset({"partners"})})
    state = register_partner(state, registration("p1", status="suspended"), CAUSE, NOW).state
    state = register_partner(state, registration("p2", status="suspended"), CAUSE, NOW + timedelta(hours=2)).state

    late = replace(registration("p3", over_http=False), first_read_at=NOW + timedelta(hours=1))
    decision = register_partner(state, late, CAUSE, NOW + timedelta(hours=3))

    assert decision.superseded
    assert decision.state.partner == state.partner
