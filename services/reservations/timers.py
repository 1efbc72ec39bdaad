"""The timers of reservations: each turns due rows into inputs of the domain."""

from collections.abc import Sequence
from datetime import datetime

from chassis.decision import Cause
from chassis.service import Connection, Input
from services.reservations.domain.model import TermReached, WaitOver
from services.reservations.store.due import due_requests, due_reservations


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
