"""The life of a reservation: opened when the gateway confirms a lead, over when its last day is over."""

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import isodate

from chassis.decision import Cause, Decision, Event, derived_id
from contracts.reservations import ReservationExpired, ReservationOpened
from contracts.verdicts import LeadConfirmed

_DAY = timedelta(days=1)


class SecondLiveReservation(Exception):
    """The backstop: the gateway granted a client who is still reserved. Never dropped, never opened: parked."""


@dataclass(frozen=True, slots=True)
class Term:
    """How long a reservation lasts: whole calendar units, or, for a demonstration, an exact duration."""

    length: isodate.Duration | timedelta

    @classmethod
    def parse(cls, text: str) -> "Term":
        """From ISO 8601. Raises ValueError for a text that is no duration, or not a positive one."""
        try:
            length = isodate.parse_duration(text)
        except (isodate.ISO8601Error, TypeError):
            raise ValueError(f"{text!r} is not an ISO 8601 duration such as P6M or PT2M") from None
        if datetime(2000, 1, 1) + length <= datetime(2000, 1, 1):
            raise ValueError("a term must be longer than nothing")
        return cls(length)

    def end(self, anchor: datetime, zone: ZoneInfo) -> tuple[date, datetime]:
        """The last day, and the first instant after the reservation.

        Calendar units count from the anchor's local day, clamped to the month's end (31 August + 6 months is the
        last day of February), and the whole of that local day belongs to the term.
        """
        local = anchor.astimezone(zone)
        if self._is_exact():
            until = anchor + self._exact()
            return (until - timedelta(microseconds=1)).astimezone(zone).date(), until
        through: date = local.date() + self.length
        return through, datetime.combine(through + _DAY, time.min, tzinfo=zone)

    def _is_exact(self) -> bool:
        rest = self.length if isinstance(self.length, timedelta) else self.length.tdelta
        return bool(rest % _DAY)

    def _exact(self) -> timedelta:
        if isinstance(self.length, timedelta):
            return self.length
        raise ValueError("a term has calendar months or hours, not both")


@dataclass(frozen=True, slots=True)
class Terms:
    """The builder's rules of time."""

    term: Term
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class Reservation:
    """One granted reservation. `client` stays sealed: this service has no key to it."""

    reservation_id: UUID
    lead_id: UUID
    client_key: str
    partner_id: str
    client: str
    confirmed_at: datetime
    reserved_through: date
    reserved_until: datetime
    cause: Cause
    status: Literal["live", "expired"] = "live"


@dataclass(frozen=True, slots=True)
class Client:
    """All reservations one client ever had."""

    reservations: tuple[Reservation, ...] = ()

    def live(self) -> Reservation | None:
        return next((one for one in self.reservations if one.status == "live"), None)

    def by_lead(self, lead_id: UUID) -> Reservation | None:
        return next((one for one in self.reservations if one.lead_id == lead_id), None)

    def put(self, reservation: Reservation) -> "Client":
        others = tuple(one for one in self.reservations if one.reservation_id != reservation.reservation_id)
        return Client((*others, reservation))


@dataclass(frozen=True, slots=True)
class TermReached:
    """The clock says that this reservation may be over; the rule looks again."""

    reservation_id: UUID


def lead_confirmed(
    client: Client, message: LeadConfirmed, cause: Cause, _: datetime, *, terms: Terms
) -> Decision[Client]:
    """Confirmed means reserved, from the moment of confirmation. Raises SecondLiveReservation."""
    if client.by_lead(message.lead_id) is not None:
        return Decision(client)
    if client.live() is not None:
        raise SecondLiveReservation(f"lead {message.lead_id}")
    through, until = terms.term.end(message.confirmed_at, terms.zone)
    reservation = Reservation(
        reservation_id=derived_id(str(message.lead_id), "reservation"),
        lead_id=message.lead_id,
        client_key=message.client_key,
        partner_id=message.partner_id,
        client=message.client,
        confirmed_at=message.confirmed_at,
        reserved_through=through,
        reserved_until=until,
        cause=cause,
    )
    return Decision(client.put(reservation), (Event(ReservationOpened(**_told(reservation))),))


def term_reached(client: Client, due: TermReached, _: Cause, now: datetime) -> Decision[Client]:
    """A live reservation whose time is over expires, once; a firing too many changes nothing."""
    reservation = next((one for one in client.reservations if one.reservation_id == due.reservation_id), None)
    if reservation is None or reservation.status != "live" or now < reservation.reserved_until:
        return Decision(client)
    event = ReservationExpired(**_told(reservation), expired_at=reservation.reserved_until)
    return Decision(client.put(replace(reservation, status="expired")), (Event(event, reservation.cause),))


def _told(reservation: Reservation) -> dict[str, object]:
    return {
        "lead_id": reservation.lead_id,
        "client_key": reservation.client_key,
        "partner_id": reservation.partner_id,
        "reservation_id": reservation.reservation_id,
        "client": reservation.client,
        "confirmed_at": reservation.confirmed_at,
        "reserved_through": reservation.reserved_through,
        "reserved_until": reservation.reserved_until,
    }
