"""Reservations of the floor program: verdicts → reservations. Clients stay sealed."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import orjson
from aiokafka import ConsumerRecord

from chassis.decision import derived_id
from chassis.envelope import Outgoing, encode
from contracts import topics
from contracts.reservations import ReservationOpened
from contracts.verdicts import LeadConfirmed
from services.reservations.domain.history import Head, appended
from services.reservations.domain.terms import Term
from tests.bench.floor.runtime import Db, Stream, admit, columns, decode

SOURCE = "/truce/reservations"
TERM = Term.parse("P6M")
ZONE = ZoneInfo("Europe/Moscow")
KEY = bytes.fromhex(os.environ.get("RESERVATIONS_HISTORY_KEY", ""))

# A client with a live reservation is skipped, because a unique index allows one live reservation.
_OPEN = """
    INSERT INTO reservations (reservation_id, lead_id, client_key, partner_id, client, opened_at, confirmed_at,
                              reserved_through, reserved_until, term, zone, term_set_on, next_due, next_step, status,
                              extensions, returns, earlier_terms, cause)
    SELECT reservation_id, lead_id, client_key, partner_id, client, confirmed_at, confirmed_at, reserved_through,
           reserved_until, 'P6M', 'Europe/Moscow', confirmed_at::date, reserved_until, 30, 'live', 0, 0, '[]',
           cause::jsonb
    FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::date[],
                $8::timestamptz[], $9::text[])
         AS t (reservation_id, lead_id, client_key, partner_id, client, confirmed_at, reserved_through,
               reserved_until, cause)
    ON CONFLICT DO NOTHING RETURNING lead_id
"""
_HISTORY = """
    WITH entries AS (
        INSERT INTO history (client_key, number, entry, hash)
        SELECT * FROM unnest($1::text[], $2::int[], $3::text[], $4::text[])
    )
    INSERT INTO heads (client_key, count, hash, seal)
    SELECT * FROM unnest($1::text[], $2::int[], $4::text[], $5::text[])
"""


def build() -> tuple[str, list[Stream]]:
    """The database's URL, and the streams to consume."""
    return os.environ["RESERVATIONS_DATABASE_URL"], [Stream("reservations", (topics.VERDICTS,), confirmed)]


async def confirmed(db: Db, records: Sequence[ConsumerRecord]) -> list[Outgoing]:
    """Open a reservation for every confirmed lead."""
    received = decode(records, LeadConfirmed)
    if not received:
        return []
    now = datetime.now(UTC)
    rows, events, entries = [], [], {}
    async with db.transaction():
        for one in await admit(db, received):
            body = one.body
            assert isinstance(body, LeadConfirmed)
            through, until = TERM.end(body.confirmed_at, ZONE)
            head, entry = appended(
                Head(),
                KEY,
                body.client_key,
                {
                    "at": now.isoformat(),
                    "what": "opened",
                    "lead": str(body.lead_id),
                    "partner": body.partner_id,
                    "anchor": body.confirmed_at.isoformat(),
                    "through": through.isoformat(),
                },
            )
            entries[body.lead_id] = (
                body.client_key,
                1,
                entry.text,
                entry.hash.hex(),
                head.seal(KEY, body.client_key).hex(),
            )
            event = ReservationOpened(
                lead_id=body.lead_id,
                client_key=body.client_key,
                partner_id=body.partner_id,
                reservation_id=derived_id(str(body.lead_id), "reservation"),
                client=body.client,
                confirmed_at=body.confirmed_at,
                reserved_through=through,
                reserved_until=until,
                history_count=1,
                history_head=head.hash.hex(),
            )
            events.append((event, one.cause))
            rows.append(
                (
                    event.reservation_id,
                    event.lead_id,
                    event.client_key,
                    event.partner_id,
                    event.client,
                    event.confirmed_at,
                    event.reserved_through,
                    event.reserved_until,
                    orjson.dumps(one.cause).decode(),
                )
            )
        opened = {row["lead_id"] for row in await db.fetch(_OPEN, *columns(rows, 9))}
        await db.execute(_HISTORY, *columns([entries[lead_id] for lead_id in opened], 5))
    return [
        encode(event, event_id=derived_id(cause.id, event.ce_type), source=SOURCE, at=now, cause=cause, sequence=1)
        for event, cause in events
        if event.lead_id in opened
    ]
