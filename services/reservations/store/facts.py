"""The parts of a client's state that rest as facts: requests, sales, claims, rejected leads."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from chassis.decision import Cause
from chassis.service import row_of
from contracts.leads import ReturnRequested, RewardClaimed, RewardSettlementRequested, WithdrawalRequested
from services.reservations.domain.model import Claim, ClientState, Deal, PendingRequest, RejectedLead, Request

_REQUESTS: Final[dict[str, type[Request]]] = {
    kind.ce_type: kind for kind in (ReturnRequested, WithdrawalRequested, RewardClaimed, RewardSettlementRequested)
}


def changed(before: ClientState, after: ClientState) -> bool:
    """Return whether any fact may have changed. A rule that changes no fact keeps the mappings themselves."""
    return (
        after.requests is not before.requests
        or after.rejected is not before.rejected
        or after.deals is not before.deals
        or after.claims is not before.claims
    )


def rows_of(key: str, before: ClientState, after: ClientState) -> Iterator[dict[str, Any]]:
    """Yield the rows of the facts that are new or changed."""
    for lead_id, rejected in after.rejected.items():
        if lead_id not in before.rejected:
            yield _row(key, "rejected", str(lead_id), row_of(rejected))
    for request_id, request in after.requests.items():
        if before.requests.get(request_id) != request:
            due = request.until if request.state == "waiting" else None
            value = {
                "type": request.message.ce_type,
                "message": request.message.model_dump(mode="json"),
                "cause": row_of(request.cause),
                "state": request.state,
                "until": request.until,
            }
            yield _row(key, "request", str(request_id), value, due)
    for ref, deal in after.deals.items():
        if before.deals.get(ref) != deal:
            yield _row(key, "deal", ref, row_of(deal))
    for claim_id, claim in after.claims.items():
        if before.claims.get(claim_id) != claim:
            yield _row(key, "claim", str(claim_id), row_of(claim))


def restored(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the fields of ClientState that the rows hold; for no rows, none."""
    if not found:
        return {}
    rejected: dict[UUID, RejectedLead] = {}
    requests: dict[UUID, PendingRequest] = {}
    deals: dict[str, Deal] = {}
    claims: dict[UUID, Claim] = {}
    for row in found:
        value = row["value"]
        match row["kind"]:
            case "rejected":
                received_at = datetime.fromisoformat(value["received_at"])
                rejected[UUID(row["ref"])] = RejectedLead(value["partner_id"], received_at)
            case "request":
                until = datetime.fromisoformat(value["until"]) if value["until"] else None
                message = _REQUESTS[value["type"]].model_validate(value["message"])
                requests[message.request_id] = PendingRequest(message, Cause(**value["cause"]), value["state"], until)
            case "deal":
                typed = {
                    "lead_id": UUID(value["lead_id"]),
                    "amount": Decimal(value["amount"]),
                    "sold_on": date.fromisoformat(value["sold_on"]),
                    "claim_id": UUID(value["claim_id"]) if value["claim_id"] else None,
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


def _row(key: str, kind: str, ref: str, value: dict[str, Any], due: datetime | None = None) -> dict[str, Any]:
    return {"client_key": key, "kind": kind, "ref": ref, "due_at": due, "value": value}
