"""Publishing in rounds: one batch to each partition that has events and none on its way.

A round waits for its batches, so that the next one gathers what was committed meanwhile. It waits for two seconds at
most: a batch that takes longer stays on its way, and its partition takes no part in the rounds until it is settled.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

import structlog
from aiokafka.errors import KafkaError

from chassis.backoff import backoff_s
from chassis.database.presence import Presence
from chassis.limits import (
    ACKNOWLEDGEMENT_TIMEOUT_S,
    FLUSH_EVENTS,
    PROBE_KAFKA_EVERY_S,
    ROUND_PATIENCE_S,
    UNREACHABLE_S,
    UNWRITABLE_AFTER_S,
)
from chassis.observability import metrics
from chassis.outbox.partitions import UNKNOWN, PartitionQueue, PartitionQueues
from chassis.outbox.queue import DispatchQueue, Queued
from chassis.outbox.refusals import Refusals
from chassis.outbox.sender import REFUSALS, Sender

log = structlog.get_logger(__name__)

_WATCH_EVERY_S: Final = 1.0
_PAUSE_S: Final = 0.1


class Publisher:
    """Publishes the events of `queue` for as long as the service runs."""

    def __init__(self, presence: Presence, queue: DispatchQueue, refusals: Refusals, kafka: dict[str, Any]) -> None:
        self._presence = presence
        self._queue = queue
        self._refusals = refusals
        self._published: list[int] = []
        self._sender = Sender(kafka, queue.wake.set)
        self._partitions = PartitionQueues()
        self._on_way: list[PartitionQueue] = []
        self._idle = asyncio.Event()
        self._idle.set()
        self._timer: asyncio.TimerHandle | None = None
        self._connect_failures = 0
        self._connect_not_before = 0.0
        self._silent_since: float | None = None
        """Monotonic time since which no broker has responded, or None."""
        self._suspended = False
        self._reported: set[str] = set()

    @property
    def events(self) -> int:
        """How many events this process holds in memory."""
        return self._queue.events + self._partitions.events

    def unwritable(self) -> Sequence[tuple[str, int, float]]:
        """Topic, partition and seconds of each partition that has acknowledged nothing for a while."""
        now = time.monotonic()
        return [
            (queue.topic, queue.partition, now - queue.troubled_since)
            for queue in self._partitions
            if queue.troubled_since is not None and now - queue.troubled_since > UNWRITABLE_AFTER_S
        ]

    @property
    def silent_s(self) -> float:
        """For how many seconds no broker has responded, as far as this process has tried."""
        return time.monotonic() - self._silent_since if self._silent_since is not None else 0.0

    async def wait_until_idle(self) -> None:
        """Return when nothing is left to publish but to partitions that cannot be written."""
        await self._idle.wait()

    def note_work(self) -> None:
        """Events were queued."""
        self._idle.clear()

    def forget(self) -> None:
        """The identity that owned the events has ended: publish none of them."""
        self._queue.clear()
        self._partitions.clear()
        self._refusals.clear()
        self._sender.abandon()
        self._silent_since = None
        self._queue.wake.set()

    def take_published(self) -> list[int]:
        """The row ids of the events that Kafka has acknowledged since the last call."""
        published, self._published = self._published, []
        return published

    def give_back(self, published: list[int]) -> None:
        """Return row ids that `take_published` returned: they are to be taken again."""
        self._published[:0] = published

    async def close(self) -> None:
        """End the producers."""
        await self._sender.close()

    async def publish_forever(self) -> None:
        """Publish rounds."""
        while True:
            await self._queue.wake.wait()
            self._queue.wake.clear()
            self._collect()
            while await self._round():
                pass
            if not self._queue and all(one.troubled_since is not None for one in self._partitions):
                self._idle.set()
            self._set_timer()

    # --- a round

    async def _round(self) -> bool:
        """Publish one round. Returns whether a batch was sent."""
        identity = self._presence.publisher_id
        if not self._queue and not self._partitions:
            return False
        # After a freeze others may have published these events, and later events of the same keys.
        if identity is None or not self._may_send(identity):
            return False
        if not await self._connect(identity):
            return False
        self._sort()
        ready = self._ready()
        if any(one.waiting and one.avoid is self._sender.producer for one in self._partitions):
            self._replace_producer(identity)
        if not ready:
            return False
        futures = [await self._sender.send(one) for one in ready]
        self._on_way.extend(ready)
        all_settled = await _settled(futures, ROUND_PATIENCE_S)
        self._collect()
        if not all_settled and self._presence.publisher_id == identity:
            self._note_late([one for one in ready if one.future is not None], identity)
        return True

    async def _connect(self, identity: int) -> bool:
        if self._sender.producer is None and time.monotonic() < self._connect_not_before:
            return False
        try:
            await self._sender.connect(lambda: self._may_send(identity))
        except (KafkaError, TimeoutError, OSError) as error:
            self._connect_failures += 1
            self._note_trouble()
            log.warning("publishing_failed", error=type(error).__name__, events=self.events)
            self._connect_not_before = time.monotonic() + backoff_s(self._connect_failures, 0.1, 5.0)
            return False
        self._connect_failures = 0
        if self._presence.publisher_id != identity:
            # The identity was lost while the producer was started; this producer would never send.
            self._sender.abandon()
            return False
        return True

    def _sort(self) -> None:
        """Sort committed events into the queues of their partitions."""
        taken = self._queue.take(FLUSH_EVENTS)
        if self._refusals.keys:
            taken = self._refusals.filter(taken)
        self._partitions.sort_unknown(self._sender.partitions)
        self._partitions.add(taken, self._sender.partitions)

    def _ready(self) -> list[PartitionQueue]:
        """The partitions that get a batch now. Topics that are not known to the producer are looked up."""
        now, producer = time.monotonic(), self._sender.producer
        ready = []
        for one in self._partitions:
            if one.is_ready(now, producer):
                if one.partition == UNKNOWN or self._sender.partitions(one.topic) is None:
                    self._sender.look_up(one.topic)
                    one.note_failure()
                else:
                    ready.append(one)
        return ready

    def _may_send(self, identity: int) -> bool:
        return self._presence.publisher_id == identity and self._presence.is_certain()

    def _set_timer(self) -> None:
        """Wake again when what waits now may be sent. What waits for something else is woken by that."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = [one.not_before for one in self._partitions if one.waiting and one.future is None]
        if self._queue:
            due.append(self._connect_not_before)
        if due:
            delay = max(_PAUSE_S, min(due) - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(delay, self._queue.wake.set)

    def _replace_producer(self, identity: int) -> None:
        self._sender.replace(lambda: self._may_send(identity))

    # --- results

    def _collect(self) -> None:
        """Handle the acknowledgements and errors that have arrived."""
        on_way, self._on_way = self._on_way, []
        for one in on_way:
            if one.future is not None and one.future.done():
                self._settle(one)
            else:
                self._on_way.append(one)
        self._partitions.drop_empty()

    def _settle(self, queue: PartitionQueue) -> None:
        error = self._sender.settle(queue)
        batch = queue.finish_batch()
        if error is None:
            self._published.extend(row_id for row_id, _ in batch)
            metrics.EVENTS_PUBLISHED.labels(queue.topic).inc(len(batch))
            self._note_writable(queue)
            self._silent_since = None
        elif queue.abandoned:
            pass  # the events may belong to another process
        elif isinstance(error, REFUSALS):
            self._silent_since = None
            if len(batch) > 1:
                queue.waiting[:0], queue.at_most = batch, len(batch) // 2
            else:
                self._note_writable(queue)
                self._set_aside(batch[0], error)
        else:
            queue.waiting[:0] = batch
            log.warning("publishing_failed", error=type(error).__name__, events=len(batch))
            self._note_trouble()
            queue.note_failure()

    def _set_aside(self, refused: Queued, error: BaseException) -> None:
        row_id, event = refused
        self._refusals.add(refused, str(getattr(error, "message", type(error).__name__)))
        for later in self._partitions.remove_key(event.key, row_id):
            self._refusals.withdraw(later)

    def _note_late(self, late: Sequence[PartitionQueue], identity: int) -> None:
        for one in late:
            assert one.future is not None
            one.troubled_since = one.troubled_since or one.sent_at
            one.future.add_done_callback(lambda _: self._queue.wake.set())
        self._note_trouble()
        if self._sender.can_replace():
            self._replace_producer(identity)

    def _note_trouble(self) -> None:
        self._silent_since = self._silent_since or time.monotonic()

    def _note_writable(self, queue: PartitionQueue) -> None:
        if queue.reported and queue.troubled_since is not None:
            seconds = round(time.monotonic() - queue.troubled_since)
            log.warning("partition_writable", topic=queue.topic, partition=queue.partition, after_s=seconds)
            queue.reported = False
        queue.note_success()

    # --- disturbances

    async def watch_forever(self) -> None:
        """Report partitions that cannot be written, and let go of the events when no broker is reached."""
        while True:
            await asyncio.sleep(_WATCH_EVERY_S)
            now = time.monotonic()
            self._report_unwritable()
            for one in [one for one in self._on_way if now - one.sent_at > ACKNOWLEDGEMENT_TIMEOUT_S]:
                self._sender.end_late(one.producer)
            if self._connect_failures or any(one.troubled_since is not None for one in self._partitions):
                self._note_trouble()
            if self.silent_s > UNREACHABLE_S:
                self._let_go()

    async def probe_forever(self) -> None:
        """While nothing is acknowledged, look whether any broker responds."""
        while True:
            await asyncio.sleep(PROBE_KAFKA_EVERY_S)
            if (self._suspended or self._silent_since is not None) and await self._sender.reaches_kafka():
                self._silent_since = None
                if self._suspended:
                    self._suspended = False
                    self._presence.resume_publishing()
                    log.warning("kafka_reachable")

    def _report_unwritable(self) -> None:
        now = time.monotonic()
        counts = dict.fromkeys(self._reported, 0)
        for one in self._partitions:
            since = one.troubled_since
            if since is not None and now - since > UNWRITABLE_AFTER_S:
                counts[one.topic] = counts.get(one.topic, 0) + 1
                if not one.reported:
                    one.reported = True
                    log.error(
                        "partition_unwritable", topic=one.topic, partition=one.partition, since_s=round(now - since)
                    )
        for topic, count in counts.items():
            metrics.UNWRITABLE_PARTITIONS.labels(topic).set(count)
        self._reported = {topic for topic, count in counts.items() if count}

    def _let_go(self) -> None:
        """Let other processes publish what this process holds. It takes no events until it reaches Kafka again."""
        if not self._suspended:
            log.error("kafka_unreachable", after_s=round(UNREACHABLE_S), events=self.events)
            since = self._silent_since
            self._suspended = True
            self._connect_failures = 0
            self._presence.suspend_publishing()
            self._silent_since = since


async def _settled(futures: Sequence[asyncio.Future[Any]], timeout_s: float) -> bool:
    """Wait until all futures are done, for at most `timeout_s`. Leaner than `asyncio.wait`: every event pays for it."""
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[bool] = loop.create_future()
    left = len(futures)

    def finish(result: bool) -> None:
        if not waiter.done():
            waiter.set_result(result)

    def count(_: object) -> None:
        nonlocal left
        left -= 1
        if not left:
            finish(True)

    timer = loop.call_later(timeout_s, finish, False)
    for future in futures:
        future.add_done_callback(count)
    try:
        return await waiter
    finally:
        timer.cancel()
