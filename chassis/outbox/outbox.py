"""The transactional outbox publishes the events of each key in the order of commit, without polling the table first.

Two paths, one order:

- The direct path. A transaction stores its events under this process's identity and queues them in memory; after the
  commit the queue publishes them.
- The deferred path. Events without an owner are claimed from the table, oldest first, and put into the same queue.
  Events have no owner after a crash or a lost identity, when they were stored `deferred`, or when an earlier event of
  the same key has another owner. The last rule keeps events of a key from overtaking one another.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import structlog

from chassis.backoff import backoff_s
from chassis.database.errors import is_outcome_unknown, is_transient
from chassis.database.pool import Database, execute, rows
from chassis.database.presence import Presence
from chassis.database.writing import Statement
from chassis.envelope import Outgoing
from chassis.limits import CLAIM_EVENTS, CLAIM_EVENTS_EVERY_S, DELETE_PUBLISHED_EVERY_S, MEASURE_OUTBOX_EVERY_S
from chassis.observability import metrics
from chassis.outbox import statements
from chassis.outbox.queue import Dispatch, DispatchQueue, Queued
from chassis.outbox.sender import Sender

log = structlog.get_logger(__name__)

_CLAIM_LOCK = 0x7275CF
_RETRY_DELETE_S = 0.5


class Outbox:
    """The outbox of a service, and its only way to Kafka."""

    def __init__(self, database: Database, presence: Presence, kafka: dict[str, Any]) -> None:
        self._database = database
        self._presence = presence
        self._sender = Sender(kafka)
        self._queue = DispatchQueue()
        self._claim_now = asyncio.Event()
        self._published: list[int] = []
        self._claiming_paused = 0
        self.failing_since: float | None = None
        """Monotonic time since which Kafka has not acknowledged a batch, or None."""
        self.oldest_age_s = 0.0
        """Age of the oldest event in the table, as last measured."""
        presence.on_lost(self._forget)
        presence.on_freed(self._claim_now.set)

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
        owner = None if self._queue.is_full() else self._presence.id
        return {"sequences": advance, "outbox": statements.insert_events(events, owner)}

    def dispatch(self, events: Sequence[Outgoing], written: Sequence[Any]) -> Dispatch | None:
        """Queue the events that were stored under this process's identity. `written`: rows of the statement `outbox`.

        The caller releases or discards the result. None: all of the events go by the deferred path.
        """
        # Compared by their bytes: comparing the driver's UUIDs with Python's is slow.
        by_id = {event.event_id.bytes: event for event in events}
        identity = self._presence.id
        mine = [(row, by_id[event.bytes]) for row, event, owner in written if owner is not None and owner == identity]
        mine.sort(key=lambda item: item[0])
        if len(mine) < len(events):
            self._claim_now.set()
        return self._queue.put(identity, mine) if mine and identity is not None else None

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
        await self._publish_forever()

    def side_tasks(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """What runs beside `run`, by name. Each task may be started again after a failure."""
        return {
            "outbox-claim": self._claim_forever,
            "outbox-delete": self._delete_forever,
            "outbox-age": self._measure_forever,
        }

    async def drain(self, timeout_s: float) -> None:
        """Wait until the queue is published, for at most `timeout_s`. The rest stays in the table."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._queue.wait_until_idle()
                await self._delete_published()
        except TimeoutError:
            log.warning("outbox_not_drained", events=self._queue.events)

    async def close(self) -> None:
        """Stop the producer."""
        await self._sender.close()

    def _forget(self) -> None:
        self._queue.clear()
        self._claim_now.set()

    # --- publishing

    async def _publish_forever(self) -> None:
        while True:
            owner, batch = await self._queue.next_batch()
            failures = 0
            # After a change of identity the events may belong to another process.
            while batch and owner == self._presence.id:
                left = await self._send(batch)
                if len(left) == len(batch):
                    self.failing_since = self.failing_since or time.monotonic()
                    failures += 1
                    await asyncio.sleep(backoff_s(failures, 0.1, 5.0))
                else:
                    # Kafka has acknowledged events; the rest did not fit into one batch.
                    self.failing_since, failures = None, 0
                batch = left
            # Published, or abandoned with the identity: another process publishes it.
            self.failing_since = None

    async def _send(self, batch: Sequence[Queued]) -> list[Queued]:
        # After a freeze others may have published these events, and later events of the same keys.
        published, left = await self._sender.send(batch, self._presence.is_certain)
        self._published.extend(published)
        return left

    async def _delete_forever(self) -> None:
        while True:
            await asyncio.sleep(DELETE_PUBLISHED_EVERY_S)
            await self._delete_published()

    async def _delete_published(self) -> None:
        ids, self._published = self._published, []
        if not ids:
            return
        try:
            async with self._database.single() as connection:
                await execute(connection, statements.DELETE, ids)
        except Exception as error:
            self._published = ids + self._published
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
                    await self._queue.wait_until_idle()
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("outbox_not_read", error=type(error).__name__)

    async def _claim(self) -> int:
        """Claim and queue deferred events. Returns how many."""
        identity = self._presence.id
        if identity is None or self._queue.is_full() or self._claiming_paused:
            return 0
        dispatch = None
        try:
            async with self._database.transaction() as tx:
                # Only one process claims at a time: two could each claim one of a key's events.
                (locked,) = (await rows(tx, "SELECT pg_try_advisory_xact_lock($1)", _CLAIM_LOCK))[0]
                if not locked:
                    return 0
                claimed = sorted(await rows(tx, statements.CLAIM, identity, CLAIM_EVENTS), key=lambda row: int(row.id))
                # If the identity was lost meanwhile, these rows are freed like all others that it owned.
                if not claimed or identity != self._presence.id:
                    return 0
                # Queued before the commit makes the claim visible: after it, another transaction may queue a later
                # event of the same key.
                dispatch = self._queue.put(identity, [(row.id, statements.outgoing_of(row)) for row in claimed])
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
                    oldest = await rows(tx, statements.OLDEST_AGE)
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("outbox_not_read", error=type(error).__name__)
            else:
                self.oldest_age_s = float(oldest[0].age) if oldest else 0.0
                metrics.OUTBOX_OLDEST_SECONDS.set(self.oldest_age_s)
            await asyncio.sleep(MEASURE_OUTBOX_EVERY_S)
