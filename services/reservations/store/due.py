"""What is due for the clock."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from chassis.service import Connection, rows


async def due_reservations(tx: Connection, now: datetime, limit: int) -> Sequence[tuple[UUID, str]]:
    """Return (lead id, client key) of at most `limit` live reservations whose `next_due` has come, the longest overdue
    first."""
    found = await rows(
        tx,
        "SELECT lead_id, client_key FROM reservations WHERE status = 'live' AND next_due <= $1"
        " ORDER BY next_due LIMIT $2",
        now,
        limit,
    )
    return [(row.lead_id, row.client_key) for row in found]


async def due_requests(tx: Connection, now: datetime, limit: int) -> Sequence[tuple[UUID, str]]:
    """Return (request id, client key) of at most `limit` waiting requests whose wait is over, the longest overdue
    first."""
    found = await rows(
        tx,
        "SELECT ref, client_key FROM facts WHERE due_at IS NOT NULL AND due_at <= $1 ORDER BY due_at LIMIT $2",
        now,
        limit,
    )
    return [(UUID(row.ref), row.client_key) for row in found]
