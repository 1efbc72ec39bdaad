"""The tables of this service. Clients and partners are stored sealed."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel


class Table(SQLModel, registry=registry()):
    """Base of this service's tables, with a registry of its own: other services have tables of the same names."""


class HoldRow(Table, table=True):
    """The lead to which a client was granted: at most one row a client. `released`: a withdrawal ended the hold."""

    __tablename__ = "holds"

    client_key: str = Field(primary_key=True)
    lead_id: UUID
    partner_id: str
    confirmed_at: datetime = Field(sa_type=DateTime(timezone=True))
    released: bool = False


class LeadRow(Table, table=True):
    """A lead, the result of its check in 1C, and its verdict. `cause`, `enquiries`, `sales`, `cards` and `ruling` are
    JSON. `waits_for`: see `Lead`.

    `rule`, `reason`, `evidence` and `decided_at` are the verdict's; `rule` is empty and the others null without one.
    """

    __tablename__ = "leads"

    lead_id: UUID = Field(primary_key=True)
    client_key: str
    partner_id: str
    client: str
    received_at: datetime = Field(sa_type=DateTime(timezone=True))
    number: int = Field(sa_type=BigInteger)
    cause: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    check_requested: bool
    checked_at: datetime | None = Field(sa_type=DateTime(timezone=True))
    enquiries: list[Any] = Field(sa_column=Column(JSONB, nullable=False))
    sales: list[Any] = Field(sa_column=Column(JSONB, nullable=False))
    cards: list[Any] = Field(sa_column=Column(JSONB, nullable=False))
    waits_for: str | None = None
    delayed_at: datetime | None = Field(sa_type=DateTime(timezone=True))
    ruling: dict[str, Any] | None = Field(sa_column=Column(JSONB))
    status: str
    rule: str
    reason: str | None
    evidence: str | None
    decided_at: datetime | None = Field(sa_type=DateTime(timezone=True))


class KnownReservationRow(Table, table=True):
    """What the gateway knows of a lead's reservation, and what it has written to 1C's journals about it."""

    __tablename__ = "known_reservations"

    lead_id: UUID = Field(primary_key=True)
    client_key: str
    confirmed_at: datetime = Field(sa_type=DateTime(timezone=True))
    reserved_until: datetime = Field(sa_type=DateTime(timezone=True))
    reserved_through: date
    ended_at: datetime | None = Field(sa_type=DateTime(timezone=True))
    ended_as: str | None
    journal_entered_at: datetime | None = Field(sa_type=DateTime(timezone=True))
    handed_over_at: datetime | None = Field(sa_type=DateTime(timezone=True))
    enquiry_ref: str | None
    history_count: int | None = None


class PartnerRow(Table, table=True):
    """A partner as it is now. `person` is sealed and bound to the partner id; `phone_key` is its phone's client key."""

    __tablename__ = "partners"

    partner_id: str = Field(primary_key=True)
    person: str
    agreement_number: str
    signed_on: date
    status: str
    phone_key: str | None


class FactRow(Table, table=True):
    """Another fact about a client.

    `kind` is `sighting`, `deal`, `reinstatement`, `insider`, `collision` or `own-enquiry`.
    `ref` is 1C's reference (sighting, deal, own-enquiry), the id of the request or the collision, or the owner of the
    phone (insider).
    """

    __tablename__ = "facts"

    client_key: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    ref: str = Field(primary_key=True)
    body: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))


class SaleRow(Table, table=True):
    """A sale in 1C, to any client. `client_key` and `lead_id` are null until the sale is linked to a lead."""

    __tablename__ = "sales"

    ref: str = Field(primary_key=True)
    number: str
    amount: Decimal
    currency: str
    contract_number: str
    sold_on: date
    cancelled: bool
    seen_at: datetime = Field(sa_type=DateTime(timezone=True))
    client_key: str | None
    lead_id: UUID | None


