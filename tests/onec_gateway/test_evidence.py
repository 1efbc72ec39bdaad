"""Enquiries of the sales office as evidence, and the collisions that are published."""

from dataclasses import replace
from datetime import date, datetime

from contracts.verdicts import CollisionDetected
from services.onec_gateway.domain.evidence import is_later_number
from services.onec_gateway.domain.inputs import EnquirySeen, JournalEntered, Watermark
from services.onec_gateway.domain.model import Enquiry
from tests.onec_gateway.driver import DomainDriver, held_client, kinds
from tests.onec_gateway.samples import DAY, MINUTE, NOON, SECOND, answered, extended, lead_id


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
    answer = replace(answer, watermark=Watermark("0000-000008", NOON + SECOND))
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


def test_document_numbers_are_compared_only_within_one_series() -> None:
    assert is_later_number("0000-000010", "0000-000009")
    assert not is_later_number("0000-000009", "0000-000009")
    assert not is_later_number("ФР00-000010", "0000-000009")
    assert not is_later_number("10", "9")


def test_one_enquiry_that_rejects_two_leads_is_published_once_for_each() -> None:
    late = Enquiry("ref-1", NOON - DAY, "0000-000009")
    driver = DomainDriver().submit(1).submit(2, "p2", NOON + SECOND)
    for number in (1, 2):
        answer = replace(answered(number), enquiries=(late,), watermark=Watermark("0000-000008", NOON + MINUTE))
        driver.apply(answer, NOON + MINUTE)

    driver.submit(3, "p2", NOON + DAY).submit(4, "p2", NOON + DAY)

    published = [(message.lead_id.int, message.kind) for message in driver.published(CollisionDetected)]
    assert published == [(1, "backdated"), (2, "backdated")]
