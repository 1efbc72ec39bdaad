"""Topic `verdicts`: whose client it is, decided by the 1C gateway alone, and what it noticed in 1C."""

from datetime import date
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from contracts import topics
from contracts.base import Amount, ClientMessage, Currency, RejectionReason, Sealed, Time

CollisionKind = Literal["later", "backdated", "redated", "entered-again", "within-skew"]


class LeadConfirmed(ClientMessage):
    """The client is this partner's. The reservation's term runs from `confirmed_at`."""

    ce_type: ClassVar[str] = "lead-confirmed.v1"
    topic: ClassVar[str] = topics.VERDICTS

    client: Sealed
    received_at: Time
    checked_at: Annotated[Time, Field(description="when 1C answered the check")]
    confirmed_at: Time


class LeadRejected(ClientMessage):
    """`reason` is the true one and for the builder's staff; portals map it to what a realtor may know."""

    ce_type: ClassVar[str] = "lead-rejected.v1"
    topic: ClassVar[str] = topics.VERDICTS

    client: Sealed
    received_at: Time
    rejected_at: Time
    reason: RejectionReason
    evidence: Annotated[
        str | None, Field(description="1C's reference of the enquiry, or the id of the lead, it rests on")
    ] = None


class LeadCheckDelayed(ClientMessage):
    """1C has not answered for long, or people must decide: the lead is still under review. Told once."""

    ce_type: ClassVar[str] = "lead-check-delayed.v1"
    topic: ClassVar[str] = topics.VERDICTS

    client: Sealed
    received_at: Time
    delayed_at: Time


class ReinstatementConfirmed(ClientMessage):
    """The client whose reservation had run out is this partner's once more; a fresh term runs from `confirmed_at`."""

    ce_type: ClassVar[str] = "reinstatement-confirmed.v1"
    topic: ClassVar[str] = topics.VERDICTS

    request_id: UUID
    confirmed_at: Time


class ReinstatementRejected(ClientMessage):
    """Somebody else has the client by now, or has bought. `evidence`: the lead or 1C's reference it rests on."""

    ce_type: ClassVar[str] = "reinstatement-rejected.v1"
    topic: ClassVar[str] = topics.VERDICTS

    request_id: UUID
    rejected_at: Time
    reason: Literal["held-by-partner", "already-sold"]
    evidence: str | None = None


class _Deal(ClientMessage):
    deal: Annotated[str, Field(description="1C's reference of the sale")]
    amount: Amount
    currency: Currency
    contract_number: str
    sold_on: Annotated[date, Field(description="date of the contract, in the builder's zone")]


class DealClosed(_Deal):
    """A sale to the client of this lead was found in 1C, or tied to it by hand. Told once a sale."""

    ce_type: ClassVar[str] = "deal-closed.v1"
    topic: ClassVar[str] = topics.VERDICTS

    noticed_at: Time
    linked_by: Annotated[str | None, Field(description="who tied it to the lead by hand, if anybody")] = None


class DealCancelled(_Deal):
    """A sale that was told of is void in 1C by now. Told once a sale."""

    ce_type: ClassVar[str] = "deal-cancelled.v1"
    topic: ClassVar[str] = topics.VERDICTS

    cancelled_at: Time


class CollisionDetected(ClientMessage):
    """The sales office has an enquiry of a client staked by a partner: who was first, and by whose clock.

    `later`: entered and dated after the lead. `backdated`: dated before the lead, but 1C did not have it at
    `not_there_at`. `redated`: its date was `was_dated` before. `entered-again`: its like was deleted and entered anew.
    `within-skew`: nobody can tell, a person decides.
    """

    ce_type: ClassVar[str] = "collision-detected.v1"
    topic: ClassVar[str] = topics.VERDICTS

    kind: CollisionKind
    enquiry: Annotated[str, Field(description="1C's reference of the enquiry")]
    enquiry_number: str
    enquiry_date: Annotated[Time, Field(description="the enquiry's date by 1C's clock")]
    received_at: Annotated[Time, Field(description="when the lead was received, by our clock")]
    confirmed_at: Time | None = None
    reserved_through: date | None = None
    first_seen_at: Annotated[Time, Field(description="when we first saw the enquiry")]
    not_there_at: Annotated[Time | None, Field(description="when we last looked and 1C did not have it")] = None
    was_dated: Time | None = None
