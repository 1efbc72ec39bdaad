"""Topic `reservations`: the clocks of granted reservations."""

from datetime import date
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from contracts import topics
from contracts.base import Amount, ClientMessage, Currency, Sealed, StaffName, Time, TypedText
from contracts.leads import RequestRefused


class _Reservation(ClientMessage):
    reservation_id: UUID
    client: Sealed
    confirmed_at: Annotated[Time, Field(description="the anchor every term is counted from")]
    reserved_through: Annotated[date, Field(description="last day of the reservation, in the builder's zone")]
    reserved_until: Annotated[Time, Field(description="first instant after the reservation")]
    history_count: Annotated[int | None, Field(description="entries of the client's history, this one included")] = None
    history_head: Annotated[str | None, Field(description="hex keyed hash of the last of them")] = None


class ReservationOpened(_Reservation):
    """Confirmed means reserved: portals show it and the SMS goes on this event."""

    ce_type: ClassVar[str] = "reservation-opened.v1"
    topic: ClassVar[str] = topics.RESERVATIONS


class ReservationExpiring(_Reservation):
    """So many days are left. Told once a threshold, and only if it is true when it is told."""

    ce_type: ClassVar[str] = "reservation-expiring.v1"
    topic: ClassVar[str] = topics.RESERVATIONS

    days_left: Annotated[int, Field(ge=1)]


class ReservationExpired(_Reservation):
    """The term ran out without a sale; the client passes to the builder."""

    ce_type: ClassVar[str] = "reservation-expired.v1"
    topic: ClassVar[str] = topics.RESERVATIONS

    expired_at: Time


class ReservationExtended(_Reservation):
    """A partner manager returned the client while the reservation was live: it runs on, from the same anchor."""

    ce_type: ClassVar[str] = "reservation-extended.v1"
    topic: ClassVar[str] = topics.RESERVATIONS

    request_id: UUID
    extended_at: Time


class ReinstatementRequested(ClientMessage):
    """A partner manager wants to return a client whose reservation ran out: the gateway, as arbiter, answers."""

    ce_type: ClassVar[str] = "reinstatement-requested.v1"
    topic: ClassVar[str] = topics.RESERVATIONS

    request_id: UUID
    requested_at: Time


class ReservationReinstated(_Reservation):
    """The client is the partner's again for a fresh term; `confirmed_at`, its anchor, is when the gateway agreed."""

    ce_type: ClassVar[str] = "reservation-reinstated.v1"
    topic: ClassVar[str] = topics.RESERVATIONS

    request_id: UUID
    reinstated_at: Time


class ReservationClosed(_Reservation):
    """Over before its time: `won` by a sale, or `withdrawn`, and then the client is free."""

    ce_type: ClassVar[str] = "reservation-closed.v1"
    topic: ClassVar[str] = topics.RESERVATIONS

    closed_at: Time
    outcome: Literal["won", "withdrawn"]
    deal: Annotated[str | None, Field(description="1C's reference of the sale that won it")] = None
    request_id: Annotated[UUID | None, Field(description="the request that withdrew it")] = None
    corrects: Annotated[
        Literal["expired"] | None, Field(description="news of a sale inside the term came after the expiry")
    ] = None


class ReservationReopened(_Reservation):
    """The sale that closed it is void: what is left of the term runs on."""

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
    request_id: Annotated[UUID | None, Field(description="the request it answers; none for a cancelled sale")] = None
    deal: Annotated[str, Field(description="1C's reference of the sale")]
    contract_number: str


class RewardClaimAccepted(_Reward):
    """The sale was made inside the reservation: the claim is under review by the builder."""

    ce_type: ClassVar[str] = "reward-claim-accepted.v1"
    topic: ClassVar[str] = topics.RESERVATIONS

    accepted_at: Time


class RewardAccrued(_Reward):
    """An entry of the partner's ledger. A correction is the difference, a cancelled sale takes all back: negative."""

    ce_type: ClassVar[str] = "reward-accrued.v1"
    topic: ClassVar[str] = topics.RESERVATIONS

    amount: Amount
    currency: Currency
    decided_by: StaffName
    reason: TypedText
    accrued_at: Time


class RewardDeclined(_Reward):
    """The builder declined the claim, or its sale is void."""

    ce_type: ClassVar[str] = "reward-declined.v1"
    topic: ClassVar[str] = topics.RESERVATIONS

    decided_by: StaffName
    reason: TypedText
    declined_at: Time


class ReservationRequestRefused(RequestRefused):
    """`request-refused` as reservations says it: about a lead, in the client's partition."""

    ce_type: ClassVar[str] = RequestRefused.ce_type
    topic: ClassVar[str] = topics.RESERVATIONS

    @property
    def key(self) -> str:
        return str(self.client_key)

    @property
    def subject(self) -> str | None:
        return str(self.lead_id)
