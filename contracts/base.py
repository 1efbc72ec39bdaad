"""What every message has in common."""

from decimal import Decimal
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)

PartnerId = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._:-]+$")]
ClientKey = Annotated[str, StringConstraints(pattern=r"^k1:[0-9a-f]{64}$")]
Sealed = Annotated[
    str,
    Field(min_length=1, description="Compact JWE (dir, A256GCM) bound to its owner's id in the header"),
]
# Who decided, and why: of the builder's staff, never of a client.
StaffName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
TypedText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]
PartnerStatus = Literal["active", "suspended"]
RejectionReason = Literal["already-yours", "held-by-partner", "known-to-builder", "not-a-client", "already-sold"]
Time = AwareDatetime
Amount = Annotated[
    Decimal,
    Field(max_digits=18, decimal_places=2),
    PlainSerializer(lambda amount: f"{amount:.2f}", return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^-?\d{1,16}\.\d{2}$"}),
]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]


class Message(BaseModel):
    """Frozen, tolerant of fields it does not know, and silent about its content in errors.

    `key` is the Kafka record key, `subject` the CloudEvents subject (the lead id where there is one).
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    ce_type: ClassVar[str]
    topic: ClassVar[str]

    @property
    def key(self) -> str:
        raise NotImplementedError(f"{type(self).__name__} names no key")

    @property
    def subject(self) -> str | None:
        return None


class ClientMessage(Message):
    """Something about one lead of one client; all that is said about a client shares a partition."""

    lead_id: UUID
    client_key: ClientKey
    partner_id: PartnerId

    @property
    def key(self) -> str:
        return self.client_key

    @property
    def subject(self) -> str | None:
        return str(self.lead_id)
