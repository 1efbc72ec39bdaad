"""One transaction a batch: seen before, locked, decided, saved, told.

The domain decides one input at a time; here all inputs of a batch share one statement for each step. A batch that
fails is tried again one input at a time, so that one bad input costs only itself.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

import orjson
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from chassis import metrics
from chassis.clock import Clock
from chassis.database import execute, is_conflict, is_transient, rows
from chassis.decision import Cause, Decision, Event, Message, Task, derived_id
from chassis.envelope import Outgoing, encode
from chassis.presence import Presence
from chassis.publisher import Handover, Publisher

log = structlog.get_logger(__name__)

S = TypeVar("S")
MAX_EVENT_BYTES = 256 * 1024
CONFLICT_TRIES = 3

_INBOX = """
    INSERT INTO inbox (id) SELECT DISTINCT i FROM unnest($1::uuid[]) AS i ORDER BY i
    ON CONFLICT DO NOTHING RETURNING id
"""
_UNSEE = "DELETE FROM inbox WHERE id = ANY($1::uuid[])"
_OPEN_STREAMS = """
    INSERT INTO streams (key) SELECT k FROM unnest($1::text[]) AS k ORDER BY k ON CONFLICT DO NOTHING
"""
_LOCK_STREAMS = """
    SELECT key, sequence, parked_at FROM streams WHERE key = ANY($1::text[]) ORDER BY key FOR UPDATE
"""
_ADVANCE_STREAMS = """
    UPDATE streams s SET sequence = u.sequence FROM unnest($1::text[], $2::bigint[]) AS u (key, sequence)
    WHERE s.key = u.key
"""
_PARK_STREAM = "UPDATE streams SET parked_at = now() WHERE key = $1 AND parked_at IS NULL"
_FINISH_WORK = """
    UPDATE work SET state = 'done', owner = NULL, in_doubt = false, finished_at = now()
    WHERE id = ANY($1::bigint[]) AND owner = $2 AND state = 'waiting' RETURNING id
"""
_ADD_WORK = """
    INSERT INTO work (kind, ref, key, payload, cause, due_at)
    SELECT kind, ref, key, payload::jsonb, cause::jsonb, now() + make_interval(secs => delay)
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::float8[])
         WITH ORDINALITY AS t (kind, ref, key, payload, cause, delay, n)
    ORDER BY n ON CONFLICT (kind, ref) DO NOTHING
