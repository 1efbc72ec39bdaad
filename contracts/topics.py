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

FRAMING_BYTES: Final = 16 * 1024
"""Room for what surrounds a value on a topic: the framing of its batch, its key, its headers."""
MAX_MESSAGE_BYTES: Final = 256 * 1024
MAX_DEAD_LETTER_BYTES: Final = 2 * 1024 * 1024
MAX_PORTAL_BATCH_BYTES: Final = 1024 * 1024
"""A portal's topic takes no larger batch; Kafka measures it unpacked."""
MAX_WHOLE_RECORD_BYTES: Final = MAX_PORTAL_BATCH_BYTES - FRAMING_BYTES
"""A dead letter keeps no larger record whole. Sizes of records are those of `contracts.dead_letters.record_bytes`."""
MAX_REQUEST_RECORD_BYTES: Final = MAX_WHOLE_RECORD_BYTES - FRAMING_BYTES
"""Intake takes no larger record of a portal. What is left is for the headers of replays."""

# A record grows by a third as base64 in the JSON of its letter, and by a third again when the JSON is encrypted.
assert MAX_WHOLE_RECORD_BYTES * 16 // 9 + FRAMING_BYTES <= MAX_DEAD_LETTER_BYTES, "a whole record fits into its letter"
assert MAX_WHOLE_RECORD_BYTES + FRAMING_BYTES <= MAX_PORTAL_BATCH_BYTES, "a whole record can be replayed"
assert MAX_REQUEST_RECORD_BYTES + FRAMING_BYTES <= MAX_WHOLE_RECORD_BYTES, "a parked request is kept whole"
assert MAX_MESSAGE_BYTES + FRAMING_BYTES <= MAX_WHOLE_RECORD_BYTES, "a message of a service is kept whole"

_DAY_MS = 24 * 60 * 60 * 1000


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
            "max.message.bytes": str(MAX_MESSAGE_BYTES + FRAMING_BYTES),
        },
    )


def portal_requests(portal: str) -> TopicSpec:
    """The topic of the requests of `portal`, which is its only producer."""
    # More than our own messages may have: a request that is too large for us becomes a dead letter. Kafka unpacks what
    # a portal compressed, so that it measures the records themselves: a small batch can hold gigabytes.
    return TopicSpec(
        f"{PORTAL_REQUESTS}.{portal}",
        config={
            "cleanup.policy": "delete",
            "retention.ms": str(30 * _DAY_MS),
            "max.message.bytes": str(MAX_PORTAL_BATCH_BYTES),
            "compression.type": "uncompressed",
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
            "max.message.bytes": str(MAX_MESSAGE_BYTES + FRAMING_BYTES),
        },
    )


# Records with a key `replay/…` or `discard/…` are for the one service that their header `replay` names (see
# `contracts.dead_letters`). On the compacted topic they stand beside the states, never in their place.
TOPICS: Final[tuple[TopicSpec, ...]] = (
    TopicSpec(
        PARTNERS,
        config={"cleanup.policy": "compact", "max.message.bytes": str(MAX_MESSAGE_BYTES + FRAMING_BYTES)},
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
            "max.message.bytes": str(MAX_DEAD_LETTER_BYTES + FRAMING_BYTES),
        },
    ),
)
