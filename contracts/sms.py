"""Topic `messages`: what became of the SMS that the notifier sent."""

from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from contracts import topics
from contracts.base import ClientMessage, Time

SmsOutcome = Literal["sent", "delivered", "failed", "unknown"]


class SmsStatus(ClientMessage):
    """`unknown`: nobody can tell whether it went out, and it is not repeated on a guess."""

    ce_type: ClassVar[str] = "sms-status.v1"
    topic: ClassVar[str] = topics.MESSAGES

    message_id: UUID
    template: Annotated[str, Field(description="name and version, as in confirmed.v1")]
    status: SmsOutcome
    provider: str
    at: Time
    detail: Annotated[str | None, Field(description="the provider's code, never its text")] = None
