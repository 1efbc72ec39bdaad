"""What an SMS provider can be asked. Its adapters tell apart what is certain from what is in doubt."""

from typing import Protocol
from uuid import UUID

from services.notifier.answers import Health, LookAnswer, SendAnswer


class Provider(Protocol):
    """One road to the operators. No call raises for what a network or a provider can do."""

    @property
    def name(self) -> str: ...

    async def send(self, message_id: UUID, phone: str, text: str) -> SendAnswer:
        """Hand over one message, once, under our own id."""
        ...

    async def look(self, message_id: UUID, phone: str) -> LookAnswer:
        """Ask what became of the message of that id."""
        ...

    async def check(self) -> Health:
        """Ask whether it would take a message now, without sending one."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
