"""What the watch of 1C keeps of sales and of the phones of the staff."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from chassis.service import Database, Rows, execute, rows, write_rows
from services.onec_gateway.store.clients import insider_row
from services.onec_gateway.store.tables import FactRow, SaleRow

STAFF: Final = "staff"

_LINKED_SALES: Final = "SELECT ref, client_key FROM sales WHERE lead_id IS NOT NULL AND NOT cancelled"
_REMOVE_STAFF: Final = """
    UPDATE facts SET body = '{"is": false}'
    WHERE kind = 'insider' AND ref = $1 AND client_key <> ALL($2::text[]) AND body <> '{"is": false}'
"""


class SaleStore:
    """Reads and writes sales, and the phones of the staff. Each method is a transaction of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def linked_sales(self) -> dict[str, str]:
        """The sales that are linked to a lead and not cancelled: 1C's reference → client key."""
        async with self._database.single() as tx:
            return {row.ref: row.client_key for row in await rows(tx, _LINKED_SALES)}

    async def save_sales(self, sales: Sequence[Mapping[str, Any]]) -> None:
        """Write sales, each a mapping of SaleRow's columns. `seen_at` of a known sale stays, and so does its link if
        `lead_id` is None."""
        linked = [sale for sale in sales if sale["lead_id"] is not None]
        unlinked = [sale for sale in sales if sale["lead_id"] is None]
        await self._write(Rows(SaleRow, linked, keep=("seen_at",)))
        await self._write(Rows(SaleRow, unlinked, keep=("seen_at", "client_key", "lead_id")))

    async def save_staff(self, phone_keys: Sequence[str]) -> None:
        """Record that the phones with these client keys, and no others, belong to the builder's staff."""
        await self._write(Rows(FactRow, [insider_row(key, STAFF, True) for key in phone_keys]))
        async with self._database.single() as tx:
            await execute(tx, _REMOVE_STAFF, STAFF, phone_keys)

    async def _write(self, values: Rows) -> None:
        if values.values:
            async with self._database.single() as tx:
                await write_rows(tx, values)
