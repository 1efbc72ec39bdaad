"""Plain intake: portals' requests → leads; verdicts and reservations → what a portal sees."""

import hashlib
import hmac
import json
import os
import re
from datetime import UTC, datetime

import orjson
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from joserfc.jwk import ECKey
from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from chassis.decision import Cause, derived_id
from contracts import topics
from contracts.base import Message
from contracts.leads import LeadSubmitted, RequestRefused
from contracts.person import InvalidName, InvalidPhone, Person, client_key
from contracts.portal import PlainPerson, SubmitLead
from contracts.reservations import ReservationOpened
from contracts.sealing import Sealer, decrypt_with
from contracts.verdicts import LeadRejected
from services.intake.store.tables import LeadRow, PartnerRow, PortalRow, RequestRow
from tests.bench.plain.common import application, is_kind, publish, seen, sessions

SOURCE = "/truce/intake"
PORTAL = "demo"
GROUP = "intake"

broker = KafkaBroker(os.environ["KAFKA_BOOTSTRAP_SERVERS"])
app = application(broker)
session_of = sessions("INTAKE_DATABASE_URL")
sealer = Sealer(os.environ["INTAKE_SEALING_KEYS"])
secret = bytes.fromhex(os.environ["INTAKE_CLIENT_KEY_SECRET"])
unsealing_key = ECKey.import_key(json.loads(os.environ["INTAKE_UNSEALING_KEY"]))

requests = broker.subscriber(
    f"{topics.PORTAL_REQUESTS}.{PORTAL}",
    group_id=f"{GROUP}.requests",
    ack_policy=AckPolicy.ACK,
    auto_offset_reset="earliest",
)
verdicts = broker.subscriber(topics.VERDICTS, group_id=GROUP, ack_policy=AckPolicy.ACK, auto_offset_reset="earliest")
reservations = broker.subscriber(
    topics.RESERVATIONS, group_id=GROUP, ack_policy=AckPolicy.ACK, auto_offset_reset="earliest"
)


@requests(filter=is_kind(SubmitLead))
async def submit_lead(request: SubmitLead, message: KafkaMessage) -> None:
    """Accept the lead, or refuse it with a reason."""
    key = message.headers["ce_id"]
    if not re.fullmatch(r"[\x21-\x7e]{1,255}", key) or not isinstance(request.client, str):
        raise ValueError("no usable id, or a client that is not sealed")
    typed = PlainPerson.model_validate_json(decrypt_with([unsealing_key], request.client))
    consent = request.consent.model_dump(mode="json") if request.consent else None
    content = [request.partner_id, typed.full_name, typed.phone, consent, request.note]
    digest = hmac.digest(secret, b"digest\n" + orjson.dumps(content), hashlib.sha256).hex()
    identity = str(derived_id(f"{PORTAL}/{key}/{digest}", SubmitLead.ce_type))
    cause = Cause(identity, message.headers.get("ce_correlationid", identity), message.headers.get("traceparent"))
    request_id, lead_id = derived_id(f"{PORTAL}/{key}", "request"), derived_id(f"{PORTAL}/{key}", "lead")
    now = datetime.now(UTC)

    async with session_of() as session:
        earlier = await session.get(RequestRow, (PORTAL, key))
        if earlier is not None and earlier.digest == digest:
            return
        client, refusal = None, None
        try:
            client = Person.parse(typed.full_name, typed.phone)
        except (InvalidName, InvalidPhone) as error:
            refusal = "invalid-name" if isinstance(error, InvalidName) else "invalid-phone"
        reason = "id-conflict" if earlier else await refusal_of(session, request, refusal)
        event: Message
        if reason is not None or client is None or request.consent is None:
            event = RequestRefused(
                request_id=request_id,
                portal=PORTAL,
                portal_request_id=key,
                request_type=SubmitLead.ce_type,
                reason=reason or "no-consent",
                partner_id=request.partner_id,
                refused_at=now,
            )
        else:
            event = LeadSubmitted(
                lead_id=lead_id,
                client_key=client_key(secret, client.phone),
                partner_id=request.partner_id,
                client=sealer.seal(client, str(lead_id)),
                received_at=now,
                number=await session.scalar(select(func.nextval("lead_numbers"))),
                consent=request.consent,
            )
            session.add(
                LeadRow(
                    lead_id=lead_id,
                    number=event.number,
                    portal=PORTAL,
                    partner_id=event.partner_id,
                    client_key=event.client_key,
                    client=event.client,
                    status="under-review",
                    received_at=event.received_at,
                    reservation_events=[],
                    history_count=-1,
                )
            )
        if earlier is None:
            session.add(
                RequestRow(
                    portal=PORTAL,
                    key=key,
                    request_id=request_id,
                    kind=SubmitLead.ce_type,
                    digest=digest,
                    reason=event.reason if isinstance(event, RequestRefused) else None,
                    lead_id=lead_id if isinstance(event, LeadSubmitted) else None,
                    done_at=now,
                )
            )
        await session.commit()
    await publish(broker, event, cause, SOURCE)


async def refusal_of(session: AsyncSession, request: SubmitLead, refusal: str | None) -> str | None:
    """The first reason to refuse a lead, or None. `refusal`: the reason if the content alone makes it refused."""
    portal = await session.get(PortalRow, PORTAL)
    if portal is None or portal.key_hash is None or "leads" not in portal.scopes:
        return "forbidden"
    if refusal is not None:
        return refusal
    if request.consent is None:
        return "no-consent"
    partner = await session.get(PartnerRow, request.partner_id)
    if partner is None:
        return "unknown-partner"
    return None if partner.status == "active" else "partner-suspended"


@verdicts(filter=is_kind(LeadRejected))
async def lead_rejected(event: LeadRejected, message: KafkaMessage) -> None:
    """Store the gateway's rejection."""
    async with session_of() as session:
        if await seen(session, message):
            return
        lead = await session.get(LeadRow, event.lead_id)
        if lead is not None and lead.rejected_at is None:
            lead.status, lead.rejected_at, lead.reason = "rejected", event.rejected_at, event.reason
        await session.commit()


@reservations(filter=is_kind(ReservationOpened))
async def reservation_opened(event: ReservationOpened, message: KafkaMessage) -> None:
    """Show the lead as confirmed to the portal, because now it is reserved."""
    async with session_of() as session:
        if await seen(session, message):
            return
        lead = await session.get(LeadRow, event.lead_id)
        if lead is not None and lead.confirmed_at is None:
            lead.status, lead.confirmed_at = "confirmed", event.confirmed_at
            lead.reserved_through, lead.reserved_until = event.reserved_through, event.reserved_until
            entry = [event.confirmed_at.isoformat(), "confirmed", event.reserved_through.isoformat()]
            lead.reservation_events, lead.history_count = [entry], event.history_count or 0
        await session.commit()


@requests
@verdicts
@reservations
async def other(_: bytes) -> None:
    """Skip kinds that intake does not need."""
