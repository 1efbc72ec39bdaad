"""The base of all messages, and the types that several messages use."""

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

from contracts.text import LINES, ONE_LINE, STORABLE

PartnerId = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._:-]+$")]
ClientKey = Annotated[str, StringConstraints(pattern=r"^k1:[0-9a-f]{64}$")]
Sealed = Annotated[
    str,
    Field(
        min_length=1,
        description="Compact JWE (dir, A256GCM), bound by its header to the id of its owner: a lead or a partner",
    ),
]
# The name of a member of the builder's staff, and the reason of a decision. Never the data of a client.
StaffName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    ONE_LINE,
    Field(description="One line without control characters"),
]
TypedText = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=1000),
    LINES,
    Field(description="Text without control characters but line feed"),
]
# The same in the events of intake and of the services behind it. Topics and tables hold texts of earlier versions,
# which let control characters pass, and every version reads what earlier versions wrote.
RecordedName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), STORABLE]
RecordedText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000), STORABLE]
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
    """A message on a topic. It is frozen, ignores unknown fields, and its validation errors quote no content.

    `key` is the Kafka record key. `subject` is the CloudEvents subject: the id of the lead, or None. `is_state`: the
    message holds the whole state of its key, so a reader ignores one that has a lower `ce_sequence` than the newest it
    has read of the same key and `ce_source`.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    ce_type: ClassVar[str]
    topic: ClassVar[str]
    is_state: ClassVar[bool] = False

    @property
    def key(self) -> str:
        raise NotImplementedError(f"{type(self).__name__} has no key")

    @property
    def subject(self) -> str | None:
        return None


class ClientMessage(Message):
    """A message about a lead. The record key is the client key, so all messages of a client share a partition."""

    lead_id: UUID
    client_key: ClientKey
    partner_id: PartnerId

    @property
    def key(self) -> str:
        return self.client_key

    @property
    def subject(self) -> str | None:
        return str(self.lead_id)
