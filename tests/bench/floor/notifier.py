"""Notifier of the floor program: reservations and rejections → SMS. The provider is a stub that accepts at once."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from aiokafka import ConsumerRecord

from chassis.decision import Cause, derived_id
from chassis.envelope import Outgoing, encode
from contracts import topics
from contracts.reservations import ReservationOpened
from contracts.sealing import Sealer
from contracts.sms import SmsStatus
from contracts.verdicts import LeadRejected
from services.notifier.domain import wording
from tests.bench.floor.runtime import Db, Received, Stream, add_work, admit, columns, decode, finish_work

SOURCE = "/truce/notifier"
PROVIDER = "smsc"

_PARTNERS = "SELECT partner_id, person FROM partners WHERE partner_id = ANY($1::text[])"
_ADD_MESSAGES = """
    INSERT INTO messages (message_id, lead_id, client_key, partner_id, template, client, facts, about, place,
                          correlation, created_at, due_at, valid_until, status)
    SELECT message_id, lead_id, client_key, partner_id, template, client, facts::jsonb, lead_id::text, 0,
           correlation, now(), now(), now() + interval '7 days', 'waiting'
    FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
         AS t (message_id, lead_id, client_key, partner_id, template, client, facts, correlation)
    ON CONFLICT DO NOTHING
"""
_BEGIN = """
    INSERT INTO attempts (message_id, provider, began_at, sends, lookups, misses, partner_id, polls, poll_at)
    SELECT message_id, $3, now(), 1, 0, 0, partner_id, 0, now() + interval '2 minutes'
    FROM unnest($1::uuid[], $2::text[]) AS t (message_id, partner_id) ON CONFLICT DO NOTHING
"""
_SETTLE = """
    UPDATE messages SET status = 'sent', provider = $2, settled_at = $3 WHERE message_id = ANY($1::uuid[])
"""


def build() -> tuple[str, list[Stream]]:
    """The database's URL, and the streams to consume."""
    notifier = Notifier(os.environ)
    return os.environ["NOTIFIER_DATABASE_URL"], [
        Stream("notifier", (topics.RESERVATIONS, topics.VERDICTS), notifier.handle)
    ]


class Smsc:
    """A stub of the provider that accepts every message."""

    def send(self, message_id: UUID, phone: str, text: str) -> None: ...


class Notifier:
    """Sends SMS to realtors, with the keys of the environment."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._smsc = Smsc()
        self._sealer = Sealer(environment["NOTIFIER_SEALING_KEYS"])

    async def handle(self, db: Db, records: Sequence[ConsumerRecord]) -> list[Outgoing]:
        """Store messages and attempts in a first transaction, send the messages, and store outcomes in a second one."""
        received = decode(records, ReservationOpened, LeadRejected)
        if not received:
            return []
        async with db.transaction():
            messages = [_sms(one) for one in await admit(db, received)]
            ids = [message.id for message in messages]
            await db.execute(_ADD_MESSAGES, *columns([message.row() for message in messages], 8))
            work = await add_work(db, [message.work() for message in messages])
            await db.execute(_BEGIN, ids, [message.body.partner_id for message in messages], PROVIDER)
            partners = await db.fetch(_PARTNERS, list({message.body.partner_id for message in messages}))
            persons = {row["partner_id"]: row["person"] for row in partners}
        for message in messages:
            body = message.body
            phone = self._sealer.open(persons[body.partner_id], body.partner_id).phone
            full_name = self._sealer.open(body.client, str(body.lead_id)).full_name
            self._smsc.send(message.id, phone, wording.render(message.template, full_name, body.lead_id, message.facts))
        now = datetime.now(UTC)
        async with db.transaction():
            await finish_work(db, work)
            await db.execute(_SETTLE, ids, PROVIDER, now)
        return [_sent(message, now) for message in messages]


@dataclass(frozen=True, slots=True)
class Sms:
    """One SMS to send. `facts` are the values in its text besides the client."""

    id: UUID
    body: ReservationOpened | LeadRejected
    cause: Cause
    template: str
    facts: Mapping[str, str]

    def row(self) -> tuple[Any, ...]:
        body = self.body
        ids = self.id, body.lead_id, body.client_key, body.partner_id
        return *ids, self.template, body.client, _json(self.facts), self.cause.correlation

    def work(self) -> tuple[str, str, str, str, str]:
        payload = {"lead_id": str(self.body.lead_id), "partner_id": self.body.partner_id}
        return "sms", f"{self.id}.1", self.body.client_key, _json(payload), _json(self.cause)


def _sms(received: Received) -> Sms:
    body = received.body
    if isinstance(body, ReservationOpened):
        template, facts = str(wording.CONFIRMED), {"through": wording.day(body.reserved_through)}
    else:
        assert isinstance(body, LeadRejected)
        template, facts = str(wording.ALREADY_YOURS if body.reason == "already-yours" else wording.REJECTED), {}
    return Sms(derived_id(received.cause.id, template), body, received.cause, template, facts)


def _sent(message: Sms, now: datetime) -> Outgoing:
    body = message.body
    event = SmsStatus(
        lead_id=body.lead_id,
        client_key=body.client_key,
        partner_id=body.partner_id,
        message_id=message.id,
        template=message.template,
        status="sent",
        provider=PROVIDER,
        at=now,
    )
    event_id = derived_id(message.cause.id, f"sms/{message.id}/{event.ce_type}")
    return encode(event, event_id=event_id, source=SOURCE, at=now, cause=message.cause, sequence=1)


def _json(value: object) -> str:
    return orjson.dumps(value).decode()
