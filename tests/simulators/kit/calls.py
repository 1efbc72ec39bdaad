"""The log of every call that a simulator received; tests count in it how often a request was sent."""

import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import unquote_plus

_RETURNED = (
    *("n", "method", "path", "query", "status", "ms"),
    *("at", "concurrent", "set", "fault", "committed", "lead"),
)


@dataclass(slots=True)
class Call:
    """One request.

    `status` is 0 if no answer was sent: the connection was cut, or the request still runs and `ms` (milliseconds) is
    None. `set` is the OData set or the provider's method, `fault` the mode of the fault that applied, `committed`
    whether a write took effect, `lead` the lead id that a write carries.
    """

    n: int
    method: str
    path: str
    query: str
    at: str
    concurrent: int
    status: int = 0
    ms: float | None = None
    set: str = ""
    fault: str | None = None
    committed: bool = False
    lead: str = ""
    started: float = field(default_factory=time.perf_counter)

    def as_json(self) -> dict[str, Any]:
        """The call as `/__sim/calls` returns it."""
        return {name: getattr(self, name) for name in _RETURNED}


class CallLog:
    """All calls since the start or the last reset, and the number of calls in flight."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.in_flight = 0

    def start(self, method: str, path: str, raw_query: bytes, at: datetime) -> Call:
        """Add a call that arrives. `concurrent` is the number of calls in flight, this one included."""
        self.in_flight += 1
        query = unquote_plus(raw_query.decode("latin-1"), errors="replace")
        call = Call(len(self.calls) + 1, method, path, query, at.isoformat(), self.in_flight)
        self.calls.append(call)
        return call

    def finish(self, call: Call, status: int) -> None:
        """Record the HTTP status and the duration of a call that ended."""
        self.in_flight -= 1
        call.status = status
        call.ms = round((time.perf_counter() - call.started) * 1000, 3)

    def clear(self) -> None:
        """Delete the log. Calls in flight still count as in flight."""
        self.calls = []
