"""Partners at rest, names and phones sealed."""

from collections.abc import Mapping, Sequence

from chassis.service import Connection, Input, Rows, fetch, row_of
from services.notifier.domain.model import PartnerState
from services.notifier.store.tables import PartnerRow


class PartnerStore:
    """State by partner id; None for a partner that topic `partners` has not described yet."""

    async def load(self, tx: Connection, inputs: Sequence[Input]) -> dict[str, PartnerState | None]:
        keys = sorted({item.key for item in inputs})
        found: dict[str, PartnerState | None] = dict.fromkeys(keys)
        for row in await fetch(tx, PartnerRow, "partner_id", keys):
            found[row["partner_id"]] = PartnerState(row["partner_id"], row["person"], row["status"])
        return found

    def save(self, changes: Mapping[str, tuple[PartnerState | None, PartnerState | None]]) -> Sequence[Rows]:
        return [Rows(PartnerRow, [row_of(after) for _, after in changes.values() if after is not None])]
