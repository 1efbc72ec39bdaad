"""The outbox table: storing events, claiming them, deleting them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from chassis.database.writing import Statement, as_json
from chassis.envelope import Outgoing, headers_from_json

_ADVANCE_SEQUENCES: Final = """
    UPDATE streams s SET sequence = u.sequence FROM unnest($1::text[], $2::bigint[]) AS u (key, sequence)
    WHERE s.key = u.key
"""
# An event gets this process as its owner, unless an earlier event of its key has another owner or none.
_INSERT: Final = """
    INSERT INTO outbox (event_id, owner, topic, key, headers, value)
    SELECT e.event_id,
           CASE WHEN (SELECT 1 FROM outbox o WHERE o.key = e.key AND o.owner IS DISTINCT FROM $2 LIMIT 1) IS NULL
                THEN $2::integer END,
           e.topic, e.key, e.headers, convert_to(e.value, 'UTF8')
    FROM ROWS FROM (json_to_recordset($1::json) AS (event_id uuid, topic text, key text, headers text, value text))
         WITH ORDINALITY AS e (event_id, topic, key, headers, value, n)
    ORDER BY e.n
    RETURNING id, event_id, owner
"""
_INSERT_DEFERRED: Final = """
    INSERT INTO outbox (event_id, topic, key, headers, value)
    SELECT e.event_id, e.topic, e.key, e.headers, convert_to(e.value, 'UTF8')
    FROM ROWS FROM (json_to_recordset($1::json) AS (event_id uuid, topic text, key text, headers text, value text))
         WITH ORDINALITY AS e (event_id, topic, key, headers, value, n)
    ORDER BY e.n
    RETURNING id
"""
# Without waiting for the disk: rows whose deletion is lost in a crash are published again, and readers ignore repeats.
DELETE: Final = """
    DELETE FROM outbox WHERE id = ANY($1::bigint[]) AND (SELECT set_config('synchronous_commit', 'off', true)) = 'off'
"""
# An event whose key has an earlier event of another owner is not claimed: it would overtake that event.
CLAIM: Final = """
    UPDATE outbox SET owner = $1 WHERE id IN (
        SELECT id FROM outbox o WHERE owner IS NULL
        AND (SELECT 1 FROM outbox e WHERE e.key = o.key AND e.id < o.id AND e.owner <> $1 LIMIT 1) IS NULL
        ORDER BY id LIMIT $2)
    RETURNING id, event_id, topic, key, headers, value
"""
OLDEST_AGE: Final = "SELECT extract(epoch FROM now() - created_at) AS age FROM outbox ORDER BY id LIMIT 1"


def advance_sequences(sequences: Mapping[str, int]) -> Statement:
    """Stores how many events each key has by now."""
    return Statement(_ADVANCE_SEQUENCES, (list(sequences), list(sequences.values())))


def insert_events(events: Sequence[Outgoing], owner: int | None) -> Statement:
    """Stores events in their order. Returns (id, event_id, owner); an event without an owner is deferred."""
    return Statement(_INSERT, (_as_json(events), owner), ("id", "event_id", "owner"))


def insert_deferred(events: Sequence[Outgoing]) -> Statement:
    """Stores events in their order, all of them deferred."""
    return Statement(_INSERT_DEFERRED, (_as_json(events),), ("id",))


def outgoing_of(row: Any) -> Outgoing:
    """The event that a row of `CLAIM` holds."""
    return Outgoing(row.event_id, row.topic, row.key, headers_from_json(row.headers), bytes(row.value), row.headers)


def _as_json(events: Sequence[Outgoing]) -> str:
    return as_json(
        [
            {
                "event_id": event.event_id,
                "topic": event.topic,
                "key": event.key,
                "headers": event.stored,
                "value": event.value.decode(),
            }
            for event in events
        ]
    )
