"""The life of a hold: its reservation opens, is extended, ends, and is reinstated."""

from dataclasses import replace
from datetime import datetime, timedelta

import isodate
import pytest

from chassis.decision import Cause
from contracts.reservations import (
    ReservationClosed,
    ReservationExpired,
    ReservationExtended,
    ReservationReinstated,
    ReservationReopened,
    ReservationRequestRefused,
)
from contracts.verdicts import CollisionDetected, ReinstatementConfirmed, ReinstatementRejected
from services.onec_gateway.domain.inputs import EnquirySeen, HandedOver, JournalEntered, SaleSeen, TakenBack
from services.onec_gateway.domain.model import Enquiry, Policy
from services.onec_gateway.domain.reservation_events import Contradiction
from tests.onec_gateway.driver import DomainDriver, held_client
from tests.onec_gateway.samples import (
    DAY,
    LATER,
    MINUTE,
    NOON,
    REQUEST,
    SALE,
    UNTIL,
    answered,
    expired,
    extended,
    lead_id,
    opened,
    reinstatement,
)


def closed(outcome: str, at: datetime) -> ReservationClosed:
    return ReservationClosed(**opened(1).model_dump(), closed_at=at, outcome=outcome)


def test_opened_reservation_is_entered_in_the_partner_journal_once() -> None:
    driver = DomainDriver().confirm().open().open()

    assert driver.calls.count(("partner-journal", "1")) == 1


def test_expired_reservation_is_handed_over_once() -> None:
    driver = DomainDriver().confirm().open().expire().expire()

    assert driver.calls.count(("hand-over", "1")) == 1


def test_reservation_of_another_lead_than_the_holder_is_a_contradiction() -> None:
    driver = DomainDriver().confirm()

    with pytest.raises(Contradiction):
        driver.apply(opened(2, "p2"), NOON + DAY)
    with pytest.raises(Contradiction):
        driver.apply(expired(2, "p2"), NOON + DAY)


def test_writes_to_1c_are_recorded() -> None:
    driver = DomainDriver().confirm().open().expire()
    driver.apply(JournalEntered(lead_id(1), NOON + DAY), NOON + DAY)
    driver.apply(HandedOver(lead_id(1), UNTIL + DAY, "ref-9"), UNTIL + DAY)

    known = driver.client.reservations[lead_id(1)]
    assert (known.journal_entered_at, known.handed_over_at, known.enquiry_ref) == (NOON + DAY, UNTIL + DAY, "ref-9")


def test_withdrawn_client_is_free_again() -> None:
    driver = held_client().apply(closed("withdrawn", NOON + DAY), NOON + DAY).submit(2, "p2", NOON + 2 * DAY)
    driver.apply(answered(2), NOON + 2 * DAY)

    assert driver.verdicts[2].startswith("confirmed")
    assert driver.calls[-2:] == [("partner-journal-update", "1"), ("check", "2")]


def test_lead_received_before_a_withdrawal_is_rejected_however_late_it_arrives() -> None:
    driver = held_client().apply(closed("withdrawn", NOON + DAY), NOON + DAY).submit(2, "p2", NOON + DAY - MINUTE)

    assert driver.verdicts[2].startswith("held-by-partner")


def test_sale_within_the_term_corrects_the_expiry_however_late_it_is_noticed() -> None:
    driver = held_client().expire().apply(closed("won", UNTIL + DAY), UNTIL + DAY).submit(2, "p2", UNTIL + 2 * DAY)

    assert driver.verdicts[2] == f"already-sold ({lead_id(1)})"
    assert driver.tasks[-1].payload["state"] == "won"


def test_client_who_has_bought_is_already_sold_for_every_partner() -> None:
    driver = held_client().apply(closed("won", NOON + DAY), NOON + DAY).submit(2, "p2", NOON + 2 * DAY)

    assert driver.verdicts[2].startswith("already-sold")


def test_reopened_reservation_holds_again() -> None:
    driver = held_client().apply(closed("won", NOON + DAY), NOON + DAY)
    driver.apply(ReservationReopened(**opened(1).model_dump(), reopened_at=NOON + 2 * DAY), NOON + 2 * DAY)

    assert driver.submit(2, "p2", NOON + 3 * DAY).verdicts[2].startswith("held-by-partner")


