"""Versions of states: a message that holds the whole state of its key never replaces a newer state.

Records of one key are read in order. But a record that could not be decoded does not park its key, so its replay may
come after newer records; and a group that lost its offsets reads old records again.
"""

from collections.abc import Sequence
from typing import Any, Final

import structlog

from chassis.database.pool import Connection, rows
from chassis.database.writing import Statement
from chassis.observability import metrics
from chassis.processor.model import Input

log = structlog.get_logger(__name__)

_SELECT: Final = "SELECT key, source, kind, sequence FROM state_versions WHERE key = ANY($1::text[])"
_SAVE: Final = """
    INSERT INTO state_versions (key, source, kind, sequence)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[])
    ON CONFLICT (key, source, kind) DO UPDATE SET sequence = excluded.sequence
"""


class StateVersions:
    """The newest versions of the states of a batch's keys, and those that the batch brings."""

    def __init__(self, found: Sequence[Any]) -> None:
        self._newest = {(row.key, row.source, row.kind): row.sequence for row in found}
        self.changed: dict[tuple[str, str, str], int] = {}
        """(key, source, kind) → sequence."""

    @classmethod
    async def load(cls, tx: Connection, inputs: Sequence[Input]) -> "StateVersions":
        """Read the versions, under the locks of their keys. A batch without states costs no query."""
        keys = sorted({item.key for item in inputs if item.version is not None})
        return cls(await rows(tx, _SELECT, keys) if keys else ())

    def admit(self, item: Input) -> bool:
        """Whether the input is no older state than the newest. It then is the newest."""
        if item.version is None:
            return True
        source, kind, sequence = item.version
        state = (item.key, source, kind)
        newest = self._newest.get(state)
        if newest is not None and sequence < newest:
            metrics.STATES_SUPERSEDED.labels(kind).inc()
            log.warning("state_superseded", kind=kind, cause=item.cause.id, sequence=sequence, newest=newest)
            return False
        if newest != sequence:
            self._newest[state] = self.changed[state] = sequence
        return True

    def save(self) -> Statement:
        """The statement that writes what changed."""
        columns = [list(column) for column in zip(*self.changed, strict=True)]
        return Statement(_SAVE, (*columns, list(self.changed.values())))
