"""The poison guard: a topic of which too many records fail is not drained into the dead letters."""

from collections import deque

from chassis.consumer.records import Record
from chassis.limits import POISON_TOLERATED_RECORDS, POISON_WINDOW_RECORDS
from chassis.processor.model import Halt


class PoisonGuard:
    """Counts the dead letters among the last 1,000 records of a topic; at most the share `share`, or 50, are tolerated.

    More means a fault of this service or of a producer. Reading stops then, and a repaired version can still read what
    remains on the topic.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._last: deque[tuple[int, int]] = deque(maxlen=POISON_WINDOW_RECORDS)
        self._failed: set[tuple[int, int]] = set()

    def count(self, record: Record) -> None:
        """Count a record that was read."""
        if len(self._last) == POISON_WINDOW_RECORDS:
            self._failed.discard(self._last[0])
        self._last.append((record.partition, record.offset))

    def count_failure(self, record: Record) -> None:
        """Count a record that goes to the dead letters. Raises Halt if it is over the tolerated number."""
        self._failed.add((record.partition, record.offset))
        if len(self._failed) > max(POISON_TOLERATED_RECORDS, self._share * len(self._last)):
            raise Halt(f"{len(self._failed)} of the last {len(self._last)} records of {record.topic} failed")