def test_extension_holds_beyond_the_first_term_and_updates_the_journal_once() -> None:
    driver = held_client().apply(extended(), NOON + DAY).apply(extended(), NOON + DAY).submit(2, "p2", UNTIL + DAY)

    assert driver.verdicts[2].startswith("held-by-partner")
    assert driver.calls.count(("partner-journal-update", "1")) == 1


def test_expired_client_goes_back_to_the_first_partner_who_requests_it() -> None:
    driver = held_client().expire().apply(reinstatement(), UNTIL + DAY)

    (granted,) = driver.published(ReinstatementConfirmed)
    assert (granted.lead_id, granted.confirmed_at) == (lead_id(1), UNTIL + DAY)
    assert driver.client.holder() == driver.client.leads[lead_id(1)]

    fields = {**opened(1).model_dump(), "confirmed_at": UNTIL + DAY, "reserved_until": LATER}
    driver.apply(ReservationReinstated(**fields, request_id=REQUEST, reinstated_at=UNTIL + DAY), UNTIL + DAY)
    assert driver.submit(2, "p2", UNTIL + 2 * DAY).verdicts[2].startswith("held-by-partner")
    assert driver.calls[-1] == ("take-back", "1")


def test_repeated_reinstatement_request_is_answered_once() -> None:
    driver = held_client().expire().apply(reinstatement(), UNTIL + DAY).apply(reinstatement(), UNTIL + 2 * DAY)

    assert len(driver.published(ReinstatementConfirmed, ReinstatementRejected)) == 1


def test_client_held_by_another_partner_is_not_reinstated() -> None:
    driver = DomainDriver(Policy(max_enquiry_age=isodate.parse_duration("P1M"))).confirm().open().expire()
    late = UNTIL + timedelta(days=60)
    driver.submit(2, "p2", late).apply(answered(2, at=late + MINUTE), late + MINUTE)
    assert driver.verdicts[2].startswith("confirmed")

    driver.apply(reinstatement(at=late + DAY), late + DAY)

    (refused,) = driver.published(ReinstatementRejected)
    assert (refused.reason, refused.evidence) == ("held-by-partner", str(lead_id(2)))


def test_client_who_has_bought_is_not_reinstated() -> None:
    driver = (
        held_client().expire().apply(SaleSeen(SALE, UNTIL + MINUTE), UNTIL + MINUTE).apply(reinstatement(), UNTIL + DAY)
    )

    (refused,) = driver.published(ReinstatementRejected)
    assert (refused.reason, refused.evidence) == ("already-sold", "deal-1")


def test_reinstatement_is_answered_with_its_rule_and_evidence() -> None:
    granted = held_client().expire().apply(reinstatement(), UNTIL + DAY)
    sold = held_client().expire().apply(SaleSeen(SALE, UNTIL + MINUTE), UNTIL + MINUTE)
    sold.apply(reinstatement(), UNTIL + DAY)

    (confirmed,) = granted.published(ReinstatementConfirmed)
    (rejected,) = sold.published(ReinstatementRejected)
    assert (confirmed.rule, rejected.rule, rejected.evidence) == ("free", "sale", "deal-1")


def numbered(kind: type, count: int, **more: object) -> object:
    """An event about the reservation of lead 1, with its place in the client's history."""
    return kind(**{**opened(1).model_dump(), "history_count": count, **more})


def test_extension_to_an_earlier_end_is_applied_so_that_the_hold_ends() -> None:
    early = {"reserved_until": UNTIL - 60 * DAY, "reserved_through": (UNTIL - 61 * DAY).date()}
    driver = held_client()
    driver.apply(numbered(ReservationExtended, 2, **early, request_id=REQUEST, extended_at=NOON), NOON + DAY)
    driver.apply(numbered(ReservationExpired, 3, **early, expired_at=UNTIL - 60 * DAY), NOON + 2 * DAY)

    assert driver.client.holder() is None
    assert driver.calls[-2:] == [("partner-journal-update", "1"), ("hand-over", "1")]
    assert driver.submit(2, "p2", UNTIL).verdicts[2].startswith("known-to-builder")


def test_repeated_event_is_recognised_by_its_place_in_the_history() -> None:
    driver = held_client()
    extension = numbered(ReservationExtended, 2, reserved_until=LATER, request_id=REQUEST, extended_at=NOON + DAY)
    driver.apply(extension, NOON + DAY)
    driver.apply(numbered(ReservationExpired, 3, reserved_until=LATER, expired_at=LATER), LATER)
    before = driver.client

    driver.apply(extension, LATER + DAY)

    assert driver.client is before


