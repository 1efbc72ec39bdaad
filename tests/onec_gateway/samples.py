"""Messages and inputs of one client, as the gateway's rules get them."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from chassis.decision import Cause
from contracts.leads import LeadSubmitted
from contracts.portal import Consent
from contracts.reservations import ReinstatementRequested, ReservationExpired, ReservationExtended, ReservationOpened
from services.onec_gateway.domain.inputs import CheckAnswered
from services.onec_gateway.domain.model import Enquiry, Sale

KEY = "k1:" + "0" * 64
NOON = datetime(2026, 3, 14, 9, tzinfo=UTC)
UNTIL = datetime(2026, 9, 14, 21, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
LATER = UNTIL + timedelta(days=181)
REQUEST = UUID(int=77)
SALE = Sale("deal-1", Decimal("100.00"), "RUB", "Д-1", date(2026, 6, 1))


def lead_id(number: int) -> UUID:
    return UUID(int=number)


def submitted(number: int, partner: str = "p1", at: datetime = NOON) -> LeadSubmitted:
    return LeadSubmitted(
        lead_id=lead_id(number),
        client_key=KEY,
        partner_id=partner,
        client="sealed",
        received_at=at,
        number=number,
        consent=Consent(given_at=at),
    )


def opened(
    number: int, partner: str = "p1", at: datetime = NOON + MINUTE, until: datetime = UNTIL
) -> ReservationOpened:
    return ReservationOpened(**_reservation(number, partner, at, until))


def expired(
    number: int, partner: str = "p1", at: datetime = NOON + MINUTE, until: datetime = UNTIL
) -> ReservationExpired:
    return ReservationExpired(**_reservation(number, partner, at, until), expired_at=until)


def extended() -> ReservationExtended:
    """The reservation of lead 1 is extended to LATER."""
    fields = {**opened(1).model_dump(), "reserved_until": LATER, "reserved_through": date(2027, 3, 14)}
    return ReservationExtended(**fields, request_id=REQUEST, extended_at=NOON + DAY)


def reinstatement(number: int = 1, partner: str = "p1", at: datetime = UNTIL + DAY) -> ReinstatementRequested:
    """A partner manager requests that the expired reservation be reinstated."""
    return ReinstatementRequested(
        lead_id=lead_id(number), client_key=KEY, partner_id=partner, request_id=REQUEST, requested_at=at
    )


def answered(number: int, *enquiries: datetime, at: datetime = NOON + MINUTE) -> CheckAnswered:
    """The check of a lead found enquiries with these dates: `ref-1`, `ref-2`…"""
    return CheckAnswered(lead_id(number), at, tuple(Enquiry(f"ref-{n}", when) for n, when in enumerate(enquiries, 1)))


def cause_of(message: Any) -> Cause:
    """A cause as a topic's record has it: one id for each message."""
    about = getattr(message, "lead_id", None)
    return Cause(f"{type(message).__name__}-{about}", f"correlation-{about}")


def _reservation(number: int, partner: str, at: datetime, until: datetime) -> dict[str, Any]:
    return {
        "lead_id": lead_id(number),
        "client_key": KEY,
        "partner_id": partner,
        "reservation_id": UUID(int=1000 + number),
        "client": "sealed",
        "confirmed_at": at,
        "reserved_through": date(2026, 9, 14),
        "reserved_until": until,
    }
