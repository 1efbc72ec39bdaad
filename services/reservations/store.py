"""Reservations at rest. The client stays sealed; a partial unique index allows one live reservation a client."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, DateTime, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from chassis.database import Connection, Rows, fetch, rows
from chassis.decision import Cause
from chassis.processor import Input
from services.reservations.domain import Client, Reservation


class Table(SQLModel, registry=registry()):
    """The tables of this service alone."""


class ReservationRow(Table, table=True):
    """One reservation, live or over."""

    __tablename__ = "reservations"
    __table_args__ = (
        Index("one_live_reservation", "client_key", unique=True, postgresql_where=text("status = 'live'")),
        Index("reservations_due", "reserved_until", postgresql_where=text("status = 'live'")),
        Index("reservations_client", "client_key"),
    )

    reservation_id: UUID = Field(primary_key=True)
    lead_id: UUID = Field(unique=True)
    client_key: str
    partner_id: str
    client: str
    confirmed_at: datetime = Field(sa_type=DateTime(timezone=True))
    reserved_through: date
    reserved_until: datetime = Field(sa_type=DateTime(timezone=True))
    status: str
    cause: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))


class Clients:
    """State by client key: all reservations of the client."""

    async def load(self, tx: Connection, inputs: Sequence[Input]) -> dict[str, Client]:
        keys = sorted({item.key for item in inputs})
        found: dict[str, list[Reservation]] = {key: [] for key in keys}
        for row in await fetch(tx, ReservationRow, "client_key", keys, order_by="confirmed_at"):
            cause = Cause(**row.pop("cause"))
            found[row["client_key"]].append(Reservation(**row, cause=cause))
        return {key: Client(tuple(reservations)) for key, reservations in found.items()}

    def save(self, changes: Mapping[str, tuple[Client, Client]]) -> Sequence[Rows]:
        changed = [
            reservation
            for before, after in changes.values()
            for reservation in after.reservations
            if reservation not in before.reservations
        ]
        # Ended first: the index that allows one live reservation a client is checked row by row.
        changed.sort(key=lambda reservation: reservation.status == "live")
        return [Rows(ReservationRow, [_row(reservation) for reservation in changed])]


async def due_reservations(tx: Connection, now: datetime, limit: int) -> Sequence[tuple[UUID, str]]:
    """Ids and client keys of live reservations whose time is over, the longest overdue first."""
    found = await rows(
        tx,
        "SELECT reservation_id, client_key FROM reservations WHERE status = 'live' AND reserved_until <= $1"
        " ORDER BY reserved_until LIMIT $2",
        now,
        limit,
    )
    return [(row.reservation_id, row.client_key) for row in found]


def _row(reservation: Reservation) -> dict[str, Any]:
    return {
        "reservation_id": reservation.reservation_id,
        "lead_id": reservation.lead_id,
        "client_key": reservation.client_key,
        "partner_id": reservation.partner_id,
        "client": reservation.client,
        "confirmed_at": reservation.confirmed_at,
        "reserved_through": reservation.reserved_through,
        "reserved_until": reservation.reserved_until,
        "status": reservation.status,
        "cause": reservation.cause,
    }
