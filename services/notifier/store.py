"""Partners and messages at rest, names and phones sealed; and which calls may have taken effect."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from operator import itemgetter
from typing import Final, Literal
from uuid import UUID

from sqlalchemy import DateTime
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from chassis.service import Batcher, Connection, Database, Input, Row, Rows, execute, fetch, row_of, rows
from services.notifier.answers import Attempt, Outcome
from services.notifier.domain import Client, Message, Recipient

_MOMENT = DateTime(timezone=True)
_MESSAGE: Final = itemgetter(*Message.__dataclass_fields__)

Begun = Literal["begun", "another's", "over-limit", "untrue"]

FIRST_POLL_S: Final = 120
"""A report that has not come by then is asked for."""


class Table(SQLModel, registry=registry()):
    """The tables of this service alone."""


class PartnerRow(Table, table=True):
    """A partner as the topic last told it."""

    __tablename__ = "partners"

    partner_id: str = Field(primary_key=True)
    person: str
    status: str


class MessageRow(Table, table=True):
    """One SMS, scheduled, waiting or settled."""

    __tablename__ = "messages"

    message_id: UUID = Field(primary_key=True)
    lead_id: UUID = Field(index=True)
    client_key: str = Field(index=True)
    partner_id: str
    template: str
    client: str
    facts: dict[str, str] = Field(sa_type=JSONB)
    about: str
    place: int
    correlation: str
    created_at: datetime = Field(sa_type=_MOMENT)
    due_at: datetime = Field(sa_type=_MOMENT)
    valid_until: datetime = Field(sa_type=_MOMENT)
    status: str
    calls: int
    obsolete: str | None
    provider: str | None
    detail: str | None
    settled_at: datetime | None = Field(sa_type=_MOMENT)
    resend_of: UUID | None
    resent_by: str | None
    resent_why: str | None


class AttemptRow(Table, table=True):
    """A call that was begun and may have taken effect. Real time; the row goes when it is known that it did not.
    `poll_at`: when the provider is asked what became of it, if it does not tell."""

    __tablename__ = "attempts"

    message_id: UUID = Field(primary_key=True)
    provider: str
    began_at: datetime = Field(sa_type=_MOMENT)
    sends: int = 1
    looks: int = 0
    missing: int = 0
    partner_id: str = ""
    polls: int = 0
    poll_at: datetime | None = Field(sa_type=_MOMENT)


class ProviderRow(Table, table=True):
    """How a provider answered when it was last asked, and until when nothing goes through it. Real time."""

    __tablename__ = "providers"

    name: str = Field(primary_key=True)
    asked_at: datetime = Field(sa_type=_MOMENT)
    error: str | None
    balance: Decimal | None
    bar: str | None
    barred_until: datetime | None = Field(sa_type=_MOMENT)


class ReportRow(Table, table=True):
    """A signed report about a message that nobody here knows."""

    __tablename__ = "reports"

    provider: str = Field(primary_key=True)
    message_id: UUID = Field(primary_key=True)
    outcome: str = Field(primary_key=True)
    code: str
    at: datetime = Field(sa_type=_MOMENT)


class Partners:
    """State by partner id."""

    async def load(self, tx: Connection, inputs: Sequence[Input]) -> dict[str, Recipient | None]:
        keys = sorted({item.key for item in inputs})
        found: dict[str, Recipient | None] = dict.fromkeys(keys)
        for row in await fetch(tx, PartnerRow, "partner_id", keys):
            found[row["partner_id"]] = Recipient(row["partner_id"], row["person"], row["status"])
        return found

    def save(self, changes: Mapping[str, tuple[Recipient | None, Recipient | None]]) -> Sequence[Rows]:
        return [Rows(PartnerRow, [row_of(after) for _, after in changes.values() if after is not None])]


class Clients:
    """State by client key: all messages about the client."""

    async def load(self, tx: Connection, inputs: Sequence[Input]) -> dict[str, Client]:
        keys = sorted({item.key for item in inputs})
        found: dict[str, list[Message]] = {key: [] for key in keys}
        for row in await fetch(tx, MessageRow, "client_key", keys, order_by="place"):
            found[row["client_key"]].append(Message(*_MESSAGE(row)))
        return {key: Client(tuple(messages)) for key, messages in found.items()}

    def save(self, changes: Mapping[str, tuple[Client, Client]]) -> Sequence[Rows]:
        changed = [
            row_of(message)
            for before, after in changes.values()
            for message in after.messages
            if message not in before.messages
        ]
        return [Rows(MessageRow, changed)]


async def due_messages(tx: Connection, now: datetime, limit: int) -> Sequence[tuple[UUID, str, str, int]]:
    """Message, client key, story and calls so far of what may be said by now, in the order it was to be."""
    found = await rows(tx, _DUE, now, limit)
    return [(row.message_id, row.client_key, row.correlation, row.calls) for row in found]


async def may_speak(tx: Connection, per_second: float, limit: int) -> int:
    """How many scheduled messages may be let go now, by all copies together. A quiet time is not saved up,
    but for a second's worth, or two messages."""
    [row] = await rows(tx, _GRANT, per_second, limit)
    return int(row.granted)


