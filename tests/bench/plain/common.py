"""Tables and functions that the four plain services share."""

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from faststream import FastStream
from faststream.kafka import KafkaBroker, KafkaMessage
from sqlalchemy import BigInteger, Column, DateTime
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from chassis.decision import Cause, derived_id
from chassis.envelope import cause_of, inbox_id
from contracts.base import Message


class Table(SQLModel, registry=registry()):
    """The base of the tables that every service has."""


class InboxRow(Table, table=True):
    """The inbox id of a handled message."""

    __tablename__ = "inbox"

    id: UUID = Field(primary_key=True)


class WorkRow(Table, table=True):
    """A call to a foreign system, stored before it is made."""

    __tablename__ = "work"

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger)
    kind: str
    ref: str
    key: str
    payload: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    cause: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    state: str = "waiting"
    attempts: int = 0
    finished_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))

    def finish(self) -> None:
        """Mark the call as done."""
        self.state, self.attempts, self.finished_at = "done", self.attempts + 1, datetime.now(UTC)


def sessions(variable: str) -> async_sessionmaker[AsyncSession]:
    """A factory of sessions for the database URL in the environment variable `variable`."""
    url = os.environ[variable].replace("postgresql://", "postgresql+asyncpg://", 1)
    return async_sessionmaker(create_async_engine(url), class_=AsyncSession, expire_on_commit=False)


def application(broker: KafkaBroker) -> FastStream:
    """The application. It prints `ready` when all subscribers have their partitions."""
    app = FastStream(broker)

    @app.after_startup
    async def ready() -> None:
        print("ready", file=sys.__stdout__, flush=True)

    return app


def is_kind(model: type[Message]) -> Callable[[KafkaMessage], bool]:
    """A filter for the messages of `model` on a topic with several kinds."""
    return lambda message: message.headers["ce_type"] == model.ce_type


async def seen(session: AsyncSession, message: KafkaMessage) -> bool:
    """Whether the message was handled before. If not, it is stored as handled."""
    row = InboxRow(id=inbox_id(message.headers["ce_source"], message.headers["ce_id"]))
    if await session.get(InboxRow, row.id) is not None:
        return True
    session.add(row)
    return False


def cause(message: KafkaMessage) -> Cause:
    """The cause of the events that follow from a message."""
    return cause_of(message.headers)


async def publish(broker: KafkaBroker, event: Message, because: Cause, source: str, step: str = "") -> None:
    """Publish an event with its CloudEvents headers."""
    headers = {
        "ce_specversion": "1.0",
        "ce_id": str(derived_id(because.id, f"{step}{event.ce_type}")),
        "ce_type": event.ce_type,
        "ce_source": source,
        "ce_time": datetime.now(UTC).isoformat(),
        "ce_correlationid": because.correlation,
        "ce_causationid": because.id,
        "ce_sequence": "1",
    }
    if event.subject is not None:
        headers["ce_subject"] = event.subject
    await broker.publish(event, event.topic, key=event.key.encode(), headers=headers)