class PlaceRow(Table, table=True):
    """How far the watch has read a series of a journal in 1C: the highest position, and when the read of it began.

    The row of journal `cards` or `enquiries` with an empty series holds when the last complete read began. The row of
    `cards` with the series `baseline` holds when the first complete read of the cards began, and while it goes on,
    `after`: the last reference that it has read.
    """

    __tablename__ = "watch_places"

    journal: str = Field(primary_key=True)
    series: str = Field(primary_key=True)
    position: int = Field(sa_type=BigInteger)
    at: datetime = Field(sa_type=DateTime(timezone=True))
    after: str | None = None


class CardRow(Table, table=True):
    """A client's card in 1C. `version` is 1C's, which changes with every write of the card and of its phones."""

    __tablename__ = "cards"

    ref: str = Field(primary_key=True)
    version: str
    first_seen_at: datetime = Field(sa_type=DateTime(timezone=True))


class CardPhoneRow(Table, table=True):
    """A number on a card. `number` is the key of an E.164 number or of seven digits without a code; never the number.

    `gone_at`: when the card was read without the number; null while it has it. `not_there_at`: when the last complete
    read of all cards before `first_seen_at` began; null if there was none.
    """

    __tablename__ = "card_phones"

    number: str = Field(primary_key=True)
    card: str = Field(primary_key=True)
    first_seen_at: datetime = Field(sa_type=DateTime(timezone=True))
    gone_at: datetime | None = Field(sa_type=DateTime(timezone=True))
    not_there_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))


class EnquiryRow(Table, table=True):
    """An enquiry in 1C as it was read last. `date` is the document's, `deleted`: marked for deletion or gone.

    `was_card`: the card that it had before it got its present one. `ours`: its comment is one that the gateway writes.
    `not_there_at`: when 1C was read without it before `first_seen_at`. `seen_at`: when it was read new or changed.
    `alive_at`: when it was last read before its deletion or its change to another card; null otherwise.
    """

    __tablename__ = "enquiries"

    ref: str = Field(primary_key=True)
    card: str
    was_card: str | None
    number: str
    date: datetime = Field(sa_type=DateTime(timezone=True))
    ours: bool
    deleted: bool
    first_seen_at: datetime = Field(sa_type=DateTime(timezone=True))
    not_there_at: datetime | None = Field(sa_type=DateTime(timezone=True))
    seen_at: datetime = Field(sa_type=DateTime(timezone=True))
    alive_at: datetime | None = Field(sa_type=DateTime(timezone=True))


class PhoneTailRow(Table, table=True):
    """The key of the last seven digits of a watched client's phone: 1C holds many numbers without their codes."""

    __tablename__ = "phone_tails"

    client_key: str = Field(primary_key=True)
    tail: str


class ListedPageRow(Table, table=True):
    """A page of a list of live reservations; `reservations` holds (lead_id, client_key, reserved_through).

    A list is complete when it has all of its `pages`; the newest complete list is the one that counts.
    """

    __tablename__ = "listed_pages"

    list_id: UUID = Field(primary_key=True)
    page: int = Field(primary_key=True)
    pages: int
    taken_at: datetime = Field(sa_type=DateTime(timezone=True))
    reservations: list[Any] = Field(sa_column=Column(JSONB, nullable=False))


class RestorationRow(Table, table=True):
    """A person had a lead's entry in 1C's partner journal written anew. `found` is the kind of the difference."""

    __tablename__ = "restorations"

    restoration: UUID = Field(primary_key=True)
    lead_id: UUID = Field(primary_key=True)
    client_key: str
    found: str
    who: str
    why: str
    at: datetime = Field(sa_type=DateTime(timezone=True))


class ExchangeRow(Table, table=True):
    """A request to 1C and its outcome. `ms` is its duration in milliseconds, `next_at` the time of the next attempt."""

    __tablename__ = "exchanges"

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = Field(sa_type=DateTime(timezone=True))
    operation: str
    leads: list[str] = Field(sa_column=Column(JSONB, nullable=False))
    set: str
    method: str
    status: int | None
    code: str | None
    text: str | None
    ms: int
    attempt: int
    outcome: str
    next_at: datetime | None = Field(sa_type=DateTime(timezone=True))
    correlation: str | None
