"""The lists of reservations: which are due, what they hold, which were taken."""

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Final
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from chassis.decision import derived_id
from chassis.service import Connection, Input, Outcome, Performed, Rows, execute, row_of, rows
from contracts.operations import ListReservations
from contracts.reservations import ListedReservation
from services.reservations.domain.lists import ListDue, Lists
from services.reservations.store.tables import ListRow

_ORDER: Final = "INSERT INTO reservation_lists (list_id) VALUES ($1)"
_ORDERED: Final = "SELECT list_id FROM reservation_lists WHERE taken_at IS NULL ORDER BY list_id LIMIT $1"
_DAY_TAKEN: Final = "SELECT 1 FROM reservation_lists WHERE day >= $1 LIMIT 1"
_TAKEN: Final = "SELECT list_id FROM reservation_lists WHERE list_id = ANY($1::uuid[]) AND taken_at IS NOT NULL"
_LIVE: Final = """
    SELECT lead_id, client_key, reserved_through FROM reservations WHERE status = 'live' ORDER BY lead_id
"""


async def order_list(tx: Connection, _: ListReservations) -> Outcome:
    """Order a list; the timer takes it. The result is its id."""
    list_id = uuid4()
    await execute(tx, _ORDER, list_id)
    return Performed(str(list_id))


async def due_lists(tx: Connection, now: datetime, limit: int, *, zone: ZoneInfo, daily_at: time) -> list[ListDue]:
    """At most `limit` lists to take: those that persons ordered, and the daily list from the local time `daily_at`."""
    due = [ListDue(UUID(str(row.list_id))) for row in await rows(tx, _ORDERED, limit)]
    local = now.astimezone(zone)
    day = local.date() if local.time() >= daily_at else local.date() - timedelta(days=1)
    if len(due) < limit and not await rows(tx, _DAY_TAKEN, day):
        due.append(ListDue(derived_id(day.isoformat(), "daily-list"), day))
    return due


class ListStore:
    """Reads the live reservations, and records the lists that were taken. All lists have one key."""

    async def load(self, tx: Connection, inputs: Sequence[Input]) -> dict[str, Lists]:
        """The same state for every key: it reads all live reservations in one statement, at one moment."""
        taken = await rows(tx, _TAKEN, [item.body.list_id for item in inputs])
        # Unvalidated: the database has valid values only, and there may be a hundred thousand.
        live = [
            ListedReservation.model_construct(
                lead_id=row.lead_id, client_key=row.client_key, reserved_through=row.reserved_through
            )
            for row in await rows(tx, _LIVE)
        ]
        lists = Lists(live, frozenset(UUID(str(row.list_id)) for row in taken))
        return {item.key: lists for item in inputs}

    def save(self, changes: Mapping[str, tuple[Lists, Lists]]) -> Sequence[Rows]:
        """The rows of the lists that were taken."""
        new = [row_of(taken) for _, after in changes.values() for taken in after.new]
        return [Rows(ListRow, new)]
