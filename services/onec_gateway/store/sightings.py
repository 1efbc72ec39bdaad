"""What the watch of 1C keeps between its reads: watermarks, sales, phones of the staff."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from chassis.service import Database, Rows, execute, fetch, rows, write_rows
from services.onec_gateway.domain.inputs import Watermark
from services.onec_gateway.store.clients import insider_row
from services.onec_gateway.store.tables import FactRow, SaleRow, WatermarkRow

STAFF: Final = "staff"

_HELD_OR_UNDECIDED: Final = """
    SELECT client_key FROM holds WHERE client_key = ANY($1::text[]) AND NOT released
    UNION SELECT client_key FROM leads WHERE client_key = ANY($1::text[]) AND decided_at IS NULL
"""
_ENQUIRIES_OF_HELD: Final = """
    SELECT f.ref, f.client_key FROM facts f JOIN holds h ON h.client_key = f.client_key AND NOT h.released
    JOIN known_reservations r ON r.lead_id = h.lead_id AND r.ended_at IS NULL
    WHERE f.kind = 'sighting'
"""
_LINKED_SALES: Final = "SELECT ref, client_key FROM sales WHERE lead_id IS NOT NULL AND NOT cancelled"
_REMOVE_STAFF: Final = """
    UPDATE facts SET body = '{"is": false}'
    WHERE kind = 'insider' AND ref = $1 AND client_key <> ALL($2::text[]) AND body <> '{"is": false}'
"""


class SightingStore:
    """Reads and writes the watch's rows. Each method is a transaction of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def watermark(self, journal: str) -> Watermark | None:
        """How far the watch has read a journal of 1C; None before its first read."""
        async with self._database.single() as tx:
            found = await fetch(tx, WatermarkRow, "journal", [journal])
        return Watermark(found[0]["number"], found[0]["at"]) if found else None

    async def save_watermark(self, journal: str, watermark: Watermark) -> None:
        """Replace the journal's watermark."""
        await self._write(Rows(WatermarkRow, [{"journal": journal, "number": watermark.number, "at": watermark.at}]))

    async def held_or_undecided(self, keys: Sequence[str]) -> set[str]:
        """The clients among `keys` that have a hold or a lead under review."""
        async with self._database.single() as tx:
            return {row.client_key for row in await rows(tx, _HELD_OR_UNDECIDED, keys)}

    async def enquiries_of_held(self) -> dict[str, str]:
        """The known enquiries of clients that are held now: 1C's reference → client key."""
        async with self._database.single() as tx:
            return {row.ref: row.client_key for row in await rows(tx, _ENQUIRIES_OF_HELD)}

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
