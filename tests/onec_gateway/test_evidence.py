"""Enquiries of the sales office as evidence, and the collisions that are published."""

from dataclasses import replace
from datetime import date, datetime

from contracts.reservations import ReservationReinstated
from contracts.verdicts import CollisionDetected
from services.onec_gateway.domain.inputs import (
    CollisionAcknowledged,
    EnquirySeen,
    GoneEnquiry,
    HandedOver,
    JournalEntered,
    TakenBack,
)
from services.onec_gateway.domain.model import Enquiry
from tests.onec_gateway.driver import DomainDriver, held_client, kinds
from tests.onec_gateway.samples import (
    DAY,
    LATER,
    MINUTE,
    NOON,
    REQUEST,
    SECOND,
    UNTIL,
    answered,
    extended,
    lead_id,
    opened,
    reinstatement,
)


def walk_in(when: datetime, ref: str = "walk-in", *, seen_at: datetime = NOON + DAY, **more: object) -> EnquirySeen:
    return EnquirySeen(Enquiry(ref, when, "0000-000007"), seen_at, **more)  # type: ignore[arg-type]


def test_later_walk_in_of_a_held_client_is_published_and_marked_once() -> None:
    driver = held_client()
    for _ in range(2):
        driver.apply(walk_in(NOON + MINUTE), NOON + DAY)

    assert kinds(driver) == ["later"]
    assert driver.calls.count(("mark-enquiry", "1")) == 1


def test_walk_in_before_the_reservation_is_known_is_published_when_it_opens() -> None:
    driver = DomainDriver().confirm().apply(walk_in(NOON + MINUTE), NOON + MINUTE)
    assert kinds(driver) == []

    assert kinds(driver.open()) == ["later"]


def test_enquiry_found_by_the_second_check_is_a_collision_and_the_hold_stays() -> None:
    driver = held_client()
    driver.apply(JournalEntered(lead_id(1), NOON + DAY, (Enquiry("ref-2", NOON + MINUTE),)), NOON + DAY)

    assert kinds(driver) == ["later"]
    assert driver.client.holder() is not None


def test_backdated_enquiry_is_published_with_the_time_when_1c_did_not_have_it() -> None:
    driver = held_client().apply(walk_in(NOON - DAY, not_there_at=NOON + 5 * MINUTE), NOON + DAY)

    (collision,) = driver.published(CollisionDetected)
    assert (collision.kind, collision.not_there_at, collision.confirmed_at) == (
        "backdated",
        NOON + 5 * MINUTE,
        NOON + MINUTE,
    )
    assert collision.reserved_through == date(2026, 9, 14)


def test_rejection_by_an_enquiry_entered_after_the_lead_is_published_as_backdated() -> None:
    answer = replace(answered(1), enquiries=(Enquiry("ref-1", NOON - DAY, "0000-000009"),))
    answer = replace(answer, absent_at={"ref-1": NOON + SECOND})
    driver = DomainDriver().submit(1).apply(answer, NOON + MINUTE)

    assert driver.verdicts[1] == "known-to-builder (ref-1)"
    (collision,) = driver.published(CollisionDetected)
    assert (collision.kind, collision.not_there_at, collision.confirmed_at) == ("backdated", NOON + SECOND, None)


def test_changed_date_is_published_with_the_date_before() -> None:
    driver = held_client().apply(walk_in(NOON + DAY), NOON + DAY).apply(walk_in(NOON - DAY), NOON + 2 * DAY)

    assert kinds(driver) == ["later", "redated"]
    assert driver.published(CollisionDetected)[1].was_dated == NOON + DAY


def test_enquiry_deleted_and_entered_again_is_published_as_such() -> None:
    driver = held_client().apply(walk_in(NOON + DAY), NOON + DAY)
    driver.apply(walk_in(NOON + DAY, deleted=True), NOON + 2 * DAY)
    driver.apply(walk_in(NOON + DAY, "again", seen_at=NOON + 3 * DAY), NOON + 3 * DAY)

    assert kinds(driver) == ["later", "entered-again"]


