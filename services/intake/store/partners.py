"""The state behind a partner id."""

from collections.abc import Mapping, Sequence
from typing import Any

from chassis.service import Connection, Input, Rows, fetch
from contracts.portal import Agreement
from services.intake.domain.model import Origin, PartnerRegistration, PartnerState
from services.intake.store.context import fetch_context
from services.intake.store.requests import changed_requests
from services.intake.store.tables import PartnerRow

# The database keeps a partner's newest content, not which request brought it.
_NO_ORIGIN = Origin("", "", "", "", over_http=True)


class PartnerStore:
    """Loads and saves `PartnerState`."""

    async def load(self, tx: Connection, inputs: Sequence[Input]) -> dict[str, PartnerState]:
        """The state of every partner id among `inputs`."""
        partner_ids = sorted({item.key for item in inputs})
        found = await fetch(tx, PartnerRow, "partner_id", partner_ids)
        partners = {row["partner_id"]: (_registration_of(row), row["registered_at"]) for row in found}
        context = await fetch_context(tx, inputs)
        states = {}
        for partner_id in partner_ids:
            partner, registered_at = partners.get(partner_id, (None, None))
            states[partner_id] = PartnerState(partner, context.scopes, context.requests, registered_at)
        return states

    def save(self, changes: Mapping[str, tuple[PartnerState, PartnerState]]) -> Sequence[Rows]:
        """The rows of partners and requests that differ between the states (before, after) of each partner."""
        partners = [
            {**_row_of(after.partner), "registered_at": after.registered_at}
            for before, after in changes.values()
            if after.partner is not None
            and (after.partner is not before.partner or after.registered_at != before.registered_at)
        ]
        return [Rows(PartnerRow, partners), *changed_requests(changes.values())]


def _row_of(partner: PartnerRegistration) -> dict[str, Any]:
    return {
        "partner_id": partner.partner_id,
        "person": partner.person,
        "digest": partner.digest,
        "agreement": partner.agreement.model_dump(mode="json"),
        "status": partner.status,
    }


def _registration_of(row: Mapping[str, Any]) -> PartnerRegistration:
    return PartnerRegistration(
        origin=_NO_ORIGIN,
        partner_id=row["partner_id"],
        agreement=Agreement.model_validate(row["agreement"]),
        status=row["status"],
        person=row["person"],
        digest=row["digest"],
    )
