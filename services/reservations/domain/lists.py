"""The list of all live reservations, by which other services compare what they know.

A list may have a million reservations, so its pages are published by and by, a few in a transaction. The first of
these determines the bounds of all pages. So a list is not the state of one moment: what changes while it is taken may
be in it or not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from uuid import UUID

from chassis.decision import Cause, Decision, Event
from contracts.reservations import ListedReservation, ReservationsListed


@dataclass(frozen=True, slots=True)
class ListDue:
    """Input of the clock: the next pages of this list, from `page` on, are to be published. The rule checks again under
    the lock. `day`: the local day whose daily list it is; None if a person ordered it."""

    list_id: UUID
    page: int = 1
    day: date | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """A list that is being taken, from `taken_at` on; None before its first page.

    `bounds`: the last lead id of each page but the last one. `page`: the next page. `upcoming`: the reservations of the
    next pages, as far as they are published in one transaction.
    """

    list_id: UUID
    day: date | None = None
    taken_at: datetime | None = None
    bounds: Sequence[str] = ()
    page: int = 1
    upcoming: Sequence[Sequence[ListedReservation]] = ()

    @property
    def pages(self) -> int:
        """The number of pages; a list without reservations has one."""
        return len(self.bounds) + 1


@dataclass(frozen=True, slots=True)
class Lists:
    """The lists that are being taken, by their ids."""

    listings: Mapping[UUID, Listing] = field(default_factory=dict)


def list_due(lists: Lists, due: ListDue, _: Cause, now: datetime) -> Decision[Lists]:
    """Publish the next pages of the list, unless they were published before."""
    listing = lists.listings.get(due.list_id)
    if listing is None or listing.page != due.page or not listing.upcoming:
        return Decision(lists)
    taken_at = listing.taken_at or now
    events = tuple(
        Event(
            ReservationsListed(
                list_id=listing.list_id,
                page=number,
                pages=listing.pages,
                taken_at=taken_at,
                reservations=tuple(reservations),
            )
        )
        for number, reservations in enumerate(listing.upcoming, listing.page)
    )
    after = replace(listing, taken_at=taken_at, page=listing.page + len(events), upcoming=())
    return Decision(Lists({**lists.listings, listing.list_id: after}), events)
