"""The list of all messages: what the schemas, the AsyncAPI document and the tests walk over."""

from typing import Final

from contracts.dead_letters import DeadLetter, DeadLetterResolved
from contracts.leads import LeadSubmitted, RequestRefused
from contracts.message import Message
from contracts.messages import SmsStatus
from contracts.partners import Partner
from contracts.portal import RegisterPartner, SubmitLead
from contracts.reservations import (
    ReinstatementRequested,
    ReservationClosed,
    ReservationExpired,
    ReservationExtended,
    ReservationOpened,
    ReservationReinstated,
    ReservationReopened,
)
from contracts.verdicts import (
    CollisionDetected,
    DealCancelled,
    DealClosed,
    LeadCheckDelayed,
    LeadConfirmed,
    LeadRejected,
    ReinstatementConfirmed,
    ReinstatementRejected,
)

MESSAGES: Final[tuple[type[Message], ...]] = (
    RegisterPartner,
    SubmitLead,
    Partner,
    LeadSubmitted,
    RequestRefused,
    LeadConfirmed,
    LeadRejected,
    LeadCheckDelayed,
    ReinstatementConfirmed,
    ReinstatementRejected,
    DealClosed,
    DealCancelled,
    CollisionDetected,
    ReservationOpened,
    ReservationExpired,
    ReservationExtended,
    ReinstatementRequested,
    ReservationReinstated,
    ReservationClosed,
    ReservationReopened,
    SmsStatus,
    DeadLetter,
    DeadLetterResolved,
)
