"""The list of all messages. The schemas, the AsyncAPI document and the tests are made from it."""

from typing import Final

from contracts.base import Message
from contracts.dead_letters import DeadLetter, DeadLetterReplayed, DeadLetterResolved
from contracts.leads import (
    LeadSubmitted,
    RequestRefused,
    ReturnRequested,
    RewardClaimed,
    RewardSettlementRequested,
    WithdrawalRequested,
)
from contracts.operations import ListReservations, OperationDone, OperationRefused, ResumeTopic, SkipRecord
from contracts.partners import Partner
from contracts.portal import ClaimReward, RegisterPartner, ReturnLead, SettleReward, SubmitLead, WithdrawLead
from contracts.reservations import (
    ReinstatementRequested,
    ReservationClosed,
    ReservationExpired,
    ReservationExpiring,
    ReservationExtended,
    ReservationOpened,
    ReservationReinstated,
    ReservationReopened,
    ReservationsListed,
    RewardAccrued,
    RewardClaimAccepted,
    RewardDeclined,
)
from contracts.sms import SmsStatus
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
    ReturnLead,
    WithdrawLead,
    ClaimReward,
    SettleReward,
    Partner,
    LeadSubmitted,
    ReturnRequested,
    WithdrawalRequested,
    RewardClaimed,
    RewardSettlementRequested,
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
    ReservationExpiring,
    ReservationExpired,
    ReservationExtended,
    ReinstatementRequested,
    ReservationReinstated,
    ReservationClosed,
    ReservationReopened,
    ReservationsListed,
    RewardClaimAccepted,
    RewardAccrued,
    RewardDeclined,
    SmsStatus,
    ResumeTopic,
    SkipRecord,
    ListReservations,
    OperationDone,
    OperationRefused,
    DeadLetter,
    DeadLetterResolved,
    DeadLetterReplayed,
)
