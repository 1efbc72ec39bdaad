"""Plain notifier: reservations and rejections → SMS. The provider is a stub that accepts at once."""

import os
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from uuid import UUID

from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage

from chassis.decision import derived_id
from contracts import topics
from contracts.reservations import ReservationOpened
from contracts.sealing import Sealer
from contracts.sms import SmsStatus
from contracts.verdicts import LeadRejected
from services.notifier.domain import wording
from services.notifier.store.tables import AttemptRow, PartnerRow, SmsRow
from tests.bench.plain.common import WorkRow, application, cause, is_kind, publish, seen, sessions

SOURCE = "/truce/notifier"
GROUP = "notifier"
PROVIDER = "smsc"

broker = KafkaBroker(os.environ["KAFKA_BOOTSTRAP_SERVERS"])
app = application(broker)
session_of = sessions("NOTIFIER_DATABASE_URL")
sealer = Sealer(os.environ["NOTIFIER_SEALING_KEYS"])

reservations = broker.subscriber(
    topics.RESERVATIONS, group_id=GROUP, ack_policy=AckPolicy.ACK, auto_offset_reset="earliest"
)
verdicts = broker.subscriber(topics.VERDICTS, group_id=GROUP, ack_policy=AckPolicy.ACK, auto_offset_reset="earliest")


class Smsc:
    """A stub of the provider that accepts every message."""

    def send(self, message_id: UUID, phone: str, text: str) -> None: ...


smsc = Smsc()


@reservations(filter=is_kind(ReservationOpened))
async def reservation_opened(event: ReservationOpened, message: KafkaMessage) -> None:
    await notify(event, message, str(wording.CONFIRMED), {"through": wording.day(event.reserved_through)})


@verdicts(filter=is_kind(LeadRejected))
async def lead_rejected(event: LeadRejected, message: KafkaMessage) -> None:
    template = wording.ALREADY_YOURS if event.reason == "already-yours" else wording.REJECTED
    await notify(event, message, str(template), {})


@reservations
@verdicts
async def other(_: bytes) -> None:
    """Skip kinds without an SMS."""


async def notify(
    event: ReservationOpened | LeadRejected, message: KafkaMessage, template: str, facts: dict[str, str]
) -> None:
    """Send one SMS about the event."""
    because = cause(message)
    message_id = derived_id(because.id, template)
    async with session_of() as session:
        if await seen(session, message):
            return
        sms = SmsRow(
            message_id=message_id,
            lead_id=event.lead_id,
            client_key=event.client_key,
            partner_id=event.partner_id,
            template=template,
            client=event.client,
            facts=facts,
            about=str(event.lead_id),
            place=0,
            correlation=because.correlation,
            created_at=(moment := datetime.now(UTC)),
            due_at=moment,
            valid_until=moment + timedelta(days=7),
            status="waiting",
            calls=1,
            obsolete=None,
            provider=None,
            detail=None,
            settled_at=None,
            resend_of=None,
            resent_by=None,
            resent_why=None,
        )
        work = WorkRow(
            kind="sms",
            ref=f"{message_id}.1",
            key=event.client_key,
            payload={"lead_id": str(event.lead_id), "partner_id": event.partner_id},
            cause=asdict(because),
        )
        attempt = AttemptRow(
            message_id=message_id,
            provider=PROVIDER,
            began_at=datetime.now(UTC),
            partner_id=event.partner_id,
            poll_at=datetime.now(UTC) + timedelta(minutes=2),
        )
        session.add_all([sms, work, attempt])
        await session.commit()  # a call is stored before it is made
        partner = await session.get_one(PartnerRow, event.partner_id)
        phone = sealer.open(partner.person, partner.partner_id).phone
        full_name = sealer.open(event.client, str(event.lead_id)).full_name
        smsc.send(message_id, phone, wording.render(template, full_name, event.lead_id, facts))
        now = datetime.now(UTC)
        sms.status, sms.provider, sms.settled_at = "sent", PROVIDER, now
        work.finish()
        await session.commit()
    status = SmsStatus(
        lead_id=event.lead_id,
        client_key=event.client_key,
        partner_id=event.partner_id,
        message_id=message_id,
        template=template,
        status="sent",
        provider=PROVIDER,
        at=now,
    )
    await publish(broker, status, because, SOURCE, step=f"sms/{message_id}/")
