"""The list of all live reservations, by which other services compare what they know."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from chassis.decision import Cause, Decision, Event
from contracts.reservations import LISTED_ON_A_PAGE, ListedReservation, ReservationsListed


@dataclass(frozen=True, slots=True)
class ListDue:
    """Input of the clock: this list is to be taken. `day`: the local day whose daily list it is; None if a person
    ordered it. The rule checks again under the lock whether it was taken."""

    list_id: UUID
    day: date | None = None


@dataclass(frozen=True, slots=True)
class TakenList:
    """A list that was published: when, and the number of its reservations."""

    list_id: UUID
    day: date | None
    taken_at: datetime
    reservations: int


@dataclass(frozen=True, slots=True)
class Lists:
    """All reservations that are live now, the ids of lists that were taken before, and the lists taken in this
    transaction."""

    live: Sequence[ListedReservation] = ()
    taken: frozenset[UUID] = frozenset()
    new: tuple[TakenList, ...] = ()


def list_due(lists: Lists, due: ListDue, _: Cause, now: datetime) -> Decision[Lists]:
    """Publish all pages of the list, unless it was taken before."""
    if due.list_id in lists.taken:
        return Decision(lists)
    starts = range(0, max(len(lists.live), 1), LISTED_ON_A_PAGE)
    events = tuple(
        Event(
            ReservationsListed(
                list_id=due.list_id,
                page=number,
                pages=len(starts),
                taken_at=now,
                reservations=tuple(lists.live[start : start + LISTED_ON_A_PAGE]),
            )
        )
        for number, start in enumerate(starts, 1)
    )
    new = TakenList(due.list_id, due.day, now, len(lists.live))
    return Decision(Lists(lists.live, lists.taken | {due.list_id}, (*lists.new, new)), events)
