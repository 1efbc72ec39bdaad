"""Plain reservations: verdicts → reservations. Clients stay sealed."""

import os
from dataclasses import asdict
from zoneinfo import ZoneInfo

from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage

from chassis.decision import derived_id
from contracts import topics
from contracts.reservations import ReservationOpened
from contracts.verdicts import LeadConfirmed
from services.reservations.domain.history import Head, appended
from services.reservations.domain.terms import Term
from services.reservations.store.tables import HeadRow, HistoryRow, ReservationRow
from tests.bench.plain.common import application, cause, is_kind, publish, seen, sessions

SOURCE = "/truce/reservations"
TERM = Term.parse("P6M")
ZONE = ZoneInfo("Europe/Moscow")
KEY = bytes.fromhex(os.environ["RESERVATIONS_HISTORY_KEY"])

broker = KafkaBroker(os.environ["KAFKA_BOOTSTRAP_SERVERS"])
app = application(broker)
session_of = sessions("RESERVATIONS_DATABASE_URL")

verdicts = broker.subscriber(
    topics.VERDICTS, group_id="reservations", ack_policy=AckPolicy.ACK, auto_offset_reset="earliest"
)


@verdicts(filter=is_kind(LeadConfirmed))
async def lead_confirmed(verdict: LeadConfirmed, message: KafkaMessage) -> None:
    """Open a reservation for a confirmed lead. A unique index refuses a second live reservation of a client."""
    through, until = TERM.end(verdict.confirmed_at, ZONE)
    event = ReservationOpened(
        lead_id=verdict.lead_id,
        client_key=verdict.client_key,
        partner_id=verdict.partner_id,
        reservation_id=derived_id(str(verdict.lead_id), "reservation"),
        client=verdict.client,
        confirmed_at=verdict.confirmed_at,
        reserved_through=through,
        reserved_until=until,
    )
    async with session_of() as session:
        if await seen(session, message):
            return
        head = await session.get(HeadRow, verdict.client_key)
        known = Head() if head is None else Head(head.count, bytes.fromhex(head.hash))
        facts = {"at": verdict.confirmed_at.isoformat(), "what": "opened", "lead": str(verdict.lead_id)}
        after, entry = appended(known, KEY, verdict.client_key, {**facts, "through": through.isoformat()})
        history = {"history_count": after.count, "history_head": after.hash.hex()}
        session.add(
            ReservationRow(
                **event.model_dump(exclude={"history_count", "history_head"}),
                opened_at=verdict.confirmed_at,
                term="P6M",
                zone=ZONE.key,
                term_set_on=verdict.confirmed_at.date(),
                next_due=until,
                next_step=30,
                status="live",
                extensions=0,
                returns=0,
                earlier_terms=[],
                cause=asdict(cause(message)),
            )
        )
        session.add(
            HistoryRow(client_key=verdict.client_key, number=after.count, entry=entry.text, hash=entry.hash.hex())
        )
        seal = after.seal(KEY, verdict.client_key).hex()
        await session.merge(HeadRow(client_key=verdict.client_key, count=after.count, hash=after.hash.hex(), seal=seal))
        await session.commit()
    await publish(broker, event.model_copy(update=history), cause(message), SOURCE)


@verdicts
async def other(_: bytes) -> None:
    """Skip kinds that reservations does not need."""
