"""What follows from an error of the database, by its SQLSTATE class.

| class | what it is | what follows |
|---|---|---|
| 08, 57 | connection lost, operator's intervention | wait: retried with backoff |
| 40, 55P03 | deadlock or serialization failure, lock not available | wait |
| 53, 58 | out of resources, I/O error | wait |
| 25006 | read-only transaction: a failover in progress | wait |
| 28, 3D, 3F, 42 | a fault of the deployment: a login, database, table, column or privilege is missing | wait, alarm |
| 23 | a constraint was violated: another transaction was first | decided anew; again and again: dead letter |
| others | the message itself cannot be stored | dead letter |

An error without a SQLSTATE is the driver's or the socket's: wait.
"""

from typing import Final

import asyncpg

_WAIT: Final = ("08", "57", "40", "55P03", "53", "58", "25006")
_DEPLOYMENT: Final = ("28", "3D", "3F", "42")
_CONFLICT: Final = "23"
_CONNECTION_ENDED: Final = ("08", "57P")


def is_transient(error: BaseException) -> bool:
    """Whether the same transaction may succeed later, without a change of its input: it is retried with backoff."""
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "08").startswith((*_WAIT, *_DEPLOYMENT))
    # A closed or confused connection raises an error of the driver's own, without a code.
    return isinstance(error, (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError))


def is_deployment_fault(error: BaseException) -> bool:
    """Whether a person must repair the deployment before the same transaction can succeed."""
    return isinstance(error, asyncpg.PostgresError) and (error.sqlstate or "").startswith(_DEPLOYMENT)


def is_outcome_unknown(error: BaseException) -> bool:
    """Whether it is unknown if the statement or COMMIT that raised this was committed.

    An error that the server reports means that it was not, unless the server reports the end of the connection.
    """
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "08").startswith(_CONNECTION_ENDED)
    return True


def is_conflict(error: BaseException) -> bool:
    """Whether a constraint was violated: another transaction inserted the same unique value first."""
    return isinstance(error, asyncpg.PostgresError) and (error.sqlstate or "").startswith(_CONFLICT)
