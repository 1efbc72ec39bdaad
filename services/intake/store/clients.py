"""The state behind a client key, and behind the keys of requests that name only a lead or a claim."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from chassis.service import Connection, Input, Rows
from contracts.person import is_client_key
from services.intake.domain.lead_requests import LeadRequest, Return, RewardSettlement
from services.intake.domain.model import ClientState, FaultyRequest, Submission
from services.intake.domain.quota import QuotaLimits, QuotaUsage
from services.intake.store.context import RequestContext, fetch_context
from services.intake.store.leads import fetch_leads, fetch_leads_of_clients, row_of_lead
from services.intake.store.quota import fetch_usages
from services.intake.store.requests import changed_requests, fetch_requests
from services.intake.store.tables import LeadRow

_FromPortals = Submission | LeadRequest | FaultyRequest


@dataclass(frozen=True, slots=True)
class ClientStore:
    """Loads and saves `ClientState`. `limits` apply to each partner."""

    limits: QuotaLimits

    async def load(self, tx: Connection, inputs: Sequence[Input]) -> dict[str, ClientState]:
        """The state of every key among `inputs`, with new lead numbers and quota usages for the submissions."""
        from_portals = [item for item in inputs if isinstance(item.body, _FromPortals)]
        submissions = [item for item in inputs if isinstance(item.body, Submission)]
        context = await fetch_context(tx, from_portals) if from_portals else RequestContext()
        usages = await fetch_usages(tx, [item.body.partner_id for item in submissions], self.limits)
        requests = {**context.requests, **await fetch_requests(tx, _named_requests(inputs))}
        lead_ids = {request.lead_id for request in requests.values() if request.lead_id is not None}
        lead_ids |= {lead_id for item in inputs if (lead_id := getattr(item.body, "lead_id", None)) is not None}
        leads = await fetch_leads(tx, lead_ids)
        if returned := {item.key for item in inputs if isinstance(item.body, Return)}:
            leads |= await fetch_leads_of_clients(tx, returned)
        allotted: dict[str, list[tuple[int, QuotaUsage]]] = {}
        for item, number, usage in zip(submissions, context.numbers, usages, strict=True):
            allotted.setdefault(item.key, []).append((number, usage))
        return {
            key: ClientState(
                # A repeated request may name a lead of another client; without that lead the rule finds a conflict.
                # A key of a lead or of a claim does not name the client, so its state holds the leads of all clients.
                leads={
                    lead.lead_id: lead for lead in leads.values() if lead.client_key == key or not is_client_key(key)
                },
                last_received_at=context.last_received.get(key),
                numbers=tuple(number for number, _ in allotted.get(key, ())),
                quota_usages=tuple(usage for _, usage in allotted.get(key, ())),
                partner_statuses=context.partner_statuses,
                scopes=context.scopes,
                requests=requests,
            )
            for key in sorted({item.key for item in inputs})
        }

    def save(self, changes: Mapping[str, tuple[ClientState, ClientState]]) -> Sequence[Rows]:
        """The rows of leads and requests that differ between the states (before, after) of each key."""
        leads = [
            row_of_lead(lead)
            for before, after in changes.values()
            for lead_id, lead in after.leads.items()
            if before.leads.get(lead_id) != lead
        ]
        return [Rows(LeadRow, leads, keep=("number", "received_at")), *changed_requests(changes.values())]


def _named_requests(inputs: Sequence[Input]) -> set[UUID]:
    """Ids of the requests that events of other services answer, and of the claims that settlements decide."""
    ids: set[UUID] = set()
    for body in (item.body for item in inputs):
        if isinstance(body, RewardSettlement):
            ids.add(body.claim_id)
        elif not isinstance(body, _FromPortals):
            request_id = getattr(body, "request_id", None)
            if request_id is not None:
                ids.add(request_id)
    return ids
