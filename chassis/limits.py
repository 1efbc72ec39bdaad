"""Limits of the chassis that depend on one another. Importing this module asserts the relations between them.

Names end in the unit: `_S` seconds, `_MS` milliseconds, `_BYTES` bytes. An operator changes none of them; what an
operator changes is in `chassis.settings`.
"""

from typing import Final

# --- database

CONNECT_TIMEOUT_S: Final = 5
STATEMENT_TIMEOUT_S: Final = 30
IDLE_IN_TRANSACTION_S: Final = 15
"""PostgreSQL ends a session that is idle inside a transaction for this long, and so frees the rows it has locked."""

# --- presence: the identity of a process

HEARTBEAT_EVERY_S: Final = 2.0
IDENTITY_CERTAIN_FOR_S: Final = 10.0
"""For this long after the last heartbeat the process may rely on its identity."""
FREE_DEAD_EVERY_S: Final = 2.0
SESSION_ENDS_AFTER_S: Final = 15
"""PostgreSQL ends the session of a process that stopped its heartbeat, and others take over what the process owned."""

# --- outbox

MAX_EVENT_BYTES: Final = 256 * 1024
MAX_BATCH_BYTES: Final = 256 * 1024
"""The producer's batches. No topic may have a lower limit (`max.message.bytes`): `deploy.topics` asserts it. A single
record may be larger: a batch always takes its first record."""
EVENT_FRAMING_BYTES: Final = 16 * 1024
"""At most so many bytes of a batch that holds one event are neither value nor headers: the key and Kafka's framing."""
FLUSH_EVENTS: Final = 1000
QUEUE_EVENTS: Final = 20_000
"""Above this many queued events a transaction leaves its events to the deferred path."""
CLAIM_EVENTS: Final = 500
CLAIM_EVENTS_EVERY_S: Final = 1.0
DELETE_PUBLISHED_EVERY_S: Final = 0.5
MEASURE_OUTBOX_EVERY_S: Final = 1.0
ROUND_PATIENCE_S: Final = 2.0
"""A batch that is on its way for longer does not hold up the batches of other partitions any more."""
UNWRITABLE_AFTER_S: Final = 5.0
"""A partition that has acknowledged nothing for this long is reported."""
PRODUCERS_AT_ONCE: Final = 4
START_PRODUCER_S: Final = 30.0
END_PRODUCER_S: Final = 60.0
PROBE_KAFKA_EVERY_S: Final = 5.0
SILENT_KAFKA_S: Final = 10.0
"""A service is not ready when no broker has responded to it for this long."""
UNREACHABLE_S: Final = 60.0
"""A process that has reached no broker for this long lets go of its events: another process may reach one."""
ACKNOWLEDGEMENT_TIMEOUT_S: Final = 300.0
"""A batch on its way for this long is sent again by a new producer. Until then the idempotent producer repeats it, and
Kafka drops the repeats; a new producer's copy would be a second record."""
UNDELIVERED_ALARM_S: Final = 60.0
"""A service is not ready while its oldest unpublished event is older than this."""

# --- consumer

BATCH_RECORDS: Final = 500
BUSY_RECORDS: Final = 60
"""A poll that returns at least this many records means that the consumer is busy."""
POLL_MS: Final = 500
CALM_PACE_S: Final = 0.015
BUSY_PACE_S: Final = 0.25
COMMIT_OFFSETS_EVERY_S: Final = 0.25
MEASURE_LAG_EVERY_S: Final = 5.0
SUSPECT_POLL_MS: Final = 1000
"""After a failed poll a partition that has nothing to read for this long is not read by itself any more."""
RETRY_UNREADABLE_S: Final = 60.0
"""A partition that cannot be read is tried again so often."""
REQUEST_TIMEOUT_S: Final = 20
SLOW_BATCH_S: Final = 10.0
"""A service is not ready while a batch takes longer than this."""
SILENT_CLIENT_S: Final = 20.0
"""Records are waiting and none was handled for this long: the Kafka client is replaced."""
STUCK_CONSUMER_S: Final = 60.0
"""No waiting record was handled for this long, although the client was replaced: the service is not alive."""
POISON_WINDOW_RECORDS: Final = 1000
POISON_TOLERATED_RECORDS: Final = 50
LOOK_AT_STOPS_EVERY_S: Final = 1.0
"""A topic that another process has paused or resumed is paused or resumed here after at most this long."""
LOOK_AT_OPERATIONS_EVERY_S: Final = 0.5
READ_RECORD_MS: Final = 5000
"""A record that a person wants to skip is read within this time."""
TOPIC_DISCOVERY_MS: Final = 20_000
"""A new topic that matches a subscription's pattern is read after at most this long."""

