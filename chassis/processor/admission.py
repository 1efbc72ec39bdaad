"""Admission: lock the keys of a batch, drop repeats, and close the work rows whose outcomes are in the batch."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from chassis.database.pool import Connection, rows
from chassis.observability import metrics
from chassis.processor.model import Input, Unreadable, keys_of

# Existing keys are locked before missing keys are inserted, and both in the order of the keys: so transactions on
# existing keys cannot wait for each other. A key that another transaction has inserted meanwhile is in neither result;
# the statement is run again for such keys. Only there a deadlock is possible: PostgreSQL ends one of the transactions,
# which is retried as a whole.
_ADMIT: Final = """
    WITH locked AS (
        SELECT key, sequence, parked_at FROM streams WHERE key = ANY($1::text[]) ORDER BY key FOR UPDATE
    ), opened AS (
        INSERT INTO streams (key) SELECT k FROM unnest($1::text[]) AS k WHERE k NOT IN (SELECT key FROM locked)
        ORDER BY k ON CONFLICT DO NOTHING RETURNING key, sequence, parked_at
    ), seen AS (
        INSERT INTO inbox (id) SELECT DISTINCT i FROM unnest($2::uuid[]) AS i ORDER BY i
        ON CONFLICT DO NOTHING RETURNING id
    ), finished AS (
        UPDATE work SET state = 'done', owner = NULL, in_doubt = false, finished_at = now()
        WHERE id = ANY($3::bigint[]) AND (owner = $4) IS TRUE  -- written so that the plan goes by id, not by owner
        RETURNING id
    )
    SELECT key, sequence, parked_at, NULL::uuid AS seen, NULL::bigint AS work FROM locked
    UNION ALL SELECT key, sequence, parked_at, NULL, NULL FROM opened
    UNION ALL SELECT NULL, NULL, NULL, id, NULL FROM seen
    UNION ALL SELECT NULL, NULL, NULL, NULL, id FROM finished
"""


class Admission(NamedTuple):
    """`fresh`: positions of the inputs to decide. `repeats`: positions of inputs that were decided before, or whose
    work row this process no longer owns. `sequences`: number of events of each locked key. `parked_keys`: keys with a
    parked queue."""

    fresh: list[int]
    repeats: list[int]
    sequences: dict[str, int]
    parked_keys: list[str]


async def admit(tx: Connection, inputs: Sequence[Input], owner: int | None) -> Admission:
    """Lock the keys of `inputs`, related keys too, and find out which inputs are to be decided. `owner`: identity of
    this process."""
    inbox_ids = [item.inbox_id for item in inputs if item.inbox_id is not None]
    work_ids = [item.work_id for item in inputs if item.work_id is not None]
    missing = keys_of([item for item in inputs if not isinstance(item.body, Unreadable)])
    sequences: dict[str, int] = {}
    parked: dict[str, datetime] = {}
    new: set[UUID] = set()
    finished: set[int] = set()
    found = await rows(tx, _ADMIT, missing, inbox_ids, work_ids, owner)
    while True:
        for key, sequence, parked_at, seen, work in found:
            if key is not None:
                sequences[key] = sequence
                if parked_at is not None:
                    parked[key] = parked_at
            elif seen is not None:
                new.add(seen)
            else:
                finished.add(work)
        if not (missing := [key for key in missing if key not in sequences]):
            break
        found = await rows(tx, _ADMIT, missing, [], [], None)
    fresh, repeats = [], []
    for position, item in enumerate(inputs):
        if item.inbox_id is not None and item.inbox_id not in new:
            metrics.MESSAGES_REPEATED.inc()
            repeats.append(position)
        elif item.work_id is None or item.work_id in finished:
            fresh.append(position)
        else:
            repeats.append(position)
    return Admission(fresh, repeats, sequences, list(parked))
