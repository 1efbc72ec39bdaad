"""Which errors of the database pass by themselves, and which mean that another transaction was first."""

import asyncpg

# Connection lost, deadlock or serialization failure, out of resources, operator's intervention, lock not available,
# read-only transaction (a failover in progress).
_TRANSIENT_CLASSES = ("08", "40", "53", "57", "55P03", "25006")
_INTEGRITY_CLASS = "23"


def is_transient(error: BaseException) -> bool:
    """Whether the same transaction may succeed later without anybody's help."""
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "08").startswith(_TRANSIENT_CLASSES)
    # A closed or confused connection raises an error of the driver's own, without a code.
    return isinstance(error, (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError))


def is_conflict(error: BaseException) -> bool:
    """Whether a constraint was violated: another transaction inserted the same unique value first."""
    return isinstance(error, asyncpg.PostgresError) and (error.sqlstate or "").startswith(_INTEGRITY_CLASS)
