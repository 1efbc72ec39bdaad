"""Requests of portals: bodies over HTTP, or messages on the portal's own topic `portal-requests.<portal>`."""

from datetime import date
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from contracts import topics
from contracts.base import Amount, Currency, Message, PartnerId, PartnerStatus, StaffName, Time, TypedText
from contracts.text import LINES, NAME, ONE_LINE, PHONE

FullName = Annotated[str, StringConstraints(max_length=300), NAME]
RawPhone = Annotated[str, StringConstraints(max_length=64), PHONE]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class PlainPerson(_Part):
    """A person as a portal sends it, not normalised."""

    full_name: FullName
    phone: RawPhone


class Consent(_Part):
    """The client's consent to the processing of personal data (152-FZ)."""

    given_at: Time
    advertising: bool = False


class Agreement(_Part):
    number: Annotated[
        str,
        StringConstraints(min_length=1, max_length=50),
        ONE_LINE,
        Field(description="One line without control characters"),
    ]
    signed_on: date


class RegisterPartner(Message):
    """A partner to add or to change.

    `person` is a compact JWE of a `PlainPerson`. Where the operator allows it, the plain `full_name` and `phone` may
    replace `person`.
    """

    ce_type: ClassVar[str] = "register-partner.v1"
    topic: ClassVar[str] = topics.PORTAL_REQUESTS

    partner_id: PartnerId
    full_name: FullName | None = None
    phone: RawPhone | None = None
    person: str | None = None
    agreement: Agreement
    status: PartnerStatus = "active"


class SubmitLead(Message):
    """A client that a partner submits.

    `client` is a compact JWE (`ECDH-ES`, `A256GCM`) of a `PlainPerson` to intake's public key, or a plain object: over
    the operator allows it. Without `consent` the lead is refused (`no-consent`).
    """

    ce_type: ClassVar[str] = "submit-lead.v1"
    topic: ClassVar[str] = topics.PORTAL_REQUESTS

    partner_id: PartnerId
    client: PlainPerson | str
    consent: Consent | None = None
    note: (
        Annotated[
            str,
            StringConstraints(max_length=1000),
            LINES,
            Field(description="Text without control characters but line feed"),
        ]
        | None
    ) = None


class ReturnLead(Message):
    """A partner manager returns a client to the partner that reserved it.

    `client` as in `SubmitLead`. The lead is found by the phone; the name must be the name of the submission. A second
    return within a day after one was granted is refused (`already-returned`) unless `again` says that it is meant.
    """

    ce_type: ClassVar[str] = "return-lead.v1"
    topic: ClassVar[str] = topics.PORTAL_REQUESTS

    partner_id: PartnerId
    client: PlainPerson | str
    manager: StaffName
    reason: TypedText
    again: bool = False


class WithdrawLead(Message):
    """A lead that was submitted by mistake. Either `partner_id` or `manager` names who withdraws it."""

    ce_type: ClassVar[str] = "withdraw-lead.v1"
    topic: ClassVar[str] = topics.PORTAL_REQUESTS

    lead_id: UUID
    partner_id: PartnerId | None = None
    manager: StaffName | None = None
    reason: TypedText


class ClaimReward(Message):
    """A partner's claim of the reward for a sale to the client of this lead."""

    ce_type: ClassVar[str] = "claim-reward.v1"
    topic: ClassVar[str] = topics.PORTAL_REQUESTS

    lead_id: UUID
    partner_id: PartnerId
    note: TypedText | None = None


class SettleReward(Message):
    """The builder's decision about a claim. The decision `accrue` needs `amount` and `currency`."""

    ce_type: ClassVar[str] = "settle-reward.v1"
    topic: ClassVar[str] = topics.PORTAL_REQUESTS

    claim_id: UUID
    decision: Literal["accrue", "decline"]
    amount: Amount | None = None
    currency: Currency | None = None
    reason: TypedText
    decided_by: StaffName
