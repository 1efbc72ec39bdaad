"""A token bucket in one row that all copies of the service share: how many scheduled SMS may be released now."""

from typing import Final

from chassis.service import Connection, rows

_GRANT: Final = """
    WITH bucket AS (
        SELECT kind, greatest(next_at, clock_timestamp() - make_interval(secs => greatest(1, 2 / $1::float8))) AS since
        FROM pace
        WHERE kind = 'scheduled' FOR UPDATE
    ), granted AS (
        SELECT kind, since, least($2::integer,
                                  floor(extract(epoch FROM clock_timestamp() - since) * $1::float8)::integer) AS granted
        FROM bucket
    )
    UPDATE pace p SET next_at = since + make_interval(secs => g.granted / $1::float8)
    FROM granted g WHERE p.kind = g.kind RETURNING g.granted
"""


async def grant(tx: Connection, per_second: float, limit: int) -> int:
    """How many scheduled SMS may be released now, at most `limit`; the number is taken out of the bucket.

    The bucket fills with `per_second` tokens a second and holds one second's worth of tokens, or two tokens where that
    is more: a quiet time is not saved up for a burst.
    """
    [row] = await rows(tx, _GRANT, per_second, limit)
    return int(row.granted)
