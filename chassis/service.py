"""What the author of a service imports: the wiring table, rules, work, timers, and the database by the batch.

`app.py`, `store/`, `work.py` and `timers.py` of a service import this module and `chassis.decision`. A service's
commands also import `chassis.commands`, its settings `chassis.settings` and `chassis.clock`. Migrations import
`chassis.migrations` and `chassis.tables`; `services.ops` also imports `chassis.envelope` and `chassis.kafka_clients`.
import-linter forbids the other packages of `chassis/`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp

from chassis.backoff import backoff_s
from chassis.batcher import Batcher
from chassis.clock import Clock
from chassis.consumer.records import Decode, Poison, Record, WriteDeadLetter, WriteReplayed
from chassis.database.errors import is_transient
from chassis.database.pool import Connection, Database, Row, execute, rows
from chassis.database.presence import OWNER_LOST
from chassis.database.reading import fetch, fetch_each
from chassis.database.writing import Rows, row_of, write_rows
from chassis.operations.model import Handle, Operations, Outcome, Performed, Refused
from chassis.processor.model import Input, Rule, keys_of
from chassis.settings import ServiceSettings
from chassis.timers import Timer
from chassis.work.model import Answer, Done, Job, Park, Perform, Retry, Work, call_each

__all__ = [
    "OWNER_LOST",
    "Answer",
    "Batcher",
    "Connection",
    "Database",
    "Done",
    "ExternalTopics",
    "Handle",
    "Http",
    "Input",
    "Job",
    "Operations",
    "Outcome",
    "Park",
    "Perform",
    "Performed",
    "Poison",
    "Record",
    "Refused",
    "Retry",
    "Row",
    "Rows",
    "Rule",
    "Runtime",
    "Service",
    "Timer",
    "Work",
    "backoff_s",
    "call_each",
    "execute",
    "fetch",
    "fetch_each",
    "is_transient",
    "keys_of",
    "row_of",
    "rows",
    "write_rows",
]


@dataclass(frozen=True, slots=True)
class ExternalTopics:
    """Topics that outside parties write to, matched by the regular expression `pattern`; only `decode` reads them."""

    pattern: str
    decode: Decode


@dataclass(frozen=True, slots=True)
class Runtime:
    """What a service's HTTP application and background tasks may use of the chassis."""

    database: Database
    decide: Callable[[Input], Awaitable[Any]]
    """Decide one input and return its reply, committed. Raises what the rule raises, and transient errors."""
    clock: Clock
    undelivered_s: Callable[[], float]
    """Age in seconds of the oldest event that has not reached Kafka."""


@dataclass(frozen=True, slots=True)
class Http:
    """A public HTTP application on a port of its own."""

    app: Callable[[Runtime], ASGIApp]
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Service:
    """The wiring table of a service. It consumes the topics of its rules and produces only what `produces` lists."""

    name: str
    settings: ServiceSettings
    rules: Sequence[Rule[Any]]
    produces: Mapping[str, Sequence[type]]
    dead_letter: WriteDeadLetter
    replayed: WriteReplayed
    """Makes the message about what became of the replay of a dead letter."""
    operations: Operations
    """What persons may order on the topic of operations. The answers need not be listed in `produces`."""
    external: Sequence[ExternalTopics] = ()
    work: Sequence[Work] = ()
    timers: Sequence[Timer] = ()
    http: Http | None = None
    background: Mapping[str, Callable[[Runtime], Awaitable[None]]] = field(default_factory=dict)
    """Tasks by name that run for as long as the service does. A task that fails or ends is started again after a
    pause, and health names it."""
    readiness: Mapping[str, Callable[[], str | None]] = field(default_factory=dict)
    """More readiness checks by name. Each returns the reason why the service is not ready, or None."""
    on_stop: Sequence[Callable[[], Awaitable[None]]] = ()
    """Adapters to close at stop, after the last call."""
