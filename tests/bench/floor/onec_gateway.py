"""Gateway of the floor program: leads → checks in 1C → verdicts; reservations → 1C's partner journal.

1C is a stub that responds at once.
"""

import hmac
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import orjson
from aiokafka import ConsumerRecord

from chassis.decision import Cause, derived_id
from chassis.envelope import Outgoing, encode
from contracts import topics
from contracts.base import RejectionReason
from contracts.leads import LeadSubmitted
from contracts.person import Person, client_key
from contracts.reservations import ReservationOpened
from contracts.sealing import Sealer
from contracts.verdicts import LeadConfirmed, LeadRejected
from tests.bench.floor.runtime import Db, Stream, add_work, admit, columns, decode, finish_work

SOURCE = "/truce/onec-gateway"

_HOLDS = "SELECT client_key, lead_id, partner_id FROM holds WHERE client_key = ANY($1::text[])"
_PARTNERS = "SELECT partner_id, person, agreement_number FROM partners WHERE partner_id = ANY($1::text[])"
_ADD_LEADS = """
    INSERT INTO leads (lead_id, client_key, partner_id, client, received_at, number, cause, check_requested, enquiries,
                       status, reason, evidence, decided_at)
    SELECT lead_id, client_key, partner_id, client, received_at, number, cause::jsonb, reason IS NULL, '[]',
           CASE WHEN reason IS NULL THEN 'under-review' ELSE 'rejected' END, reason, evidence, decided_at
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::bigint[], $7::text[],
                $8::text[], $9::text[], $10::timestamptz[])
         AS t (lead_id, client_key, partner_id, client, received_at, number, cause, reason, evidence, decided_at)
    ON CONFLICT DO NOTHING
"""
_DECIDE = """
    UPDATE leads l
    SET checked_at = u.checked_at, status = CASE WHEN u.reason IS NULL THEN 'confirmed' ELSE 'rejected' END,
        reason = u.reason, evidence = u.evidence, decided_at = u.decided_at
    FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::timestamptz[])
         AS u (lead_id, checked_at, reason, evidence, decided_at)
    WHERE l.lead_id = u.lead_id
"""
_HOLD = """
    INSERT INTO holds (client_key, lead_id, partner_id, confirmed_at)
    SELECT * FROM unnest($1::text[], $2::uuid[], $3::text[], $4::timestamptz[]) ON CONFLICT DO NOTHING
"""
_ADD_TERMS = """
    INSERT INTO known_reservations (lead_id, client_key, confirmed_at, reserved_until, reserved_through)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::date[])
    ON CONFLICT DO NOTHING
"""
_ENTERED = "UPDATE known_reservations SET journal_entered_at = $2 WHERE lead_id = ANY($1::uuid[])"


