"""The transactional outbox publishes the events of each key in the order of commit, without polling the table first.

Two paths, one order:

- The direct path. A transaction stores its events under this process's identity and queues them in memory; after the
  commit the queue publishes them.
- The deferred path. Events without an owner are claimed from the table, oldest first, and put into the same queue.
  Events have no owner after a crash or a lost identity, when they were stored `deferred`, or when an earlier event of
  the same key has another owner. The last rule keeps events of a key from overtaking one another.

From the queue the events go to a queue for each partition (`partitions.py`), and from there to Kafka (`publisher.py`).
An event that Kafka refuses for good is set aside, and later events of its key wait behind it (`refusals.py`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import structlog

from chassis.database.errors import is_outcome_unknown, is_transient
from chassis.database.pool import Database, execute, rows
from chassis.database.presence import Presence
from chassis.database.writing import Statement
from chassis.envelope import Outgoing
from chassis.limits import (
    CLAIM_EVENTS,
    CLAIM_EVENTS_EVERY_S,
    DELETE_PUBLISHED_EVERY_S,
    MEASURE_OUTBOX_EVERY_S,
    QUEUE_EVENTS,
    SILENT_KAFKA_S,
    UNDELIVERED_ALARM_S,
)
from chassis.observability import metrics
from chassis.outbox import statements
from chassis.outbox.publisher import Publisher
from chassis.outbox.queue import Dispatch, DispatchQueue, Queued
from chassis.outbox.refusals import Refusals

log = structlog.get_logger(__name__)

_CLAIM_LOCK = 0x7275CF
_RETRY_DELETE_S = 0.5


class Outbox:
    """The outbox of a service, and its only way to Kafka."""

    def __init__(self, database: Database, presence: Presence, kafka: dict[str, Any]) -> None:
        self._database = database
        self._presence = presence
        self._queue = DispatchQueue()
        self._refusals = Refusals(database, presence)
        self._publisher = Publisher(presence, self._queue, self._refusals, kafka)
        self._claim_now = asyncio.Event()
        self._claiming_paused = 0
        self.oldest_age_s = 0.0
        """Age of the oldest event in the table, as last measured, refused events and those behind them left out."""
        self.refused = 0
        """Events that Kafka refused and no person has decided about, as last measured, of all processes."""
        presence.on_publisher_lost(self._forget)
        presence.on_freed(self._claim_now.set)

    def not_ready_reason(self) -> str | None:
        """Why this process cannot publish, or None. A partition that cannot be written is no reason at first."""
        if (silent_s := self._publisher.silent_s) > SILENT_KAFKA_S:
            return f"no broker has responded for {silent_s:.0f} s"
        if self.oldest_age_s > UNDELIVERED_ALARM_S:
            return f"the oldest event was stored {self.oldest_age_s:.0f} s ago and is not published"
        return None

    def store(
        self, events: Sequence[Outgoing], sequences: Mapping[str, int], *, deferred: bool = False
    ) -> dict[str, Statement]:
        """The statements that store events: to be run under the locks of their keys, last before the commit.

        `sequences` is the new number of events of each key. The rows that the statement `outbox` returns are for
        `dispatch`, unless `deferred`.
        """
        advance = statements.advance_sequences(sequences)
        if deferred:
            return {"sequences": advance, "outbox": statements.insert_deferred(events)}
        owner = None if self._is_full() else self._presence.publisher_id
        return {"sequences": advance, "outbox": statements.insert_events(events, owner)}

    def dispatch(self, events: Sequence[Outgoing], written: Sequence[Any]) -> Dispatch | None:
        """Queue the events that were stored under this process's identity. `written`: rows of the statement `outbox`.

        The caller releases or discards the result. None: all of the events go by the deferred path.
        """
        # Compared by their bytes: comparing the driver's UUIDs with Python's is slow.
        by_id = {event.event_id.bytes: event for event in events}
        identity = self._presence.publisher_id
        mine = [(row, by_id[event.bytes]) for row, event, owner in written if owner is not None and owner == identity]
        mine.sort(key=lambda item: item[0])
        if len(mine) < len(events):
            self._claim_now.set()
        return self._put(mine) if mine else None

    @contextmanager
    def claiming_paused(self) -> Iterator[None]:
        """Claim no deferred events meanwhile: the database is busy storing a crowd of them."""
        self._claiming_paused += 1
        try:
            yield
        finally:
            self._claiming_paused -= 1
            self._claim_now.set()

    async def run(self) -> None:
        """Publish for as long as the service runs."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._publisher.publish_forever())
            group.create_task(self._publisher.watch_forever())
            group.create_task(self._publisher.probe_forever())

    def side_tasks(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """What runs beside `run`, by name. Each task may be started again after a failure."""
        return {
            "outbox-refusals": self._refusals.run,
            "outbox-claim": self._claim_forever,
            "outbox-delete": self._delete_forever,
            "outbox-age": self._measure_forever,
        }

    async def drain(self, timeout_s: float) -> None:
        """Wait until the queue is published, for at most `timeout_s`. The rest stays in the table."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._publisher.wait_until_idle()
                await self._delete_published()
        except TimeoutError:
            pass
        if left := self._publisher.events:
            log.warning("outbox_not_drained", events=left)

    async def close(self) -> None:
        """End the producers."""
        await self._publisher.close()

    def degraded_reason(self) -> str | None:
        """What a person must look at although events are published, or None."""
        reasons = [
            f"{topic}/{partition} has acknowledged nothing for {seconds:.0f} s"
            for topic, partition, seconds in self._publisher.unwritable()
        ]
        if self.refused:
            reasons.append(f"Kafka refused {self.refused} events: see the command `refused`")
        return "; ".join(reasons) or None

    def _put(self, events: list[Queued]) -> Dispatch:
        self._publisher.note_work()
        return self._queue.put(events)

    def _is_full(self) -> bool:
        """Whether new events take the deferred path."""
        return self._publisher.events >= QUEUE_EVENTS

    def _forget(self) -> None:
        self._publisher.forget()
        self._claim_now.set()

    # --- published rows

    async def _delete_forever(self) -> None:
        while True:
            await asyncio.sleep(DELETE_PUBLISHED_EVERY_S)
            await self._delete_published()

    async def _delete_published(self) -> None:
        ids = self._publisher.take_published()
        if not ids:
            return
        try:
            async with self._database.single() as connection:
                await execute(connection, statements.DELETE, ids)
        except Exception as error:
            self._publisher.give_back(ids)
            if not is_transient(error):
                raise
            await asyncio.sleep(_RETRY_DELETE_S)

    # --- the deferred path

    async def _claim_forever(self) -> None:
        while True:
            try:
                async with asyncio.timeout(CLAIM_EVENTS_EVERY_S):
                    await self._claim_now.wait()
            except TimeoutError:
                pass
            self._claim_now.clear()
            try:
                while await self._claim() == CLAIM_EVENTS:
                    await self._publisher.wait_until_idle()
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("outbox_not_read", error=type(error).__name__)

    async def _claim(self) -> int:
        """Claim and queue deferred events. Returns how many."""
        identity = self._presence.publisher_id
        if identity is None or self._is_full() or self._claiming_paused:
            return 0
        dispatch = None
        # An event that is claimed after its key was set aside: a person has decided about the refused event.
        set_aside = self._refusals.stored_keys()
        try:
            async with self._database.transaction() as tx:
                # Only one process claims at a time: two could each claim one of a key's events.
                (locked,) = (await rows(tx, "SELECT pg_try_advisory_xact_lock($1)", _CLAIM_LOCK))[0]
                if not locked:
                    return 0
                claimed = sorted(await rows(tx, statements.CLAIM, identity, CLAIM_EVENTS), key=lambda row: int(row.id))
                # If the identity was lost meanwhile, these rows are freed like all others that it owned.
                if not claimed or identity != self._presence.publisher_id:
                    return 0
                self._refusals.release(set_aside.intersection(row.key for row in claimed))
                # Queued before the commit makes the claim visible: after it, another transaction may queue a later
                # event of the same key.
                dispatch = self._put([(row.id, statements.outgoing_of(row)) for row in claimed])
        except BaseException as error:
            if dispatch is not None:
                dispatch.discard()
                if is_outcome_unknown(error):
                    self._presence.give_up()
            raise
        dispatch.release()
        return len(claimed)

    async def _measure_forever(self) -> None:
        # A task of its own: in an outage of Kafka the claims wait, and just then the age matters.
        while True:
            try:
                async with self._database.single() as tx:
                    (measured,) = await rows(tx, statements.MEASURE)
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("outbox_not_read", error=type(error).__name__)
            else:
                self.oldest_age_s = float(measured.oldest_age or 0.0)
                self.refused = measured.refused
                metrics.OUTBOX_OLDEST_SECONDS.set(self.oldest_age_s)
                metrics.REFUSED_EVENTS.set(self.refused)
            await asyncio.sleep(MEASURE_OUTBOX_EVERY_S)