@pytest.mark.parametrize("event", ["extended", "expired", "reinstated", "reopened", "won"])
def test_event_about_a_withdrawn_reservation_is_parked_not_dropped(event: str) -> None:
    driver = held_client().apply(closed("withdrawn", NOON + DAY), NOON + DAY)
    later = {"reserved_until": LATER, "confirmed_at": NOON + DAY}
    events = {
        "extended": lambda: numbered(ReservationExtended, 9, **later, request_id=REQUEST, extended_at=NOON),
        "expired": lambda: numbered(ReservationExpired, 9, **later, expired_at=LATER),
        "reinstated": lambda: numbered(ReservationReinstated, 9, **later, request_id=REQUEST, reinstated_at=NOON),
        "reopened": lambda: numbered(ReservationReopened, 9, reopened_at=NOON),
        "won": lambda: numbered(ReservationClosed, 9, closed_at=LATER, outcome="won"),
    }

    with pytest.raises(Contradiction):
        driver.apply(events[event](), LATER)


def test_reservation_is_not_reopened_while_another_lead_holds_the_client() -> None:
    driver = DomainDriver(Policy(max_enquiry_age=isodate.parse_duration("P1M"))).confirm().open().expire()
    late = UNTIL + timedelta(days=60)
    driver.submit(2, "p2", late).apply(answered(2, at=late + MINUTE), late + MINUTE)
    driver.apply(closed("won", late + DAY), late + DAY)

    with pytest.raises(Contradiction):
        driver.apply(ReservationReopened(**opened(1).model_dump(), reopened_at=late + 2 * DAY), late + 2 * DAY)


def test_client_with_another_holder_stays_there_when_the_first_expires_again() -> None:
    driver = DomainDriver(Policy(max_enquiry_age=isodate.parse_duration("P1M"))).confirm().open().expire()
    late = UNTIL + timedelta(days=60)
    driver.submit(2, "p2", late).apply(answered(2, at=late + MINUTE), late + MINUTE)
    driver.apply(closed("won", late + DAY), late + DAY)

    driver.apply(expired(1), late + 2 * DAY, Cause("second-expiry", "c"))

    assert driver.client.holder() == driver.client.leads[lead_id(2)]
    assert (driver.tasks[-1].kind, driver.tasks[-1].payload["state"]) == ("partner-journal-update", "expired")


def test_sale_after_the_expiry_takes_our_enquiry_out_of_the_general_journal() -> None:
    driver = held_client().expire()

    driver.apply(closed("won", UNTIL + DAY), UNTIL + DAY)

    assert (driver.tasks[-1].kind, driver.tasks[-1].payload["state"]) == ("take-back", "won")


def test_every_expiry_is_handed_over_with_a_call_of_its_own() -> None:
    driver = held_client().expire().apply(closed("won", UNTIL + DAY), UNTIL + DAY)
    driver.apply(ReservationReopened(**opened(1).model_dump(), reopened_at=UNTIL + 2 * DAY), UNTIL + 2 * DAY)
    driver.apply(expired(1), UNTIL + 2 * DAY, Cause("second-expiry", "c"))

    refs = [task.ref for task in driver.tasks if task.kind == "hand-over"]
    assert len(refs) == len(set(refs)) == 2


def test_changes_of_one_moment_are_written_with_a_call_each() -> None:
    driver = held_client().apply(closed("won", NOON + DAY), NOON + DAY)
    driver.apply(ReservationReopened(**opened(1).model_dump(), reopened_at=NOON + DAY), NOON + DAY)

    updates = [task for task in driver.tasks if task.kind == "partner-journal-update"]
    assert len({task.ref for task in updates}) == 2
    assert [task.payload["state"] for task in updates] == ["won", "active"]


def test_withdrawn_clients_mark_is_taken_off_the_enquiry_of_the_office() -> None:
    driver = held_client().apply(EnquirySeen(Enquiry("walk-in", NOON + MINUTE), NOON + DAY), NOON + DAY)

    driver.apply(closed("withdrawn", NOON + 2 * DAY), NOON + 2 * DAY)

    (unmark,) = (task for task in driver.tasks if task.kind == "unmark-enquiry")
    assert unmark.payload == {"lead_id": str(lead_id(1)), "enquiry": "walk-in"}


