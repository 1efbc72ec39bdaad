"""The outbox table: storing events, claiming them, deleting them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from chassis.database.presence import SET_ASIDE_OWNER
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
# A refused event, and with it all later events of its key that this process holds, leave the process.
SET_ASIDE: Final = f"""
    WITH aside AS (
        UPDATE outbox SET owner = CASE WHEN id = $1 THEN {SET_ASIDE_OWNER} END
        WHERE key = $2 AND id >= $1 AND owner = $3
        RETURNING id, event_id, topic, key, created_at
    )
    INSERT INTO refused_events (outbox_id, event_id, topic, key, type, bytes, reason, stored_at)
    SELECT id, event_id, topic, key, $4, $5, $6, created_at FROM aside WHERE id = $1
"""
LET_GO: Final = "UPDATE outbox SET owner = NULL WHERE id = ANY($1::bigint[]) AND owner = $2"
# Refused events, and what waits behind them, are counted as refused, not as late: a person decides.
MEASURE: Final = f"""
    SELECT (SELECT extract(epoch FROM now() - created_at) FROM outbox o
            WHERE owner IS DISTINCT FROM {SET_ASIDE_OWNER}
            AND (SELECT 1 FROM outbox e WHERE e.key = o.key AND e.id < o.id AND e.owner = {SET_ASIDE_OWNER} LIMIT 1)
                IS NULL
            ORDER BY id LIMIT 1) AS oldest_age,
           (SELECT count(*) FROM refused_events WHERE decision IS NULL) AS refused
"""
LIST_REFUSED: Final = """
    SELECT r.id, r.topic, r.key, r.type, r.event_id, r.bytes, r.reason, r.stored_at, r.refused_at,
           (SELECT count(*) FROM outbox w WHERE w.key = r.key AND w.id > r.outbox_id) AS waiting_behind
    FROM refused_events r JOIN outbox o ON o.id = r.outbox_id
    WHERE r.decision IS NULL ORDER BY r.id LIMIT $1
"""
"""The refused events that wait for a decision, oldest first, at most $1 (null: all)."""
RETRY_REFUSED: Final = f"""
    WITH freed AS (
        UPDATE outbox SET owner = NULL WHERE owner = {SET_ASIDE_OWNER}
        AND id IN (SELECT outbox_id FROM refused_events WHERE id = ANY($1::bigint[]) AND decision IS NULL)
        RETURNING id
    )
    UPDATE refused_events r SET decision = 'retried', decided_at = now(), decided_by = $2, decided_why = $3
    FROM freed WHERE r.outbox_id = freed.id AND r.decision IS NULL RETURNING r.id
"""
"""Ids of `refused_events`, who, why → the ids that are retried. The service claims them within a second."""
DROP_REFUSED: Final = f"""
    WITH gone AS (
        DELETE FROM outbox WHERE owner = {SET_ASIDE_OWNER}
        AND id IN (SELECT outbox_id FROM refused_events WHERE id = ANY($1::bigint[]) AND decision IS NULL)
        RETURNING id
    )
    UPDATE refused_events r SET decision = 'dropped', decided_at = now(), decided_by = $2, decided_why = $3
    FROM gone WHERE r.outbox_id = gone.id AND r.decision IS NULL RETURNING r.id
"""
"""Ids of `refused_events`, who, why → the ids that are dropped. The events behind them are claimed within a second."""


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
