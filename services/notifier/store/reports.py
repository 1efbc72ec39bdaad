"""What the delivery reports and the status polling read and write."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from chassis.service import Connection, Row, execute, rows
from services.notifier.domain.answers import ProviderOutcome

_KEEP: Final = """
    INSERT INTO unmatched_reports (provider, message_id, outcome, code, at) VALUES ($1, $2, $3, $4, now())
    ON CONFLICT DO NOTHING
"""
_TAKE_UNREPORTED: Final = """
    WITH due AS (
        SELECT message_id FROM attempts WHERE poll_at <= now() ORDER BY poll_at LIMIT $1 FOR UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE attempts a SET polls = polls + 1, poll_at = (
            SELECT now() + make_interval(secs => ($2::float8[])[a.polls + 1])
            FROM messages m WHERE m.message_id = a.message_id AND m.status IN ('waiting', 'sent')
        ) FROM due WHERE a.message_id = due.message_id RETURNING a.message_id, a.provider
    )
    SELECT m.message_id, m.client_key, m.correlation, m.partner_id, t.provider,
           (SELECT p.person FROM partners p WHERE p.partner_id = m.partner_id) AS person
    FROM taken t, LATERAL (SELECT * FROM messages m WHERE m.message_id = t.message_id OFFSET 0) m
    WHERE m.status = 'sent'
"""


async def keep_unmatched(tx: Connection, provider: str, message_id: UUID, outcome: ProviderOutcome, code: str) -> None:
    """Keep a report about an SMS that is not in `messages`; a repeated report adds no row."""
    await execute(tx, _KEEP, provider, message_id, outcome, code)


async def take_unreported(tx: Connection, limit: int, pauses_s: Sequence[float]) -> Sequence[Row]:
    """At most `limit` sent SMS without a report whose status is to be polled now, the longest overdue first.

    Columns: message_id, client_key, correlation, partner_id, provider, person (sealed, may be null). Each SMS comes
    again after the next of `pauses_s` seconds, until a report settles it or the pauses are used up. Two copies of the
    service never take the same SMS.
    """
    found: Sequence[Row] = await rows(tx, _TAKE_UNREPORTED, limit, list(pauses_s))
    return found
