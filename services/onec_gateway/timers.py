"""What becomes due by business time: leads whose verdict is late."""

from datetime import datetime, timedelta
from typing import Final

import orjson

from chassis.decision import Cause
from chassis.service import Connection, Input, Row, rows
from services.onec_gateway.domain.inputs import CheckOverdue

_OVERDUE: Final = """
    SELECT lead_id, client_key, cause::text AS cause FROM leads
    WHERE decided_at IS NULL AND delayed_at IS NULL AND received_at <= $1 ORDER BY received_at LIMIT $2
"""


async def overdue_checks(tx: Connection, now: datetime, limit: int, *, after: timedelta) -> list[Input]:
    """At most `limit` leads that were received `after` or longer ago and have no verdict; the longest overdue first."""
    return [
        Input(row.client_key, CheckOverdue(row.lead_id), _cause_of(row))
        for row in await rows(tx, _OVERDUE, now - after, limit)
    ]


def _cause_of(row: Row) -> Cause:
    """The message that submitted the lead. One that this version cannot read must not hold up the other leads."""
    try:
        return Cause.read(orjson.loads(row.cause))
    except ValueError:
        return Cause(str(row.lead_id), str(row.lead_id))
