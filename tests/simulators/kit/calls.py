"""The record of every call a simulator got: what tests prove "asked once" and "written once" with."""

import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import unquote_plus


@dataclass(slots=True)
class Call:
    """One request. `status` 0: no answer was sent (cut off, or still under way while `ms` is null)."""

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
        """The call as `/__sim/calls` shows it."""
        shown = (
            "n",
            "method",
            "path",
            "query",
            "status",
            "ms",
            "at",
            "concurrent",
            "set",
            "fault",
            "committed",
            "lead",
        )
        return {name: getattr(self, name) for name in shown}


class CallLog:
    """All calls since the start or the last reset, and how many are under way."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.under_way = 0

    def start(self, method: str, path: str, raw_query: bytes, at: datetime) -> Call:
        """Note a call as it comes in; `concurrent` counts it too."""
        self.under_way += 1
        query = unquote_plus(raw_query.decode("latin-1"), errors="replace")
        call = Call(len(self.calls) + 1, method, path, query, at.isoformat(), self.under_way)
        self.calls.append(call)
        return call

    def finish(self, call: Call, status: int) -> None:
        """Note how a call ended."""
        self.under_way -= 1
        call.status = status
        call.ms = round((time.perf_counter() - call.started) * 1000, 3)

    def clear(self) -> None:
        """Forget the calls (those under way still count as under way)."""
        self.calls = []
