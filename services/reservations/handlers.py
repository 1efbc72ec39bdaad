"""What the clock asks the domain."""

from collections.abc import Sequence
from datetime import datetime

from chassis.database import Connection
from chassis.decision import Cause
from chassis.processor import Input
from services.reservations.domain import TermReached
from services.reservations.store import due_reservations


async def terms_reached(tx: Connection, now: datetime, limit: int) -> Sequence[Input]:
    """An input for each reservation that may be over."""
    return [
        Input(
            key=client_key,
            body=TermReached(reservation_id),
            cause=Cause(id=str(reservation_id), correlation=str(reservation_id)),
        )
        for reservation_id, client_key in await due_reservations(tx, now, limit)
    ]
