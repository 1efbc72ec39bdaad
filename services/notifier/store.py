"""Partners and messages at rest, names and phones sealed; and which calls may have taken effect."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import DateTime
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from chassis.database import Connection, Database, Rows, execute, fetch, row_of, rows
from chassis.grouping import Grouped
from chassis.processor import Input
from services.notifier.domain import Attempt, Client, Message, Recipient


class Table(SQLModel, registry=registry()):
    """The tables of this service alone."""


class PartnerRow(Table, table=True):
    """A partner as the topic last told it."""

    __tablename__ = "partners"

    partner_id: str = Field(primary_key=True)
    person: str
    status: str


class MessageRow(Table, table=True):
    """One SMS, waiting or settled."""

    __tablename__ = "messages"

    message_id: UUID = Field(primary_key=True)
    lead_id: UUID
    client_key: str = Field(index=True)
    partner_id: str
    template: str
    client: str
    through: date | None
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    status: str
    provider: str | None
    detail: str | None
    settled_at: datetime | None = Field(sa_type=DateTime(timezone=True))


class AttemptRow(Table, table=True):
    """A call that was begun and may have taken effect. Real time; the row goes when it is known that it did not."""

    __tablename__ = "attempts"

    message_id: UUID = Field(primary_key=True)
    provider: str
    began_at: datetime = Field(sa_type=DateTime(timezone=True))
    sends: int = 1
    looks: int = 0
    missing: int = 0


class Partners:
    """State by partner id."""

    async def load(self, tx: Connection, inputs: Sequence[Input]) -> dict[str, Recipient | None]:
        keys = sorted({item.key for item in inputs})
        found: dict[str, Recipient | None] = dict.fromkeys(keys)
        for row in await fetch(tx, PartnerRow, "partner_id", keys):
            found[row["partner_id"]] = Recipient(**row)
        return found

    def save(self, changes: Mapping[str, tuple[Recipient | None, Recipient | None]]) -> Sequence[Rows]:
        return [Rows(PartnerRow, [row_of(after) for _, after in changes.values() if after is not None])]


class Clients:
    """State by client key: all messages about the client."""

    async def load(self, tx: Connection, inputs: Sequence[Input]) -> dict[str, Client]:
        keys = sorted({item.key for item in inputs})
        found: dict[str, list[Message]] = {key: [] for key in keys}
        for row in await fetch(tx, MessageRow, "client_key", keys, order_by="created_at"):
            found[row["client_key"]].append(Message(**row))
        return {key: Client(tuple(messages)) for key, messages in found.items()}

    def save(self, changes: Mapping[str, tuple[Client, Client]]) -> Sequence[Rows]:
        changed = [
            row_of(message)
            for before, after in changes.values()
            for message in after.messages
            if message not in before.messages
        ]
        return [Rows(MessageRow, changed)]


@dataclass(frozen=True, slots=True)
class Letter:
    """All that sending a message needs. `person`: not known before the partners topic has told it."""

    message: Message
    person: str | None
    attempt: Attempt | None


class Attempts:
    """What the worker reads and writes between its claim and the outcome, in short transactions of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._beginnings = Grouped[tuple[UUID, str], bool](self._begin)

    async def letters(self, message_ids: Sequence[UUID]) -> Mapping[UUID, Letter]:
        """Messages, their recipients, and the attempts that may have taken effect, where there are any."""
        async with self._database.single() as tx:
            found = await rows(tx, _LETTERS, message_ids)
        letters = {}
        for *message, person, begun in found:
            attempt = None if begun is None else Attempt(*begun)
            letters[message[0]] = Letter(Message(*message), person, attempt)
        return letters

    async def begin(self, message_id: UUID, provider: str, earlier: Attempt | None) -> bool:
        """Committed before the call: whoever finds the message after a crash knows that it may be out.

        False: since `earlier` was read somebody else began, for this process was frozen and has lost its claim.
        """
        if earlier is None:
            return await self._beginnings.ask((message_id, provider))
        async with self._database.single() as tx:
            return bool(await rows(tx, _BEGIN_AGAIN, message_id, provider, earlier.sends))

    async def _begin(self, asked: Sequence[tuple[UUID, str]]) -> Sequence[bool]:
        ids, providers = [message_id for message_id, _ in asked], [provider for _, provider in asked]
        async with self._database.single() as tx:
            begun = {row.message_id for row in await rows(tx, _BEGIN, ids, providers)}
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


_LETTERS = f"""
    SELECT {", ".join(f"m.{name}" for name in Message.__dataclass_fields__)},
           (SELECT p.person FROM partners p WHERE p.partner_id = m.partner_id),
           (SELECT ROW(extract(epoch FROM now() - a.began_at)::float8, a.looks, a.missing, a.sends)
            FROM attempts a WHERE a.message_id = m.message_id)
    FROM messages m WHERE m.message_id = ANY($1::uuid[])
"""
_BEGIN = """
    INSERT INTO attempts (message_id, provider, began_at, sends, looks, missing)
    SELECT id, provider, now(), 1, 0, 0 FROM unnest($1::uuid[], $2::text[]) AS t (id, provider) ORDER BY id
    ON CONFLICT DO NOTHING RETURNING message_id
"""
_BEGIN_AGAIN = """
    UPDATE attempts SET provider = $2, began_at = now(), sends = sends + 1, missing = 0
    WHERE message_id = $1 AND sends = $3 RETURNING message_id
"""
