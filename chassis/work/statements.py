"""The work table: claiming rows and putting them back."""

from collections.abc import Sequence
from typing import Any, Final

import orjson

from chassis.database.pool import Connection, execute, rows
from chassis.decision import Cause
from chassis.work.model import Job, Park, Retry

# The claim marks each row as in doubt before the call: if this process is killed during the call, the mark remains.
# Of each key only the first waiting row is claimed, and none while a row of the key is claimed already (`ORDER BY
# e.owner` puts claimed rows first). So calls of a key are made one at a time, also when an operator retries parked
# work.
CLAIM: Final = """
    WITH due AS (
        SELECT id, in_doubt FROM work w
        WHERE kind = $1 AND state = 'waiting' AND owner IS NULL AND due_at <= now()
          AND (SELECT e.id FROM work e WHERE e.key = w.key AND e.state = 'waiting'
               ORDER BY e.owner, e.id LIMIT 1) = w.id
        ORDER BY due_at, id LIMIT $2 FOR UPDATE SKIP LOCKED
    )
    UPDATE work w SET owner = $3, attempts = attempts + 1, in_doubt = true FROM due WHERE w.id = due.id
    RETURNING w.id, w.ref, w.key, w.payload::text AS payload, w.cause::text AS cause, w.attempts, due.in_doubt, w.note
"""
_PUT_BACK: Final = """
    UPDATE work w SET owner = NULL, state = u.state, in_doubt = u.in_doubt, note = u.note,
        due_at = now() + make_interval(secs => u.pause), finished_at = CASE WHEN u.state = 'parked' THEN now() END
    FROM unnest($1::bigint[], $2::integer[], $3::text[], $4::boolean[], $5::text[], $6::float8[])
         AS u (id, owner, state, in_doubt, note, pause)
    WHERE w.id = u.id AND w.owner = u.owner
"""


async def claim(tx: Connection, kind: str, limit: int, owner: int) -> list[Any]:
    """Claim at most `limit` due rows of `kind` for the identity `owner`, in the order of their creation."""
    return sorted(await rows(tx, CLAIM, kind, limit, owner), key=lambda row: int(row.id))


async def put_back(tx: Connection, back: Sequence[tuple[Job, Retry | Park, float]]) -> None:
    """Return claimed rows: to be retried after a pause in seconds, or parked. Rows of another owner stay unchanged."""
    await execute(
        tx,
        _PUT_BACK,
        [job.id for job, _, _ in back],
        [job.owner for job, _, _ in back],
        ["parked" if isinstance(answer, Park) else "waiting" for _, answer, _ in back],
        # This attempt had no effect for certain; an earlier attempt may still have taken effect.
        [job.in_doubt or not (isinstance(answer, Park) or answer.no_effect) for job, answer, _ in back],
        [answer.reason for _, answer, _ in back],
        [pause_s for _, _, pause_s in back],
    )


def job_fields(row: Any) -> dict[str, Any]:
    """The fields of a `Job` that a row of `CLAIM` holds."""
    return {
        "id": row.id,
        "ref": row.ref,
        "key": row.key,
        "payload": orjson.loads(row.payload),
        "cause": Cause(**orjson.loads(row.cause)),
        "attempt": row.attempts,
        "in_doubt": row.in_doubt,
        "note": row.note,
    }
