"""Topic `reservations`: the clocks of granted reservations."""

from datetime import date
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from contracts import topics
from contracts.message import ClientMessage, Sealed, Time


class _Reservation(ClientMessage):
    reservation_id: UUID
    client: Sealed
    confirmed_at: Annotated[Time, Field(description="the anchor every term is counted from")]
    reserved_through: Annotated[date, Field(description="last day of the reservation, in the builder's zone")]
    reserved_until: Annotated[Time, Field(description="first instant after the reservation")]


class ReservationOpened(_Reservation):
    """Confirmed means reserved: portals show it and the SMS goes on this event."""

    ce_type: ClassVar[str] = "reservation-opened.v1"
    topic: ClassVar[str] = topics.RESERVATIONS


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


class ReservationReopened(_Reservation):
    """The sale that closed it is void: what is left of the term runs on."""

    ce_type: ClassVar[str] = "reservation-reopened.v1"
    topic: ClassVar[str] = topics.RESERVATIONS

    reopened_at: Time
