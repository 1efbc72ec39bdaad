"""What follows from an error of the database: one table of SQLSTATE classes, and what the chassis does with each.

`docs/architecture.md` shows the same table to operators; a test compares the two.
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final

import asyncpg


class Consequence(Enum):
    """What the chassis does with the transaction that failed, and with the messages in it."""

    WAIT = "wait"
    """The fault passes by itself: the same transaction is tried again with backoff."""
    STOP_READING = "stop reading"
    """The fault stays until a person repairs the database, and no message is to blame. The messages stay in their
    topics, health names the fault, and the same transaction is tried again every few seconds."""
    DECIDE_AGAIN = "decide again"
    """Another transaction was first: the message is decided anew on the new state, at last it is a dead letter."""
    DEAD_LETTER = "dead letter"
    """The message cannot be stored: it goes to the dead letters, and its key is parked."""


CONSEQUENCES: Final[Mapping[str, Consequence]] = MappingProxyType(
    {
        "08": Consequence.WAIT,  # the connection is lost
        "57": Consequence.WAIT,  # PostgreSQL is stopped or starts, an operator ended the session, a timeout
        "40": Consequence.WAIT,  # deadlock, serialization failure
        "55": Consequence.WAIT,  # an object is locked or in use
        "25": Consequence.WAIT,  # read-only during a failover, a session that was idle in its transaction
        "26": Consequence.WAIT,  # the session has lost its prepared statements
        "53": Consequence.WAIT,  # the disk is full, out of memory, too many connections
        "0A": Consequence.STOP_READING,  # PostgreSQL lacks a feature: another version is installed
        "28": Consequence.STOP_READING,  # the login is refused
        "3D": Consequence.STOP_READING,  # the database is missing
        "3F": Consequence.STOP_READING,  # the schema is missing
        "42": Consequence.STOP_READING,  # a table, column, function or privilege is missing
        "58": Consequence.STOP_READING,  # PostgreSQL cannot read or write its files
        "F0": Consequence.STOP_READING,  # PostgreSQL's configuration is wrong
        "XX": Consequence.STOP_READING,  # PostgreSQL's data or indexes are corrupt, or it has a defect
        "23": Consequence.DECIDE_AGAIN,  # a constraint is violated
    }
)
"""SQLSTATE class → what follows. Every other class is `DEAD_LETTER`: 22 (a value that no column holds), 54, P0, …"""

_CONNECTION_ENDED: Final = ("08", "57P")


def consequence(error: BaseException) -> Consequence:
    """What follows from an error that a transaction raised.

    An error of the driver or of the socket has no SQLSTATE: `WAIT`. Any error that the database did not raise is the
    message's: `DEAD_LETTER`.
    """
    if isinstance(error, asyncpg.InvalidCachedStatementError):
        # A migration changed a table under a prepared statement (0A000). The next connection prepares it anew.
        return Consequence.WAIT
    if isinstance(error, asyncpg.PostgresError):
        return CONSEQUENCES.get((error.sqlstate or "08")[:2], Consequence.DEAD_LETTER)
    # A closed or confused connection raises an error of the driver's own, without a code.
    if isinstance(error, (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)):
        return Consequence.WAIT
    return Consequence.DEAD_LETTER


def is_transient(error: BaseException) -> bool:
    """Whether the same transaction may succeed later, without a change of its input: after a wait or a repair."""
    return consequence(error) in (Consequence.WAIT, Consequence.STOP_READING)


def is_outcome_unknown(error: BaseException) -> bool:
    """Whether it is unknown if the statement or COMMIT that raised this was committed.

    An error that the server reports means that it was not, unless the server reports the end of the connection.
    """
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "08").startswith(_CONNECTION_ENDED)
    return True


def is_conflict(error: BaseException) -> bool:
    """Whether a constraint was violated: another transaction inserted the same unique value first."""
    return consequence(error) is Consequence.DECIDE_AGAIN


def described(error: BaseException) -> str:
    """The error in a few words, without any content of a row: its type, SQLSTATE and the server's first line."""
    if isinstance(error, asyncpg.PostgresError) and error.severity:
        return f"{type(error).__name__} {error.sqlstate}: {error.message}"
    return type(error).__name__
