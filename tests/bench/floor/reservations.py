"""Verdicts → reservations. The client stays sealed."""

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
from services.reservations.terms import Term
from tests.bench.floor.runtime import Db, Stream, admit, columns, decode

SOURCE = "/truce/reservations"
TERM = Term.parse("P6M")
ZONE = ZoneInfo("Europe/Moscow")

# A client who is still reserved is passed over by the index that allows one live reservation.
_OPEN = """
    INSERT INTO reservations (reservation_id, lead_id, client_key, partner_id, client, confirmed_at, reserved_through,
                              reserved_until, status, cause)
    SELECT reservation_id, lead_id, client_key, partner_id, client, confirmed_at, reserved_through, reserved_until,
           'live', cause::jsonb
    FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::date[],
                $8::timestamptz[], $9::text[])
         AS t (reservation_id, lead_id, client_key, partner_id, client, confirmed_at, reserved_through,
               reserved_until, cause)
    ON CONFLICT DO NOTHING RETURNING lead_id
"""


def build() -> tuple[str, list[Stream]]:
    """The database's URL, and what is consumed."""
    return os.environ["RESERVATIONS_DATABASE_URL"], [Stream("reservations", (topics.VERDICTS,), confirmed)]


async def confirmed(db: Db, records: Sequence[ConsumerRecord]) -> list[Outgoing]:
    """Confirmed means reserved."""
    received = decode(records, LeadConfirmed)
    if not received:
        return []
    now = datetime.now(UTC)
    rows, told = [], []
    async with db.transaction():
        for one in await admit(db, received):
            body = one.body
            assert isinstance(body, LeadConfirmed)
            through, until = TERM.end(body.confirmed_at, ZONE)
            event = ReservationOpened(
                lead_id=body.lead_id,
                client_key=body.client_key,
                partner_id=body.partner_id,
                reservation_id=derived_id(str(body.lead_id), "reservation"),
                client=body.client,
                confirmed_at=body.confirmed_at,
                reserved_through=through,
                reserved_until=until,
            )
            told.append((event, one.cause))
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
    return [
        encode(event, event_id=derived_id(cause.id, event.ce_type), source=SOURCE, at=now, cause=cause, sequence=1)
        for event, cause in told
        if event.lead_id in opened
    ]
