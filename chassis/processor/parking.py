"""Parked queues: after a failure, later messages of the same key wait behind the failed one.

Every parked record has a place in its key's queue: a token that sorts by the time of parking and cannot be guessed.
The token travels only inside the sealed dead letter, so that only an operator's replay can name it.
"""

import random
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from chassis.database.pool import Connection, Database, execute, rows
from chassis.processor.model import Input

_SELECT: Final = "SELECT key, token, record FROM parked WHERE key = ANY($1::text[]) ORDER BY id"
_MARK_STREAMS: Final = "UPDATE streams SET parked_at = now() WHERE key = ANY($1::text[]) AND parked_at IS NULL"
_INSERT: Final = """
    INSERT INTO parked (key, token, record) SELECT key, token, record
    FROM unnest($1::text[], $2::uuid[], $3::uuid[]) WITH ORDINALITY AS t (key, token, record, n) ORDER BY n
"""
_CHANGE_PLACE: Final = "UPDATE parked SET token = $2, record = $3 WHERE token = $1"
_LOCK_STREAMS: Final = """
    SELECT 1 FROM streams WHERE key IN (SELECT key FROM parked WHERE token = ANY($1::uuid[])) ORDER BY key FOR UPDATE
"""
_RELEASE: Final = """
    WITH gone AS (DELETE FROM parked WHERE token = ANY($1::uuid[]) RETURNING key)
    UPDATE streams s SET parked_at = NULL FROM (SELECT DISTINCT key FROM gone) g
    WHERE s.key = g.key AND NOT EXISTS (SELECT 1 FROM parked p WHERE p.key = s.key AND p.token <> ALL($1::uuid[]))
"""


class ParkedQueues:
    """The parked queues of the keys of a batch, and the changes that the batch makes to them."""

    def __init__(self, found: Sequence[Any]) -> None:
        self._places: dict[str, deque[UUID]] = {}
        for row in found:
            self._places.setdefault(row.key, deque()).append(row.token)
        self._records = {row.record for row in found}
        self._parked: list[tuple[str, UUID, UUID]] = []
        self._parked_again: list[tuple[UUID, UUID, UUID]] = []
        self._released: list[UUID] = []

    @classmethod
    async def load(cls, tx: Connection, keys: Sequence[str]) -> "ParkedQueues":
        """Read the queues, under the locks of their keys: without the locks another transaction may still park."""
        return cls(await rows(tx, _SELECT, keys) if keys else ())

    def lets_pass(self, item: Input) -> bool:
        """Whether the key has no parked queue, or the input is the replay of the first record in it."""
        places = self._places.get(item.key)
        if not places:
            return True
        if item.parked_place != places[0]:
            return False
        self._released.append(places.popleft())
        return True

    def release(self, item: Input) -> None:
        """If the input is a replay, free its place: the message was decided already."""
        if item.parked_place is not None:
            self._released.append(item.parked_place)

    def park(self, item: Input) -> UUID | None:
        """Park the input at the end of its key's queue; a replay that failed again keeps its place under a new token.

        Returns the token, or None if this very record is parked already.
        """
        assert item.record_id is not None
        places = self._places.setdefault(item.key, deque())
        if item.parked_place is not None and item.parked_place in places:
            token = _new_token(item.parked_place.int >> 64)
            places[places.index(item.parked_place)] = token
            self._parked_again.append((item.parked_place, token, item.record_id))
        elif item.record_id in self._records:
            return None
        else:
            token = _new_token(time.time_ns())
            places.append(token)
            self._parked.append((item.key, token, item.record_id))
        self._records.add(item.record_id)
        return token

    async def save(self, tx: Connection) -> None:
        """Write the changes."""
        for change in self._parked_again:
            await execute(tx, _CHANGE_PLACE, *change)
        if self._parked:
            keys = [key for key, _, _ in self._parked]
            tokens = [token for _, token, _ in self._parked]
            records = [record for _, _, record in self._parked]
            await execute(tx, _INSERT, keys, tokens, records)
            await execute(tx, _MARK_STREAMS, keys)
        if self._released:
            await execute(tx, _RELEASE, self._released)


async def discard_parked(database: Database, tokens: Sequence[UUID]) -> None:
    """Remove parked records for good. What is parked behind them may be replayed."""
    async with database.transaction() as tx:
        # The lock is a statement of its own: only the next statement sees what another transaction parked meanwhile.
        await execute(tx, _LOCK_STREAMS, tokens)
        await execute(tx, _RELEASE, tokens)


def _new_token(since_ns: int) -> UUID:
    """A token that sorts by `since_ns`, the time at which the record was first parked."""
    return UUID(int=(since_ns << 64) | random.SystemRandom().getrandbits(64))
