"""Topic `verdicts`: decisions of the 1C gateway about leads, and the sales and collisions that it finds in 1C."""

from datetime import date
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from contracts import topics
from contracts.base import (
    Amount,
    ClientMessage,
    Currency,
    RejectionReason,
    Sealed,
    StaffName,
    Time,
    TypedText,
)

# The name of the rule that decided. Published names stay; readers pass over a name that they do not know.
RuleName = Annotated[
    str | None,
    Field(description="name of the rule that decided, such as `free`, `others-hold`, `enquiry`, `sale`, `ruling`"),
]
Evidence = Annotated[
    str | None,
    Field(description="what the decision is based on: 1C's reference of an enquiry or a sale, or the id of a lead"),
]
RuledBy = Annotated[StaffName | None, Field(description="who answered the question that the facts left open")]
RuledWhy = Annotated[TypedText | None, Field(description="the reason of that answer")]

CollisionKind = Literal["later", "backdated", "redated", "entered-again", "within-skew"]


class LeadConfirmed(ClientMessage):
    """The lead is confirmed: the client is this partner's. The term of the reservation starts at `confirmed_at`."""

    ce_type: ClassVar[str] = "lead-confirmed.v1"
    topic: ClassVar[str] = topics.VERDICTS

    client: Sealed
    received_at: Time
    checked_at: Annotated[Time, Field(description="when 1C answered the check")]
    confirmed_at: Time
    rule: RuleName = None
    evidence: Evidence = None
    ruled_by: RuledBy = None
    ruled_why: RuledWhy = None


class LeadRejected(ClientMessage):
    """The lead is rejected. `reason` is the true reason, for the builder's staff; a portal shows a public reason."""

    ce_type: ClassVar[str] = "lead-rejected.v1"
    topic: ClassVar[str] = topics.VERDICTS

    client: Sealed
    received_at: Time
    rejected_at: Time
    reason: RejectionReason
    rule: RuleName = None
    evidence: Evidence = None
    ruled_by: RuledBy = None
    ruled_why: RuledWhy = None


class LeadCheckDelayed(ClientMessage):
    """1C has not answered for long, or a person must decide: the lead is still under review. Published once a lead."""

    ce_type: ClassVar[str] = "lead-check-delayed.v1"
    topic: ClassVar[str] = topics.VERDICTS

    client: Sealed
    received_at: Time
    delayed_at: Time


class ReinstatementConfirmed(ClientMessage):
    """A client whose reservation had expired is this partner's again. A new term starts at `confirmed_at`."""

    ce_type: ClassVar[str] = "reinstatement-confirmed.v1"
    topic: ClassVar[str] = topics.VERDICTS

    request_id: UUID
    confirmed_at: Time
    rule: RuleName = None
    evidence: Evidence = None


class ReinstatementRejected(ClientMessage):
    """Another partner holds the client by now, or the client has bought."""

    ce_type: ClassVar[str] = "reinstatement-rejected.v1"
    topic: ClassVar[str] = topics.VERDICTS

    request_id: UUID
    rejected_at: Time
    reason: Literal["held-by-partner", "already-sold"]
    rule: RuleName = None
    evidence: Evidence = None


class _Deal(ClientMessage):
    deal: Annotated[str, Field(description="1C's reference of the sale")]
    amount: Amount
    currency: Currency
    contract_number: str
    sold_on: Annotated[date, Field(description="date of the contract, in the builder's zone")]


class DealClosed(_Deal):
    """A sale to the client of this lead was found in 1C, or a person linked it to the lead. Published once a sale."""

    ce_type: ClassVar[str] = "deal-closed.v1"
    topic: ClassVar[str] = topics.VERDICTS

    noticed_at: Time
    linked_by: Annotated[str | None, Field(description="who linked the sale to the lead; null if the gateway did")] = (
        None
    )
    linked_why: Annotated[TypedText | None, Field(description="the reason of a link by hand")] = None


class DealCancelled(_Deal):
    """A sale that was published as `deal-closed` was cancelled in 1C. Published once a sale."""

    ce_type: ClassVar[str] = "deal-cancelled.v1"
    topic: ClassVar[str] = topics.VERDICTS

    cancelled_at: Time


class CollisionDetected(ClientMessage):
    """The sales office has an enquiry of a client whom a partner submitted. `kind` is the order of the two.

    `later`: the enquiry was entered and dated after the lead. `backdated`: it is dated before the lead, but 1C did not
    have it at `not_there_at`. `redated`: its date was `was_dated` before. `entered-again`: a similar enquiry was
    deleted before. `within-skew`: the difference is within the error of the clocks, and a person decides.
    """

    ce_type: ClassVar[str] = "collision-detected.v1"
    topic: ClassVar[str] = topics.VERDICTS

    kind: CollisionKind
    enquiry: Annotated[str, Field(description="1C's reference of the enquiry")]
    enquiry_number: str
    enquiry_date: Annotated[Time, Field(description="date of the enquiry, by 1C's clock")]
    received_at: Annotated[Time, Field(description="when intake received the lead, by our clock")]
    confirmed_at: Time | None = None
    reserved_through: date | None = None
    first_seen_at: Annotated[Time, Field(description="when the gateway first read the enquiry from 1C")]
    not_there_at: Annotated[
        Time | None, Field(description="when the gateway last read 1C and the enquiry was not there")
    ] = None
    was_dated: Time | None = None
