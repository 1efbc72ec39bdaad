"""Tables of the notifier. Columns named `…_at` and `…_until` hold real time, except in `messages` (business time)."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import BigInteger, DateTime
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

_MOMENT = DateTime(timezone=True)


class Table(SQLModel, registry=registry()):
    """Base of the tables of this service; a registry of its own keeps them apart from those of other services."""


class PartnerRow(Table, table=True):
    """A partner as its latest message on topic `partners` describes it. `person` is sealed."""

    __tablename__ = "partners"

    partner_id: str = Field(primary_key=True)
    person: str
    status: str


class SmsRow(Table, table=True):
    """One SMS, sent or not. The columns are the fields of `domain.model.Sms`."""

    __tablename__ = "messages"

    message_id: UUID = Field(primary_key=True)
    lead_id: UUID = Field(index=True)
    client_key: str = Field(index=True)
    partner_id: str
    template: str
    client: str
    facts: dict[str, str] = Field(sa_type=JSONB)
    about: str
    place: int
    correlation: str
    created_at: datetime = Field(sa_type=_MOMENT)
    due_at: datetime = Field(sa_type=_MOMENT)
    valid_until: datetime = Field(sa_type=_MOMENT)
    status: str
    calls: int
    obsolete: str | None
    provider: str | None
    detail: str | None
    settled_at: datetime | None = Field(sa_type=_MOMENT)
    resend_of: UUID | None
    resent_by: str | None
    resent_why: str | None
    event_order: int | None = Field(default=None, sa_type=BigInteger)


class AttemptRow(Table, table=True):
    """A call to a provider that may have sent the SMS. The row is deleted once it is certain that the call did not.

    `began_at` is the start of the latest of `sends` calls. `lookups` and `misses` are those of
    `domain.in_doubt.Attempt`. `polls` is how often the status of a sent SMS was polled, `poll_at` when it is polled
    next if no delivery report comes before.
    """

    __tablename__ = "attempts"

    message_id: UUID = Field(primary_key=True)
    provider: str
    began_at: datetime = Field(sa_type=_MOMENT)
    sends: int = 1
    lookups: int = 0
    misses: int = 0
    partner_id: str = ""
    polls: int = 0
    poll_at: datetime | None = Field(sa_type=_MOMENT)


class ProviderRow(Table, table=True):
    """The latest check of a provider, and until when it is disabled because of which error code."""

    __tablename__ = "providers"

    name: str = Field(primary_key=True)
    checked_at: datetime = Field(sa_type=_MOMENT)
    error: str | None
    balance: Decimal | None
    disabled_code: str | None
    disabled_until: datetime | None = Field(sa_type=_MOMENT)


class UnmatchedReportRow(Table, table=True):
    """A signed delivery report about an SMS that is not in `messages`, kept for people to look into."""

    __tablename__ = "unmatched_reports"

    provider: str = Field(primary_key=True)
    message_id: UUID = Field(primary_key=True)
    outcome: str = Field(primary_key=True)
    code: str
    at: datetime = Field(sa_type=_MOMENT)
