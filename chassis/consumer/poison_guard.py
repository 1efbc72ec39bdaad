"""The poison guard: a topic of which too many records fail is not drained into the dead letters."""

from collections import deque

from chassis.consumer.records import Record
from chassis.limits import POISON_TOLERATED_RECORDS, POISON_WINDOW_RECORDS
from chassis.processor.model import Halt


class Tripped(Halt):
    """Too many records of a topic failed. `record` is the first that does not go to the dead letters."""

    def __init__(self, record: Record, reason: str) -> None:
        super().__init__(reason)
        self.record = record
        self.reason = reason


class PoisonGuard:
    """Counts the dead letters among the last 1,000 records of a topic; at most the share `share`, or 50, are tolerated.

    More means a fault of this service or of a producer. Reading of the topic stops then, and a repaired version can
    still read what remains on it.
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
        """Count a record that goes to the dead letters, once. Raises Tripped if it is over the tolerated number."""
        place = (record.partition, record.offset)
        if place in self._failed:
            return
        failed = len(self._failed) + 1
        if failed > max(POISON_TOLERATED_RECORDS, self._share * len(self._last)):
            where = f"partition {record.partition}, offset {record.offset}"
            raise Tripped(record, f"{failed} of the last {len(self._last)} records failed, the last at {where}")
        self._failed.add(place)
