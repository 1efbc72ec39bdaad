"""Recorded requests: rows to values and back."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from chassis.service import Connection, Rows, fetch
from services.intake.domain.model import ClientState, Origin, PartnerState, RecordedRequest, RequestKey
from services.intake.store.tables import RequestRow


async def fetch_requests(tx: Connection, request_ids: Iterable[UUID]) -> dict[RequestKey, RecordedRequest]:
    """The recorded requests with these ids; unknown ids are left out."""
    wanted = sorted(request_ids)
    found = await fetch(tx, RequestRow, "request_id", wanted) if wanted else []
    return {(row["portal"], row["key"]): request_of(row) for row in found}


def request_of(row: Mapping[str, Any]) -> RecordedRequest:
    origin = Origin(row["portal"], row["key"], row["digest"], row["kind"], over_http=True)
    return RecordedRequest(origin, row["reason"], row["lead_id"], row["done_at"], row["result"])


def changed_requests(
    changes: Iterable[tuple[ClientState, ClientState] | tuple[PartnerState, PartnerState]],
) -> Sequence[Rows]:
    """The rows of requests that are new or differ between the states (before, after) of a batch."""
    new: dict[RequestKey, RecordedRequest] = {}
    changed: dict[RequestKey, RecordedRequest] = {}
    for before, after in changes:
        for key, request in after.requests.items():
            known = before.requests.get(key)
            if known is None:
                new[key] = request
            elif known is not request:
                changed[key] = request
    return [
        # Two transactions may insert one key at the same time: the second fails with a conflict, and the chassis
        # decides its request again with the row of the first in the state.
        Rows(RequestRow, [_row_of(new[key]) for key in sorted(new)], new=True),
        Rows(RequestRow, [_row_of(request) for request in changed.values()]),
    ]


def _row_of(request: RecordedRequest) -> dict[str, Any]:
    origin = request.origin
    return {
        "portal": origin.portal,
        "key": origin.key,
        "request_id": origin.request_id,
        "kind": origin.kind,
        "digest": origin.digest,
        "reason": request.reason,
        "lead_id": request.lead_id,
        "done_at": request.done_at,
        "result": request.result,
    }
