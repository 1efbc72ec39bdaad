"""What a reconciliation reads of the gateway's database; lists of reservations; requests to write entries anew."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from chassis.service import Connection, Input, Rows, execute, row_of, rows
from services.onec_gateway.domain import tasks
from services.onec_gateway.domain.lists import Lists
from services.onec_gateway.domain.reconciliation import Books, Known, Side
from services.onec_gateway.domain.restoration import Restoring
from services.onec_gateway.store.clients import ClientStore
from services.onec_gateway.store.tables import ListedPageRow, RestorationRow

_WRITES: Final = (tasks.PARTNER_JOURNAL, tasks.JOURNAL_UPDATE, tasks.HAND_OVER, tasks.TAKE_BACK, tasks.RESTORE)

_HELD: Final = """
    SELECT h.client_key, h.lead_id, h.partner_id, k.reserved_through
    FROM holds h LEFT JOIN known_reservations k ON k.lead_id = h.lead_id
    WHERE NOT h.released AND k.ended_at IS NULL
"""
_KNOWN: Final = """
    SELECT k.lead_id, k.client_key, k.reserved_through, coalesce(k.ended_as, 'active') AS state,
           k.journal_entered_at IS NOT NULL AS entered, l.partner_id, coalesce(l.client, '') <> '' AS restorable
    FROM known_reservations k LEFT JOIN leads l ON l.lead_id = k.lead_id ORDER BY k.confirmed_at, k.lead_id
"""
_LEADS: Final = "SELECT lead_id FROM leads WHERE lead_id = ANY($1::uuid[])"
_IN_FLIGHT: Final = """
    SELECT DISTINCT payload->>'lead_id' AS lead_id FROM work WHERE state = 'waiting' AND kind = ANY($1::text[])
"""
_COMPLETE: Final = """
    SELECT list_id, taken_at FROM listed_pages GROUP BY list_id, taken_at, pages HAVING count(*) = pages
    ORDER BY taken_at DESC, list_id DESC LIMIT 1
"""
_LISTED: Final = f"""
    SELECT r.client_key, r.lead_id, r.reserved_through
    FROM listed_pages p JOIN ({_COMPLETE}) AS newest ON p.list_id = newest.list_id,
         jsonb_to_recordset(p.reservations) AS r (client_key text, lead_id text, reserved_through date)
"""
# Also the pages of older lists that will never be complete.
_DELETE_OLDER: Final = f"DELETE FROM listed_pages p USING ({_COMPLETE}) AS newest WHERE p.taken_at < newest.taken_at"


async def read_books(tx: Connection) -> Books:
    """What the gateway has; `leads` is left out."""
    held = {
        row.client_key: Side(str(row.lead_id), row.partner_id, row.reserved_through) for row in await rows(tx, _HELD)
    }
    known = {
        str(row.lead_id): Known(
            Side(str(row.lead_id), row.partner_id, row.reserved_through, row.state),
            row.client_key,
            row.entered,
            row.restorable,
        )
        for row in await rows(tx, _KNOWN)
    }
    # Read last: a write that a change above requested is still waiting, or was made before 1C is read.
    in_flight = frozenset(str(row.lead_id) for row in await rows(tx, _IN_FLIGHT, list(_WRITES)))
    return Books(held, known, in_flight=in_flight)


async def submitted(tx: Connection, lead_ids: Collection[str]) -> frozenset[str]:
    """Those of the ids that are ids of leads. An id from 1C may be any text."""
    valid = [UUID(lead_id) for lead_id in lead_ids if _is_uuid(lead_id)]
    return frozenset(str(row.lead_id) for row in await rows(tx, _LEADS, valid))


async def newest_list(tx: Connection) -> tuple[UUID, datetime] | None:
    """The id of the newest complete list, and when it was taken."""
    found = await rows(tx, _COMPLETE)
    return (UUID(str(found[0].list_id)), found[0].taken_at) if found else None


async def read_listed(tx: Connection) -> dict[str, Side]:
    """The reservations of the newest complete list by client key."""
    return {
        row.client_key: Side(row.lead_id, through=row.reserved_through, state="active")
        for row in await rows(tx, _LISTED)
    }


class ListStore:
    """Keeps the pages of the newest complete list, and of newer lists that are not complete yet."""

    async def load(self, tx: Connection, inputs: Sequence[Input]) -> dict[str, Lists]:
        """When the newest complete list was taken; the same for every key. Older pages are deleted here: a store only
        writes what a decision adds."""
        await execute(tx, _DELETE_OLDER)
        newest = await newest_list(tx)
        lists = Lists(newest[1] if newest is not None else None)
        return {item.key: lists for item in inputs}

    def save(self, changes: Mapping[str, tuple[Lists, Lists]]) -> Sequence[Rows]:
        """The new pages."""
        pages = {(page.list_id, page.page): page for _, after in changes.values() for page in after.new}
        return [
            Rows(
                ListedPageRow,
                [
                    {
                        "list_id": page.list_id,
                        "page": page.page,
                        "pages": page.pages,
                        "taken_at": page.taken_at,
                        "reservations": [one.model_dump(mode="json") for one in page.reservations],
                    }
                    for page in pages.values()
                ],
            )
        ]


class RestoreStore:
    """Reads clients, and records the requests to write their entries anew."""

    async def load(self, tx: Connection, inputs: Sequence[Input]) -> dict[str, Restoring]:
        """The clients of the inputs by client key."""
        return {key: Restoring(client) for key, client in (await ClientStore().load(tx, inputs)).items()}

    def save(self, changes: Mapping[str, tuple[Restoring, Restoring]]) -> Sequence[Rows]:
        """The recorded requests. The clients themselves do not change."""
        recorded = [row_of(one) for _, after in changes.values() for one in after.recorded]
        return [Rows(RestorationRow, recorded, new=True)]


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
