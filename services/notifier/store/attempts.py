"""The record of calls that may have sent an SMS, and what a call needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

from chassis.service import Batcher, Database, execute, rows
from services.notifier.domain.in_doubt import Attempt
from services.notifier.domain.model import Limits, Sms
from services.notifier.store.clients import SMS_FIELDS

Begun = Literal["begun", "taken", "over-limit", "obsolete"]
"""Result of `begin`. `taken`: another process has begun an attempt since this one read the record. `over-limit`: the
recipient has got the highest number of SMS for now. `obsolete`: an event came that makes the text untrue."""

FIRST_POLL_S: Final = 120
"""Seconds after an attempt at which the status of the SMS is polled, if no delivery report came before."""

_COLUMNS: Final = ", ".join(f"m.{name}" for name in SMS_FIELDS)
_OUTGOING: Final = f"""
    SELECT {_COLUMNS},
           (SELECT p.person FROM partners p WHERE p.partner_id = m.partner_id),
           (SELECT ROW(a.provider, extract(epoch FROM now() - a.began_at)::float8, a.lookups, a.misses, a.sends)
            FROM attempts a WHERE a.message_id = m.message_id)
    FROM messages m WHERE m.message_id = ANY($1::uuid[])
"""
_LOCK_RECIPIENTS: Final = """
    SELECT pg_advisory_xact_lock(hashtextextended(p, 0))
    FROM (SELECT DISTINCT p FROM unnest($1::text[]) AS p ORDER BY p) AS partners
"""
# The n-th attempt of a batch for one recipient counts the n - 1 attempts of the batch before it.
_BEGIN: Final = """
    INSERT INTO attempts (message_id, provider, began_at, sends, lookups, misses, partner_id, polls, poll_at)
    SELECT id, provider, now(), 1, 0, 0, partner, 0, now() + make_interval(secs => $4::integer)
    FROM (SELECT t.*, row_number() OVER (PARTITION BY partner ORDER BY n) - 1 AS ahead
          FROM unnest($1::uuid[], $2::text[], $3::text[]) WITH ORDINALITY AS t (id, provider, partner, n)) AS t
    WHERE NOT (SELECT m.obsolete IS NOT NULL FROM messages m WHERE m.message_id = id)
      AND ($5::integer IS NULL OR ahead + (SELECT count(*) FROM attempts a WHERE a.partner_id = partner
                                           AND a.began_at > now() - interval '1 hour') < $5)
      AND ($6::integer IS NULL OR ahead + (SELECT count(*) FROM attempts a WHERE a.partner_id = partner
                                           AND a.began_at > now() - interval '1 day') < $6)
    ORDER BY id ON CONFLICT DO NOTHING RETURNING message_id
"""
_BEGIN_AGAIN: Final = """
    UPDATE attempts SET provider = $2, began_at = now(), sends = sends + 1, misses = 0
    WHERE message_id = $1 AND sends = $3 AND NOT (SELECT m.obsolete IS NOT NULL FROM messages m WHERE m.message_id = $1)
    RETURNING message_id
"""
_WHY_NOT_BEGUN: Final = """
    SELECT m.obsolete IS NOT NULL AS obsolete, EXISTS (SELECT 1 FROM attempts a WHERE a.message_id = $1) AS taken
    FROM messages m WHERE m.message_id = $1
"""
_FORGET: Final = "DELETE FROM attempts WHERE message_id = $1 AND sends = 1"
_RECORD_LOOKUP: Final = "UPDATE attempts SET lookups = $2, misses = $3 WHERE message_id = $1"


@dataclass(frozen=True, slots=True)
class OutgoingSms:
    """All that a call needs. `person` is the sealed recipient, None until topic `partners` has described the partner.
    `attempt` is None where it is certain that no call has sent the SMS."""

    sms: Sms
    person: str | None
    attempt: Attempt | None


class PostgresAttemptLog:
    """`work.AttemptLog` in PostgreSQL; each method is one short transaction outside those of the chassis."""

    def __init__(self, database: Database, limits: Limits) -> None:
        self._database = database
        self._limits = limits
        self._first_attempts = Batcher[tuple[UUID, str, str], bool](self._begin_batch)

    async def outgoing(self, message_ids: Sequence[UUID]) -> Mapping[UUID, OutgoingSms]:
        """Id → what a call needs, for those of the given SMS that exist."""
        async with self._database.single() as tx:
            found = await rows(tx, _OUTGOING, message_ids)
        outgoing = {}
        for *fields, person, begun in found:
            attempt = None if begun is None else Attempt(*begun)
            outgoing[fields[0]] = OutgoingSms(Sms(*fields), person, attempt)
        return outgoing

    async def begin(self, sms: Sms, provider: str, earlier: Attempt | None) -> Begun:
        """Record, committed, that a call to `provider` starts now; the call may be made only if this returns `begun`.

        The process that handles the work row after a crash then finds that the SMS may be out. `earlier` is the attempt
        as `outgoing` returned it, or None for the first one. First attempts that begin at the same time share a
        transaction. A repeated attempt on an obsolete SMS is `taken`; it counts against no limit.
        """
        if earlier is None:
            if await self._first_attempts.submit((sms.message_id, provider, sms.partner_id)):
                return "begun"
            async with self._database.single() as tx:
                [row] = await rows(tx, _WHY_NOT_BEGUN, sms.message_id)
            return "taken" if row.taken else "obsolete" if row.obsolete else "over-limit"
        async with self._database.single() as tx:
            again = await rows(tx, _BEGIN_AGAIN, sms.message_id, provider, earlier.sends)
        return "begun" if again else "taken"

    async def _begin_batch(self, attempts: Sequence[tuple[UUID, str, str]]) -> Sequence[bool]:
        ids, providers, partners = ([attempt[n] for attempt in attempts] for n in range(3))
        hour, day = self._limits.per_hour or None, self._limits.per_day or None
        async with self._database.transaction() as tx:
            if hour or day:
                # Without the lock, two copies of the service that begin at once would not count each other's attempts.
                await execute(tx, _LOCK_RECIPIENTS, partners)
            begun = {
                row.message_id for row in await rows(tx, _BEGIN, ids, providers, partners, FIRST_POLL_S, hour, day)
            }
        return [message_id in begun for message_id in ids]

    async def forget(self, message_id: UUID) -> None:
        """Delete the attempt: it is certain that it sent nothing. An SMS that was sent twice keeps its attempt, because
        the first call may have sent it."""
        await self._run(_FORGET, message_id)

    async def record_lookup(self, message_id: UUID, attempt: Attempt) -> None:
        """Keep the attempt's numbers of lookups and misses."""
        await self._run(_RECORD_LOOKUP, message_id, attempt.lookups, attempt.misses)

    async def _run(self, sql: str, *args: object) -> None:
        async with self._database.single() as tx:
            await execute(tx, sql, *args)
