"""What becomes due: leads whose verdict is late, and checked leads whose wait is over."""

from datetime import datetime, timedelta
from typing import Final

import orjson

from chassis.decision import Cause
from chassis.service import Connection, Input, Row, rows
from services.onec_gateway.domain.inputs import CheckOverdue, WaitIsOver

_OVERDUE: Final = """
    SELECT lead_id, client_key, cause::text AS cause FROM leads
    WHERE decided_at IS NULL AND delayed_at IS NULL AND received_at <= $1 ORDER BY received_at LIMIT $2
"""


# A lead that waits for other clients on its cards: for their facts, for an earlier lead, or for the end of another
# partner's hold. `phones`: the keys of those clients. Each condition is false again once the lead is decided on it.
_ENDED_WAITS: Final = """
    SELECT l.lead_id, l.client_key, l.cause::text AS cause, l.waits_for, c.phones, b.at AS baseline_began
    FROM leads l
    CROSS JOIN LATERAL (
        SELECT COALESCE(array_agg(DISTINCT phone ORDER BY phone), '{}') AS phones
        FROM jsonb_array_elements(l.cards) AS card, jsonb_array_elements_text(card->'phones') AS phone
    ) AS c
    LEFT JOIN watch_places b ON b.journal = 'cards' AND b.series = 'baseline'
        AND EXISTS (SELECT 1 FROM watch_places w WHERE w.journal = 'cards' AND w.series = '')
    WHERE l.waits_for IS NOT NULL AND l.waits_for <> 'people' AND l.decided_at IS NULL AND CASE l.waits_for
        WHEN 'earlier-lead' THEN NOT EXISTS (
            SELECT 1 FROM leads e WHERE e.client_key = ANY(c.phones) AND e.decided_at IS NULL
                AND (e.received_at, e.number) < (l.received_at, l.number))
        WHEN 'same-card' THEN NOT EXISTS (
            SELECT 1 FROM holds h LEFT JOIN known_reservations r ON r.lead_id = h.lead_id
            WHERE h.client_key = ANY(c.phones) AND NOT h.released AND h.partner_id <> l.partner_id
                AND r.ended_at IS NULL)
        WHEN 'baseline' THEN b.at IS NOT NULL
        ELSE true END
    ORDER BY l.received_at LIMIT $1
"""


async def ended_waits(tx: Connection, _: datetime, limit: int) -> list[Input]:
    """At most `limit` leads that no longer wait for other clients on their cards or for the first complete read."""
    return [
        Input(
            row.client_key,
            WaitIsOver(row.lead_id, row.baseline_began if row.waits_for == "baseline" else None),
            _cause_of(row),
            step="wait-is-over/",
            related=tuple(row.phones),
        )
        for row in await rows(tx, _ENDED_WAITS, limit)
    ]


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
