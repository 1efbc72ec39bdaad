"""Intake of the floor program: portals' requests → leads; verdicts and reservations → what a portal sees."""

import hashlib
import hmac
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from aiokafka import ConsumerRecord
from joserfc.jwk import ECKey
from pydantic import ValidationError

from chassis.decision import Cause, derived_id
from chassis.envelope import Outgoing, encode, read_headers
from contracts import topics
from contracts.base import Message
from contracts.leads import LeadSubmitted, RequestRefused
from contracts.person import InvalidName, InvalidPhone, Person, client_key
from contracts.portal import PlainPerson, SubmitLead
from contracts.reservations import ReservationOpened
from contracts.sealing import Sealer, Unsealable, decrypt_with
from contracts.verdicts import LeadRejected
from tests.bench.floor.runtime import Db, Stream, admit, columns, decode

SOURCE = "/truce/intake"
PORTAL = "demo"

_ID = re.compile(r"[\x21-\x7e]{1,255}")
_TICK = timedelta(microseconds=1)

_REQUESTS = """
    SELECT r.portal, r.key, r.kind, r.digest FROM requests r
    JOIN (SELECT DISTINCT * FROM unnest($1::text[], $2::text[]) AS u (portal, key)) u USING (portal, key)
"""
_PARTNERS = "SELECT partner_id, status FROM partners WHERE partner_id = ANY($1::text[])"
_SCOPES = "SELECT name, scopes FROM portals WHERE name = ANY($1::text[]) AND key_hash IS NOT NULL"
_NUMBERS = "SELECT nextval('lead_numbers') AS number FROM generate_series(1, $1::integer)"
_ADD_REQUESTS = """
    INSERT INTO requests (portal, key, request_id, kind, digest, reason, lead_id, done_at)
    SELECT *, now() FROM unnest($1::text[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::uuid[])
"""
_ADD_LEADS = """
    INSERT INTO leads (lead_id, number, portal, partner_id, client_key, client, status, received_at,
                       reservation_events, history_count)
    SELECT lead_id, number, portal, partner_id, client_key, client, 'under-review', received_at, '[]', -1
    FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
         AS t (lead_id, number, portal, partner_id, client_key, client, received_at)
"""
_CONFIRM = """
    UPDATE leads l SET status = 'confirmed', confirmed_at = u.confirmed_at, reserved_through = u.reserved_through,
                       reserved_until = u.reserved_until, history_count = 1,
                       reservation_events = jsonb_build_array(
                           jsonb_build_array(u.confirmed_at, 'confirmed', u.reserved_through))
    FROM unnest($1::uuid[], $2::timestamptz[], $3::date[], $4::timestamptz[])
         AS u (lead_id, confirmed_at, reserved_through, reserved_until)
    WHERE l.lead_id = u.lead_id AND l.confirmed_at IS NULL
"""
_REJECT = """
    UPDATE leads l SET status = 'rejected', rejected_at = u.rejected_at, reason = u.reason
    FROM unnest($1::uuid[], $2::timestamptz[], $3::text[]) AS u (lead_id, rejected_at, reason)
    WHERE l.lead_id = u.lead_id AND l.rejected_at IS NULL AND l.confirmed_at IS NULL
"""


def build() -> tuple[str, list[Stream]]:
    """The database's URL, and the streams to consume."""
    intake = Intake(os.environ)
    return os.environ["INTAKE_DATABASE_URL"], [
        Stream("intake.requests", (f"{topics.PORTAL_REQUESTS}.{PORTAL}",), intake.requests),
        Stream("intake", (topics.VERDICTS, topics.RESERVATIONS), outcomes),
    ]


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """A request, opened and normalised. `refusal` is the reason if its content alone makes it refused."""

    portal: str
    key: str
    digest: str
    body: SubmitLead
    cause: Cause
    client_key: str = ""
    client: str = ""
    refusal: str | None = None

    @property
    def lead_id(self) -> UUID:
        return derived_id(f"{self.portal}/{self.key}", "lead")


