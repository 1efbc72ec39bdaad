"""Metrics of the chassis. They are updated once a batch, so that their cost does not grow with the messages.

Names follow Prometheus' conventions. The label `service` is not declared here: `exposition` adds it to every sample.
"""

from collections.abc import Iterable
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

RECORDS_CONSUMED: Final = Counter("truce_records_consumed_total", "Records read from a topic", ["topic", "group"])
RECORDS_SKIPPED: Final = Counter(
    "truce_records_skipped_total", "Records of a kind or version that this service does not read", ["topic"]
)
CONSUMER_LAG: Final = Gauge("truce_consumer_lag_records", "Records of a topic not handled yet", ["topic", "group"])
UNREADABLE_PARTITIONS: Final = Gauge(
    "truce_unreadable_partitions", "Partitions that are paused: their records cannot be decoded", ["topic", "group"]
)
READING_STOPPED: Final = Gauge(
    "truce_reading_stopped", "1 while a group reads nothing until a person repairs the database", ["group"]
)
TOPIC_PAUSED: Final = Gauge(
    "truce_topic_paused", "1 while a topic is paused: too many of its records failed", ["topic"]
)
MESSAGES_REPEATED: Final = Counter("truce_messages_repeated_total", "Messages that the inbox held already: ignored")
STATES_SUPERSEDED: Final = Counter(
    "truce_states_superseded_total", "Messages that hold an older state than the service has: ignored", ["kind"]
)
DEAD_LETTERS: Final = Counter("truce_dead_letters_total", "Messages sent to the dead letters", ["reason"])
TRANSACTION_SECONDS: Final = Histogram(
    "truce_transaction_duration_seconds",
    "Transactions of batches, from the first statement to the commit, retries one by one included",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)
TRANSACTION_MESSAGES: Final = Histogram(
    "truce_transaction_messages", "Messages in one transaction", buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500)
)
EVENTS_PUBLISHED: Final = Counter("truce_events_published_total", "Events that Kafka acknowledged", ["topic"])
OUTBOX_OLDEST_SECONDS: Final = Gauge(
    "truce_outbox_oldest_event_age_seconds", "Age of the oldest event that Kafka has not acknowledged"
)
PARKED_CLIENTS: Final = Gauge(
    "truce_parked_clients", "Clients (keys) whose messages wait behind a dead letter, in the service's database"
)
OPEN_DEAD_LETTERS: Final = Gauge(
    "truce_dead_letters_open", "Dead letters of the service that nobody has replayed or discarded yet"
)
OLDEST_DEAD_LETTER_SECONDS: Final = Gauge(
    "truce_dead_letters_oldest_age_seconds", "Age of the oldest open dead letter of the service"
)
PARKED_WORK_ROWS: Final = Gauge("truce_work_parked_rows", "Work rows that are parked now: a person decides")
UNWRITABLE_PARTITIONS: Final = Gauge(
    "truce_unwritable_partitions", "Partitions that have acknowledged no event for some seconds", ["topic"]
)
REFUSED_EVENTS: Final = Gauge(
    "truce_outbox_refused_events", "Events that Kafka refused for good: a person retries or drops them"
)
WORK_ATTEMPTS: Final = Counter("truce_work_attempts_total", "Calls to foreign systems", ["kind", "outcome"])
WORK_PARKED: Final = Counter("truce_work_parked_total", "Work that was parked: a person decides", ["kind"])


class _WithService(Collector):
    """The samples of all metrics of the process, each with the label `service`."""

    def __init__(self, service: str) -> None:
        self._service = service

    def collect(self) -> Iterable[Metric]:
        for metric in REGISTRY.collect():
            metric.samples = [_labelled(sample, self._service) for sample in metric.samples]
            yield metric


def _labelled(sample: Sample, service: str) -> Sample:
    return sample._replace(labels={"service": service, **sample.labels})


def exposition(service: str) -> bytes:
    """All metrics of this process in Prometheus' text format, every sample labelled with `service`."""
    registry = CollectorRegistry()
    registry.register(_WithService(service))
    return generate_latest(registry)
