"""Reservations at rest. The client stays sealed; a partial unique index allows one live reservation a client."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from operator import itemgetter
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime, Index, Numeric, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from chassis.decision import Cause
from chassis.service import Connection, Input, Rows, fetch_each, row_of, rows
from contracts.leads import ReturnRequested, RewardClaimed, RewardSettlementRequested, WithdrawalRequested
from services.reservations.domain import TermReached
from services.reservations.facts import Asked, Claim, Client, Deal, LedgerEntry, Rejected, Request, Reservation
from services.reservations.history import Head

_MOMENT = DateTime(timezone=True)
_REQUESTS: Final[dict[str, type[Request]]] = {
    kind.ce_type: kind for kind in (ReturnRequested, WithdrawalRequested, RewardClaimed, RewardSettlementRequested)
}
_FIELDS: Final = itemgetter(*Reservation._fields)
_CAUSE: Final = Reservation._fields.index("cause")
_EARLIER: Final = Reservation._fields.index("earlier")


class Table(SQLModel, registry=registry()):
    """The tables of this service alone."""


class ReservationRow(Table, table=True):
    """One reservation, live or over."""

    __tablename__ = "reservations"
    __table_args__ = (
        Index("one_live_reservation", "client_key", unique=True, postgresql_where=text("status = 'live'")),
        Index("reservations_due", "next_due", postgresql_where=text("status = 'live'")),
        Index("reservations_client", "client_key"),
    )

    reservation_id: UUID = Field(primary_key=True)
    lead_id: UUID = Field(unique=True)
    client_key: str
    partner_id: str
    client: str
    opened_at: datetime = Field(sa_type=_MOMENT)
    confirmed_at: datetime = Field(sa_type=_MOMENT)
    reserved_through: date
    reserved_until: datetime = Field(sa_type=_MOMENT)
    rule: str
    zone: str
    since: date
    next_due: datetime = Field(sa_type=_MOMENT)
    next_step: int
    told_step: int | None = None
    status: str
    extensions: int
    returns: int
    ended_at: datetime | None = Field(default=None, sa_type=_MOMENT)
    deal: str | None = None
    earlier: list[Any] = Field(sa_column=Column(JSONB, nullable=False))
    cause: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))


class FactRow(Table, table=True):
    """What else is known of a client: requests, sales, claims, leads that were rejected. `due_at`: when the clock looks
    at it."""

    __tablename__ = "facts"
    __table_args__ = (Index("facts_due", "due_at", postgresql_where=text("due_at IS NOT NULL")),)

    client_key: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    ref: str = Field(primary_key=True)
    due_at: datetime | None = Field(default=None, sa_type=_MOMENT)
    value: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))


class HistoryRow(Table, table=True):
    """An entry of a client's history. `entry` is its canonical JSON, `hash` chains it to the one before."""

    __tablename__ = "history"

    client_key: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    entry: str
    hash: str


class HeadRow(Table, table=True):
    """How many entries a client's history has, and the last hash, sealed."""

    __tablename__ = "heads"

    client_key: str = Field(primary_key=True)
    count: int
    hash: str
    seal: str


class LedgerRow(Table, table=True):
    """A line of a partner's account, never edited; `ledger_balances` shows it with running balances."""

    __tablename__ = "ledger"
    __table_args__ = (Index("ledger_partner", "partner_id", "currency", "number"),)

    number: int | None = Field(default=None, sa_type=BigInteger, unique=True)
    entry_id: UUID = Field(primary_key=True)
    partner_id: str
    client_key: str
    lead_id: UUID
    claim_id: UUID
    deal: str
    contract_number: str
    kind: str
    amount: Decimal = Field(sa_type=Numeric(18, 2))
    currency: str
    decided_by: str
    reason: str
    at: datetime = Field(sa_type=_MOMENT)


