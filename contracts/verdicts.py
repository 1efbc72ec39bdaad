"""Topic `verdicts`: whose client it is, decided by the 1C gateway alone."""

from typing import Annotated, ClassVar

from pydantic import Field

from contracts import topics
from contracts.message import ClientMessage, RejectionReason, Sealed, Time


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
