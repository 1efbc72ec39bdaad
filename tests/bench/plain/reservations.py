"""Verdicts → reservations. The client stays sealed."""

import os
from dataclasses import asdict
from zoneinfo import ZoneInfo

from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage

from chassis.decision import derived_id
from contracts import topics
from contracts.reservations import ReservationOpened
from contracts.verdicts import LeadConfirmed
from services.reservations.terms import Term
from services.reservations.store import ReservationRow
from tests.bench.plain.common import application, cause, is_kind, publish, seen, sessions

SOURCE = "/truce/reservations"
TERM = Term.parse("P6M")
ZONE = ZoneInfo("Europe/Moscow")

broker = KafkaBroker(os.environ["KAFKA_BOOTSTRAP_SERVERS"])
app = application(broker)
session_of = sessions("RESERVATIONS_DATABASE_URL")

verdicts = broker.subscriber(
    topics.VERDICTS, group_id="reservations", ack_policy=AckPolicy.ACK, auto_offset_reset="earliest"
)


@verdicts(filter=is_kind(LeadConfirmed))
async def lead_confirmed(verdict: LeadConfirmed, message: KafkaMessage) -> None:
    """Confirmed means reserved. A second live reservation of a client fails on its index."""
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
        session.add(ReservationRow(**event.model_dump(), status="live", cause=asdict(cause(message))))
        await session.commit()
    await publish(broker, event, cause(message), SOURCE)


@verdicts
async def other(_: bytes) -> None:
    """Kinds that reservations does not need."""
