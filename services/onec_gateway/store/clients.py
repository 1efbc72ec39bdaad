"""Clients at rest: the state of each by client key, from the tables of holds, leads, reservations and other facts."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from operator import itemgetter
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from pydantic import TypeAdapter

from chassis.decision import Cause
from chassis.service import Connection, Input, Rows, fetch_each, keys_of, row_of
from services.onec_gateway.domain.cards import Card
from services.onec_gateway.domain.collisions import Collision
from services.onec_gateway.domain.model import (
    ClientState,
    Deal,
    Enquiry,
    Hold,
    Lead,
    Ruling,
    Sale,
    Sighting,
    Verdict,
)
from services.onec_gateway.domain.reservations import KnownReservation, Reinstatement
from services.onec_gateway.store.tables import FactRow, HoldRow, KnownReservationRow, LeadRow

_RESERVATION_FIELDS: Final = itemgetter(*KnownReservation.__dataclass_fields__)
_SIGHTING: Final = TypeAdapter(Sighting)
_COLLISION: Final = TypeAdapter(Collision)
_DEAL: Final = TypeAdapter(Deal)
_REINSTATEMENT: Final = TypeAdapter(Reinstatement)
_ENQUIRIES: Final = TypeAdapter(tuple[Enquiry, ...])
_SALES: Final = TypeAdapter(tuple[Sale, ...])
_CARDS: Final = TypeAdapter(tuple[Card, ...])
_RULING: Final = TypeAdapter(Ruling)


class ClientStore:
    """Loads and saves ClientState by client key."""

    async def load(self, tx: Connection, inputs: Sequence[Input]) -> dict[str, ClientState]:
        """The states of all clients that the inputs name, in one query."""
        keys = keys_of(inputs)
        hold_rows, lead_rows, reservation_rows, fact_rows = await fetch_each(
            tx,
            "client_key",
            keys,
            (HoldRow, None),
            (LeadRow, "number"),
            (KnownReservationRow, None),
            (FactRow, None),
        )
        holds = {
            row["client_key"]: Hold(row["lead_id"], row["partner_id"], row["confirmed_at"])
            for row in hold_rows
            if not row["released"]
        }
        leads: dict[str, dict[UUID, Lead]] = {key: {} for key in keys}
        for row in lead_rows:
            leads[row["client_key"]][row["lead_id"]] = _lead(row)
        reservations: dict[str, dict[UUID, KnownReservation]] = {key: {} for key in keys}
        for row in reservation_rows:
            reservations[row["client_key"]][row["lead_id"]] = KnownReservation(*_RESERVATION_FIELDS(row))
        facts: dict[str, list[Mapping[str, Any]]] = {}
        for row in fact_rows:
            facts.setdefault(row["client_key"], []).append(row)
        return {
            key: _with_facts(
                ClientState(key, holds.get(key), MappingProxyType(leads[key]), MappingProxyType(reservations[key])),
                facts.get(key, ()),
            )
            for key in keys
        }

    def save(self, changes: Mapping[str, tuple[ClientState, ClientState]]) -> Sequence[Rows]:
        """The rows that differ between the state before and the state after, by client key."""
        holds: list[dict[str, Any]] = []
        leads: list[dict[str, Any]] = []
        reservations: list[dict[str, Any]] = []
        facts: list[dict[str, Any]] = []
        for key, (before, after) in changes.items():
            if (hold := after.hold or before.hold) is not None and after.hold != before.hold:
                holds.append({"client_key": key, **row_of(hold), "released": after.hold is None})
            leads.extend(
                _lead_row(key, lead) for lead_id, lead in after.leads.items() if before.leads.get(lead_id) != lead
            )
            reservations.extend(
                {"client_key": key, **row_of(reservation)}
                for lead_id, reservation in after.reservations.items()
                if before.reservations.get(lead_id) != reservation
            )
            facts.extend(_changed_facts(key, "sighting", before.sightings, after.sightings))
            facts.extend(_changed_facts(key, "deal", before.deals, after.deals))
            facts.extend(_changed_facts(key, "reinstatement", before.reinstatements, after.reinstatements))
            facts.extend(_changed_facts(key, "collision", before.collisions, after.collisions))
            facts.extend(
                {"client_key": key, "kind": "own-enquiry", "ref": ref, "body": {}}
                for ref in sorted(after.own_enquiries - before.own_enquiries)
            )
        return [
            Rows(HoldRow, holds),
            Rows(LeadRow, leads),
            Rows(KnownReservationRow, reservations),
            Rows(FactRow, facts),
        ]


def insider_row(phone_key: str, owner: str, is_now: bool) -> dict[str, Any]:
    """The row of `facts` that records whether the phone with this client key belongs to `owner` now: `partner:<id>` or
    `staff`."""
    return {"client_key": phone_key, "kind": "insider", "ref": owner, "body": {"is": is_now}}


def _with_facts(client: ClientState, facts: Sequence[Mapping[str, Any]]) -> ClientState:
    for fact in facts:
        match fact["kind"]:
            case "sighting":
                client = client.with_sighting(_SIGHTING.validate_python(fact["body"]))
            case "deal":
                client = client.with_deal(_DEAL.validate_python(fact["body"]))
            case "reinstatement":
                client = client.with_reinstatement(_REINSTATEMENT.validate_python(fact["body"]))
            case "collision":
                collision = _COLLISION.validate_python(fact["body"])
                collisions = MappingProxyType({**client.collisions, collision.id: collision})
                client = replace(client, collisions=collisions)
            case "own-enquiry":
                client = replace(client, own_enquiries=client.own_enquiries | {fact["ref"]})
            case "insider":
                if fact["body"]["is"]:
                    client = replace(client, insider=fact["ref"])
            case unknown:
                raise ValueError(f"table facts has a row of kind {unknown!r}, which this version does not know")
    return client


def _changed_facts(key: str, kind: str, before: Mapping[Any, Any], after: Mapping[Any, Any]) -> list[dict[str, Any]]:
    if before is after:
        return []
    return [
        {"client_key": key, "kind": kind, "ref": str(ref), "body": fact}
        for ref, fact in after.items()
        if before.get(ref) != fact
    ]


def _lead(row: Mapping[str, Any]) -> Lead:
    decided_at = row["decided_at"]
    return Lead(
        lead_id=row["lead_id"],
        partner_id=row["partner_id"],
        client=row["client"],
        received_at=row["received_at"],
        number=row["number"],
        cause=Cause(**row["cause"]),
        check_requested=row["check_requested"],
        checked_at=row["checked_at"],
        enquiries=_ENQUIRIES.validate_python(row["enquiries"]) if row["enquiries"] else (),
        sales=_SALES.validate_python(row["sales"]) if row["sales"] else (),
        cards=_CARDS.validate_python(row["cards"]) if row["cards"] else (),
        waits_for=row["waits_for"],
        delayed_at=row["delayed_at"],
        ruling=_RULING.validate_python(row["ruling"]) if row["ruling"] else None,
        verdict=Verdict(decided_at, row["reason"], row["evidence"], row["rule"]) if decided_at else None,
    )


def _lead_row(key: str, lead: Lead) -> dict[str, Any]:
    verdict = lead.verdict
    status = "under-review" if verdict is None else "confirmed" if verdict.reason is None else "rejected"
    return {
        "lead_id": lead.lead_id,
        "client_key": key,
        "partner_id": lead.partner_id,
        "client": lead.client,
        "received_at": lead.received_at,
        "number": lead.number,
        "cause": lead.cause,
        "check_requested": lead.check_requested,
        "checked_at": lead.checked_at,
        "enquiries": lead.enquiries,
        "sales": lead.sales,
        "cards": lead.cards,
        "waits_for": lead.waits_for,
        "delayed_at": lead.delayed_at,
        "ruling": lead.ruling,
        "status": status,
        "reason": verdict.reason if verdict else None,
        "evidence": verdict.evidence if verdict else None,
        "rule": verdict.rule if verdict else "",
        "decided_at": verdict.at if verdict else None,
    }