"""


class Store(Protocol[S]):
    """A service's own rows behind one kind of key. Called under the keys' locks, inside the transaction."""

    async def load(self, tx: AsyncConnection, inputs: Sequence["Input"]) -> dict[str, S]:
        """The state of every key among `inputs`; a key without rows has its empty state."""
        ...

    async def save(self, tx: AsyncConnection, changes: Mapping[str, tuple[S, S]]) -> None:
        """Write what differs: key → (before, after)."""
        ...


Decide = Callable[[S, Any, Cause, datetime], Decision[S]]


@dataclass(frozen=True, slots=True)
class Rule(Generic[S]):
    """How one kind of body is decided, on the states of which store. `topic`: where it comes from, if from Kafka."""

    body: type
    store: Store[S]
    decide: Decide[S]
    topic: str | None = None


@dataclass(frozen=True, slots=True)
class Input:
    """One thing to decide about one key.

    `seen` is its inbox id; `work` the claimed work row it is the outcome of; `dead` makes the dead letter of it,
    given a reason, and is there for what came from a topic. `step` tells apart what follows from one cause at
    different times, so that the events have ids of their own.
    """

    key: str
    body: Any
    cause: Cause
    seen: UUID | None = None
    work: int | None = None
    dead: Callable[[str], Message] | None = None
    step: str = ""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The body of a record that cannot be read: it goes to the dead letters, beside its neighbours' decisions."""

    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an input: a `reply` (none for one seen before), or an `error` that would come again each time."""

    reply: Any = None
    error: Exception | None = None


class Processor:
    """Decides inputs by `rules` and makes it durable. Raises only what passes by itself (`is_transient`)."""

    def __init__(
        self,
        engine: AsyncEngine,
        publisher: Publisher,
        presence: Presence,
        clock: Clock,
        *,
        source: str,
        rules: Sequence[Rule[Any]],
        produces: Mapping[str, Sequence[type]],
    ) -> None:
        self._engine = engine
        self._publisher = publisher
        self._presence = presence
        self._clock = clock
        self._source = source
        self._rules = {rule.body: rule for rule in rules}
        self._produced = {kind for kinds in produces.values() for kind in kinds}
        self._on_work: dict[str, Callable[[], None]] = {}

    def on_work(self, kind: str, wake: Callable[[], None]) -> None:
        """Call `wake` when work of `kind` was added in this process, so that nobody waits for a poll."""
        self._on_work[kind] = wake

    async def process(self, inputs: Sequence[Input]) -> list[Outcome]:
        """Decide a batch, in its order. Outcomes stand in the order of `inputs`."""
        started = time.monotonic()
        try:
            outcomes = await self._transaction(inputs)
        except Exception as error:
            if is_transient(error):
                raise
            log.info("batch failed, one by one", size=len(inputs), error=type(error).__name__)
            outcomes = [await self._single(item) for item in inputs]
        metrics.BATCH_SECONDS.observe(time.monotonic() - started)
        metrics.BATCH_MESSAGES.observe(len(inputs))
        return outcomes

    async def _single(self, item: Input) -> Outcome:
        for attempt in range(1, CONFLICT_TRIES + 1):
            try:
                return (await self._transaction([item]))[0]
            except Exception as error:
                if is_transient(error):
                    raise
                # Another transaction was first with a unique value: seen, it is decided otherwise.
                if is_conflict(error) and attempt < CONFLICT_TRIES:
                    continue
                log.error("cannot be handled", kind=type(item.body).__name__, cause=item.cause.id, exc_info=error)
                if item.dead is not None:
                    await self._bury(item)
                return Outcome(error=error)
        raise AssertionError("unreachable")

    async def _bury(self, item: Input) -> None:
        """To the dead letters, and its key is parked; where the key itself is what fails, without parking it."""
        try:
            await self._transaction([item], bury=True)
        except Exception as error:
            if is_transient(error):
                raise
            identity = str(derived_id(item.cause.id, "dead-letter"))
            cause = Cause(identity, identity)
            await self._transaction([Input(identity, Unreadable("failed"), cause, dead=item.dead)])

    async def _transaction(self, inputs: Sequence[Input], *, bury: bool = False) -> list[Outcome]:
        async with self._engine.connect() as tx:
            await tx.begin()
            outcomes, handover, ledger = await self._decide(tx, inputs, bury)
            try:
                await tx.commit()
            except BaseException:
                # Committed or not, nobody knows: what was handed over goes by the table's road, if it is there.
                if handover is not None:
                    handover.discard()
                self._presence.give_up()
                raise
        if handover is not None:
            handover.release()
        if ledger.events:
            log.info("told", events=[event.summary() for event in ledger.events])
        for kind in {task.kind for _, task in ledger.tasks} & self._on_work.keys():
            self._on_work[kind]()
        return outcomes

    async def _decide(
        self, tx: AsyncConnection, inputs: Sequence[Input], bury: bool
    ) -> tuple[list[Outcome], Handover | None, "_Ledger"]:
        fresh = await self._admit(tx, inputs)
        outcomes: list[Outcome] = [Outcome()] * len(inputs)
        ledger = _Ledger(self._source, self._clock.now(), self._produced)
        streams = await self._lock(
            tx, sorted({inputs[n].key for n in fresh if not isinstance(inputs[n].body, Unreadable)})
        )
        ledger.sequences = {key: stream.sequence for key, stream in streams.items()}

        by_store: dict[int, list[int]] = {}
        unhandled: list[UUID] = []
        for n in fresh:
            item = inputs[n]
            if isinstance(item.body, Unreadable):
                ledger.bury(item, item.body.reason)
            elif item.dead is not None and (bury or streams[item.key].parked_at is not None):
                # Nothing of a key overtakes what failed before it. Not handled is not seen: a replay must pass.
                ledger.bury(item, "failed" if bury else "behind-parked")
                unhandled.extend([item.seen] if item.seen is not None else [])
            else:
                by_store.setdefault(id(self._rules[type(item.body)].store), []).append(n)
        if bury:
            await execute(tx, _PARK_STREAM, inputs[0].key)
        if unhandled:
            await execute(tx, _UNSEE, unhandled)

        for numbers in by_store.values():
            store = self._rules[type(inputs[numbers[0]].body)].store
            before = await store.load(tx, [inputs[n] for n in numbers])
            after = dict(before)
            for n in numbers:
                item = inputs[n]
                decision = self._rules[type(item.body)].decide(after[item.key], item.body, item.cause, ledger.now)
                after[item.key] = decision.state
                ledger.tell(item, decision.events)
                ledger.ask(item, decision.tasks)
                outcomes[n] = Outcome(reply=decision.reply)
            changes = {key: (before[key], after[key]) for key in after if after[key] is not before[key]}
            if changes:
                await store.save(tx, changes)

        await ledger.write_tasks(tx)
        await ledger.write_sequences(tx)
        handover = await self._publisher.store(tx, ledger.events) if ledger.events else None
        return outcomes, handover, ledger

    async def _admit(self, tx: AsyncConnection, inputs: Sequence[Input]) -> list[int]:
        """Numbers of the inputs that were not handled before."""
        seen = [item.seen for item in inputs if item.seen is not None]
        new = {row.id for row in await rows(tx, _INBOX, seen)} if seen else set()
        claimed = [item.work for item in inputs if item.work is not None]
        owned = {row.id for row in await rows(tx, _FINISH_WORK, claimed, self._presence.id)} if claimed else set()
        fresh = []
        for n, item in enumerate(inputs):
            if item.seen is not None and item.seen not in new:
                metrics.REPEATED.inc()
                continue
            if item.work is not None and item.work not in owned:
                continue
            if item.seen is not None:
                new.discard(item.seen)  # the same message twice in one batch
            fresh.append(n)
        return fresh

    async def _lock(self, tx: AsyncConnection, keys: list[str]) -> dict[str, Any]:
        if not keys:
            return {}
        await execute(tx, _OPEN_STREAMS, keys)
        return {row.key: row for row in await rows(tx, _LOCK_STREAMS, keys)}


class _Ledger:
    """What one transaction tells and asks for, collected to be written at once."""

    def __init__(self, source: str, now: datetime, produced: set[type]) -> None:
        self.now = now
        self.sequences: dict[str, int] = {}
        self.events: list[Outgoing] = []
        self.tasks: list[tuple[Input, Task]] = []
        self._source = source
        self._produced = produced
        self._touched: set[str] = set()
        self._counters: Counter[tuple[str, str]] = Counter()

    def tell(self, item: Input, events: Sequence[Event]) -> None:
        for event in events:
            if type(event.message) not in self._produced:
                raise TypeError(f"{type(event.message).__name__} is not among what this service produces")
            outgoing = self._encode(event.message, event.cause or item.cause, "" if event.cause else item.step)
            if (size := outgoing.size()) > MAX_EVENT_BYTES:
                raise ValueError(f"{event.message.ce_type} of {size} bytes is over the limit")
            self.events.append(outgoing)

    def bury(self, item: Input, reason: str) -> None:
        assert item.dead is not None
        self.events.append(self._encode(item.dead(reason), item.cause, item.step))
        metrics.DEAD_LETTERS.labels(reason).inc()

    def _encode(self, message: Message, cause: Cause, step: str) -> Outgoing:
        kind = f"{step}{message.ce_type}"
        counter = self._counters[cause.id, kind]
        self._counters[cause.id, kind] += 1
        sequence = self.sequences.get(message.key)
        if sequence is not None:
            sequence = self.sequences[message.key] = sequence + 1
            self._touched.add(message.key)
        return encode(
            message,
            event_id=derived_id(cause.id, kind, counter),
            source=self._source,
            at=self.now,
            cause=cause,
            sequence=sequence,
        )

    def ask(self, item: Input, tasks: Sequence[Task]) -> None:
        self.tasks.extend((item, task) for task in tasks)

    async def write_tasks(self, tx: AsyncConnection) -> None:
        if self.tasks:
            causes = [task.cause or item.cause for item, task in self.tasks]
            await execute(
                tx,
                _ADD_WORK,
                [task.kind for _, task in self.tasks],
                [task.ref for _, task in self.tasks],
                [item.key for item, _ in self.tasks],
                [orjson.dumps(dict(task.payload)).decode() for _, task in self.tasks],
                [orjson.dumps(cause).decode() for cause in causes],
                [task.delay.total_seconds() for _, task in self.tasks],
            )

    async def write_sequences(self, tx: AsyncConnection) -> None:
        if self._touched:
            keys = sorted(self._touched)
            await execute(tx, _ADVANCE_STREAMS, keys, [self.sequences[key] for key in keys])


class Batcher:
    """Single inputs (of HTTP requests, say) share transactions: while one runs, the next gathers."""

    def __init__(self, processor: Processor, *, limit: int = 500) -> None:
        self._processor = processor
        self._limit = limit
        self._waiting: list[tuple[Input, asyncio.Future[Outcome]]] = []
        self._wake = asyncio.Event()

    async def submit(self, item: Input) -> Any:
        """The reply of the decision, durable. Raises what made it fail, transient errors included."""
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        self._wake.set()
        outcome = await future
        if outcome.error is not None:
            raise outcome.error
        return outcome.reply

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            batch, self._waiting = self._waiting[: self._limit], self._waiting[self._limit :]
            if not self._waiting:
                self._wake.clear()
            if not batch:
                continue
            try:
                outcomes = await self._processor.process([item for item, _ in batch])
            except Exception as error:
                outcomes = [Outcome(error=error)] * len(batch)
            for (_, future), outcome in zip(batch, outcomes, strict=True):
                if not future.done():
                    future.set_result(outcome)
