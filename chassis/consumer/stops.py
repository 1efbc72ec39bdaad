"""Stops: topics that the poison guard has paused, and records that a person has skipped.

Both are rows of the service's database: all its processes stop and go on together, and a restart changes nothing.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import structlog

from chassis.backoff import backoff_s
from chassis.consumer.records import Record
from chassis.database.errors import is_transient
from chassis.database.pool import Database, execute, rows
from chassis.limits import LOOK_AT_STOPS_EVERY_S
from chassis.observability import metrics

log = structlog.get_logger(__name__)

Place = tuple[str, int, int]
"""Topic, partition and offset of a record."""


def place_of(record: Record) -> Place:
    """Where a record stands."""
    return record.topic, record.partition, record.offset


_PAUSE: Final = "INSERT INTO paused_topics (topic, reason, paused_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
_PAUSED: Final = "SELECT topic, reason, paused_at FROM paused_topics"
_SKIPPED: Final = "SELECT topic, partition, record_offset FROM skipped_records"


@dataclass(frozen=True, slots=True)
class Pause:
    """Why and since when a topic is paused."""

    reason: str
    since: datetime


class Stops:
    """The stops of one service, as this process knows them. `loaded`: they were read since the start."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._unwritten: dict[str, Pause] = {}
        self._wake = asyncio.Event()
        self.loaded = False
        self.paused: Mapping[str, Pause] = {}
        self.skipped: frozenset[Place] = frozenset()

    def pause(self, topic: str, reason: str) -> None:
        """Pause a topic: at once in this process, after at most a second in the others."""
        self._unwritten[topic] = Pause(reason, datetime.now(UTC))
        self.paused = {**self.paused, **self._unwritten}
        self._wake.set()

    def skip(self, place: Place) -> None:
        """A transaction that skips this record was committed."""
        self.skipped |= {place}

    def refresh(self) -> None:
        """Look at the database now."""
        self._wake.set()

    async def run(self) -> None:
        """Keep the stops equal to the database for as long as the service runs."""
        failures = 0
        while True:
            self._wake.clear()
            try:
                await self._exchange()
            except Exception as error:
                # Reading must not end over this. What is known stays valid meanwhile.
                log.warning(
                    "stops_not_read", error=type(error).__name__, exc_info=None if is_transient(error) else error
                )
                failures += 1
                await asyncio.sleep(backoff_s(failures, 0.1, 5.0))
                continue
            failures = 0
            try:
                async with asyncio.timeout(LOOK_AT_STOPS_EVERY_S):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def _exchange(self) -> None:
        async with self._database.single() as tx:
            for topic, pause in list(self._unwritten.items()):
                await execute(tx, _PAUSE, topic, pause.reason, pause.since)
                del self._unwritten[topic]
            paused = await rows(tx, _PAUSED)
            skipped = await rows(tx, _SKIPPED)
        before = set(self.paused)
        self.paused = {row.topic: Pause(row.reason, row.paused_at) for row in paused} | self._unwritten
        self.skipped |= {(row.topic, row.partition, row.record_offset) for row in skipped}
        self.loaded = True
        for topic in before | set(self.paused):
            metrics.TOPIC_PAUSED.labels(topic).set(topic in self.paused)
