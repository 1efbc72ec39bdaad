"""The work table: claiming rows and putting them back."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import orjson
import structlog

from chassis.database.pool import Connection, execute, rows
from chassis.decision import Cause
from chassis.work.model import Job, Park, Retry

log = structlog.get_logger(__name__)

UNREADABLE_CAUSE: Final = "unreadable-cause"
UNREADABLE_ARGUMENTS: Final = "unreadable-arguments"
UNKNOWN_KIND: Final = "unknown-kind"
"""The notes of rows that were parked because this version cannot read them."""

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
# During a rolling upgrade an older process sees rows of kinds that only the newer version performs. A kind of which
# some row is claimed now is performed by another process, so its rows are left to that process.
_PARK_UNKNOWN: Final = """
    UPDATE work w SET state = 'parked', note = $3, finished_at = now()
    WHERE state = 'waiting' AND owner IS NULL AND kind <> ALL($1::text[])
      AND due_at < now() - make_interval(secs => $2)
      AND (SELECT 1 FROM work o WHERE o.owner IS NOT NULL AND o.kind = w.kind LIMIT 1) IS NULL
    RETURNING kind, ref
"""


async def park_unknown(tx: Connection, kinds: Sequence[str], due_for_s: float) -> Sequence[Any]:
    """Park the rows of other kinds than `kinds` that have been due for `due_for_s` seconds. Returns (kind, ref)."""
    return await rows(tx, _PARK_UNKNOWN, list(kinds), due_for_s, UNKNOWN_KIND)


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


def read_job(
    row: Any, read: Callable[[Job], object], owner: int, is_ours: Callable[[], bool], may_call: Callable[[], bool]
) -> tuple[Job, Park | None]:
    """The job in a row of `CLAIM`, and None; or what is readable of it, and the answer that parks the row.

    A row may come from a newer version of the service, as in a rolling upgrade. `read`: see `Work`.
    """
    unreadable = None
    cause, payload = Cause("", ""), {}
    try:
        cause = Cause.read(orjson.loads(row.cause))
    except ValueError:
        unreadable = Park(UNREADABLE_CAUSE)
    try:
        payload = _object(orjson.loads(row.payload))
    except ValueError:
        unreadable = unreadable or Park(UNREADABLE_ARGUMENTS)
    job = Job(
        id=row.id,
        ref=row.ref,
        key=row.key,
        payload=payload,
        cause=cause,
        attempt=row.attempts,
        in_doubt=row.in_doubt,
        owner=owner,
        note=row.note,
        is_ours=is_ours,
        may_call=may_call,
    )
    if unreadable is None:
        try:
            read(job)
        except Exception as error:
            log.error("work_unreadable", ref=job.ref, exc_info=error)
            unreadable = Park(UNREADABLE_ARGUMENTS)
    return job, unreadable


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value