@dataclass(frozen=True, slots=True)
class Clients:
    """State by client key. `history_key` seals the heads of histories."""

    history_key: bytes

    async def load(self, tx: Connection, inputs: Sequence[Input]) -> dict[str, Client]:
        keys = sorted({item.key for item in inputs})
        tables: list[tuple[type[SQLModel], str | None]] = [(ReservationRow, "opened_at"), (HeadRow, None)]
        # The clock of a term asks for nothing else, and it asks for a hundred thousand at once.
        if not all(isinstance(item.body, TermReached) for item in inputs):
            tables.append((FactRow, None))
        reservations, heads, *facts = map(_by_client, await fetch_each(tx, "client_key", keys, *tables))
        known = facts[0] if facts else {}
        return {
            key: restored(key, next(iter(heads.get(key, ())), None), reservations.get(key, ()), known.get(key, ()))
            for key in keys
        }

    def save(self, changes: Mapping[str, tuple[Client, Client]]) -> Sequence[Rows]:
        several: list[Reservation] = []
        changed: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        facts: list[dict[str, Any]] = []
        entries: list[dict[str, Any]] = []
        heads: list[dict[str, Any]] = []
        booked: list[LedgerEntry] = []
        for key, (before, after) in changes.items():
            mine = [one for lead_id, one in after.reservations.items() if before.reservations.get(lead_id) is not one]
            if len(mine) == 1 and (known := before.reservations.get(mine[0].lead_id)) is not None:
                fields = {"reservation_id": known.reservation_id, **_difference(known, mine[0])}
                changed.setdefault(tuple(fields), []).append(fields)
            else:
                several.extend(mine)
            if _knows_more(before, after):
                facts.extend(_facts(key, before, after))
            booked.extend(after.booked)
            if after.written:
                entries.extend(
                    {"client_key": key, "number": one.number, "entry": one.text, "hash": one.hash.hex()}
                    for one in after.written
                )
                seal = after.head.seal(self.history_key, key)
                head = {"client_key": key, "count": after.head.count, "hash": after.head.hash.hex(), "seal": seal.hex()}
                heads.append(head)
        # Ended first: the index that allows one live reservation a client is checked row by row.
        several.sort(key=lambda reservation: reservation.status == "live")
        return [
            Rows(ReservationRow, [_row(one) for one in several], keep=("opened_at",)),
            *(Rows(ReservationRow, group, known=True) for group in changed.values()),
            Rows(FactRow, facts),
            Rows(HistoryRow, entries, new=True),
            Rows(HeadRow, heads),
            Rows(LedgerRow, [row_of(one) for one in booked], new=True),
        ]