def test_extension_writes_new_marks_on_the_enquiries() -> None:
    driver = held_client().apply(walk_in(NOON + DAY), NOON + DAY).apply(extended(), NOON + 2 * DAY)

    marks = [task.payload["reserved_through"] for task in driver.tasks if task.kind == "mark-enquiry"]
    assert marks == ["2026-09-14", "2027-03-14"]


def returned_client() -> DomainDriver:
    """Lead 1's reservation expired at UNTIL, the client was handed over as `ours-1`, and returned a day later."""
    driver = held_client().apply(JournalEntered(lead_id(1), NOON + 3 * MINUTE), NOON + 3 * MINUTE).expire()
    driver.apply(HandedOver(lead_id(1), UNTIL + MINUTE, "ours-1"), UNTIL + MINUTE)
    return driver


def give_back(driver: DomainDriver) -> DomainDriver:
    driver.apply(reinstatement(), UNTIL + DAY)
    fields = {**opened(1).model_dump(), "confirmed_at": UNTIL + DAY, "reserved_until": LATER}
    message = ReservationReinstated(**fields, request_id=REQUEST, reinstated_at=UNTIL + DAY)
    driver.apply(message, UNTIL + DAY)
    return driver.apply(TakenBack(lead_id(1), UNTIL + DAY + MINUTE), UNTIL + DAY + MINUTE)


def test_enquiry_that_the_office_made_between_expiry_and_return_is_no_collision() -> None:
    between = UNTIL + 60 * MINUTE
    driver = returned_client().apply(walk_in(between, seen_at=between), between)

    give_back(driver)

    assert kinds(driver) == []


def test_enquiry_between_expiry_and_return_is_no_collision_though_read_later() -> None:
    driver = give_back(returned_client())
    driver.apply(walk_in(UNTIL + 60 * MINUTE, seen_at=UNTIL + 2 * DAY), UNTIL + 2 * DAY)

    assert kinds(driver) == []


def test_enquiry_that_is_dated_back_between_expiry_and_return_is_a_collision() -> None:
    driver = give_back(returned_client())
    backdated = walk_in(UNTIL + 60 * MINUTE, seen_at=UNTIL + 3 * DAY, not_there_at=UNTIL + 2 * DAY)

    assert kinds(driver.apply(backdated, UNTIL + 3 * DAY)) == ["later"]


def test_enquiry_after_the_return_is_a_collision() -> None:
    driver = give_back(returned_client())

    assert kinds(driver.apply(walk_in(UNTIL + 2 * DAY, seen_at=UNTIL + 2 * DAY), UNTIL + 2 * DAY)) == ["later"]


def test_copy_of_our_enquiry_is_the_offices_and_our_own_is_not() -> None:
    driver = give_back(returned_client())
    for ref in ("ours-1", "copy"):
        seen = EnquirySeen(Enquiry(ref, UNTIL + 2 * DAY, "0000-000009", ours=True), UNTIL + 2 * DAY)
        driver.apply(seen, UNTIL + 2 * DAY)

    assert [message.enquiry for message in driver.published(CollisionDetected)] == ["copy"]


def test_our_enquiry_is_not_the_offices_while_its_reference_is_on_its_way() -> None:
    driver = held_client().expire()
    seen = EnquirySeen(Enquiry("ours-1", UNTIL, "0000-000009", ours=True), UNTIL + SECOND)

    assert driver.apply(seen, UNTIL + SECOND).client.sightings == {}


def gone(when: datetime, alive_at: datetime | None = NOON - MINUTE, in_1c_at: datetime = NOON - DAY) -> GoneEnquiry:
    return GoneEnquiry(Enquiry("deleted", when, "0000-000007"), alive_at, in_1c_at)


def confirmed_with(*enquiries: GoneEnquiry) -> DomainDriver:
    return DomainDriver().submit(1).apply(replace(answered(1), gone=enquiries), NOON + MINUTE).open()


