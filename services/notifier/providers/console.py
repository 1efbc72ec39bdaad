"""For work at one's own desk: a message is a line on standard error, and nobody gets it."""

import sys
from uuid import UUID

from services.notifier.answers import Accepted, Found, Health, LookAnswer, Missing, SendAnswer, Well


class Console:
    """Remembers what it showed for as long as it lives."""

    name = "console"

    def __init__(self) -> None:
        self._shown: set[UUID] = set()

    async def send(self, message_id: UUID, phone: str, text: str) -> SendAnswer:
        """Show the message. It is no log, where neither phone nor text may stand."""
        self._shown.add(message_id)
        print(f"SMS {message_id} → {phone}: {text}", file=sys.stderr, flush=True)
        return Accepted()

    async def look(self, message_id: UUID, phone: str) -> LookAnswer:  # noqa: ARG002  # the id says it all
        """Whether it was shown."""
        return Found("shown", "delivered") if message_id in self._shown else Missing()

    async def check(self) -> Health:
        """It always works."""
        return Well()

    async def close(self) -> None:
        """There is nothing to let go of."""
