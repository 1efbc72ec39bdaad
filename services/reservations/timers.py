"""The timers of reservations: each turns due rows into inputs of the domain."""

from collections.abc import Sequence
from datetime import datetime, time
from zoneinfo import ZoneInfo

from chassis.decision import Cause
from chassis.service import Connection, Input
from contracts.reservations import LISTS_KEY
from services.reservations.domain.model import TermReached, WaitOver
from services.reservations.store.due import due_requests, due_reservations
from services.reservations.store.lists import due_lists


async def terms_reached(tx: Connection, now: datetime, limit: int) -> Sequence[Input]:
    """Return an input for each of at most `limit` reservations with a due reminder or a due end."""
    return [
        Input(client_key, TermReached(lead_id), Cause(identity := str(lead_id), identity))
        for lead_id, client_key in await due_reservations(tx, now, limit)
    ]


async def waits_over(tx: Connection, now: datetime, limit: int) -> Sequence[Input]:
    """Return an input for each of at most `limit` requests that have waited for long enough."""
    return [
        Input(client_key, WaitOver(request_id), Cause(identity := str(request_id), identity))
        for request_id, client_key in await due_requests(tx, now, limit)
    ]


async def lists_due(tx: Connection, now: datetime, limit: int, *, zone: ZoneInfo, daily_at: time) -> Sequence[Input]:
    """Return an input for each of at most `limit` lists that are to be taken."""
    return [
        # The step makes the ids of the events differ: all pages of a list have one cause.
        Input(LISTS_KEY, due, Cause(identity := str(due.list_id), identity), step=f"{due.page}/")
        for due in await due_lists(tx, now, limit, zone=zone, daily_at=daily_at)
    ]
