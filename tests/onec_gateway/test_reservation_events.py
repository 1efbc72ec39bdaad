"""The life of a hold: its reservation opens, is extended, ends, and is reinstated."""

from datetime import datetime, timedelta

import isodate
import pytest

from contracts.reservations import (
    ReservationClosed,
    ReservationReinstated,
    ReservationReopened,
)
from contracts.verdicts import ReinstatementConfirmed, ReinstatementRejected
from services.onec_gateway.domain.inputs import HandedOver, JournalEntered, SaleSeen
from services.onec_gateway.domain.model import Policy
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
