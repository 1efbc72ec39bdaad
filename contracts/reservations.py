"""Topic `reservations`: the clocks of granted reservations."""

from datetime import date
from typing import Annotated, ClassVar
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
