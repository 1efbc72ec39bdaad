"""Topic `reservations`: the terms of reservations, and the partners' rewards."""

from datetime import date
from typing import Annotated, ClassVar, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from contracts import topics
from contracts.base import (
    Amount,
    ClientKey,
    ClientMessage,
    Currency,
    Message,
    RecordedName,
    RecordedText,
    Sealed,
    Time,
)
from contracts.leads import RequestRefused


class _Reservation(ClientMessage):
    reservation_id: UUID
    client: Sealed
    confirmed_at: Annotated[Time, Field(description="the time from which the term is counted")]
    reserved_through: Annotated[date, Field(description="last day of the reservation, in the builder's zone")]
    reserved_until: Annotated[Time, Field(description="the first moment after the reservation")]
    history_count: Annotated[
        int | None, Field(description="number of entries in the client's history, this one included")
    ] = None
    history_head: Annotated[str | None, Field(description="keyed hash of the last entry, in hex")] = None


class ReservationOpened(_Reservation):
    """A confirmed lead is reserved. Portals show it, and the partner gets an SMS, because of this event."""

    ce_type: ClassVar[str] = "reservation-opened.v1"
    topic: ClassVar[str] = topics.RESERVATIONS


class ReservationExpiring(_Reservation):
    """`days_left` days of the reservation remain. Published at most once a threshold, and only while that is true."""

    ce_type: ClassVar[str] = "reservation-expiring.v1"
    topic: ClassVar[str] = topics.RESERVATIONS

    days_left: Annotated[int, Field(ge=1)]


class ReservationExpired(_Reservation):
    """The term ended without a sale. The client passes to the builder."""

    ce_type: ClassVar[str] = "reservation-expired.v1"
    topic: ClassVar[str] = topics.RESERVATIONS

    expired_at: Time


class ReservationExtended(_Reservation):
    """A partner manager returned the client while the reservation was live. It ends later; its start is unchanged."""

    ce_type: ClassVar[str] = "reservation-extended.v1"
    topic: ClassVar[str] = topics.RESERVATIONS

    request_id: UUID
    extended_at: Time


class ReinstatementRequested(ClientMessage):
    """A partner manager wants to return a client whose reservation has expired. The gateway decides, as the arbiter."""

    ce_type: ClassVar[str] = "reinstatement-requested.v1"
    topic: ClassVar[str] = topics.RESERVATIONS

    request_id: UUID
    requested_at: Time


class ReservationReinstated(_Reservation):
    """An expired client is reserved for the partner for a new term. The gateway decided it at `confirmed_at`."""

    ce_type: ClassVar[str] = "reservation-reinstated.v1"
    topic: ClassVar[str] = topics.RESERVATIONS

    request_id: UUID
    reinstated_at: Time


class ReservationClosed(_Reservation):
    """A reservation ended before its term: `won` by a sale, or `withdrawn`. A withdrawn client is free."""

    ce_type: ClassVar[str] = "reservation-closed.v1"
    topic: ClassVar[str] = topics.RESERVATIONS

    closed_at: Time
    outcome: Literal["won", "withdrawn"]
    deal: Annotated[str | None, Field(description="1C's reference of the sale")] = None
    request_id: Annotated[UUID | None, Field(description="the request that withdrew the lead")] = None
    corrects: Annotated[
        Literal["expired"] | None, Field(description="the sale was inside the term, but was found after the expiry")
    ] = None


class ReservationReopened(_Reservation):
    """The sale that closed the reservation was cancelled. The reservation continues for the rest of its term."""

    ce_type: ClassVar[str] = "reservation-reopened.v1"
    topic: ClassVar[str] = topics.RESERVATIONS

    reopened_at: Time


AnyReservation = (
    ReservationOpened
    | ReservationExtended
    | ReservationExpired
    | ReservationReinstated
    | ReservationClosed
    | ReservationReopened
)
"""Every event that changes a reservation. `ReservationExpiring` is a reminder and changes nothing."""

LiveReservation = (
    ReservationOpened | ReservationExtended | ReservationReinstated | ReservationReopened | ReservationExpiring
)
"""Every event after which the reservation is live; its dates are those of the present term."""


class _Reward(ClientMessage):
    claim_id: UUID
    request_id: Annotated[
        UUID | None, Field(description="the request that caused this event; none for a cancelled sale")
    ] = None
    deal: Annotated[str, Field(description="1C's reference of the sale")]
    contract_number: str


class RewardClaimAccepted(_Reward):
    """The sale was inside the reservation, so the builder reviews the claim."""

    ce_type: ClassVar[str] = "reward-claim-accepted.v1"
    topic: ClassVar[str] = topics.RESERVATIONS

    accepted_at: Time


class RewardAccrued(_Reward):
    """An entry of the partner's ledger. A correction is the difference; a cancelled sale gives a negative entry."""

    ce_type: ClassVar[str] = "reward-accrued.v1"
    topic: ClassVar[str] = topics.RESERVATIONS

    amount: Amount
    currency: Currency
    decided_by: RecordedName
    reason: RecordedText
    accrued_at: Time


class RewardDeclined(_Reward):
    """The builder declined the claim, or its sale was cancelled."""

    ce_type: ClassVar[str] = "reward-declined.v1"
    topic: ClassVar[str] = topics.RESERVATIONS

    decided_by: RecordedName
    reason: RecordedText
    declined_at: Time


class ReservationRequestRefused(RequestRefused):
    """`request-refused` as reservations publishes it: about a lead, with the client key as the record key."""

    ce_type: ClassVar[str] = RequestRefused.ce_type
    topic: ClassVar[str] = topics.RESERVATIONS

    @property
    def key(self) -> str:
        return str(self.client_key)

    @property
    def subject(self) -> str | None:
        return str(self.lead_id)


LISTED_ON_A_PAGE: Final = 500
"""Reservations on one page of a list when the list is begun."""
MOST_ON_A_PAGE: Final = 1000
"""What a page may grow to until it is published: about 160 KiB, well below the limit of a message."""
LISTS_KEY: Final = "reservations-listed"
"""The record key of all pages of all lists, so that they stay in their order."""


class ListedReservation(BaseModel):
    """A reservation that was live when its page was taken."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    lead_id: UUID
    client_key: ClientKey
    reserved_through: Annotated[date, Field(description="last day of the reservation, in the builder's zone")]


class ReservationsListed(Message):
    """One page of the list of all live reservations. A list without reservations has one page.

    All pages of a list have the same `list_id`, `pages` and `taken_at`, the time of the first page. A reservation that
    begins or ends while the list is taken may be missing in it or not.
    """

    ce_type: ClassVar[str] = "reservations-listed.v1"
    topic: ClassVar[str] = topics.RESERVATIONS

    list_id: UUID
    page: Annotated[int, Field(ge=1, description="from 1 to `pages`")]
    pages: Annotated[int, Field(ge=1)]
    taken_at: Time
    reservations: Annotated[tuple[ListedReservation, ...], Field(max_length=MOST_ON_A_PAGE)]

    @property
    def key(self) -> str:
        return LISTS_KEY
