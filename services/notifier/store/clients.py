"""SMS at rest by client, names sealed."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Final, NamedTuple
from uuid import UUID

from chassis.service import Connection, Input, Rows, fetch, row_of, rows
from services.notifier.domain.model import ClientState, Sms
from services.notifier.store.tables import SmsRow

SMS_FIELDS: Final = tuple(Sms.__dataclass_fields__)
_VALUES: Final = itemgetter(*SMS_FIELDS)
_DUE: Final = """
    SELECT message_id, client_key, correlation, calls FROM messages
    WHERE status = 'scheduled' AND due_at <= $1 ORDER BY due_at, created_at, place LIMIT $2
"""
_CLIENT: Final = "SELECT client_key, correlation FROM messages WHERE message_id = $1"


class ClientStore:
    """State by client key: all SMS about the client."""

    async def load(self, tx: Connection, inputs: Sequence[Input]) -> dict[str, ClientState]:
        keys = sorted({item.key for item in inputs})
        found: dict[str, list[Sms]] = {key: [] for key in keys}
        for row in await fetch(tx, SmsRow, "client_key", keys, order_by="place"):
            found[row["client_key"]].append(Sms(*_VALUES(row)))
        return {key: ClientState(tuple(messages)) for key, messages in found.items()}

    def save(self, changes: Mapping[str, tuple[ClientState, ClientState]]) -> Sequence[Rows]:
        changed = [
            row_of(sms) for before, after in changes.values() for sms in after.messages if sms not in before.messages
        ]
        return [Rows(SmsRow, changed)]


class DueSms(NamedTuple):
    """A scheduled SMS whose time has come. `calls` is how many work rows were made for it so far."""

    message_id: UUID
    client_key: str
    correlation: str
    calls: int


async def due_sms(tx: Connection, now: datetime, limit: int) -> Sequence[DueSms]:
    """At most `limit` scheduled SMS that are due at `now`, the longest overdue first."""
    found = await rows(tx, _DUE, now, limit)
    return [DueSms(row.message_id, row.client_key, row.correlation, row.calls) for row in found]


async def client_of(tx: Connection, message_id: UUID) -> tuple[str, str] | None:
    """The client key and the correlation id of an SMS, or None if there is no such SMS."""
    found = await rows(tx, _CLIENT, message_id)
    return (found[0].client_key, found[0].correlation) if found else None
