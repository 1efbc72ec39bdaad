"""Open dead letters, and parked queues: after a failure, later messages of the same key wait behind the failed one.

Every letter that nobody has replayed or discarded yet has a row. A record that could be read has a place in its key's
queue; a record that could not be read has no key, and nothing waits behind it. The row is found by its token, which
sorts by the time of the first failure and cannot be guessed. The token travels only inside the sealed dead letter, so
that only an operator's replay can name it.
"""

import random
import time
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from chassis.database.pool import Connection, Database, execute, rows
from chassis.database.writing import as_json
from chassis.processor.model import Input

_SELECT: Final = """
    SELECT id, key, token, record FROM parked WHERE key = ANY($1::text[])
    UNION SELECT id, key, token, record FROM parked WHERE token = ANY($2::uuid[])
    ORDER BY id
"""
_MARK_STREAMS: Final = "UPDATE streams SET parked_at = now() WHERE key = ANY($1::text[]) AND parked_at IS NULL"
_INSERT: Final = """
    INSERT INTO parked (key, token, record, since)
    SELECT key, token, record, since
    FROM ROWS FROM (json_to_recordset($1::json) AS (key text, token uuid, record uuid, since timestamptz))
         WITH ORDINALITY AS t (key, token, record, since, n) ORDER BY n
"""
_CHANGE_PLACE: Final = "UPDATE parked SET token = $2, record = coalesce($3, record) WHERE token = $1"
_ADD_LETTERS: Final = """
    UPDATE parked p
    SET letter = t.letter, reason = t.reason, topic = t.topic, partition = t.partition, record_offset = t.record_offset
    FROM json_to_recordset($1::json)
         AS t (token uuid, letter uuid, reason text, topic text, partition integer, record_offset bigint)
    WHERE p.token = t.token
"""
_LOCK_STREAMS: Final = """
    SELECT 1 FROM streams WHERE key IN (SELECT key FROM parked WHERE token = ANY($1::uuid[])) ORDER BY key FOR UPDATE
"""
_RELEASE: Final = """
    WITH gone AS (DELETE FROM parked WHERE token = ANY($1::uuid[]) RETURNING key)
    UPDATE streams s SET parked_at = NULL FROM (SELECT DISTINCT key FROM gone) g
    WHERE s.key = g.key AND NOT EXISTS (SELECT 1 FROM parked p WHERE p.key = s.key AND p.token <> ALL($1::uuid[]))
"""


class ParkedQueues:
    """The open letters of a batch and the parked queues of its keys, and the changes that the batch makes to them."""

    def __init__(self, found: Sequence[Any], keys: Sequence[str]) -> None:
        self._places: dict[str, deque[UUID]] = {key: deque() for key in keys}
        for row in found:
            if row.key in self._places:
                self._places[row.key].append(row.token)
        self._open = {row.token for row in found}
        self._without_key = {row.token for row in found if row.key is None}
        self._records = {row.record for row in found}
        self._added: list[dict[str, Any]] = []
        self._parked_again: list[tuple[UUID, UUID, UUID | None]] = []
        self._letters: list[dict[str, Any]] = []
        self._released: list[UUID] = []

    @classmethod
    async def load(cls, tx: Connection, keys: Sequence[str], replayed: Sequence[UUID]) -> "ParkedQueues":
        """Read the queues, under the locks of their keys: without the locks another transaction may still park.

        `replayed`: the tokens that the replays among the inputs name.
        """
        return cls(await rows(tx, _SELECT, keys, replayed) if keys or replayed else (), keys)

    def lets_pass(self, item: Input) -> bool:
        """Whether the key has no parked queue, or the input is the replay of the first record in it."""
        places = self._places.get(item.key)
        if places:
            if item.parked_place != places[0]:
                return False
            places.popleft()
            self.release(item)
        elif item.parked_place in self._without_key:
            self.release(item)
        return True

    def release(self, item: Input) -> None:
        """If the input is a replay, its letter is open no longer, and its place is free."""
        if item.parked_place is not None:
            self._released.append(item.parked_place)

    def park(self, item: Input) -> UUID | None:
        """Park the input at the end of its key's queue; a replay that failed again keeps its place under a new token.

        Returns the token, or None if this very record is parked already.
        """
        assert item.record_id is not None
        places = self._places.setdefault(item.key, deque())
        if item.parked_place is not None and item.parked_place in places:
            token = self._change_place(item.parked_place, item.record_id)
            places[places.index(item.parked_place)] = token
        else:
            if item.parked_place in self._without_key:
                self.release(item)  # the record could not be read before; now it has a key
            if item.record_id in self._records:
                return None
            token = self._add(item.key, item.record_id)
            places.append(token)
        self._records.add(item.record_id)
        return token

    def add_unreadable(self, item: Input) -> UUID:
        """Add the letter of a record that cannot be read, or give the letter that it replays a new token; returns the
        token."""
        if item.parked_place is not None and item.parked_place in self._open:
            return self._change_place(item.parked_place, None)
        return self._add(None, None)

    def add_letter(self, item: Input, token: UUID, letter: UUID, reason: str) -> None:
        """Note the dead letter that was published for the place `token`, with its id and reason."""
        topic, partition, offset = item.place.rsplit("/", 2) if item.place is not None else (None, None, None)
        self._letters.append(
            {
                "token": token,
                "letter": letter,
                "reason": reason,
                "topic": topic,
                "partition": partition,
                "record_offset": offset,
            }
        )

    async def save(self, tx: Connection) -> None:
        """Write the changes."""
        for change in self._parked_again:
            await execute(tx, _CHANGE_PLACE, *change)
        if self._added:
            await execute(tx, _INSERT, as_json(self._added))
            if keys := [row["key"] for row in self._added if row["key"] is not None]:
                await execute(tx, _MARK_STREAMS, keys)
        if self._letters:
            await execute(tx, _ADD_LETTERS, as_json(self._letters))
        if self._released:
            await execute(tx, _RELEASE, self._released)

    def _add(self, key: str | None, record: UUID | None) -> UUID:
        since_ns = time.time_ns()
        token = _new_token(since_ns)
        since = datetime.fromtimestamp(since_ns / 1e9, UTC)
        self._added.append({"key": key, "token": token, "record": record or token, "since": since})
        return token

    def _change_place(self, place: UUID, record: UUID | None) -> UUID:
        token = _new_token(place.int >> 64)
        self._parked_again.append((place, token, record))
        self._open.discard(place)
        return token


async def discard_parked(database: Database, tokens: Sequence[UUID]) -> None:
    """Remove open letters for good. What is parked behind them may be replayed."""
    async with database.transaction() as tx:
        # The lock is a statement of its own: only the next statement sees what another transaction parked meanwhile.
        await execute(tx, _LOCK_STREAMS, tokens)
        await execute(tx, _RELEASE, tokens)


def _new_token(since_ns: int) -> UUID:
    """A token that sorts by `since_ns`, the time at which the record was first parked."""
    return UUID(int=(since_ns << 64) | random.SystemRandom().getrandbits(64))