class Intake:
    """Handles requests with the keys of the environment."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._sealer = Sealer(environment["INTAKE_SEALING_KEYS"])
        self._secret = bytes.fromhex(environment["INTAKE_CLIENT_KEY_SECRET"])
        self._unsealing = ECKey.import_key(json.loads(environment["INTAKE_UNSEALING_KEY"]))
        self._last_received = datetime.min.replace(tzinfo=UTC)

    async def requests(self, db: Db, records: Sequence[ConsumerRecord]) -> list[Outgoing]:
        """Accept or refuse each request of a batch."""
        prepared = [request for record in records if (request := self._read(record)) is not None]
        if not prepared:
            return []
        events: list[Outgoing] = []
        requests: list[tuple[Any, ...]] = []
        leads: list[tuple[Any, ...]] = []
        async with db.transaction():
            keys = [request.portal for request in prepared], [request.key for request in prepared]
            earlier = {
                (row["portal"], row["key"]): (row["kind"], row["digest"]) for row in await db.fetch(_REQUESTS, *keys)
            }
            partners = {
                row["partner_id"]: row["status"]
                for row in await db.fetch(_PARTNERS, list({request.body.partner_id for request in prepared}))
            }
            scopes = {
                row["name"]: row["scopes"]
                for row in await db.fetch(_SCOPES, list({request.portal for request in prepared}))
            }
            numbers = iter(sorted(row["number"] for row in await db.fetch(_NUMBERS, len(prepared))))
            now = datetime.now(UTC)
            for request in prepared:
                request_id = derived_id(f"{request.portal}/{request.key}", "request")
                answered = earlier.get((request.portal, request.key))
                if answered == (SubmitLead.ce_type, request.digest):
                    continue
                reason = "id-conflict" if answered else _refusal(request, partners, scopes)
                if not answered:
                    earlier[request.portal, request.key] = SubmitLead.ce_type, request.digest
                    lead_id = None if reason else request.lead_id
                    requests.append(
                        (request.portal, request.key, request_id, SubmitLead.ce_type, request.digest, reason, lead_id)
                    )
                event: Message
                if reason is not None:
                    event = RequestRefused(
                        request_id=request_id,
                        portal=request.portal,
                        portal_request_id=request.key,
                        request_type=SubmitLead.ce_type,
                        reason=reason,
                        partner_id=request.body.partner_id,
                        refused_at=now,
                    )
                else:
                    assert request.body.consent is not None
                    # Times of receipt increase in the whole process, so they increase for each client without a query.
                    self._last_received = max(now, self._last_received + _TICK)
                    event = LeadSubmitted(
                        lead_id=request.lead_id,
                        client_key=request.client_key,
                        partner_id=request.body.partner_id,
                        client=request.client,
                        received_at=self._last_received,
                        number=next(numbers),
                        consent=request.body.consent,
                    )
                    leads.append(
                        (
                            event.lead_id,
                            event.number,
                            request.portal,
                            event.partner_id,
                            event.client_key,
                            event.client,
                            event.received_at,
                        )
                    )
                event_id = derived_id(request.cause.id, event.ce_type)
                events.append(encode(event, event_id=event_id, source=SOURCE, at=now, cause=request.cause, sequence=1))
            await db.execute(_ADD_REQUESTS, *columns(requests, 7))
            await db.execute(_ADD_LEADS, *columns(leads, 7))
        return events

    def _read(self, record: ConsumerRecord) -> PreparedRequest | None:
        """The request, or None if the record is unreadable. The service would make a dead letter of the record."""
        headers = read_headers(record.headers)
        portal = record.topic.removeprefix(f"{topics.PORTAL_REQUESTS}.")
        key = headers.get("ce_id", "")
        if not _ID.fullmatch(key) or headers.get("ce_type") != SubmitLead.ce_type:
            return None
        try:
            body = SubmitLead.model_validate_json(record.value)
            if not isinstance(body.client, str):
                raise Unsealable("is not sealed")
            typed = PlainPerson.model_validate_json(decrypt_with([self._unsealing], body.client))
        except (ValidationError, Unsealable) as error:
            print(f"unreadable: {type(error).__name__} at {record.partition}/{record.offset}", file=sys.stderr)
            return None
        consent = None if body.consent is None else body.consent.model_dump(mode="json")
        digest = self._digest([body.partner_id, typed.full_name, typed.phone, consent, body.note])
        identity = str(derived_id(f"{portal}/{key}/{digest}", SubmitLead.ce_type))
        cause = Cause(identity, headers.get("ce_correlationid") or identity, headers.get("traceparent"))
        try:
            client = Person.parse(typed.full_name, typed.phone)
        except InvalidName:
            return PreparedRequest(portal, key, digest, body, cause, refusal="invalid-name")
        except InvalidPhone:
            return PreparedRequest(portal, key, digest, body, cause, refusal="invalid-phone")
        ours = client_key(self._secret, client.phone)
        sealed = self._sealer.seal(client, str(derived_id(f"{portal}/{key}", "lead")))
        return PreparedRequest(portal, key, digest, body, cause, ours, sealed)

    def _digest(self, content: list[Any]) -> str:
        return hmac.digest(self._secret, b"digest\n" + orjson.dumps(content), hashlib.sha256).hex()


def _refusal(request: PreparedRequest, partners: Mapping[str, str], scopes: Mapping[str, Sequence[str]]) -> str | None:
    """The first reason to refuse a lead, or None."""
    if "leads" not in scopes.get(request.portal, ()):
        return "forbidden"
    if request.refusal is not None:
        return request.refusal
    if request.body.consent is None:
        return "no-consent"
    standing = partners.get(request.body.partner_id)
    if standing is None:
        return "unknown-partner"
    return None if standing == "active" else "partner-suspended"


async def outcomes(db: Db, records: Sequence[ConsumerRecord]) -> list[Outgoing]:
    """Store verdicts and reservations of leads. No event follows."""
    received = decode(records, ReservationOpened, LeadRejected)
    if not received:
        return []
    async with db.transaction():
        opened: list[tuple[Any, ...]] = []
        rejected: list[tuple[Any, ...]] = []
        for one in await admit(db, received):
            match one.body:
                case ReservationOpened() as body:
                    opened.append((body.lead_id, body.confirmed_at, body.reserved_through, body.reserved_until))
                case LeadRejected() as body:
                    rejected.append((body.lead_id, body.rejected_at, body.reason))
        if opened:
            await db.execute(_CONFIRM, *columns(opened, 4))
        if rejected:
            await db.execute(_REJECT, *columns(rejected, 3))
    return []
