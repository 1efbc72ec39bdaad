"""The store of clients' states: loads and saves them by the batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from operator import itemgetter
from types import MappingProxyType
from typing import Any, Final

from sqlmodel import SQLModel

from chassis.decision import Cause
from chassis.service import Connection, Input, Rows, fetch_each, row_of
from services.reservations.domain.history import Head
from services.reservations.domain.model import ClientState, LedgerEntry, Reservation, TermReached
from services.reservations.store import facts
from services.reservations.store.tables import FactRow, HeadRow, HistoryRow, LedgerRow, ReservationRow

_FIELDS: Final = itemgetter(*Reservation._fields)
_CLIENT: Final = Reservation._fields.index("client")
_CAUSE: Final = Reservation._fields.index("cause")
_EARLIER_TERMS: Final = Reservation._fields.index("earlier_terms")
_ERASED: Final = ""  # what the command `erase` leaves in the column `client`


@dataclass(frozen=True, slots=True)
class ClientStore:
    """Clients' states by client key. `history_key`: the secret key that seals the heads of histories."""

    history_key: bytes

    async def load(self, tx: Connection, inputs: Sequence[Input]) -> dict[str, ClientState]:
        """Return the state of every client among `inputs`, empty for a client without rows.

        If all inputs are clocks of terms, the states have no facts: the rule does not read them.
        """
        keys = sorted({item.key for item in inputs})
        tables: list[tuple[type[SQLModel], str | None]] = [(ReservationRow, "opened_at"), (HeadRow, None)]
        # The rule for TermReached reads no facts, and a sweep loads a hundred thousand clients.
        if not all(isinstance(item.body, TermReached) for item in inputs):
            tables.append((FactRow, None))
        reservations, heads, *others = map(_by_client, await fetch_each(tx, "client_key", keys, *tables))
        facts_of = others[0] if others else {}
        return {
            key: restored(key, next(iter(heads.get(key, ())), None), reservations.get(key, ()), facts_of.get(key, ()))
            for key in keys
        }

    def save(self, changes: Mapping[str, tuple[ClientState, ClientState]]) -> Sequence[Rows]:
        """Return the rows that the processor must write. `changes`: client key → (state before, state after)."""
        whole: list[Reservation] = []
        updates: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        fact_rows: list[dict[str, Any]] = []
        entries: list[dict[str, Any]] = []
        heads: list[dict[str, Any]] = []
        ledger: list[LedgerEntry] = []
        for key, (before, after) in changes.items():
            mine = [one for lead_id, one in after.reservations.items() if before.reservations.get(lead_id) is not one]
            if len(mine) == 1 and (known := before.reservations.get(mine[0].lead_id)) is not None:
                fields = {"reservation_id": known.reservation_id, **_difference(known, mine[0])}
                updates.setdefault(tuple(fields), []).append(fields)
            else:
                whole.extend(mine)
            if facts.changed(before, after):
                fact_rows.extend(facts.rows_of(key, before, after))
            ledger.extend(after.new_ledger)
            if after.new_history:
                entries.extend(
                    {"client_key": key, "number": one.number, "entry": one.text, "hash": one.hash.hex()}
                    for one in after.new_history
                )
                seal = after.head.seal(self.history_key, key)
                head = {"client_key": key, "count": after.head.count, "hash": after.head.hash.hex(), "seal": seal.hex()}
                heads.append(head)
        # Ended reservations are written first: the index that allows one live reservation a client is checked row by
        # row.
        whole.sort(key=lambda reservation: reservation.status == "live")
        return [
            Rows(ReservationRow, [_row(one) for one in whole], keep=("opened_at",)),
            *(Rows(ReservationRow, group, known=True) for group in updates.values()),
            Rows(FactRow, fact_rows),
            Rows(HistoryRow, entries, new=True),
            Rows(HeadRow, heads),
            Rows(LedgerRow, [row_of(one) for one in ledger], new=True),
        ]


def restored(
    key: str,
    head: Mapping[str, Any] | None,
    reservations: Sequence[Mapping[str, Any]],
    fact_rows: Sequence[Mapping[str, Any]],
) -> ClientState:
    """Return a client's state from its rows; `head` is None for a client without a history."""
    return ClientState(
        key=key,
        reservations=MappingProxyType({row["lead_id"]: _reservation(row) for row in reservations}),
        head=Head(head["count"], bytes.fromhex(head["hash"])) if head is not None else Head(),
        **facts.restored(fact_rows),
    )


def _by_client(found: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    by_client: dict[str, list[Mapping[str, Any]]] = {}
    for row in found:
        by_client.setdefault(row["client_key"], []).append(row)
    return by_client


def _difference(before: Reservation, after: Reservation) -> dict[str, Any]:
    """Return the columns that changed: few in most changes, and a sweep makes a hundred thousand of them."""
    pairs = zip(Reservation._fields, before, after, strict=True)
    return {name: new for name, old, new in pairs if new is not old and new != old}


def _row(reservation: Reservation) -> dict[str, Any]:
    return reservation._asdict() | {"client": reservation.client or _ERASED, "opened_at": reservation.confirmed_at}


def _reservation(row: Mapping[str, Any]) -> Reservation:
    fields = list(_FIELDS(row))
    fields[_CLIENT] = fields[_CLIENT] or None
    fields[_CAUSE] = Cause(**fields[_CAUSE])
    fields[_EARLIER_TERMS] = tuple(
        (date.fromisoformat(first), date.fromisoformat(last)) for first, last in fields[_EARLIER_TERMS]
    )
    return Reservation._make(fields)
