"""Topic `leads`: the requests that intake accepted from portals, in the order of receipt, and those it refused."""

from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from contracts import topics
from contracts.base import (
    Amount,
    ClientKey,
    ClientMessage,
    Currency,
    Message,
    PartnerId,
    RecordedName,
    RecordedText,
    Sealed,
    Time,
)
from contracts.portal import Consent


class LeadSubmitted(ClientMessage):
    """A partner submitted a client. `number` grows in the order of receipt; for one client `received_at` grows, too."""

    ce_type: ClassVar[str] = "lead-submitted.v1"
    topic: ClassVar[str] = topics.LEADS

    client: Sealed
    received_at: Time
    number: Annotated[int, Field(ge=1)]
    consent: Consent


class _Request(ClientMessage):
    request_id: UUID
    portal: str
    portal_request_id: Annotated[str, Field(description="ce_id of the portal's request")]
    requested_at: Time


class ReturnRequested(_Request):
    """A partner manager returns a client to the partner. Intake found the lead by the phone; the name is the same.

    A second return within a day after one was granted is refused (`already-returned`) unless it has `again`.
    """

    ce_type: ClassVar[str] = "return-requested.v1"
    topic: ClassVar[str] = topics.LEADS

    manager: RecordedName
    reason: RecordedText
    again: bool = False


class WithdrawalRequested(_Request):
    """The lead is to be withdrawn, so that the client is free again.

    Without `manager` the partner withdraws the lead itself, which it may do for a day. A manager may do it at any
    time, also after the reservation expired.
    """

    ce_type: ClassVar[str] = "withdrawal-requested.v1"
    topic: ClassVar[str] = topics.LEADS

    manager: RecordedName | None = None
    reason: RecordedText


class RewardClaimed(_Request):
    """A partner claims the reward for a sale. Reservations decides whether there was a sale."""

    ce_type: ClassVar[str] = "reward-claimed.v1"
    topic: ClassVar[str] = topics.LEADS

    claim_id: UUID
    note: RecordedText | None = None


class RewardSettlementRequested(_Request):
    """The builder's decision about a claim. `amount` and `currency` are set if the reward is to be accrued."""

    ce_type: ClassVar[str] = "reward-settlement-requested.v1"
    topic: ClassVar[str] = topics.LEADS

    claim_id: UUID
    decision: Literal["accrue", "decline"]
    amount: Amount | None = None
    currency: Currency | None = None
    reason: RecordedText
    decided_by: RecordedName


class RequestRefused(Message):
    """A portal's request that can be read but was refused. `reason` is one of the published codes.

    Intake publishes it to `leads` with the request id as the key, reservations to `reservations` with the client key.
    """

    ce_type: ClassVar[str] = "request-refused.v1"
    topic: ClassVar[str] = topics.LEADS

    request_id: UUID
    portal: str
    portal_request_id: Annotated[str, Field(description="ce_id of the portal's request")]
    request_type: str
    reason: str
    field: Annotated[str | None, Field(description="path of the field to change, where it is known")] = None
    partner_id: PartnerId | None = None
    lead_id: UUID | None = None
    client_key: ClientKey | None = None
    refused_at: Time

    @property
    def key(self) -> str:
        return str(self.request_id)
