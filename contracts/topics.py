"""The topics and their settings. Producers and consumers never create topics: `deploy.topics` does."""

from dataclasses import dataclass, field
from typing import Final

PARTNERS: Final = "partners"
LEADS: Final = "leads"
VERDICTS: Final = "verdicts"
RESERVATIONS: Final = "reservations"
MESSAGES: Final = "messages"
DEAD_LETTERS: Final = "dead-letters"
PORTAL_REQUESTS: Final = "portal-requests"
OPERATIONS: Final = "operations"
OPERATION_RESULTS: Final = "operation-results"

PARTITIONS: Final = 12
MAX_MESSAGE_BYTES: Final = 256 * 1024
MAX_DEAD_LETTER_BYTES: Final = 2 * 1024 * 1024

_DAY_MS = 24 * 60 * 60 * 1000
_FRAMING = 16 * 1024  # the bytes of a record batch beside the value: framing, key, headers


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """One topic. `config` holds topic settings by their Kafka names."""

    name: str
    partitions: int = PARTITIONS
    config: dict[str, str] = field(default_factory=dict)


def _events(name: str) -> TopicSpec:
    return TopicSpec(
        name,
        config={
            "cleanup.policy": "delete",
            "retention.ms": str(30 * _DAY_MS),
            "max.message.bytes": str(MAX_MESSAGE_BYTES + _FRAMING),
        },
    )


def portal_requests(portal: str) -> TopicSpec:
    """The topic of the requests of `portal`, which is its only producer."""
    # More than our own messages may have: a request that is too large for us is refused, or becomes a dead letter.
    return TopicSpec(
        f"{PORTAL_REQUESTS}.{portal}",
        config={
            "cleanup.policy": "delete",
            "retention.ms": str(30 * _DAY_MS),
            "max.message.bytes": str(MAX_DEAD_LETTER_BYTES // 2),
        },
    )


def _operators(name: str) -> TopicSpec:
    # One partition: operations are few, and take effect in the order in which they were ordered.
    return TopicSpec(
        name,
        partitions=1,
        config={
            "cleanup.policy": "delete",
            "retention.ms": str(90 * _DAY_MS),
            "max.message.bytes": str(MAX_MESSAGE_BYTES + _FRAMING),
        },
    )


TOPICS: Final[tuple[TopicSpec, ...]] = (
    TopicSpec(
        PARTNERS,
        config={"cleanup.policy": "compact", "max.message.bytes": str(MAX_MESSAGE_BYTES + _FRAMING)},
    ),
    _events(LEADS),
    _events(VERDICTS),
    _events(RESERVATIONS),
    _events(MESSAGES),
    _operators(OPERATIONS),
    _operators(OPERATION_RESULTS),
    TopicSpec(
        DEAD_LETTERS,
        partitions=3,
        config={
            "cleanup.policy": "delete",
            "retention.ms": str(90 * _DAY_MS),
            "max.message.bytes": str(MAX_DEAD_LETTER_BYTES + _FRAMING),
        },
    ),
)