def test_client_withdrawn_after_the_expiry_is_free_and_leaves_the_general_journal() -> None:
    driver = held_client().expire().apply(HandedOver(lead_id(1), UNTIL, "ref-9"), UNTIL)
    driver.apply(closed("withdrawn", UNTIL + 2 * DAY), UNTIL + 2 * DAY)
    assert (driver.tasks[-1].kind, driver.tasks[-1].payload["state"]) == ("take-back", "withdrawn")

    driver.submit(2, "p2", UNTIL + DAY).submit(3, "p2", UNTIL + 3 * DAY)
    ours = replace(answered(3), enquiries=(Enquiry("ref-9", UNTIL, ours=True),))
    driver.apply(ours, UNTIL + 3 * DAY)

    assert driver.verdicts[2] == f"known-to-builder ({lead_id(1)})"
    assert driver.verdicts[3].startswith("confirmed")


def test_withdrawal_of_an_expired_lead_leaves_the_hold_of_another_partner() -> None:
    driver = DomainDriver(Policy(max_enquiry_age=isodate.parse_duration("P1M"))).confirm().open().expire()
    late = UNTIL + timedelta(days=60)
    driver.submit(2, "p2", late).apply(answered(2, at=late + MINUTE), late + MINUTE)

    driver.apply(closed("withdrawn", late + DAY), late + DAY)

    assert driver.client.holder() == driver.client.leads[lead_id(2)]


def test_new_holder_of_an_expired_client_takes_it_out_of_the_general_journal_first() -> None:
    driver = DomainDriver(Policy(max_enquiry_age=isodate.parse_duration("P1M"))).confirm().open().expire()
    late = UNTIL + timedelta(days=60)
    driver.submit(2, "p2", late).apply(answered(2, at=late + MINUTE), late + MINUTE)

    driver.apply(opened(2, "p2", late + MINUTE, late + timedelta(days=180)), late + 2 * MINUTE)

    assert driver.calls[-2:] == [("take-back", "1"), ("partner-journal", "2")]
    assert driver.tasks[-2].payload["state"] == "expired"


def two_holders() -> DomainDriver:
    """Lead 1's expired client was handed over as `ours`; by the age rule lead 2 has got the client."""
    driver = DomainDriver(Policy(max_enquiry_age=isodate.parse_duration("P1M"))).confirm().open().expire()
    driver.apply(JournalEntered(lead_id(1), UNTIL), UNTIL)
    driver.apply(HandedOver(lead_id(1), UNTIL + MINUTE, "ours"), UNTIL + MINUTE)
    late = UNTIL + timedelta(days=60)
    driver.submit(2, "p2", late).apply(answered(2, at=late + MINUTE), late + MINUTE)
    return driver.apply(opened(2, "p2", late + MINUTE, late + timedelta(days=180)), late + 2 * MINUTE)


def test_only_the_gateways_own_enquiry_leaves_the_general_journal_for_a_new_holder() -> None:
    driver = two_holders()
    (take_back,) = (task for task in driver.tasks if task.kind == "take-back")
    assert take_back.payload["enquiry"] == "ours"

    at = UNTIL + timedelta(days=61)
    driver.apply(TakenBack(lead_id(1), at), at).apply(JournalEntered(lead_id(2), at), at)
    driver.apply(EnquirySeen(Enquiry("copy", at, "0000-000009", ours=True), at), at)

    assert [message.enquiry for message in driver.published(CollisionDetected)] == ["copy"]


def test_hold_granted_for_a_return_that_reservations_refuses_ends() -> None:
    driver = held_client().expire().apply(reinstatement(), UNTIL + DAY)
    refused = ReservationRequestRefused(
        request_id=REQUEST,
        portal="demo",
        portal_request_id="r-1",
        request_type="return-lead.v1",
        reason="unknown-lead",
        partner_id="p1",
        lead_id=lead_id(1),
        client_key=driver.client.key,
        refused_at=UNTIL + DAY,
    )

    driver.apply(refused, UNTIL + DAY)
    assert driver.client.holder() is None

    assert driver.submit(2, "p2", UNTIL + 2 * DAY).verdicts[2] == f"known-to-builder ({lead_id(1)})"
    before = driver.client
    assert driver.apply(refused, UNTIL + 3 * DAY).client is before
