"""What an SMS provider can be asked. Its adapters tell apart what is certain from what is in doubt."""

from typing import Protocol
from uuid import UUID

from services.notifier.domain import LookAnswer, SendAnswer


class Provider(Protocol):
    """One road to the operators. Neither call raises for what a network or a provider can do."""

    @property
    def name(self) -> str: ...

    async def send(self, message_id: UUID, phone: str, text: str) -> SendAnswer:
        """Hand over one message, once, under our own id."""
        ...

    async def look(self, message_id: UUID, phone: str) -> LookAnswer:
        """Ask what became of the message of that id."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
