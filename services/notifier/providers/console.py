"""A provider for a developer's own machine: prints each SMS on the terminal and delivers it to no one."""

import sys
from typing import TextIO
from uuid import UUID

from services.notifier.domain.answers import Accepted, Found, Health, Healthy, LookupAnswer, Missing, SendAnswer


class Console:
    """Prints to `terminal`, by default stderr. If the stream is not a terminal, its content may be kept as a log, and
    neither the phone nor the text is printed. Lookups find what this object printed."""

    name = "console"

    def __init__(self, terminal: TextIO | None = None) -> None:
        self._terminal = terminal or sys.stderr
        self._printed: set[UUID] = set()

    async def send(self, message_id: UUID, phone: str, text: str) -> SendAnswer:
        """Print the SMS."""
        self._printed.add(message_id)
        content = f"{phone}: {text}" if self._terminal.isatty() else "(shown on a terminal only)"
        print(f"SMS {message_id} → {content}", file=self._terminal, flush=True)
        return Accepted()

    async def lookup(self, message_id: UUID, phone: str) -> LookupAnswer:  # noqa: ARG002  # the id is enough
        """`delivered` if this process has printed the SMS since its start, else that the SMS is missing."""
        return Found("shown", "delivered") if message_id in self._printed else Missing()

    async def check(self) -> Health:
        """Always healthy."""
        return Healthy()

    async def close(self) -> None:
        """Nothing to close."""
