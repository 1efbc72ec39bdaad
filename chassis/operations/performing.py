"""Carrying out operations: every process looks for stored operations without an answer, and does those that it can."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from pydantic import ValidationError

from chassis.backoff import backoff_s
from chassis.consumer.records import Record, WriteDeadLetter
from chassis.consumer.stops import Stops, place_of
from chassis.database.errors import is_transient
from chassis.database.pool import Connection, Database, execute, rows
from chassis.decision import Cause
from chassis.envelope import inbox_id
from chassis.kafka_quirks import is_undecodable
from chassis.limits import LOOK_AT_OPERATIONS_EVERY_S
from chassis.operations.log import Due, waiting
from chassis.operations.log import rules as log_rules
from chassis.operations.model import Handle, Operations, Outcome, Performed, Refused
from chassis.operations.skipping import SKIPPED_UNREAD, Reading, Unread, find_stuck
from chassis.processor.model import Input, Rule, Unreadable
from chassis.processor.processor import Processor
from chassis.settings import KafkaSettings

log = structlog.get_logger(__name__)

_RESUME: Final = "DELETE FROM paused_topics WHERE topic = $1 RETURNING paused_at"
_SKIP: Final = """
    INSERT INTO skipped_records (topic, partition, record_offset) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
"""


async def resume_topic(tx: Connection, order: Any) -> Outcome:
    """Read a paused topic again."""
    found = await rows(tx, _RESUME, order.paused_topic)
    return Performed(found[0].paused_at.isoformat()) if found else Refused("not-paused")


async def skip_record(tx: Connection, order: Any) -> Outcome:
    """Skip a record that stands in the way."""
    await execute(tx, _SKIP, order.record_topic, order.partition, order.offset)
    return Performed()


def rules_of(operations: Operations, service: str) -> Sequence[Rule[Any]]:
    """The rules that store the operations of a service, and carry them out."""
    own: dict[type[Any], Handle] = {operations.resume: resume_topic, operations.skip: skip_record}
    handlers = {model.ce_type: handle for model, handle in {**own, **operations.handlers}.items()}
    return log_rules(operations, service, handlers)


def answers_of(operations: Operations) -> dict[str, Sequence[type]]:
    """The messages that answer operations, by topic."""
    return {operations.answers: (operations.done, operations.refused)}


class Performer:
    """Carries out the operations of a service."""

    def __init__(
        self,
        operations: Operations,
        database: Database,
        processor: Processor,
        reading: Reading,
        stops: Stops,
        kafka: KafkaSettings,
        dead_letter: WriteDeadLetter,
    ) -> None:
        self._models = {model.ce_type: model for model in (operations.resume, operations.skip, *operations.handlers)}
        self._skip = operations.skip
        self._database = database
        self._processor = processor
        self._reading = reading
        self._stops = stops
        self._kafka = kafka
        self._dead_letter = dead_letter

    async def run(self) -> None:
        """Look for operations for as long as the service runs. One that fails holds up no other."""
        failures = 0
        while True:
            if (error := await self._perform_waiting()) is None:
                failures = 0
                await asyncio.sleep(LOOK_AT_OPERATIONS_EVERY_S)
                continue
            failures += 1
            expected = is_transient(error) or (isinstance(error, KafkaError) and not is_undecodable(error))
            log.warning("operations_wait", error=type(error).__name__, exc_info=None if expected else error)
            await asyncio.sleep(backoff_s(failures, LOOK_AT_OPERATIONS_EVERY_S, 5.0))

    async def _perform_waiting(self) -> Exception | None:
        """Carry out what this process can. Returns an error if there was one."""
        failed: Exception | None = None
        try:
            for found in await waiting(self._database):
                try:
                    await self._perform(found)
                except Exception as error:
                    failed = error
        except Exception as error:
            failed = error
        return failed

    async def _perform(self, found: Any) -> None:
        model = self._models.get(found.kind)
        if model is None:
            await self._answer(found, None, Refused("unknown-operation"))
            return
        try:
            order = model.model_validate(found.body)
        except ValidationError:
            await self._answer(found, None, Refused("invalid"))
            return
        if model is self._skip:
            await self._perform_skip(found, order)
        else:
            await self._answer(found, order)

    async def _perform_skip(self, found: Any, order: Any) -> None:
        partition = TopicPartition(order.record_topic, order.partition)
        record = await find_stuck(self._reading, self._stops, self._kafka, partition, order.offset)
        if record is None:
            return  # the process that reads the partition carries it out
        if isinstance(record, Refused):
            await self._answer(found, order, record)
        elif isinstance(await self._answer(found, order, letters=[self._letter(record)]), Performed):
            self._stops.skip(place_of(record))
            self._reading.step_over(partition, order.offset)

    def _letter(self, record: Record) -> Input:
        """The input that writes the dead letter of a skipped record."""
        where = "/".join(map(str, place_of(record)))
        reason = SKIPPED_UNREAD if isinstance(record, Unread) else "skipped"
        return Input(
            where,
            Unreadable(reason),
            Cause(where, where),
            inbox_id("", where),
            dead_letter=lambda code, token: self._dead_letter(record, code, token),
            place=where,
        )

    async def _answer(
        self, found: Any, order: Any, outcome: Outcome | None = None, letters: Sequence[Input] = ()
    ) -> Outcome | None:
        """Carry the operation out and answer it, in one transaction; with `outcome`, only answer it.

        Returns what became of it; None if another process has answered it meanwhile.
        """
        identity = str(found.id)
        due = Due(found.id, found.kind, order, outcome)
        item = Input(identity, due, Cause(identity, identity), inbox_id("answer", identity))
        *_, last = await self._processor.process([*letters, item])
        if last.error is not None:
            return await self._answer(found, order, Refused("failed")) if outcome is None else None
        if isinstance(last.reply, Performed):
            log.info("operation_done", operation=identity, kind=found.kind)
        elif isinstance(last.reply, Refused):
            log.warning("operation_refused", operation=identity, kind=found.kind, reason=last.reply.reason)
        self._stops.refresh()
        answered: Outcome | None = last.reply
        return answered
