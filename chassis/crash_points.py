"""Named places where a test has this process killed, as if the power had gone.

`CRASH_AT=<point>:<n>` sends SIGKILL when the n-th message, event or call passes the point. Unarmed, passing costs a
comparison.
"""

import os
import signal
from typing import Final

COMMITTED: Final = "committed"
"""An event's transaction is committed and the event has not been published."""
PUBLISHED: Final = "published"
"""Kafka has acknowledged an event and its outbox row is still there."""
HANDLED: Final = "handled"
"""A record's transaction is committed and its offset is not."""
CALLED: Final = "called"
"""A foreign system has answered and the outcome is not stored."""
SINGLE: Final = "single"
"""One input of a batch that failed has been tried by itself."""

POINTS: Final = (COMMITTED, PUBLISHED, HANDLED, CALLED, SINGLE)

_armed: str | None = None
_left = 0


def arm(order: str | None) -> None:
    """Take `<point>:<n>` from the environment. Raises ValueError for anything else."""
    global _armed, _left
    if order:
        point, _, number = order.partition(":")
        if point not in POINTS or not number.isdecimal() or int(number) < 1:
            raise ValueError(f"CRASH_AT must be one of {', '.join(POINTS)}, a colon and a number from 1")
        _armed, _left = point, int(number)


def passing(point: str, count: int = 1) -> None:
    """`count` things pass `point`: the process may end here."""
    global _left
    if point == _armed:
        _left -= count
        if _left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
