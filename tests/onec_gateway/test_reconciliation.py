"""The comparison of holds, reservations and 1C's partner journal; what a person has written anew. Without any I/O."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from chassis.decision import Cause
from contracts.reservations import ListedReservation, ReservationsListed
from services.onec_gateway.domain.lists import Lists, page_listed
from services.onec_gateway.domain.reconciliation import Books, Difference, Entry, Known, Side, compare
from services.onec_gateway.domain.restoration import (
    JournalRestored,
    RestoreRequested,
    Restoring,
    journal_restored,
    restore_requested,
)
from services.onec_gateway.domain.tasks import RESTORE
from tests.onec_gateway.driver import held_client
from tests.onec_gateway.samples import DAY, KEY, NOON, UNTIL, lead_id, opened
from tests.onec_gateway.samples import extended as extension

LEAD, CLIENT = "lead-1", "client-1"
THROUGH = date(2026, 9, 14)
ACTIVE = Side(LEAD, "p1", THROUGH, "active")
HOLD = Side(LEAD, "p1", THROUGH)
LISTED = Side(LEAD, through=THROUGH, state="active")
KNOWN = Known(ACTIVE, CLIENT, entered=True, restorable=True)
ENTRY = Entry(ACTIVE, frozenset({CLIENT}))
CAUSE = Cause("c", "c")


def found(
    held: Side | None = HOLD,
    listed: Side | None = LISTED,
    known: Known | None = KNOWN,
    entries: tuple[Entry, ...] = (ENTRY,),
    in_flight: bool = False,
    submitted: bool = True,
) -> list[Difference]:
    """The differences of one client."""
    books = Books(
        {CLIENT: held} if held else {},
        {LEAD: known} if known else {},
        frozenset({LEAD} if submitted else ()),
        frozenset({LEAD} if in_flight else ()),
    )
    journal: dict[str, list[Entry]] = {}
    for entry in entries:
        journal.setdefault(entry.side.lead_id, []).append(entry)
    return list(compare(books, {CLIENT: listed} if listed else {}, journal))


def kinds(differences: list[Difference]) -> list[str]:
    return [one.kind for one in differences]


def written(**changes: Any) -> Entry:
    return replace(ENTRY, side=replace(ACTIVE, **changes))


def test_nothing_differs_when_the_three_sides_agree() -> None:
    assert found() == []
    assert found(None, None, None, ()) == []


def test_a_hold_without_a_reservation_is_one_difference() -> None:
    (one,) = found(listed=None)

    assert (one.kind, one.hold, one.reservation, one.entry) == ("hold-without-reservation", HOLD, None, ACTIVE)


def test_a_reservation_without_a_hold_is_one_difference_whatever_the_gateway_lost() -> None:
    assert kinds(found(held=None)) == ["reservation-without-hold"]
    assert kinds(found(held=None, known=None)) == ["reservation-without-hold"]
    assert kinds(found(held=None, known=None, submitted=False)) == ["reservation-without-hold"]


def test_a_hold_of_another_lead_is_one_difference() -> None:
    (one,) = found(held=Side("lead-2", "p2"))

    assert (one.kind, one.lead_id, one.reservation) == ("other-lead", "lead-2", LISTED)


def test_another_date_of_the_reservation_is_one_difference_with_all_three_dates() -> None:
    later = THROUGH + timedelta(days=1)
    (one,) = found(listed=replace(LISTED, through=later), entries=(written(through=THROUGH + 2 * timedelta(days=1)),))

    assert one.kind == "other-date"
    assert [side.through for side in (one.hold, one.reservation, one.entry) if side] == [
        THROUGH,
        later,
        THROUGH + timedelta(days=2),
    ]


def test_a_missing_entry_was_deleted_if_the_gateway_wrote_it() -> None:
    assert kinds(found(entries=())) == ["entry-deleted"]
    assert kinds(found(entries=(replace(ENTRY, deleted=True),))) == ["entry-deleted"]
    assert kinds(found(entries=(), known=replace(KNOWN, entered=False))) == ["no-entry"]


def test_each_edit_of_an_entry_is_a_difference_that_can_be_restored() -> None:
    assert kinds(found(entries=(written(state="expired"),))) == ["state-edited"]
    assert kinds(found(entries=(written(state="Снят"),))) == ["state-edited"]
    assert kinds(found(entries=(written(through=None),))) == ["date-edited"]
    assert kinds(found(entries=(written(partner_id="p2"),))) == ["other-partner"]
    assert kinds(found(entries=(replace(ENTRY, client_keys=frozenset({"client-2"})),))) == ["other-client"]
    edited = found(entries=(written(state="won", through=None),))
    assert kinds(edited) == ["state-edited", "date-edited"]
    assert all(one.restorable for one in edited)


def test_the_state_of_an_ended_reservation_counts_and_its_missing_entry_does_not() -> None:
    over = replace(KNOWN, side=replace(ACTIVE, state="expired"))

    assert kinds(found(None, None, over, (ENTRY,))) == ["state-edited"]
    assert found(None, None, over, (written(state="expired"),)) == []
    assert found(None, None, over, ()) == []


def test_two_entries_of_a_lead_are_one_difference_and_deleted_ones_do_not_count() -> None:
    (one,) = found(entries=(ENTRY, ENTRY))

    assert one.kind == "two-entries"
    assert one.entry is not None
    assert one.entry.count == 2
    assert not one.restorable
    assert found(entries=(replace(ENTRY, deleted=True), ENTRY)) == []


def test_an_entry_of_a_lead_that_is_not_reserved_is_a_difference() -> None:
    assert kinds(found(None, None, None)) == ["not-reserved"]
    assert kinds(found(None, None, None, submitted=False)) == ["unknown-lead"]
    assert found(None, None, None, (replace(ENTRY, deleted=True),)) == []


def test_an_entry_that_waits_to_be_written_is_no_difference() -> None:
    assert found(entries=(), in_flight=True) == []
    assert found(entries=(written(through=None),), in_flight=True) == []
    assert found(None, None, None, in_flight=True) == []


def page(list_id: int, taken_at: timedelta, number: int = 1, pages: int = 2) -> ReservationsListed:
    one = ListedReservation(lead_id=lead_id(1), client_key=KEY, reserved_through=THROUGH)
    return ReservationsListed(
        list_id=UUID(int=list_id), page=number, pages=pages, taken_at=NOON + taken_at, reservations=(one,)
    )


def test_a_late_page_of_an_older_list_is_dropped_once_a_newer_list_is_complete() -> None:
    late, newer = page(1, timedelta(0)), page(2, DAY)

    assert page_listed(Lists(NOON + DAY), late, CAUSE, NOON).superseded
    assert page_listed(Lists(), late, CAUSE, NOON).state.new == (late,)
    assert page_listed(Lists(NOON), newer, CAUSE, NOON).state.new == (newer,)


REQUEST = RestoreRequested(lead_id(1), UUID(int=5), "Ольга", "сверка", "date-edited")


def test_an_entry_is_restored_as_the_reservation_is_now() -> None:
    client = held_client().apply(extension(), NOON + DAY).client

    decision = restore_requested(Restoring(client), REQUEST, CAUSE, NOON + DAY)

    (task,) = decision.tasks
    assert (task.kind, task.payload["state"], task.payload["reserved_through"]) == (RESTORE, "active", "2027-03-14")
    assert decision.reply is True
    (record,) = decision.state.recorded
    assert (record.lead_id, record.who, record.why, record.at) == (lead_id(1), "Ольга", "сверка", NOON + DAY)
    assert decision.state.client is client


def test_an_ended_reservation_is_restored_in_its_state() -> None:
    client = held_client().expire().client

    (task,) = restore_requested(Restoring(client), REQUEST, CAUSE, UNTIL).tasks

    assert task.payload["state"] == "expired"


def test_what_the_gateway_does_not_know_is_not_restored() -> None:
    unknown = replace(REQUEST, lead_id=lead_id(2))

    decision = restore_requested(Restoring(held_client().client), unknown, CAUSE, NOON)

    assert (decision.reply, decision.tasks, decision.state.recorded) == (False, (), ())


def test_a_restored_entry_counts_as_entered() -> None:
    restored = journal_restored(held_client().client, JournalRestored(lead_id(1), NOON + DAY), CAUSE, NOON + DAY).state

    assert restored.reservations[opened(1).lead_id].journal_entered_at == NOON + DAY
