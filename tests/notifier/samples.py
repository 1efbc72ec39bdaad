"""What the notifier's tests are about: a partner, a client, and what is said about them."""

import json
from datetime import UTC, date, datetime
from typing import Final
from uuid import UUID

from joserfc.jwk import ECKey

from chassis.decision import Cause
from contracts.client import Client, client_key
from contracts.message import RejectionReason
from contracts.partners import Partner
from contracts.portal import Agreement
from contracts.reservations import ReservationExpired, ReservationOpened
from contracts.sealing import Sealer
from contracts.verdicts import LeadRejected

NOON: Final = datetime(2026, 11, 24, 9, tzinfo=UTC)
SEALING_KEYS: Final = json.dumps(
    {"keys": [{"kty": "oct", "kid": "t1", "k": "F0ZPElfArb84v36wqnJvKjBph99I0NtyODh3DhZ5jXs"}]}
)
SEALER: Final = Sealer(SEALING_KEYS)
OPERATOR: Final = ECKey.generate_key("P-256", {"kid": "d1"})

REALTOR: Final = Client.parse("Петрова Анна Сергеевна", "+79031112233")
BUYER: Final = Client.parse("Иванов Иван Иванович", "+79161234567")


def key_of(client: Client = BUYER) -> str:
    return client_key(b"a secret of tests", client.phone)


def cause(number: int) -> Cause:
    return Cause(str(UUID(int=number)), f"story-{number}")


def partner(partner_id: str = "p1", person: Client = REALTOR) -> Partner:
    return Partner(
        partner_id=partner_id,
        person=SEALER.seal(person, partner_id),
        agreement=Agreement(number="АД-1", signed_on=date(2026, 1, 1)),
        status="active",
    )


def opened(lead: int = 1, partner_id: str = "p1", client: Client = BUYER) -> ReservationOpened:
    lead_id = UUID(int=lead)
    return ReservationOpened(
        lead_id=lead_id,
        client_key=key_of(client),
        partner_id=partner_id,
        reservation_id=UUID(int=lead + 1000),
        client=SEALER.seal(client, str(lead_id)),
        confirmed_at=NOON,
        reserved_through=date(2027, 5, 24),
        reserved_until=datetime(2027, 5, 24, 21, tzinfo=UTC),
    )


def expired(lead: int = 1, partner_id: str = "p1", client: Client = BUYER) -> ReservationExpired:
    return ReservationExpired(
        **opened(lead, partner_id, client).model_dump(), expired_at=datetime(2027, 5, 24, 21, tzinfo=UTC)
    )


def rejected(
    lead: int = 2, partner_id: str = "p1", reason: RejectionReason = "held-by-partner", client: Client = BUYER
) -> LeadRejected:
    lead_id = UUID(int=lead)
    return LeadRejected(
        lead_id=lead_id,
        client_key=key_of(client),
        partner_id=partner_id,
        client=SEALER.seal(client, str(lead_id)),
        received_at=NOON,
        rejected_at=NOON,
        reason=reason,
        evidence="lead 7 of partner p9",
    )
