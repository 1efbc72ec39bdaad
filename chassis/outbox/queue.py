"""The queue of events in memory: events of committed transactions, in the order of their commits."""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from chassis.envelope import Outgoing
from chassis.limits import FLUSH_EVENTS, QUEUE_EVENTS

Queued = tuple[int, Outgoing]
"""Id of the outbox row, and its event."""


@dataclass(eq=False, slots=True)
class Dispatch:
    """The events of one transaction, in order, owned by identity `owner`.

    A dispatch is queued before the commit, while the transaction holds the locks of its keys: so the queue has the
    order of the commits. After the commit the caller calls `release`, or `discard` if the commit failed or its outcome
    is unknown.
    """

    owner: int
    events: list[Queued]
    count: int
    settled: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self) -> None:
        """The transaction is committed: the events may be published."""
        self.settled.set()

    def discard(self) -> None:
        """Publish nothing from memory. If the transaction is committed after all, its rows are claimed later."""
        self.events = []
        self.settled.set()


class DispatchQueue:
    """Dispatches that wait to be published."""

    def __init__(self) -> None:
        self._queue: deque[Dispatch] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.events = 0

    def is_full(self) -> bool:
        """Whether new events should go by the deferred path."""
        return self.events >= QUEUE_EVENTS

    def put(self, owner: int, events: list[Queued]) -> Dispatch:
        """Queue the events of a transaction in memory, before its commit: so the queue has the order of the commits.

        The caller then releases the dispatch, or discards it if the commit failed.
        """
        dispatch = Dispatch(owner, events, len(events))
        self._queue.append(dispatch)
        self.events += len(events)
        self._idle.clear()
        self._wake.set()
        return dispatch

    def clear(self) -> None:
        """Discard everything: the identity that owned the events has ended."""
        for dispatch in self._queue:
            dispatch.discard()
        self._queue.clear()
        self.events = 0

    async def wait_until_idle(self) -> None:
        """Return when the queue is empty and its last batch was published."""
        await self._idle.wait()

    async def next_batch(self) -> tuple[int | None, list[Queued]]:
        """The owner and about 1,000 events of committed dispatches, each whole. Waits until there are some.

        The batch is empty if its dispatches were discarded.
        """
        if not self._queue:
            self._idle.set()
            self._wake.clear()
            await self._wake.wait()
        owner: int | None = None
        batch: list[Queued] = []
        while self._queue and len(batch) < FLUSH_EVENTS:
            head = self._queue[0]
            if batch and (head.owner != owner or not head.settled.is_set()):
                break
            if not head.settled.is_set():
                await head.settled.wait()
                continue
            self._queue.popleft()
            self.events -= head.count
            owner = head.owner
            batch.extend(head.events)
        return owner, batch
