"""The lists of reservations: which are due, what their next pages hold, how far they are published."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any, Final
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import orjson

from chassis.decision import derived_id
from chassis.service import Connection, Input, Outcome, Performed, Rows, execute, rows
from contracts.operations import ListReservations
from contracts.reservations import LISTED_ON_A_PAGE, ListedReservation
from services.reservations.domain.lists import ListDue, Listing, Lists
from services.reservations.store.tables import ListRow

PAGES_AT_ONCE: Final = 10
_FIRST: Final = "00000000-0000-0000-0000-000000000000"
_LAST: Final = "ffffffff-ffff-ffff-ffff-ffffffffffff"

_ORDER: Final = "INSERT INTO reservation_lists (list_id) VALUES ($1)"
_UNPUBLISHED: Final = """
    SELECT list_id, page, day FROM reservation_lists WHERE NOT published ORDER BY list_id LIMIT $1
"""
_DAY_BEGUN: Final = "SELECT 1 FROM reservation_lists WHERE day >= $1 LIMIT 1"
_STARTED: Final = """
    SELECT list_id, day, taken_at, bounds::text AS bounds, page FROM reservation_lists
    WHERE list_id = ANY($1::uuid[])
"""
_BOUNDS: Final = """
    SELECT lead_id FROM (
        SELECT lead_id, row_number() OVER (ORDER BY lead_id) AS number, count(*) OVER () AS live
        FROM reservations WHERE status = 'live') AS numbered
    WHERE number % $1 = 0 AND number < live ORDER BY lead_id
"""
_BETWEEN: Final = """
    SELECT lead_id, client_key, reserved_through FROM reservations
    WHERE status = 'live' AND lead_id > $1 AND lead_id <= $2 ORDER BY lead_id
"""


async def order_list(tx: Connection, _: ListReservations) -> Outcome:
    """Order a list; the timer takes it. The result is its id."""
    list_id = uuid4()
    await execute(tx, _ORDER, list_id)
    return Performed(str(list_id))


async def due_lists(tx: Connection, now: datetime, limit: int, *, zone: ZoneInfo, daily_at: time) -> list[ListDue]:
    """At most `limit` lists to publish: those that persons ordered, and the daily list from the local time `daily_at`
    on."""
    due = [ListDue(UUID(str(row.list_id)), row.page, row.day) for row in await rows(tx, _UNPUBLISHED, limit)]
    local = now.astimezone(zone)
    day = local.date() if local.time() >= daily_at else local.date() - timedelta(days=1)
    if len(due) < limit and not await rows(tx, _DAY_BEGUN, day):
        due.append(ListDue(derived_id(day.isoformat(), "daily-list"), day=day))
    return due


class ListStore:
    """Reads the next pages of lists, and records how far they are published. All lists have one key."""

    async def load(self, tx: Connection, inputs: Sequence[Input]) -> dict[str, Lists]:
        """The lists of the inputs; the same for every key."""
        started = {
            UUID(str(row.list_id)): row for row in await rows(tx, _STARTED, [item.body.list_id for item in inputs])
        }
        listings = {}
        for due in {item.body.list_id: item.body for item in inputs}.values():
            row = started.get(due.list_id)
            if row is None:
                listing = Listing(due.list_id, due.day)
            else:
                listing = Listing(due.list_id, row.day, row.taken_at, orjson.loads(row.bounds), row.page)
            listings[due.list_id] = await _with_upcoming(tx, listing)
        lists = Lists(listings)
        return {item.key: lists for item in inputs}

    def save(self, changes: Mapping[str, tuple[Lists, Lists]]) -> Sequence[Rows]:
        """The rows of the lists of which pages were published."""
        changed = [
            _row(listing)
            for before, after in changes.values()
            for list_id, listing in after.listings.items()
            if listing is not before.listings[list_id]
        ]
        return [Rows(ListRow, changed)]


async def _with_upcoming(tx: Connection, listing: Listing) -> Listing:
    """The list with its next pages, and at its begin with the bounds of all pages."""
    bounds = list(listing.bounds)
    if listing.taken_at is None:
        bounds = [str(row.lead_id) for row in await rows(tx, _BOUNDS, LISTED_ON_A_PAGE)]
    first, last = listing.page, min(listing.page + PAGES_AT_ONCE, len(bounds) + 2) - 1
    ends = [*bounds, _LAST][first - 1 : last]
    upcoming: list[list[ListedReservation]] = [[] for _ in ends]
    if ends:
        for row in await rows(tx, _BETWEEN, UUID(bounds[first - 2] if first > 1 else _FIRST), UUID(ends[-1])):
            # Unvalidated: the database has valid values only.
            reservation = ListedReservation.model_construct(
                lead_id=row.lead_id, client_key=row.client_key, reserved_through=row.reserved_through
            )
            upcoming[bisect_left(ends, str(row.lead_id))].append(reservation)
    return Listing(listing.list_id, listing.day, listing.taken_at, bounds, listing.page, upcoming)


def _row(listing: Listing) -> dict[str, Any]:
    return {
        "list_id": listing.list_id,
        "day": listing.day,
        "taken_at": listing.taken_at,
        "bounds": listing.bounds,
        "page": listing.page,
        "published": listing.page > listing.pages,
    }
