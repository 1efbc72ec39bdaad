"""What the clock asks the domain."""

from collections.abc import Sequence
from datetime import datetime

from chassis.decision import Cause
from chassis.service import Connection, Input
from services.reservations.domain import TermReached, WaitOver
from services.reservations.store import due_requests, due_reservations


async def terms_reached(tx: Connection, now: datetime, limit: int) -> Sequence[Input]:
    """An input for each reservation that may be over, or is to be reminded of."""
    return [
        Input(client_key, TermReached(lead_id), Cause(identity := str(lead_id), identity))
        for lead_id, client_key in await due_reservations(tx, now, limit)
    ]


async def waits_over(tx: Connection, now: datetime, limit: int) -> Sequence[Input]:
    """An input for each request that may have waited for long enough."""
    return [
        Input(client_key, WaitOver(request_id), Cause(str(request_id), str(request_id)))
        for request_id, client_key in await due_requests(tx, now, limit)
    ]