def _by_client(found: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    by_client: dict[str, list[Mapping[str, Any]]] = {}
    for row in found:
        by_client.setdefault(row["client_key"], []).append(row)
    return by_client


def restored(
    key: str,
    head: Mapping[str, Any] | None,
    reservations: Sequence[Mapping[str, Any]],
    facts: Sequence[Mapping[str, Any]],
) -> Client:
    """A client from its rows."""
    return Client(
        key=key,
        reservations=MappingProxyType({row["lead_id"]: _reservation(row) for row in reservations}),
        head=Head(head["count"], bytes.fromhex(head["hash"])) if head is not None else Head(),
        **_known(facts),
    )


async def due_reservations(tx: Connection, now: datetime, limit: int) -> Sequence[tuple[UUID, str]]:
    """Leads and client keys of live reservations that the clock is to look at, the longest overdue first."""
    found = await rows(
        tx,
        "SELECT lead_id, client_key FROM reservations WHERE status = 'live' AND next_due <= $1"
        " ORDER BY next_due LIMIT $2",
        now,
        limit,
    )
    return [(row.lead_id, row.client_key) for row in found]


async def due_requests(tx: Connection, now: datetime, limit: int) -> Sequence[tuple[UUID, str]]:
    """Ids and client keys of requests that have waited for long enough."""
    found = await rows(
        tx,
        "SELECT ref, client_key FROM facts WHERE due_at IS NOT NULL AND due_at <= $1 ORDER BY due_at LIMIT $2",
        now,
        limit,
    )
    return [(UUID(row.ref), row.client_key) for row in found]


def _difference(before: Reservation, after: Reservation) -> dict[str, Any]:
    """The columns that changed. Few do, and most changes come by the hundred thousand."""
    pairs = zip(Reservation._fields, before, after, strict=True)
    return {name: new for name, old, new in pairs if new is not old and new != old}


def _row(reservation: Reservation) -> dict[str, Any]:
    return reservation._asdict() | {"opened_at": reservation.confirmed_at}


def _reservation(row: Mapping[str, Any]) -> Reservation:
    fields = list(_FIELDS(row))
    fields[_CAUSE] = Cause(**fields[_CAUSE])
    fields[_EARLIER] = tuple((date.fromisoformat(first), date.fromisoformat(last)) for first, last in fields[_EARLIER])
    return Reservation._make(fields)


def _knows_more(before: Client, after: Client) -> bool:
    return (
        after.requests is not before.requests
        or after.rejected is not before.rejected
        or after.deals is not before.deals
        or after.claims is not before.claims
    )


def _facts(key: str, before: Client, after: Client) -> Iterator[dict[str, Any]]:
    """The facts that are new or changed, as rows."""
    for lead_id, rejected in after.rejected.items():
        if lead_id not in before.rejected:
            yield _fact(key, "rejected", str(lead_id), row_of(rejected))
    for request_id, asked in after.requests.items():
        if before.requests.get(request_id) != asked:
            due = asked.until if asked.state == "waiting" else None
            message = asked.message
            value = {
                "type": message.ce_type,
                "message": message.model_dump(mode="json"),
                "cause": row_of(asked.cause),
                "state": asked.state,
                "until": asked.until,
            }
            yield _fact(key, "request", str(request_id), value, due)
    for ref, deal in after.deals.items():
        if before.deals.get(ref) != deal:
            yield _fact(key, "deal", ref, row_of(deal))
    for claim_id, claim in after.claims.items():
        if before.claims.get(claim_id) != claim:
            yield _fact(key, "claim", str(claim_id), row_of(claim))


def _fact(key: str, kind: str, ref: str, value: dict[str, Any], due: datetime | None = None) -> dict[str, Any]:
    return {"client_key": key, "kind": kind, "ref": ref, "due_at": due, "value": value}


def _known(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The parts of a client that are facts."""
    if not found:
        return {}
    rejected: dict[UUID, Rejected] = {}
    requests: dict[UUID, Asked] = {}
    deals: dict[str, Deal] = {}
    claims: dict[UUID, Claim] = {}
    for row in found:
        value = row["value"]
        match row["kind"]:
            case "rejected":
                received_at = datetime.fromisoformat(value["received_at"])
                rejected[UUID(row["ref"])] = Rejected(value["partner_id"], received_at)
            case "request":
                until = datetime.fromisoformat(value["until"]) if value["until"] else None
                message = _REQUESTS[value["type"]].model_validate(value["message"])
                requests[message.request_id] = Asked(message, Cause(**value["cause"]), value["state"], until)
            case "deal":
                claim = UUID(value["claim_id"]) if value["claim_id"] else None
                typed = {
                    "lead_id": UUID(value["lead_id"]),
                    "amount": Decimal(value["amount"]),
                    "sold_on": date.fromisoformat(value["sold_on"]),
                    "claim_id": claim,
                }
                deals[row["ref"]] = Deal(**value | typed)
            case "claim":
                typed = {
                    "claim_id": UUID(value["claim_id"]),
                    "lead_id": UUID(value["lead_id"]),
                    "accrued": Decimal(value["accrued"]),
                }
                claims[UUID(row["ref"])] = Claim(**value | typed)
    return {
        "rejected": MappingProxyType(rejected),
        "requests": MappingProxyType(requests),
        "deals": MappingProxyType(deals),
        "claims": MappingProxyType(claims),
    }
