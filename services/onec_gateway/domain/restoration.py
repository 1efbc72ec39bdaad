"""A person has the entry of a lead in 1C's partner journal written anew."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from chassis.decision import Cause, Decision
from services.onec_gateway.domain import tasks
from services.onec_gateway.domain.model import ClientState


@dataclass(frozen=True, slots=True)
class RestoreRequested:
    """A person wants the entry of this lead as the gateway knows it. `restoration`: the id of this request; `found`:
    what differed."""

    lead_id: UUID
    restoration: UUID
    who: str
    why: str
    found: str


@dataclass(frozen=True, slots=True)
class JournalRestored:
    """1C's partner journal has the entry of this lead as the gateway knows it."""

    lead_id: UUID
    at: datetime


@dataclass(frozen=True, slots=True)
class Restoration:
    """The record of a request: which lead, what differed, who wanted it and why, and when."""

    restoration: UUID
    lead_id: UUID
    client_key: str
    found: str
    who: str
    why: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Restoring:
    """A client, and the requests that this transaction records."""

    client: ClientState
    recorded: tuple[Restoration, ...] = ()


def restore_requested(state: Restoring, request: RestoreRequested, _: Cause, now: datetime) -> Decision[Restoring]:
    """Request the write of the entry, as the reservation is now. The reply: whether the gateway can write it."""
    client = state.client
    lead, known = client.leads.get(request.lead_id), client.reservations.get(request.lead_id)
    if lead is None or known is None or not lead.client:
        return Decision(state, reply=False)
    record = Restoration(request.restoration, request.lead_id, client.key, request.found, request.who, request.why, now)
    task = tasks.restore(lead, known, request.restoration)
    return Decision(replace(state, recorded=(*state.recorded, record)), tasks=(task,), reply=True)


def journal_restored(client: ClientState, result: JournalRestored, _: Cause, __: datetime) -> Decision[ClientState]:
    """Record that the journal has the entry."""
    known = replace(client.reservations[result.lead_id], journal_entered_at=result.at)
    return Decision(client.with_reservation(known))
