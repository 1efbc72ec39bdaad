"""For work at one's own desk: a message is a line on the terminal, and nobody gets it."""

import sys
from typing import TextIO
from uuid import UUID

from services.notifier.answers import Accepted, Found, Health, LookAnswer, Missing, SendAnswer, Well


class Console:
    """Remembers what it showed for as long as it lives. What is no terminal is a log: there, neither phone nor text."""

    name = "console"

    def __init__(self, terminal: TextIO | None = None) -> None:
        self._terminal = terminal or sys.stderr
        self._shown: set[UUID] = set()

    async def send(self, message_id: UUID, phone: str, text: str) -> SendAnswer:
        """Show the message."""
        self._shown.add(message_id)
        content = f"{phone}: {text}" if self._terminal.isatty() else "(shown on a terminal only)"
        print(f"SMS {message_id} → {content}", file=self._terminal, flush=True)
        return Accepted()

    async def look(self, message_id: UUID, phone: str) -> LookAnswer:  # noqa: ARG002  # the id says it all
        """Whether it was shown."""
        return Found("shown", "delivered") if message_id in self._shown else Missing()

    async def check(self) -> Health:
        """It always works."""
        return Well()

    async def close(self) -> None:
        """There is nothing to let go of."""
