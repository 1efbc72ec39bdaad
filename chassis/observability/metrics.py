"""What a service counts. Counted by the batch, so that a message costs nothing here."""

from prometheus_client import Counter, Gauge, Histogram

CONSUMED = Counter("truce_consumed_total", "Records taken from a topic", ["topic"])
SKIPPED = Counter("truce_skipped_total", "Records of a kind or version this service does not know", ["topic"])
REPEATED = Counter("truce_repeated_total", "Messages that were seen before")
DEAD_LETTERS = Counter("truce_dead_letters_total", "Messages sent to the dead letters", ["reason"])
PUBLISHED = Counter("truce_published_total", "Events acknowledged by Kafka")
OUTBOX_OLDEST = Gauge("truce_outbox_oldest_seconds", "Age of the oldest event that has not left")
BATCH_SECONDS = Histogram(
    "truce_batch_seconds",
    "One transaction, from its first statement to its commit",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)
BATCH_MESSAGES = Histogram(
    "truce_batch_messages", "Messages in one transaction", buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500)
)
TASKS = Counter("truce_tasks_total", "Calls to foreign systems, by outcome", ["kind", "outcome"])
LAG = Gauge("truce_lag_messages", "Records on the topics that were not handled yet")
PARKED_WORK = Counter("truce_parked_work_total", "Calls that were given up: a person decides", ["kind"])
