"""Partners at rest: the state of each by partner id, and the phones of partners as facts about clients."""

from collections.abc import Mapping, Sequence
from typing import Any

from chassis.service import Connection, Database, Input, Rows, fetch
from contracts.partners import Partner
from contracts.portal import Agreement
from services.onec_gateway.domain.partners import PartnerState
from services.onec_gateway.store.clients import insider_row
from services.onec_gateway.store.tables import FactRow, PartnerRow


class PartnerStore:
    """Loads and saves PartnerState by partner id."""

    async def load(self, tx: Connection, inputs: Sequence[Input]) -> dict[str, PartnerState | None]:
        """The states of all partners that the inputs name, in one query; None for an unknown partner."""
        keys = sorted({item.key for item in inputs})
        return {**dict.fromkeys(keys), **await _fetch_partners(tx, keys)}

    def save(self, changes: Mapping[str, tuple[PartnerState | None, PartnerState | None]]) -> Sequence[Rows]:
        """The rows of the changed partners, and of their phones before and after as `insider` facts."""
        partners: list[dict[str, Any]] = []
        phones: dict[tuple[str, str], bool] = {}
        for key, (before, after) in changes.items():
            if after is None:
                continue
            partner = after.partner
            partners.append(
                {
                    "partner_id": partner.partner_id,
                    "person": partner.person,
                    "agreement_number": partner.agreement.number,
                    "signed_on": partner.agreement.signed_on,
                    "status": partner.status,
                    "phone_key": after.phone_key,
                }
            )
            if before is not None and before.phone_key is not None:
                phones[before.phone_key, key] = False
            if after.phone_key is not None:
                phones[after.phone_key, key] = True
        insiders = [insider_row(phone_key, f"partner:{key}", is_now) for (phone_key, key), is_now in phones.items()]
        return [Rows(PartnerRow, partners), Rows(FactRow, insiders)]


class PartnerReader:
    """Reads partners for calls to 1C, outside any decision."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, partner_ids: Sequence[str]) -> Mapping[str, Partner]:
        """The known partners among `partner_ids`, by id."""
        async with self._database.single() as connection:
            return {key: state.partner for key, state in (await _fetch_partners(connection, partner_ids)).items()}


async def _fetch_partners(tx: Connection, keys: Sequence[str]) -> dict[str, PartnerState]:
    return {
        row["partner_id"]: PartnerState(
            Partner(
                partner_id=row["partner_id"],
                person=row["person"],
                agreement=Agreement(number=row["agreement_number"], signed_on=row["signed_on"]),
                status=row["status"],
            ),
            row["phone_key"],
        )
        for row in await fetch(tx, PartnerRow, "partner_id", keys)
    }