# --- work

CLAIM_WORK_EVERY_S: Final = 1.0
CLAIMED_AHEAD: Final = 500
CLAIMED_AT_LEAST: Final = 50
"""So many due rows are claimed at each look, however much new work is in hand."""
SETTLED_TOGETHER: Final = 500
GATHER_ANSWERS_S: Final = 0.003
PARK_UNKNOWN_EVERY_S: Final = 5.0
UNKNOWN_KIND_AFTER_S: Final = 10.0
"""Work of a kind that this version does not know is parked when it has been due for this long."""

# --- timers

TIMER_EVERY_S: Final = 0.5
TIMER_BATCH: Final = 500
TIMER_BATCHES_AT_ONCE: Final = 8
TIMER_INPUT_RETRY_S: Final = (1.0, 300.0)
"""The first and the longest pause before an input that its rule could not decide is decided again."""

# --- side tasks

SIDE_TASK_RETRY_S: Final = (1.0, 60.0)
"""The first and the longest pause before a failed task is started again."""
SIDE_TASK_HEALTHY_S: Final = 15.0
"""A task that has run for this long after a failure is healthy again."""
MEASURE_WAITING_EVERY_S: Final = 5.0

# --- requests over HTTP

REQUEST_TRANSACTIONS_AT_ONCE: Final = 2
REQUEST_PACE_S: Final = 0.02

# --- start and stop

STOP_GRACE_S: Final = 20.0
DRAIN_S: Final = STOP_GRACE_S / 2
HTTP_GRACE_S: Final = 10
STOP_AT_MOST_S: Final = 90.0
"""A process that has not stopped after this time ends itself: a killed process loses nothing, a hanging one
blocks others."""

assert HEARTBEAT_EVERY_S < IDENTITY_CERTAIN_FOR_S < SESSION_ENDS_AFTER_S, "an identity ends before others take over"
assert CONNECT_TIMEOUT_S < SESSION_ENDS_AFTER_S, "a heartbeat fails before its session ends"
assert IDLE_IN_TRANSACTION_S <= SESSION_ENDS_AFTER_S, "a frozen process loses its row locks before its identity"
assert MAX_EVENT_BYTES <= MAX_BATCH_BYTES
assert ROUND_PATIENCE_S < UNWRITABLE_AFTER_S < UNREACHABLE_S < ACKNOWLEDGEMENT_TIMEOUT_S
assert PROBE_KAFKA_EVERY_S < SILENT_KAFKA_S < UNREACHABLE_S, "a process probes before it reports or lets go"
assert CLAIM_EVENTS <= FLUSH_EVENTS < QUEUE_EVENTS
assert BUSY_RECORDS < BATCH_RECORDS
assert SLOW_BATCH_S < SILENT_CLIENT_S < STUCK_CONSUMER_S, "a client is replaced before the service is restarted"
assert POLL_MS <= SUSPECT_POLL_MS
assert CLAIM_WORK_EVERY_S < UNKNOWN_KIND_AFTER_S, "a newer process claims its own kinds of work first"
assert HTTP_GRACE_S < STOP_GRACE_S
assert STOP_GRACE_S + DRAIN_S < STOP_AT_MOST_S
