"""Requests that portals send, over HTTP (as bodies) or on their own topic `portal-requests.<portal>`."""

from datetime import date
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, StringConstraints

from contracts import topics
from contracts.message import Message, PartnerId, PartnerStatus, Time

FullName = Annotated[str, StringConstraints(max_length=300)]
RawPhone = Annotated[str, StringConstraints(max_length=64)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class PlainClient(_Part):
    """A person as a portal types it in: nothing is normalised yet."""

    full_name: FullName
    phone: RawPhone


class Consent(_Part):
    """The client's consent to the processing of personal data (152-FZ)."""

    given_at: Time
    advertising: bool = False


class Agreement(_Part):
    number: Annotated[str, StringConstraints(min_length=1, max_length=50)]
    signed_on: date


class RegisterPartner(Message):
    """`person` is a compact JWE of a `PlainClient`, or, where the operator allows it, absent in favour of
    the plain `full_name` and `phone`."""

    ce_type: ClassVar[str] = "register-partner.v1"
    topic: ClassVar[str] = topics.PORTAL_REQUESTS

    partner_id: PartnerId
    full_name: FullName | None = None
    phone: RawPhone | None = None
    person: str | None = None
    agreement: Agreement
    status: PartnerStatus = "active"


class SubmitLead(Message):
    """`client` is a compact JWE (`ECDH-ES`, `A256GCM`) of a `PlainClient` to intake's public key, or a plain
    object where the operator allows it. Without `consent` the lead is refused (`no-consent`)."""

    ce_type: ClassVar[str] = "submit-lead.v1"
    topic: ClassVar[str] = topics.PORTAL_REQUESTS

    partner_id: PartnerId
    client: PlainClient | str
    consent: Consent | None = None
    note: Annotated[str, StringConstraints(max_length=1000)] | None = None
