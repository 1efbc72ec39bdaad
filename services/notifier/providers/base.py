"""What every adapter of an SMS provider does. An adapter tells certain answers apart from answers in doubt.

CONTRIBUTING.md says how to add a provider.
"""

from typing import Protocol
from uuid import UUID

from services.notifier.domain.answers import Health, LookupAnswer, SendAnswer


class Provider(Protocol):
    """A company or a gateway that delivers SMS to the telephone networks.

    No method raises for a failure of the network or of the provider: such failures are answers.
    """

    @property
    def name(self) -> str: ...

    async def send(self, message_id: UUID, phone: str, text: str) -> SendAnswer:
        """Make one call that sends the SMS under our own id. `phone` is in E.164 form."""
        ...

    async def lookup(self, message_id: UUID, phone: str) -> LookupAnswer:
        """The provider's status of the SMS with that id, without any effect."""
        ...

    async def check(self) -> Health:
        """Whether the provider would accept an SMS now, found out without sending one."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...
