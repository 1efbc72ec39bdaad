"""Topic `leads`: what intake took from portals, in the order of receipt, and what it had to refuse."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from contracts import topics
from contracts.message import ClientMessage, Message, PartnerId, Sealed, Time
from contracts.portal import Consent


class LeadSubmitted(ClientMessage):
    """`number` grows in the order of receipt; per client, `received_at` does too."""

    ce_type: ClassVar[str] = "lead-submitted.v1"
    topic: ClassVar[str] = topics.LEADS

    client: Sealed
    received_at: Time
    number: Annotated[int, Field(ge=1)]
    consent: Consent


class RequestRefused(Message):
    """A portal's request that could be read but not taken. `reason` is one of the published codes."""

    ce_type: ClassVar[str] = "request-refused.v1"
    topic: ClassVar[str] = topics.LEADS

    request_id: UUID
    portal: str
    portal_request_id: Annotated[str, Field(description="ce_id of the portal's request")]
    request_type: str
    reason: str
    partner_id: PartnerId | None = None
    refused_at: Time

    @property
    def key(self) -> str:
        return str(self.request_id)
