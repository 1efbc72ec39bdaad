"""Named places at which a test kills this process, as a power cut would.

`CRASH_AT=<point>:<n>` sends SIGKILL to the process when the n-th message, event or call reaches the point. Without
`CRASH_AT` a point costs one comparison.
"""

import os
import signal
from typing import Final

COMMITTED: Final = "committed"
"""An event's transaction is committed; the event is not published."""
PUBLISHED: Final = "published"
"""Kafka has acknowledged an event; its outbox row still exists."""
HANDLED: Final = "handled"
"""A record's transaction is committed; the record's offset is not."""
CALLED: Final = "called"
"""A foreign system has answered; the outcome is not stored."""
SINGLE: Final = "single"
"""An input of a failed batch was retried by itself."""

POINTS: Final = (COMMITTED, PUBLISHED, HANDLED, CALLED, SINGLE)

_armed: str | None = None
_left = 0


def arm(order: str | None) -> None:
    """Arm the point that `order`, the value of `CRASH_AT`, names. Raises ValueError if it is not `<point>:<n>`."""
    global _armed, _left
    if order:
        point, _, number = order.partition(":")
        if point not in POINTS or not number.isdecimal() or int(number) < 1:
            raise ValueError(f"CRASH_AT must be one of {', '.join(POINTS)}, a colon and a number from 1")
        _armed, _left = point, int(number)


def reach(point: str, count: int = 1) -> None:
    """`count` messages, events or calls reach `point`. Kills the process if the armed number is reached."""
    global _left
    if point == _armed:
        _left -= count
        if _left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
