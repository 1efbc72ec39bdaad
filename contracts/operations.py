"""Operators' commands to running services, and the services' answers."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import ConfigDict, Field

from contracts import topics
from contracts.base import Message, StaffName, Time, TypedText

ServiceName = Annotated[str, Field(min_length=1, max_length=64, description="as in consumer groups: `onec-gateway`")]
Kind = Annotated[str, Field(min_length=1, description="`ce_type` of the operation")]


class Operation(Message):
    """What a person wants a service to do. `service` is the service that owns the thing; the others ignore it."""

    # In JSON the field is called `topic`, which here names the topic of the message itself.
    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    topic: ClassVar[str] = topics.OPERATIONS

    service: ServiceName
    who: StaffName
    why: TypedText

    @property
    def key(self) -> str:
        return self.service


class ResumeTopic(Operation):
    """The service reads a topic again that its poison guard has paused."""

    ce_type: ClassVar[str] = "resume-topic.v1"

    paused_topic: Annotated[str, Field(alias="topic", min_length=1, max_length=249)]


class SkipRecord(Operation):
    """The service sets one record aside, which cannot be read or handled, and goes on behind it."""

    ce_type: ClassVar[str] = "skip-record.v1"

    record_topic: Annotated[str, Field(alias="topic", min_length=1, max_length=249)]
    partition: Annotated[int, Field(ge=0, lt=2**31)]
    offset: Annotated[int, Field(ge=0, lt=2**63)]


class ListReservations(Operation):
    """Reservations publishes the list of all live reservations. The result in its answer is the id of that list."""

    ce_type: ClassVar[str] = "list-reservations.v1"


class OperationAnswer(Message):
    """What became of an operation. `operation` is its `ce_id`."""

    topic: ClassVar[str] = topics.OPERATION_RESULTS

    operation: UUID
    service: ServiceName
    kind: Kind
    at: Time

    @property
    def key(self) -> str:
        return str(self.operation)


class OperationDone(OperationAnswer):
    """The operation was carried out. `result` is what the person who ordered it may want to know, such as an id."""

    ce_type: ClassVar[str] = "operation-done.v1"

    result: str = ""


class OperationRefused(OperationAnswer):
    """The operation was not carried out, and nothing was changed."""

    ce_type: ClassVar[str] = "operation-refused.v1"

    reason: Annotated[str, Field(min_length=1, description="a stable code, such as `not-paused`")]