async def key_of(tx: Connection, message_id: UUID) -> tuple[str, str] | None:
    """Client key and story of a message, if it is known."""
    found = await rows(tx, "SELECT client_key, correlation FROM messages WHERE message_id = $1", message_id)
    return (found[0].client_key, found[0].correlation) if found else None


async def untold(tx: Connection, limit: int, next_s: Sequence[float]) -> Sequence[Row]:
    """Message, partner's person, and provider of what nothing was told about for long, taken to be asked about now.

    Each comes again after `next_s`, one pause after the other, unless it is settled meanwhile.
    """
    found: Sequence[Row] = await rows(tx, _UNTOLD, limit, list(next_s))
    return found


async def keep_report(tx: Connection, provider: str, message_id: UUID, outcome: Outcome, code: str) -> None:
    """A report about a message that nobody knows is kept, for people."""
    await execute(tx, _KEEP_REPORT, provider, message_id, outcome, code)


@dataclass(frozen=True, slots=True)
class Letter:
    """All that sending a message needs. `person`: not known before the partners topic has told it."""

    message: Message
    person: str | None
    attempt: Attempt | None


@dataclass(frozen=True, slots=True)
class Limits:
    """So many messages to one recipient at most; 0 for any number."""

    per_hour: int = 0
    per_day: int = 0


class Attempts:
    """What the worker reads and writes between its claim and the outcome, in short transactions of its own."""

    def __init__(self, database: Database, limits: Limits) -> None:
        self._database = database
        self._limits = limits
        self._beginnings = Batcher[tuple[UUID, str, str], bool](self._begin)

    async def letters(self, message_ids: Sequence[UUID]) -> Mapping[UUID, Letter]:
        """Messages, their recipients, and the attempts that may have taken effect, where there are any."""
        async with self._database.single() as tx:
            found = await rows(tx, _LETTERS, message_ids)
        letters = {}
        for *message, person, begun in found:
            attempt = None if begun is None else Attempt(*begun)
            letters[message[0]] = Letter(Message(*message), person, attempt)
        return letters

    async def begin(self, message: Message, provider: str, earlier: Attempt | None) -> Begun:
        """Committed before the call: whoever finds the message after a crash knows that it may be out.

        `another's`: since `earlier` was read somebody else began, for this process was frozen and has lost its claim.
        `untrue`: since the message was read an event came that makes it so.
        """
        if earlier is None:
            if await self._beginnings.submit((message.message_id, provider, message.partner_id)):
                return "begun"
            async with self._database.single() as tx:
                [row] = await rows(tx, _WHY_NOT_BEGUN, message.message_id)
            return "another's" if row.others else "untrue" if row.untrue else "over-limit"
        async with self._database.single() as tx:
            again = await rows(tx, _BEGIN_AGAIN, message.message_id, provider, earlier.sends)
        return "begun" if again else "another's"

    async def _begin(self, asked: Sequence[tuple[UUID, str, str]]) -> Sequence[bool]:
        ids, providers, partners = ([one[n] for one in asked] for n in range(3))
        hour, day = self._limits.per_hour or None, self._limits.per_day or None
        async with self._database.transaction() as tx:
            if hour or day:
                # Two copies that begin at once would each count without the other.
                await execute(tx, _ONE_AT_A_TIME, partners)
            begun = {
                row.message_id for row in await rows(tx, _BEGIN, ids, providers, partners, FIRST_POLL_S, hour, day)
            }
        return [message_id in begun for message_id in ids]

    async def forget(self, message_id: UUID) -> None:
        """It is known that the first attempt did not take effect; a second one would be another's."""
        await self._run("DELETE FROM attempts WHERE message_id = $1 AND sends = 1", message_id)

    async def looked(self, message_id: UUID, attempt: Attempt) -> None:
        """Keep the count of looks."""
        await self._run(
            "UPDATE attempts SET looks = $2, missing = $3 WHERE message_id = $1",
            message_id,
            attempt.looks,
            attempt.missing,
        )

    async def _run(self, sql: str, *args: object) -> None:
        async with self._database.single() as tx:
            await execute(tx, sql, *args)


class Providers:
    """The book of providers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def barred(self) -> Mapping[str, tuple[str, float]]:
        """Provider → why nothing goes through it, and for how many seconds more."""
        async with self._database.single() as tx:
            return {row.name: (row.bar, row.left_s) for row in await rows(tx, _BARRED)}

    async def note(
        self, name: str, *, bar: tuple[str, float] | None, balance: Decimal | None, error: str | None
    ) -> None:
        """How it answered last; that all is well lifts a bar."""
        code, for_s = bar or (None, None)
        async with self._database.single() as tx:
            await execute(tx, _NOTE, name, error, balance, code, for_s)


_COLUMNS: Final = ", ".join(f"m.{name}" for name in Message.__dataclass_fields__)
_LETTERS: Final = f"""
    SELECT {_COLUMNS},
           (SELECT p.person FROM partners p WHERE p.partner_id = m.partner_id),
           (SELECT ROW(a.provider, extract(epoch FROM now() - a.began_at)::float8, a.looks, a.missing, a.sends)
            FROM attempts a WHERE a.message_id = m.message_id)
    FROM messages m WHERE m.message_id = ANY($1::uuid[])
