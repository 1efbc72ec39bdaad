"""The life of a hold and its ends, the evidence, and what people decide: rules without any I/O."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import isodate
import pytest

from contracts.reservations import (
    ReinstatementRequested,
    ReservationClosed,
    ReservationExtended,
    ReservationReinstated,
    ReservationReopened,
)
from contracts.verdicts import (
    CollisionDetected,
    DealCancelled,
    DealClosed,
    LeadCheckDelayed,
    ReinstatementConfirmed,
    ReinstatementRejected,
)
from services.onec_gateway.domain import CheckOverdue, EnquirySeen, JournalEntered, Ruled, SaleSeen
from services.onec_gateway.evidence import Watched, is_later_number
from services.onec_gateway.facts import Enquiry, Ruling, Sale
from services.onec_gateway.rules import Policy
from tests.onec_gateway.samples import KEY, MINUTE, NOON, UNTIL, Story, answered, lead_id, opened

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
LATER = UNTIL + timedelta(days=181)
REQUEST = UUID(int=77)
SALE = Sale("deal-1", Decimal("100.00"), "RUB", "Д-1", date(2026, 6, 1))


def held() -> Story:
    return Story().confirm().open()


def closed(outcome: str, at: datetime) -> ReservationClosed:
    return ReservationClosed(**opened(1).model_dump(), closed_at=at, outcome=outcome)


def extended() -> ReservationExtended:
    terms = {**opened(1).model_dump(), "reserved_until": LATER, "reserved_through": date(2027, 3, 14)}
    return ReservationExtended(**terms, request_id=REQUEST, extended_at=NOON + DAY)


def returned(number: int = 1, partner: str = "p1", at: datetime = UNTIL + DAY) -> ReinstatementRequested:
    return ReinstatementRequested(
        lead_id=lead_id(number), client_key=KEY, partner_id=partner, request_id=REQUEST, requested_at=at
    )


def walk_in(when: datetime, ref: str = "walk-in", *, seen_at: datetime = NOON + DAY, **more: object) -> EnquirySeen:
    return EnquirySeen(Enquiry(ref, when, "0000-000007"), seen_at, **more)  # type: ignore[arg-type]


def kinds(story: Story) -> list[str]:
    return [message.kind for message in story.heard(CollisionDetected)]


def test_withdrawn_client_is_free_again() -> None:
    story = held().tell(closed("withdrawn", NOON + DAY), NOON + DAY).submit(2, "p2", NOON + 2 * DAY)
    story.tell(answered(2), NOON + 2 * DAY)

    assert story.verdicts[2].startswith("confirmed")
    assert story.asked[-2:] == [("partner-journal-update", "1"), ("check", "2")]


def test_lead_received_before_the_withdrawal_is_refused_however_late_it_comes() -> None:
    story = held().tell(closed("withdrawn", NOON + DAY), NOON + DAY).submit(2, "p2", NOON + DAY - MINUTE)

    assert story.verdicts[2].startswith("held-by-partner")


def test_late_news_of_a_sale_within_the_term_corrects_the_expiry() -> None:
    story = held().expire().tell(closed("won", UNTIL + DAY), UNTIL + DAY).submit(2, "p2", UNTIL + 2 * DAY)

    assert story.verdicts[2] == f"already-sold ({lead_id(1)})"
    assert story.tasks[-1].payload["state"] == "won"


def test_client_whose_sale_was_won_is_sold_to_everybody() -> None:
    story = held().tell(closed("won", NOON + DAY), NOON + DAY).submit(2, "p2", NOON + 2 * DAY)

    assert story.verdicts[2].startswith("already-sold")


def test_reopened_reservation_holds_again() -> None:
    story = held().tell(closed("won", NOON + DAY), NOON + DAY)
    story.tell(ReservationReopened(**opened(1).model_dump(), reopened_at=NOON + 2 * DAY), NOON + 2 * DAY)

    assert story.submit(2, "p2", NOON + 3 * DAY).verdicts[2].startswith("held-by-partner")


def test_extension_holds_beyond_the_first_term_and_is_written_in_the_journal_once() -> None:
    story = held().tell(extended(), NOON + DAY).tell(extended(), NOON + DAY).submit(2, "p2", UNTIL + DAY)

    assert story.verdicts[2].startswith("held-by-partner")
    assert story.asked.count(("partner-journal-update", "1")) == 1


def test_expired_client_goes_back_to_the_partner_who_asks_first() -> None:
    story = held().expire().tell(returned(), UNTIL + DAY)

    (granted,) = story.heard(ReinstatementConfirmed)
    assert (granted.lead_id, granted.confirmed_at) == (lead_id(1), UNTIL + DAY)
    assert story.client.held_by() == story.client.leads[lead_id(1)]

    terms = {**opened(1).model_dump(), "confirmed_at": UNTIL + DAY, "reserved_until": LATER}
    story.tell(ReservationReinstated(**terms, request_id=REQUEST, reinstated_at=UNTIL + DAY), UNTIL + DAY)
    assert story.submit(2, "p2", UNTIL + 2 * DAY).verdicts[2].startswith("held-by-partner")
    assert story.asked[-1] == ("take-back", "1")


def test_doubled_request_to_return_is_answered_once() -> None:
    story = held().expire().tell(returned(), UNTIL + DAY).tell(returned(), UNTIL + 2 * DAY)

    assert len(story.heard(ReinstatementConfirmed, ReinstatementRejected)) == 1


def test_client_who_is_somebody_elses_by_now_is_not_returned() -> None:
    story = Story(Policy(enquiry_age=isodate.parse_duration("P1M"))).confirm().open().expire()
    late = UNTIL + timedelta(days=60)
    story.submit(2, "p2", late).tell(answered(2, at=late + MINUTE), late + MINUTE)
    assert story.verdicts[2].startswith("confirmed")

    story.tell(returned(at=late + DAY), late + DAY)

    (refused,) = story.heard(ReinstatementRejected)
    assert (refused.reason, refused.evidence) == ("held-by-partner", str(lead_id(2)))


def test_client_who_has_bought_is_not_returned() -> None:
    story = held().expire().tell(SaleSeen(SALE, UNTIL + MINUTE), UNTIL + MINUTE).tell(returned(), UNTIL + DAY)

    (refused,) = story.heard(ReinstatementRejected)
    assert (refused.reason, refused.evidence) == ("already-sold", "deal-1")


def test_dead_enquiry_blocks_nobody_where_the_builder_says_so() -> None:
    old = NOON - timedelta(days=400)

    assert Story().submit(1).tell(answered(1, old), NOON).verdicts[1].startswith("known-to-builder")
    lenient = Story(Policy(enquiry_age=isodate.parse_duration("P12M"))).submit(1).tell(answered(1, old), NOON)
    assert lenient.verdicts[1].startswith("confirmed")
    assert kinds(lenient.open()) == []


@pytest.mark.parametrize("off", [-30, 0, 30])
def test_enquiry_within_the_clocks_skew_is_for_people_to_decide(off: int) -> None:
    story = Story(Policy(skew=timedelta(minutes=1))).submit(1)
    story.tell(answered(1, NOON + off * SECOND), NOON + MINUTE)

    assert story.verdicts == {}
    assert kinds(story) == ["within-skew"]

    story.tell(Ruled(lead_id(1), Ruling(confirmed=True, who="Менеджер", why="видел журнал")), NOON + DAY)

    assert story.verdicts[1].startswith("confirmed")
    assert kinds(story.open()) == ["within-skew"]


def test_ruling_on_a_decided_lead_changes_nothing() -> None:
    story = held()
    before = story.client

    story.tell(Ruled(lead_id(1), Ruling(confirmed=False, who="Менеджер", why="передумал")), NOON + DAY)

    assert story.client is before


def test_phone_of_a_partner_or_of_the_staff_is_no_client() -> None:
    story = Story()
    story.client = replace(story.client, insider="partner:p9")

    assert story.submit(1).tell(answered(1), NOON).verdicts[1] == "not-a-client (partner:p9)"


def test_enquiry_comes_before_the_other_reasons() -> None:
    story = Story()
    story.client = replace(story.client, insider="staff")

    assert story.submit(1).tell(answered(1, NOON - DAY), NOON).verdicts[1] == "known-to-builder (ref-1)"


def test_lead_overdue_is_told_once_and_only_while_it_waits() -> None:
    story = Story().submit(1)

    for _ in range(2):
        story.tell(CheckOverdue(lead_id(1)), NOON + 10 * MINUTE)
    assert len(story.heard(LeadCheckDelayed)) == 1

    assert Story().confirm().tell(CheckOverdue(lead_id(1)), NOON + DAY).heard(LeadCheckDelayed) == []


def test_later_walk_in_of_a_held_client_is_told_and_marked_once() -> None:
    story = held()
    for _ in range(2):
        story.tell(walk_in(NOON + MINUTE), NOON + DAY)

    assert kinds(story) == ["later"]
    assert story.asked.count(("mark-enquiry", "1")) == 1


def test_walk_in_before_the_term_is_known_is_told_when_it_is() -> None:
    story = Story().confirm().tell(walk_in(NOON + MINUTE), NOON + MINUTE)
    assert kinds(story) == []

    assert kinds(story.open()) == ["later"]


def test_enquiry_found_by_the_second_check_is_a_collision_and_no_reason_to_withdraw() -> None:
    story = held()
    story.tell(JournalEntered(lead_id(1), NOON + DAY, (Enquiry("ref-2", NOON + MINUTE),)), NOON + DAY)

    assert kinds(story) == ["later"]
    assert story.client.held_by() is not None


def test_backdated_enquiry_is_told_with_when_it_was_not_there() -> None:
    story = held().tell(walk_in(NOON - DAY, not_there_at=NOON + 5 * MINUTE), NOON + DAY)

    (told,) = story.heard(CollisionDetected)
    assert (told.kind, told.not_there_at, told.confirmed_at) == ("backdated", NOON + 5 * MINUTE, NOON + MINUTE)
    assert told.reserved_through == date(2026, 9, 14)


def test_rejection_by_an_enquiry_that_came_after_the_lead_is_told_too() -> None:
    answer = replace(answered(1), enquiries=(Enquiry("ref-1", NOON - DAY, "0000-000009"),))
    story = Story().submit(1).tell(replace(answer, watched=Watched("0000-000008", NOON + SECOND)), NOON + MINUTE)

    assert story.verdicts[1] == "known-to-builder (ref-1)"
    (told,) = story.heard(CollisionDetected)
    assert (told.kind, told.not_there_at, told.confirmed_at) == ("backdated", NOON + SECOND, None)


def test_changed_date_is_told_with_the_date_before() -> None:
    story = held().tell(walk_in(NOON + DAY), NOON + DAY).tell(walk_in(NOON - DAY), NOON + 2 * DAY)

    assert kinds(story) == ["later", "redated"]
    assert story.heard(CollisionDetected)[1].was_dated == NOON + DAY


def test_enquiry_deleted_and_entered_again_is_told_as_such() -> None:
    story = held().tell(walk_in(NOON + DAY), NOON + DAY)
    story.tell(walk_in(NOON + DAY, deleted=True), NOON + 2 * DAY)
    story.tell(walk_in(NOON + DAY, "again", seen_at=NOON + 3 * DAY), NOON + 3 * DAY)

    assert kinds(story) == ["later", "entered-again"]


def test_extension_marks_the_enquiries_anew() -> None:
    story = held().tell(walk_in(NOON + DAY), NOON + DAY).tell(extended(), NOON + 2 * DAY)

    marks = [task.payload["reserved_through"] for task in story.tasks if task.kind == "mark-enquiry"]
    assert marks == ["2026-09-14", "2027-03-14"]


def test_sale_is_told_once_and_so_is_its_end() -> None:
    story = held()
    for cancelled in (False, False, True, True):
        story.tell(SaleSeen(replace(SALE, cancelled=cancelled), NOON + DAY), NOON + DAY)

    (told,) = story.heard(DealClosed)
    assert (told.lead_id, told.deal, told.amount, told.linked_by) == (lead_id(1), "deal-1", Decimal("100.00"), None)
    assert len(story.heard(DealCancelled)) == 1


def test_sale_to_nobody_of_ours_is_nothing_to_tell() -> None:
    assert Story().tell(SaleSeen(SALE, NOON), NOON).events == []


def test_sale_on_a_relatives_phone_is_tied_to_a_lead_by_hand() -> None:
    story = held().tell(SaleSeen(SALE, NOON + DAY, lead_id(1), "Менеджер", "договор на супругу"), NOON + DAY)

    (told,) = story.heard(DealClosed)
    assert (told.lead_id, told.linked_by) == (lead_id(1), "Менеджер")


def test_numbers_of_one_series_are_compared_and_no_others() -> None:
    assert is_later_number("0000-000010", "0000-000009")
    assert not is_later_number("0000-000009", "0000-000009")
    assert not is_later_number("ФР00-000010", "0000-000009")
    assert not is_later_number("10", "9")
