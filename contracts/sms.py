"""Topic `messages`: the states of the SMS that the notifier sends."""

from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from contracts import topics
from contracts.base import ClientMessage, Time

SmsOutcome = Literal["sent", "delivered", "failed", "unknown"]


class SmsStatus(ClientMessage):
    """The state of one SMS. `unknown`: the provider may or may not have sent it, so it is not sent again."""

    ce_type: ClassVar[str] = "sms-status.v1"
    topic: ClassVar[str] = topics.MESSAGES

    message_id: UUID
    template: Annotated[str, Field(description="name and version of the text, such as confirmed.v1")]
    status: SmsOutcome
    provider: str
    at: Time
    detail: Annotated[str | None, Field(description="the provider's code; never the text of its answer")] = None
