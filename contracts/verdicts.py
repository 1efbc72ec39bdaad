"""Topic `verdicts`: decisions of the 1C gateway about leads, and the sales and collisions that it finds in 1C."""

from datetime import date
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from contracts import topics
from contracts.base import (
    Amount,
    ClientMessage,
    Currency,
    RecordedName,
    RecordedText,
    RejectionReason,
    Sealed,
    Time,
)

# The name of the rule that decided. Published names stay; readers pass over a name that they do not know.
RuleName = Annotated[
    str | None,
    Field(description="name of the rule that decided, such as `free`, `others-hold`, `enquiry`, `card`, `ruling`"),
]
Evidence = Annotated[
    str | None,
    Field(
        description="what the decision is based on: 1C's reference of an enquiry, a card or a sale, or the id of a lead"
    ),
]
RuledBy = Annotated[RecordedName | None, Field(description="who answered the question that the facts left open")]
RuledWhy = Annotated[RecordedText | None, Field(description="the reason of that answer")]

CollisionKind = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9-]+$",
        description=(
            "The order of the lead and the enquiry. Readers must accept values that they do not know. So far: `later`,"
            " `backdated`, `redated`, `entered-again`, `reassigned`, `deleted-before`, `within-skew`, `card`,"
            " `same-card`"
        ),
    ),
]


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
    linked_why: Annotated[RecordedText | None, Field(description="the reason of a link by hand")] = None


class DealCancelled(_Deal):
    """A sale that was published as `deal-closed` was cancelled in 1C. Published once a sale."""

    ce_type: ClassVar[str] = "deal-cancelled.v1"
    topic: ClassVar[str] = topics.VERDICTS

    cancelled_at: Time


class CollisionEvidence(BaseModel):
    """What the gateway can show about the order of a lead and an enquiry. Times are by the gateway's clock."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    first: Annotated[Literal["lead", "enquiry", "unclear"], Field(description="which of the two was there first")]
    clock: Annotated[
        Literal["truce", "1c"],
        Field(description="by whose clock: `truce`, the gateway's own reads of 1C; `1c`, the date in 1C alone"),
    ]
    date_changed: Annotated[bool, Field(description="the date of the enquiry was changed; it was `was_dated` before")]
    in_1c_at: Annotated[
        Time | None, Field(description="when the gateway first read the enquiry from 1C, also as another client's")
    ] = None
    alive_at: Annotated[
        Time | None, Field(description="when the gateway last read a deleted enquiry before its deletion")
    ] = None


class CollisionDetected(ClientMessage):
    """The sales office has, or had, an enquiry of a client whom a partner submitted.

    `later`: the enquiry was entered and dated after the lead. `backdated`: it is dated before the lead, but 1C did not
    have it at `not_there_at`. `redated`: its date was `was_dated` before. `entered-again`: a similar enquiry was
    deleted before. `reassigned`: it is older than the lead, and became this client's only later: a phone was added to
    its card, or it got another card. `deleted-before`: it was deleted shortly before the lead was checked, and the lead
    was confirmed. `within-skew`: the difference is within the error of the clocks, and a person decides.

    `card`: the office created a card of the client, without an enquiry, after the lead was received. `same-card`:
    another partner holds another phone of the client's card, and a person decides. For these two, `card` and `enquiry`
    are 1C's reference of the card, and `enquiry_date` is since when the client is on it.
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
    first_seen_at: Annotated[Time, Field(description="when the gateway first read the enquiry as this client's")]
    not_there_at: Annotated[
        Time | None, Field(description="when the gateway last read 1C and the client did not have the enquiry")
    ] = None
    was_dated: Time | None = None
    card: Annotated[
        str | None, Field(description="1C's reference of the card that collides, in place of an enquiry")
    ] = None
    other_lead_id: Annotated[UUID | None, Field(description="the lead that holds another phone of the card")] = None
    other_partner_id: str | None = None
    collision_id: Annotated[UUID | None, Field(description="the collision, as `collisions` lists it")] = None
    evidence: CollisionEvidence | None = None
