"""The queue of events in memory: events of committed transactions, in the order of their commits."""

import asyncio
from collections import deque
from dataclasses import dataclass

from chassis.envelope import Outgoing

Queued = tuple[int, Outgoing]
"""Id of the outbox row, and its event."""


@dataclass(eq=False, slots=True)
class Dispatch:
    """The events of one transaction, in order.

    A dispatch is queued before the commit, while the transaction holds the locks of its keys: so the queue has the
    order of the commits. After the commit the caller calls `release`, or `discard` if the commit failed or its outcome
    is unknown. Both set `wake`.
    """

    events: list[Queued]
    wake: asyncio.Event
    settled: bool = False

    def release(self) -> None:
        """The transaction is committed: the events may be published."""
        self.settled = True
        self.wake.set()

    def discard(self) -> None:
        """Publish nothing from memory. If the transaction is committed after all, its rows are claimed later."""
        self.events = []
        self.release()


class DispatchQueue:
    """Dispatches whose events are not on their way to a partition yet. `wake` is set when there may be work."""

    def __init__(self) -> None:
        self._queue: deque[Dispatch] = deque()
        self.wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def events(self) -> int:
        """How many events wait."""
        return sum(len(dispatch.events) for dispatch in self._queue)

    def put(self, events: list[Queued]) -> Dispatch:
        """Queue the events of a transaction in memory, before its commit: so the queue has the order of the commits.

        The caller then releases the dispatch, or discards it if the commit failed.
        """
        dispatch = Dispatch(events, self.wake)
        self._queue.append(dispatch)
        return dispatch

    def clear(self) -> None:
        """Discard everything: the identity that owned the events has ended."""
        for dispatch in self._queue:
            dispatch.discard()
        self._queue.clear()

    def take(self, limit: int) -> list[Queued]:
        """About `limit` events of the first dispatches that are committed, each dispatch whole."""
        taken: list[Queued] = []
        while self._queue and self._queue[0].settled and len(taken) < limit:
            taken.extend(self._queue.popleft().events)
        return taken