"""
_ONE_AT_A_TIME: Final = """
    SELECT pg_advisory_xact_lock(hashtextextended(p, 0))
    FROM (SELECT DISTINCT p FROM unnest($1::text[]) AS p ORDER BY p) AS partners
"""
# The n-th of a batch that goes to one recipient finds n - 1 before it.
_BEGIN: Final = """
    INSERT INTO attempts (message_id, provider, began_at, sends, looks, missing, partner_id, polls, poll_at)
    SELECT id, provider, now(), 1, 0, 0, partner, 0, now() + make_interval(secs => $4::integer)
    FROM (SELECT t.*, row_number() OVER (PARTITION BY partner ORDER BY n) - 1 AS ahead
          FROM unnest($1::uuid[], $2::text[], $3::text[]) WITH ORDINALITY AS t (id, provider, partner, n)) AS t
    WHERE NOT (SELECT m.obsolete IS NOT NULL FROM messages m WHERE m.message_id = id)
      AND ($5::integer IS NULL OR ahead + (SELECT count(*) FROM attempts a WHERE a.partner_id = partner
                                           AND a.began_at > now() - interval '1 hour') < $5)
      AND ($6::integer IS NULL OR ahead + (SELECT count(*) FROM attempts a WHERE a.partner_id = partner
                                           AND a.began_at > now() - interval '1 day') < $6)
    ORDER BY id ON CONFLICT DO NOTHING RETURNING message_id
"""
_BEGIN_AGAIN: Final = """
    UPDATE attempts SET provider = $2, began_at = now(), sends = sends + 1, missing = 0
    WHERE message_id = $1 AND sends = $3 AND NOT (SELECT m.obsolete IS NOT NULL FROM messages m WHERE m.message_id = $1)
    RETURNING message_id
"""
_WHY_NOT_BEGUN: Final = """
    SELECT m.obsolete IS NOT NULL AS untrue, EXISTS (SELECT 1 FROM attempts a WHERE a.message_id = $1) AS others
    FROM messages m WHERE m.message_id = $1
"""
_DUE: Final = """
    SELECT message_id, client_key, correlation, calls FROM messages
    WHERE status = 'scheduled' AND due_at <= $1 ORDER BY due_at, created_at, place LIMIT $2
"""
_GRANT: Final = """
    WITH room AS (
        SELECT kind, greatest(next_at, clock_timestamp() - make_interval(secs => greatest(1, 2 / $1::float8))) AS since
        FROM pace
        WHERE kind = 'scheduled' FOR UPDATE
    ), granted AS (
        SELECT kind, since, least($2::integer,
                                  floor(extract(epoch FROM clock_timestamp() - since) * $1::float8)::integer) AS granted
        FROM room
    )
    UPDATE pace p SET next_at = since + make_interval(secs => g.granted / $1::float8)
    FROM granted g WHERE p.kind = g.kind RETURNING g.granted
"""
_KEEP_REPORT: Final = """
    INSERT INTO reports (provider, message_id, outcome, code, at) VALUES ($1, $2, $3, $4, now()) ON CONFLICT DO NOTHING
"""
_BARRED: Final = """
    SELECT name, bar, extract(epoch FROM barred_until - now())::float8 AS left_s FROM providers
    WHERE barred_until > now()
"""
_NOTE: Final = """
    INSERT INTO providers AS p (name, asked_at, error, balance, bar, barred_until)
    VALUES ($1, now(), $2, $3, $4, now() + make_interval(secs => $5::float8))
    ON CONFLICT (name) DO UPDATE SET asked_at = excluded.asked_at, error = excluded.error,
        balance = coalesce(excluded.balance, p.balance),
        bar = CASE WHEN excluded.bar IS NOT NULL OR excluded.error IS NULL THEN excluded.bar ELSE p.bar END,
        barred_until = CASE WHEN excluded.bar IS NOT NULL OR excluded.error IS NULL THEN excluded.barred_until
                            ELSE p.barred_until END
"""
_UNTOLD: Final = """
    WITH due AS (
        SELECT message_id FROM attempts WHERE poll_at <= now() ORDER BY poll_at LIMIT $1 FOR UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE attempts a SET polls = polls + 1, poll_at = (
            SELECT now() + make_interval(secs => ($2::float8[])[a.polls + 1])
            FROM messages m WHERE m.message_id = a.message_id AND m.status IN ('waiting', 'sent')
        ) FROM due WHERE a.message_id = due.message_id RETURNING a.message_id, a.provider
    )
    SELECT m.message_id, m.client_key, m.correlation, m.partner_id, t.provider,
           (SELECT p.person FROM partners p WHERE p.partner_id = m.partner_id) AS person
    FROM taken t, LATERAL (SELECT * FROM messages m WHERE m.message_id = t.message_id OFFSET 0) m
    WHERE m.status = 'sent'
"""
