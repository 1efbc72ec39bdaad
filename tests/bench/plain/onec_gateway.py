"""Plain gateway: leads → checks in 1C → verdicts; reservations → 1C's partner journal.

1C is a stub that responds at once.
"""

import hmac
import os
from dataclasses import asdict
from datetime import UTC, date, datetime

from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage

from contracts import topics
from contracts.base import RejectionReason
from contracts.leads import LeadSubmitted
from contracts.person import Person, client_key
from contracts.reservations import ReservationOpened
from contracts.sealing import Sealer
from contracts.verdicts import LeadConfirmed, LeadRejected
from services.onec_gateway.store.tables import HoldRow, KnownReservationRow, LeadRow, PartnerRow
from tests.bench.plain.common import WorkRow, application, cause, is_kind, publish, seen, sessions

SOURCE = "/truce/onec-gateway"
GROUP = "onec-gateway"

broker = KafkaBroker(os.environ["KAFKA_BOOTSTRAP_SERVERS"])
app = application(broker)
session_of = sessions("ONEC_DATABASE_URL")
sealer = Sealer(os.environ["ONEC_SEALING_KEYS"])
secret = bytes.fromhex(os.environ["ONEC_CLIENT_KEY_SECRET"])

leads = broker.subscriber(topics.LEADS, group_id=GROUP, ack_policy=AckPolicy.ACK, auto_offset_reset="earliest")
reservations = broker.subscriber(
    topics.RESERVATIONS, group_id=GROUP, ack_policy=AckPolicy.ACK, auto_offset_reset="earliest"
)


class OneC:
    """A stub of 1C without enquiries, which accepts every journal entry."""

    def enquiries(self, phone: str) -> list[str]:  # noqa: ARG002  # the stub's
        return []

    def enter(
        self, client: Person, partner_id: str, partner: str, agreement: str, confirmed_at: datetime, through: date
    ) -> None: ...


onec = OneC()


@leads(filter=is_kind(LeadSubmitted))
async def lead_submitted(lead: LeadSubmitted, message: KafkaMessage) -> None:
    """Check the client in 1C, unless the client has a holder, and publish the verdict."""
    async with session_of() as session:
        if await seen(session, message):
            return
        row = LeadRow(
            lead_id=lead.lead_id,
            client_key=lead.client_key,
            partner_id=lead.partner_id,
            client=lead.client,
            received_at=lead.received_at,
            number=lead.number,
            cause=asdict(cause(message)),
            check_requested=False,
            checked_at=None,
            enquiries=[],
            sales=[],
            cards=[],
            delayed_at=None,
            ruling=None,
            rule="",
            status="under-review",
            reason=None,
            evidence=None,
            decided_at=None,
        )
        session.add(row)
        reason: RejectionReason | None = None
        hold = await session.get(HoldRow, lead.client_key)
        if hold is not None:
            reason = "already-yours" if hold.partner_id == lead.partner_id else "held-by-partner"
            row.evidence = str(hold.lead_id)
        else:
            row.check_requested = True
            work = WorkRow(
                kind="check",
                ref=str(lead.lead_id),
                key=lead.client_key,
                payload={"client": lead.client},
                cause=asdict(cause(message)),
            )
            session.add(work)
            await session.commit()  # a call is stored before it is made
            enquiries = onec.enquiries(opened(lead).phone)
            row.checked_at = datetime.now(UTC)
            if enquiries:
                reason, row.evidence = "known-to-builder", enquiries[0]
            work.finish()
        now = datetime.now(UTC)
        row.status, row.reason, row.decided_at = "rejected" if reason else "confirmed", reason, now
        if reason is None:
            session.add(
                HoldRow(client_key=lead.client_key, lead_id=lead.lead_id, partner_id=lead.partner_id, confirmed_at=now)
            )
        await session.commit()
    common = lead.model_dump(include={"lead_id", "client_key", "partner_id", "client", "received_at"})
    event: LeadConfirmed | LeadRejected
    if reason is None:
        event = LeadConfirmed(**common, checked_at=row.checked_at or now, confirmed_at=now)
    else:
        event = LeadRejected(**common, rejected_at=now, reason=reason, evidence=row.evidence)
    await publish(broker, event, cause(message), SOURCE)


@reservations(filter=is_kind(ReservationOpened))
async def reservation_opened(event: ReservationOpened, message: KafkaMessage) -> None:
    """Enter the reserved client into the partner journal."""
    async with session_of() as session:
        if await seen(session, message):
            return
        reservation = KnownReservationRow(
            lead_id=event.lead_id,
            client_key=event.client_key,
            confirmed_at=event.confirmed_at,
            reserved_until=event.reserved_until,
            reserved_through=event.reserved_through,
            ended_at=None,
            ended_as=None,
            journal_entered_at=None,
            handed_over_at=None,
            enquiry_ref=None,
        )
        work = WorkRow(
            kind="partner-journal",
            ref=str(event.lead_id),
            key=event.client_key,
            payload=event.model_dump(mode="json", include={"client", "partner_id", "confirmed_at", "reserved_through"}),
            cause=asdict(cause(message)),
        )
        session.add_all([reservation, work])
        await session.commit()  # a call is stored before it is made
        partner = await session.get_one(PartnerRow, event.partner_id)
        person = sealer.open(partner.person, partner.partner_id)
        onec.enter(
            opened(event),
            partner.partner_id,
            person.full_name,
            partner.agreement_number,
            event.confirmed_at,
            event.reserved_through,
        )
        reservation.journal_entered_at = datetime.now(UTC)
        work.finish()
        await session.commit()


@leads
@reservations
async def other(_: bytes) -> None:
    """Skip kinds that the gateway does not need."""


def opened(about: LeadSubmitted | ReservationOpened) -> Person:
    """The opened client. Raises ValueError if its key was not made with this service's secret."""
    client = sealer.open(about.client, str(about.lead_id))
    if not hmac.compare_digest(client_key(secret, client.phone), about.client_key):
        raise ValueError(f"client key of lead {about.lead_id} does not fit")
    return client
