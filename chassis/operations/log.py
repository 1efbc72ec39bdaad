"""The log of operations: read from their topic, stored, carried out once, answered. Its rows are only added."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson
import structlog

from chassis.consumer.records import Decode, Record
from chassis.database.pool import Connection, Database, execute, rows
from chassis.database.writing import Rows
from chassis.decision import Cause, Decision, Event
from chassis.envelope import inbox_id
from chassis.observability import metrics
from chassis.operations.model import Handle, Operations, Outcome, Performed
from chassis.processor.model import Input, Rule

log = structlog.get_logger(__name__)

_RECORD: Final = """
    INSERT INTO operations (id, kind, who, why, body) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING
"""
_ANSWER: Final = "INSERT INTO operation_answers (operation, outcome, detail) VALUES ($1, $2, $3)"
_WAITING: Final = """
    SELECT id, kind, body FROM operations o
    WHERE NOT EXISTS (SELECT 1 FROM operation_answers a WHERE a.operation = o.id)
    ORDER BY received_at, id LIMIT 100
"""
_NUL: Final = b"\\u0000"


@dataclass(frozen=True, slots=True)
class Received:
    """An operation that was read from its topic. `body` is its JSON value."""

    id: UUID
    kind: str
    who: str
    why: str
    body: str


@dataclass(frozen=True, slots=True)
class Due:
    """An operation to carry out and to answer. `outcome`: it is only to be answered, with this."""

    id: UUID
    kind: str
    order: Any
    outcome: Outcome | None = None


class OperationLog:
    """The store of operations. A handler runs in `load`, the only part of a decision that may use the database."""

    def __init__(self, handlers: Mapping[str, Handle]) -> None:
        self._handlers = handlers

    async def load(self, tx: Connection, inputs: Sequence[Input]) -> dict[str, Outcome | None]:
        return {item.key: await self._write(tx, item.body) for item in inputs}

    def save(self, changes: Mapping[str, tuple[Outcome | None, Outcome | None]]) -> Sequence[Rows]:  # noqa: ARG002  # `load` has written
        return ()

    async def _write(self, tx: Connection, body: Received | Due) -> Outcome | None:
        if isinstance(body, Received):
            await execute(tx, _RECORD, body.id, body.kind, body.who, body.why, body.body)
            return None
        outcome = body.outcome or await self._handlers[body.kind](tx, body.order)
        kind = "done" if isinstance(outcome, Performed) else "refused"
        detail = outcome.result if isinstance(outcome, Performed) else outcome.reason
        await execute(tx, _ANSWER, body.id, kind, detail)
        return outcome


def rules(operations: Operations, service: str, handlers: Mapping[str, Handle]) -> Sequence[Rule[Any]]:
    """The rules that store operations and carry them out. `handlers`: by the `ce_type` of the operation."""
    store = OperationLog(handlers)

    def record(state: Outcome | None, _: Received, __: Cause, ___: datetime) -> Decision[Outcome | None]:
        return Decision(state)

    def answer(state: Outcome | None, body: Due, _: Cause, now: datetime) -> Decision[Outcome | None]:
        common = {"operation": body.id, "service": service, "kind": body.kind, "at": now}
        if isinstance(state, Performed):
            message = operations.done(**common, result=state.result)
        else:
            assert state is not None
            message = operations.refused(**common, reason=state.reason)
        return Decision(state, (Event(message),), reply=state)

    return Rule(Received, store, record), Rule(Due, store, answer)


def decode_operations(service: str) -> Decode:
    """The decoder of the topic of operations. What cannot be read, or is another service's, is skipped."""

    def decode(record: Record, headers: dict[str, str]) -> Input | None:
        value = record.value or b""
        try:
            operation, kind, body = UUID(headers["ce_id"]), headers["ce_type"], orjson.loads(value)
            owner = body["service"]
        except (KeyError, TypeError, ValueError) as error:
            where = f"{record.topic}/{record.partition}/{record.offset}"
            log.error("operation_unreadable", where=where, error=type(error).__name__)
            metrics.RECORDS_SKIPPED.labels(record.topic).inc()
            return None
        if owner != service:
            return None
        if _NUL in value:  # PostgreSQL stores none; without its content the operation is refused
            body = {}
        who, why = str(body.get("who", "")), str(body.get("why", ""))
        message = Received(operation, kind, who, why, orjson.dumps(body).decode())
        return Input(str(operation), message, Cause(str(operation), str(operation)), inbox_id("", str(operation)))

    return decode


async def waiting(database: Database) -> Sequence[Any]:
    """At most 100 operations that are not answered, the oldest first: `id`, `kind`, `body`."""
    async with database.single() as tx:
        return await rows(tx, _WAITING)