def test_enquiry_deleted_shortly_before_the_lead_confirms_the_lead_and_is_published() -> None:
    driver = confirmed_with(gone(NOON - 90 * DAY))

    assert driver.verdicts[1].startswith("confirmed")
    (collision,) = driver.published(CollisionDetected)
    assert (collision.kind, collision.enquiry, collision.enquiry_date) == ("deleted-before", "deleted", NOON - 90 * DAY)
    assert (collision.evidence.first, collision.evidence.clock) == ("enquiry", "truce")
    assert (collision.evidence.alive_at, collision.evidence.in_1c_at) == (NOON - MINUTE, NOON - DAY)
    assert driver.calls.count(("mark-enquiry", "1")) == 0


def test_enquiry_deleted_between_receipt_and_check_is_published_too() -> None:
    assert kinds(confirmed_with(gone(NOON - DAY, alive_at=NOON + SECOND))) == ["deleted-before"]


def test_enquiry_deleted_long_before_the_lead_is_not_published() -> None:
    assert kinds(confirmed_with(gone(NOON - 90 * DAY, alive_at=NOON - 31 * DAY))) == []


def test_enquiry_that_was_only_read_as_deleted_is_published_if_its_date_is_recent() -> None:
    assert kinds(confirmed_with(gone(NOON - DAY, alive_at=None))) == ["deleted-before"]
    assert kinds(confirmed_with(gone(NOON - 90 * DAY, alive_at=None))) == []


def test_deletion_after_the_confirmation_is_no_deletion_before_the_lead() -> None:
    driver = held_client().apply(walk_in(NOON + DAY), NOON + DAY)
    driver.apply(walk_in(NOON + DAY, deleted=True), NOON + 2 * DAY)

    assert kinds(driver) == ["later"]


def test_older_enquiry_that_became_the_clients_later_is_published_as_reassigned() -> None:
    driver = held_client().apply(walk_in(NOON - DAY, in_1c_at=NOON - MINUTE), NOON + DAY)

    (collision,) = driver.published(CollisionDetected)
    assert (collision.kind, collision.not_there_at) == ("reassigned", NOON + MINUTE)
    assert (collision.evidence.first, collision.evidence.clock) == ("unclear", "truce")


def test_evidence_names_who_was_first_and_by_whose_clock() -> None:
    by_our_reads = held_client().apply(walk_in(NOON - DAY, not_there_at=NOON + 5 * MINUTE), NOON + DAY)
    redated = held_client().apply(walk_in(NOON + DAY), NOON + DAY).apply(walk_in(NOON - DAY), NOON + 2 * DAY)

    assert by_our_reads.published(CollisionDetected)[0].evidence.model_dump() == {
        "first": "lead",
        "clock": "truce",
        "date_changed": False,
        "in_1c_at": None,
        "alive_at": None,
    }
    assert [message.evidence.date_changed for message in redated.published(CollisionDetected)] == [False, True]


def test_collision_is_seen_by_the_first_person_who_acknowledges_it() -> None:
    driver = held_client().apply(walk_in(NOON + DAY), NOON + DAY)
    (published,) = driver.published(CollisionDetected)

    for who in ("Менеджер", "Другой"):
        driver.apply(CollisionAcknowledged(published.collision_id, who, NOON + 2 * DAY), NOON + 2 * DAY)

    (collision,) = driver.client.collisions.values()
    assert (collision.id, collision.seen_by, collision.seen_at) == (
        published.collision_id,
        "Менеджер",
        NOON + 2 * DAY,
    )
    assert collision.id in driver.event_ids


def test_one_enquiry_that_rejects_two_leads_is_published_once_for_each() -> None:
    late = Enquiry("ref-1", NOON - DAY, "0000-000009")
    driver = DomainDriver().submit(1).submit(2, "p2", NOON + SECOND)
    for number in (1, 2):
        driver.apply(replace(answered(number), enquiries=(late,), absent_at={"ref-1": NOON + MINUTE}), NOON + MINUTE)

    driver.submit(3, "p2", NOON + DAY).submit(4, "p2", NOON + DAY)

    published = [(message.lead_id.int, message.kind) for message in driver.published(CollisionDetected)]
    assert published == [(1, "backdated"), (2, "backdated")]
