"""Sample data of the notifier's tests: a partner, a client, and one event of each kind."""

import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, Final, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from joserfc.jwk import ECKey

from chassis.decision import Cause
from contracts.base import RejectionReason
from contracts.partners import Partner
from contracts.person import Person, client_key
from contracts.portal import Agreement
from contracts.reservations import (
    ReservationClosed,
    ReservationExpired,
    ReservationExpiring,
    ReservationExtended,
    ReservationOpened,
    ReservationReinstated,
    ReservationReopened,
    RewardAccrued,
    RewardClaimAccepted,
    RewardDeclined,
)
from contracts.sealing import Sealer
from contracts.verdicts import LeadCheckDelayed, LeadRejected
from services.notifier.domain.quiet_hours import Policy
from services.notifier.domain.wording import NAMES

NOON: Final = datetime(2026, 11, 24, 9, tzinfo=UTC)
SEALING_KEYS: Final = json.dumps(
    {"keys": [{"kty": "oct", "kid": "t1", "k": "F0ZPElfArb84v36wqnJvKjBph99I0NtyODh3DhZ5jXs"}]}
)
SEALER: Final = Sealer(SEALING_KEYS)
OPERATOR: Final = ECKey.generate_key("P-256", {"kid": "d1"})

REALTOR: Final = Person.parse("Петрова Анна Сергеевна", "+79031112233")
MOSCOW: Final = ZoneInfo("Europe/Moscow")
POLICY: Final = Policy(MOSCOW, (time(21), time(9)), NAMES - {"confirmed", "rejected", "already-yours"})

BUYER: Final = Person.parse("Иванов Иван Иванович", "+79161234567")


def key_of(client: Person = BUYER) -> str:
    return client_key(b"a secret of tests", client.phone)


def cause(number: int) -> Cause:
    return Cause(str(UUID(int=number)), f"correlation-{number}")


def partner(partner_id: str = "p1", person: Person = REALTOR) -> Partner:
    return Partner(
        partner_id=partner_id,
        person=SEALER.seal(person, partner_id),
        agreement=Agreement(number="АД-1", signed_on=date(2026, 1, 1)),
        status="active",
    )


def opened(lead: int = 1, partner_id: str = "p1", client: Person = BUYER) -> ReservationOpened:
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


def _of(lead: int, partner_id: str, client: Person) -> dict[str, Any]:
    return opened(lead, partner_id, client).model_dump()


def expired(lead: int = 1, partner_id: str = "p1", client: Person = BUYER) -> ReservationExpired:
    return ReservationExpired(**_of(lead, partner_id, client), expired_at=datetime(2027, 5, 24, 21, tzinfo=UTC))


def expiring(lead: int = 1, days_left: int = 7, partner_id: str = "p1", client: Person = BUYER) -> ReservationExpiring:
    return ReservationExpiring(**_of(lead, partner_id, client), days_left=days_left)


def extended(lead: int = 1, partner_id: str = "p1", client: Person = BUYER) -> ReservationExtended:
    later = {"reserved_through": date(2027, 11, 24), "reserved_until": datetime(2027, 11, 24, 21, tzinfo=UTC)}
    fields = {**_of(lead, partner_id, client), **later}
    return ReservationExtended(**fields, request_id=UUID(int=lead + 2000), extended_at=NOON)


def reinstated(lead: int = 1) -> ReservationReinstated:
    return ReservationReinstated(**_of(lead, "p1", BUYER), request_id=UUID(int=lead + 3000), reinstated_at=NOON)


def closed(outcome: Literal["won", "withdrawn"] = "won", lead: int = 1) -> ReservationClosed:
    return ReservationClosed(**_of(lead, "p1", BUYER), closed_at=NOON, outcome=outcome)


def reopened(lead: int = 1) -> ReservationReopened:
    return ReservationReopened(**_of(lead, "p1", BUYER), reopened_at=NOON)


def _reward(lead: int) -> dict[str, Any]:
    ids = {"lead_id": UUID(int=lead), "client_key": key_of(), "partner_id": "p1", "claim_id": UUID(int=lead + 4000)}
    return {**ids, "deal": "ДГ-1", "contract_number": "ДДУ-17/3"}


def claim_accepted(lead: int = 1) -> RewardClaimAccepted:
    return RewardClaimAccepted(**_reward(lead), accepted_at=NOON)


def accrued(amount: str = "1500.00", lead: int = 1) -> RewardAccrued:
    decided = {"decided_by": "Смирнова", "reason": "по договору", "accrued_at": NOON}
    return RewardAccrued(**_reward(lead), amount=Decimal(amount), currency="EUR", **decided)


def declined(reason: str = "сделка без партнёра", lead: int = 1) -> RewardDeclined:
    return RewardDeclined(**_reward(lead), decided_by="Смирнова", reason=reason, declined_at=NOON)


def delayed(lead: int = 1, partner_id: str = "p1") -> LeadCheckDelayed:
    lead_id = UUID(int=lead)
    ids = {"lead_id": lead_id, "client_key": key_of(), "partner_id": partner_id}
    sealed = SEALER.seal(BUYER, str(lead_id))
    return LeadCheckDelayed(**ids, client=sealed, received_at=NOON, delayed_at=NOON)


def rejected(
    lead: int = 2, partner_id: str = "p1", reason: RejectionReason = "held-by-partner", client: Person = BUYER
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