def build() -> tuple[str, list[Stream]]:
    """The database's URL, and the streams to consume."""
    gateway = Gateway(os.environ)
    return os.environ["ONEC_DATABASE_URL"], [
        Stream("onec-gateway", (topics.LEADS, topics.RESERVATIONS), gateway.handle)
    ]


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the partner journal: a reserved client."""

    lead_id: str
    full_name: str
    phone: str
    partner_id: str
    partner: str
    agreement: str
    confirmed_at: datetime
    reserved_through: date


class OneC:
    """A stub of 1C without enquiries, which accepts every journal entry."""

    def enquiries(self, phones: Sequence[str]) -> dict[str, tuple[str, ...]]:
        return dict.fromkeys(phones, ())

    def enter(self, entries: Sequence[Entry]) -> None: ...


class Gateway:
    """Decides which lead holds a client, with the keys of the environment."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._onec = OneC()
        self._sealer = Sealer(environment["ONEC_SEALING_KEYS"])
        self._secret = bytes.fromhex(environment["ONEC_CLIENT_KEY_SECRET"])

    async def handle(self, db: Db, records: Sequence[ConsumerRecord]) -> list[Outgoing]:
        """Store calls in a first transaction, make the calls, and store their outcomes in a second transaction."""
        received = decode(records, LeadSubmitted, ReservationOpened)
        if not received:
            return []
        events: list[Outgoing] = []
        async with db.transaction():
            fresh = await admit(db, received)
            submitted = [(one.body, one.cause) for one in fresh if isinstance(one.body, LeadSubmitted)]
            opened = [(one.body, one.cause) for one in fresh if isinstance(one.body, ReservationOpened)]
            checks = await self._queue(db, submitted, events) if submitted else []
            partners = await self._add_terms(db, opened) if opened else {}
            work = await add_work(
                db,
                [
                    ("check", str(lead.lead_id), lead.client_key, _json({"client": lead.client}), _json(cause))
                    for lead, cause in checks
                ]
                + [
                    ("partner-journal", str(term.lead_id), term.client_key, _json(_payload(term)), _json(cause))
                    for term, cause in opened
                ],
            )
        phones = [self._open(lead.client, lead.lead_id, lead.client_key).phone for lead, _ in checks]
        found = self._onec.enquiries(phones)
        self._onec.enter([self._entry(term, partners) for term, _ in opened])
        now = datetime.now(UTC)
        async with db.transaction():
            await finish_work(db, work)
            if checks:
                known = [found[phone] for phone in phones]
                await self._decide(db, checks, known, now, events)
            if opened:
                await db.execute(_ENTERED, [term.lead_id for term, _ in opened], now)
        return events

    async def _queue(
        self, db: Db, submitted: Sequence[tuple[LeadSubmitted, Cause]], events: list[Outgoing]
    ) -> list[tuple[LeadSubmitted, Cause]]:
        """Store leads. Reject leads whose client has a holder or an earlier lead in this batch. Returns the others."""
        now = datetime.now(UTC)
        keys = list({lead.client_key for lead, _ in submitted})
        held = {row["client_key"]: (row["lead_id"], row["partner_id"]) for row in await db.fetch(_HOLDS, keys)}
        rows: list[tuple[Any, ...]] = []
        checks = []
        for lead, cause in submitted:
            reason: RejectionReason | None = None
            evidence = None
            if lead.client_key in held:
                holder, partner_id = held[lead.client_key]
                reason = "already-yours" if partner_id == lead.partner_id else "held-by-partner"
                evidence = str(holder)
                events.append(_rejected(lead, cause, reason, evidence, now))
            else:
                held[lead.client_key] = lead.lead_id, lead.partner_id
                checks.append((lead, cause))
            rows.append(
                (
                    lead.lead_id,
                    lead.client_key,
                    lead.partner_id,
                    lead.client,
                    lead.received_at,
                    lead.number,
                    _json(cause),
                    reason,
                    evidence,
                    now if reason else None,
                )
            )
        await db.execute(_ADD_LEADS, *columns(rows, 10))
        return checks

    async def _add_terms(self, db: Db, opened: Sequence[tuple[ReservationOpened, Cause]]) -> dict[str, tuple[str, str]]:
        """Store terms. Returns the partners: sealed person and agreement number."""
        terms = [
            (term.lead_id, term.client_key, term.confirmed_at, term.reserved_until, term.reserved_through)
            for term, _ in opened
        ]
        await db.execute(_ADD_TERMS, *columns(terms, 5))
        partners = await db.fetch(_PARTNERS, list({term.partner_id for term, _ in opened}))
        return {row["partner_id"]: (row["person"], row["agreement_number"]) for row in partners}

    async def _decide(
        self,
        db: Db,
        checks: Sequence[tuple[LeadSubmitted, Cause]],
        known: Sequence[tuple[str, ...]],
        now: datetime,
        events: list[Outgoing],
    ) -> None:
        """Store the verdicts that follow from 1C's enquiries, and add their events."""
        verdicts: list[tuple[Any, ...]] = []
        holds: list[tuple[Any, ...]] = []
        for (lead, cause), enquiries in zip(checks, known, strict=True):
            if enquiries:
                verdicts.append((lead.lead_id, now, "known-to-builder", enquiries[0], now))
                events.append(_rejected(lead, cause, "known-to-builder", enquiries[0], now))
                continue
            verdicts.append((lead.lead_id, now, None, None, now))
            holds.append((lead.client_key, lead.lead_id, lead.partner_id, now))
            events.append(_confirmed(lead, cause, now))
        await db.execute(_DECIDE, *columns(verdicts, 5))
        await db.execute(_HOLD, *columns(holds, 4))

    def _open(self, sealed: str, lead_id: object, key: str) -> Person:
        client = self._sealer.open(sealed, str(lead_id))
        if not hmac.compare_digest(client_key(self._secret, client.phone), key):
            raise ValueError(
                f"client key of lead {lead_id} does not fit: ONEC_CLIENT_KEY_SECRET must be the same as intake's"
            )
        return client

    def _entry(self, term: ReservationOpened, partners: Mapping[str, tuple[str, str]]) -> Entry:
        client = self._open(term.client, term.lead_id, term.client_key)
        person, agreement = partners[term.partner_id]
        return Entry(
            lead_id=str(term.lead_id),
            full_name=client.full_name,
            phone=client.phone,
            partner_id=term.partner_id,
            partner=self._sealer.open(person, term.partner_id).full_name,
            agreement=agreement,
            confirmed_at=term.confirmed_at,
            reserved_through=term.reserved_through,
        )


def _confirmed(lead: LeadSubmitted, cause: Cause, now: datetime) -> Outgoing:
    event = LeadConfirmed(
        lead_id=lead.lead_id,
        client_key=lead.client_key,
        partner_id=lead.partner_id,
        client=lead.client,
        received_at=lead.received_at,
        checked_at=now,
        confirmed_at=now,
    )
    return _event(event, cause, now)


def _rejected(lead: LeadSubmitted, cause: Cause, reason: RejectionReason, evidence: str, now: datetime) -> Outgoing:
    event = LeadRejected(
        lead_id=lead.lead_id,
        client_key=lead.client_key,
        partner_id=lead.partner_id,
        client=lead.client,
        received_at=lead.received_at,
        rejected_at=now,
        reason=reason,
        evidence=evidence,
    )
    return _event(event, cause, now)


def _event(event: LeadConfirmed | LeadRejected, cause: Cause, now: datetime) -> Outgoing:
    event_id = derived_id(cause.id, event.ce_type)
    return encode(event, event_id=event_id, source=SOURCE, at=now, cause=cause, sequence=1)


def _payload(term: ReservationOpened) -> dict[str, str]:
    return {
        "client": term.client,
        "partner_id": term.partner_id,
        "confirmed_at": term.confirmed_at.isoformat(),
        "reserved_through": term.reserved_through.isoformat(),
    }


def _json(value: object) -> str:
    return orjson.dumps(value).decode()
