"""One transaction a batch: seen before, locked, decided, saved, told.

The domain decides one input at a time; here all inputs of a batch share one statement for each step. A batch that
fails is tried again one input at a time, so that one bad input costs only itself.
"""

import random
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, NamedTuple, Protocol, TypeVar
from uuid import UUID

import structlog

from chassis import crash_points
from chassis.clock import Clock
from chassis.database.presence import Presence
from chassis.database.sql import (
    Connection,
    Database,
    Rows,
    Statement,
    as_json,
    execute,
    insert,
    is_conflict,
    is_transient,
    rows,
    together,
)
from chassis.decision import Cause, Decision, Event, Message, Task, derived_id
from chassis.envelope import Outgoing, encode
from chassis.observability import metrics
from chassis.outbox.publisher import Dispatch, Publisher

log = structlog.get_logger(__name__)

S = TypeVar("S")
MAX_EVENT_BYTES = 256 * 1024
CONFLICT_TRIES = 3

# Keys that are there are locked before missing ones are made, and each time in the same order. A row that somebody else
# has just made is neither: it is locked when asked for once more.
_ADMIT = """
    WITH locked AS (
        SELECT key, sequence, parked_at FROM streams WHERE key = ANY($1::text[]) ORDER BY key FOR UPDATE
    ), opened AS (
        INSERT INTO streams (key) SELECT k FROM unnest($1::text[]) AS k WHERE k NOT IN (SELECT key FROM locked)
        ORDER BY k ON CONFLICT DO NOTHING RETURNING key, sequence, parked_at
    ), seen AS (
        INSERT INTO inbox (id) SELECT DISTINCT i FROM unnest($2::uuid[]) AS i ORDER BY i
        ON CONFLICT DO NOTHING RETURNING id
    ), finished AS (
        UPDATE work SET state = 'done', owner = NULL, in_doubt = false, finished_at = now()
        WHERE id = ANY($3::bigint[]) AND (owner = $4) IS TRUE  -- found by id: many rows have one owner
        RETURNING id
    )
    SELECT key, sequence, parked_at, NULL::uuid AS seen, NULL::bigint AS work FROM locked
    UNION ALL SELECT key, sequence, parked_at, NULL, NULL FROM opened
    UNION ALL SELECT NULL, NULL, NULL, id, NULL FROM seen
    UNION ALL SELECT NULL, NULL, NULL, NULL, id FROM finished
"""
_UNSEE = "DELETE FROM inbox WHERE id = ANY($1::uuid[])"
_PARK_STREAMS = "UPDATE streams SET parked_at = now() WHERE key = ANY($1::text[]) AND parked_at IS NULL"
_PARKED = "SELECT key, token, record FROM parked WHERE key = ANY($1::text[]) ORDER BY id"
_PARK = """
    INSERT INTO parked (key, token, record) SELECT key, token, record
    FROM unnest($1::text[], $2::uuid[], $3::uuid[]) WITH ORDINALITY AS t (key, token, record, n) ORDER BY n
"""
_PARK_AGAIN = "UPDATE parked SET token = $2, record = $3 WHERE token = $1"
_LOCK_PARKED = """
    SELECT 1 FROM streams WHERE key IN (SELECT key FROM parked WHERE token = ANY($1::uuid[])) ORDER BY key FOR UPDATE
"""
_RELEASE = """
    WITH gone AS (DELETE FROM parked WHERE token = ANY($1::uuid[]) RETURNING key)
    UPDATE streams s SET parked_at = NULL FROM (SELECT DISTINCT key FROM gone) g
    WHERE s.key = g.key AND NOT EXISTS (SELECT 1 FROM parked p WHERE p.key = s.key AND p.token <> ALL($1::uuid[]))
"""
_ADD_WORK = """
    INSERT INTO work (kind, ref, key, payload, cause, due_at, owner, attempts, in_doubt)
    SELECT kind, ref, key, payload, cause, now() + make_interval(secs => delay),
           owner, CASE WHEN owner IS NULL THEN 0 ELSE 1 END, owner IS NOT NULL
    FROM (
        SELECT t.*, CASE WHEN mine
                         AND (SELECT 1 FROM work e WHERE e.key = t.key AND e.state = 'waiting' LIMIT 1) IS NULL
                         THEN $2::integer END AS owner
        FROM ROWS FROM (json_to_recordset($1::json)
                        AS (kind text, ref text, key text, payload jsonb, cause jsonb, delay float8, mine boolean))
             WITH ORDINALITY AS t (kind, ref, key, payload, cause, delay, mine, n)
        OFFSET 0  -- decided once a row, not at each mention
    ) AS t
    ORDER BY n ON CONFLICT (kind, ref) DO NOTHING RETURNING id, kind, ref, owner
"""


class Store(Protocol[S]):
    """A service's own rows behind one kind of key, read and written under the keys' locks, in one transaction."""

    async def load(self, tx: Connection, inputs: Sequence["Input"]) -> dict[str, S]:
        """The state of every key among `inputs`; a key without rows has its empty state."""
        ...

    def save(self, changes: Mapping[str, tuple[S, S]]) -> Sequence[Rows]:
        """The rows to write: key → (before, after)."""
        ...


@dataclass(frozen=True, slots=True)
class ClaimedTask:
    """A work row just written, and claimed for `owner`, or nobody's yet."""

    kind: str
    ref: str
    key: str
    payload: Mapping[str, Any]
    cause: Cause
    id: int = 0
    owner: int | None = None


class Claimer(Protocol):
    """Who performs one kind of work in this process."""

    def has_capacity(self) -> bool:
        """Whether it takes more right now."""
        ...

    def accept(self, asked: Sequence[ClaimedTask]) -> None:
        """These are committed: its own, and some that are nobody's."""
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

    `seen` is its inbox id; `work` the claimed work row it is the outcome of. `step` tells apart what follows from one
    cause at different times, so that the events have ids of their own. What came from a topic has the identity of
    its `record`, and `dead`, which makes the dead letter of it, given a reason and its place in the parked key's
    queue; `token` says that it is the replay of what was parked at that place.
    """

    key: str
    body: Any
    cause: Cause
    inbox_id: UUID | None = None
    work_id: int | None = None
    dead_letter: Callable[[str, UUID | None], Message] | None = None
    step: str = ""
    parked_place: UUID | None = None
    record_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The body of a record that cannot be read: it goes to the dead letters, beside its neighbours' decisions."""

    reason: str


class Outcome(NamedTuple):
    """What became of an input: a `reply` (none for one seen before), or an `error` that would come again each time."""

    reply: Any = None
    error: Exception | None = None


class Halt(Exception):
    """Raised by `Input.dead`: nothing more is to be buried, the batch stays where it is."""


class Processor:
    """Decides inputs by `rules` and makes it durable. Raises what passes by itself (`is_transient`), and Halt."""

    def __init__(
        self,
        database: Database,
        publisher: Publisher,
        presence: Presence,
        clock: Clock,
        *,
        source: str,
        rules: Sequence[Rule[Any]],
        produces: Mapping[str, Sequence[type]],
    ) -> None:
        self._database = database
        self._publisher = publisher
        self._presence = presence
        self._clock = clock
        self._source = source
        self._rules = {rule.body: rule for rule in rules}
        self._produced = {kind for kinds in produces.values() for kind in kinds}
        self._claimers: dict[str, Claimer] = {}

    def register_claimer(self, kind: str, claimer: Claimer) -> None:
        """Work of `kind` is claimed for `claimer` as it is asked for, and handed over after the commit."""
        self._claimers[kind] = claimer

    async def process(self, inputs: Sequence[Input], *, deferred: bool = False) -> list[Outcome]:
        """Decide a batch, in its order. Outcomes stand in the order of `inputs`.

        `deferred`: what is told leaves by the table's road, behind whatever somebody waits for.
        """
        started = time.monotonic()
        try:
            outcomes = await self._transaction(inputs, deferred=deferred)
        except Exception as error:
            if is_transient(error) or isinstance(error, Halt):
                raise
            log.info("batch failed, one by one", size=len(inputs), error=type(error).__name__)
            outcomes = []
            for item in inputs:
                outcomes.append(await self._single(item))
                crash_points.passing(crash_points.SINGLE)
        metrics.BATCH_SECONDS.observe(time.monotonic() - started)
        metrics.BATCH_MESSAGES.observe(len(inputs))
        return outcomes

    async def discard(self, tokens: Sequence[UUID]) -> None:
        """What was parked under these is not coming back: what waits behind it may go on."""
        async with self._database.transaction() as tx:
            # Locked by a statement of its own: what another transaction parks meanwhile is seen by the next one only.
            await execute(tx, _LOCK_PARKED, tokens)
            await execute(tx, _RELEASE, tokens)

    async def _single(self, item: Input) -> Outcome:
        for attempt in range(1, CONFLICT_TRIES + 1):
            try:
                return (await self._transaction([item]))[0]
            except Exception as error:
                if is_transient(error) or isinstance(error, Halt):
                    raise
                # Another transaction was first with a unique value: seen, it is decided otherwise.
                if is_conflict(error) and attempt < CONFLICT_TRIES:
                    continue
                log.error("cannot be handled", kind=type(item.body).__name__, cause=item.cause.id, exc_info=error)
                if item.dead_letter is not None:
                    await self._bury(item)
                return Outcome(error=error)
        raise AssertionError("unreachable")

    async def _bury(self, item: Input) -> None:
        """To the dead letters, and its key is parked; where the key itself is what fails, without parking it."""
        try:
            await self._transaction([item], bury=True)
        except Exception as error:
            if is_transient(error) or isinstance(error, Halt):
                raise
            identity = str(derived_id(item.cause.id, "dead-letter"))
            cause = Cause(identity, identity)
            await self._transaction([Input(identity, Unreadable("failed"), cause, dead_letter=item.dead_letter)])

    async def _transaction(
        self, inputs: Sequence[Input], *, bury: bool = False, deferred: bool = False
    ) -> list[Outcome]:
        decided = False
        dispatch: Dispatch | None = None
        try:
            async with self._database.transaction() as tx:
                outcomes, dispatch, ledger = await self._decide(tx, inputs, bury, deferred)
                decided = True
        except BaseException:
            if decided:
                # Committed or not, nobody knows: what was handed over goes by the table's road, if it is there.
                if dispatch is not None:
                    dispatch.discard()
                self._presence.give_up()
            raise
        if dispatch is not None:
            dispatch.release()
        if ledger.events:
            log.info("told", events=[event.summary for event in ledger.events])
        for kind, asked in ledger.claimed.items():
            self._claimers[kind].accept(asked)
        return outcomes

    async def _decide(
        self, tx: Connection, inputs: Sequence[Input], bury: bool, deferred: bool
    ) -> tuple[list[Outcome], Dispatch | None, "_Ledger"]:
        fresh, streams = await self._admit(tx, inputs)
        outcomes: list[Outcome] = [Outcome()] * len(inputs)
        ledger = _Ledger(self._source, self._clock.now(), self._produced)
        ledger.sequences = {key: sequence for key, (sequence, _) in streams.items()}

        parking = await self._parking(tx, [key for key, (_, parked_at) in streams.items() if parked_at is not None])
        handled = set(range(len(inputs))).difference(fresh)
        parking.released = [token for n in handled if (token := inputs[n].parked_place) is not None]
        by_store: dict[int, list[int]] = {}
        taken: set[UUID] = set()
        left: set[UUID] = set()
        for n in fresh:
            item = inputs[n]
            if item.inbox_id in taken:
                # The same message twice in one batch; as a replay it frees its place.
                metrics.REPEATED.inc()
                parking.released.extend([item.parked_place] if item.parked_place is not None else [])
            elif isinstance(item.body, Unreadable):
                ledger.bury(item, item.body.reason, None)
                taken.update([item.inbox_id] if item.inbox_id is not None else [])
            elif item.dead_letter is not None and (bury or not parking.lets_pass(item)):
                # Nothing of a key overtakes what failed before it. Not handled is not seen: a replay must pass.
                if (place := parking.park(item)) is not None:
                    ledger.bury(item, "failed" if bury else "behind-parked", place)
                left.update([item.inbox_id] if item.inbox_id is not None else [])
            else:
                by_store.setdefault(id(self._rules[type(item.body)].store), []).append(n)
                taken.update([item.inbox_id] if item.inbox_id is not None else [])
        if unhandled := left - taken:
            await execute(tx, _UNSEE, list(unhandled))
        await parking.write(tx)

        changed: list[Rows] = []
        for numbers in by_store.values():
            store = self._rules[type(inputs[numbers[0]].body)].store
            before = await store.load(tx, [inputs[n] for n in numbers])
            after = dict(before)
            for n in numbers:
                item = inputs[n]
                decision = self._rules[type(item.body)].decide(after[item.key], item.body, item.cause, ledger.now)
                after[item.key] = decision.state
                if decision.events:
                    ledger.tell(item, decision.events)
                if decision.tasks:
                    ledger.ask(item, decision.tasks)
                outcomes[n] = Outcome(reply=decision.reply)
            changes = {key: (before[key], after[key]) for key in after if after[key] is not before[key]}
            if changes:
                changed.extend(store.save(changes))
        return outcomes, await self._write(tx, changed, ledger, deferred), ledger

    async def _write(
        self, tx: Connection, changed: Sequence[Rows], ledger: "_Ledger", deferred: bool
    ) -> Dispatch | None:
        """All that a transaction has to say: its rows, its tasks, its events."""
        statements = [insert(rows) for rows in changed if rows.values]
        if ledger.tasks:
            statements.append(ledger.asked(self._claimers, self._presence.id))
        if ledger.events:
            statements.extend(self._publisher.store(ledger.events, ledger.advanced(), deferred=deferred))
        returned = await together(tx, statements)
        written = returned.pop() if ledger.events else ()
        dispatch = self._publisher.dispatch(ledger.events, written) if ledger.events and not deferred else None
        if ledger.tasks:
            ledger.claim(self._claimers, returned[-2] if ledger.events else returned[-1])
        return dispatch

    async def _admit(
        self, tx: Connection, inputs: Sequence[Input]
    ) -> tuple[list[int], dict[str, tuple[int, datetime | None]]]:
        """Numbers of the inputs that were not handled before, and the streams of all, locked."""
        seen = [item.inbox_id for item in inputs if item.inbox_id is not None]
        claimed = [item.work_id for item in inputs if item.work_id is not None]
        missing = sorted({item.key for item in inputs if not isinstance(item.body, Unreadable)})
        streams: dict[str, tuple[int, datetime | None]] = {}
        new: set[UUID] = set()
        owned: set[int] = set()
        found = await rows(tx, _ADMIT, missing, seen, claimed, self._presence.id)
        while True:
            for key, sequence, parked_at, handled, work in found:
                if key is not None:
                    streams[key] = (sequence, parked_at)
                elif handled is not None:
                    new.add(handled)
                else:
                    owned.add(work)
            if not (missing := [key for key in missing if key not in streams]):
                break
            found = await rows(tx, _ADMIT, missing, [], [], None)
        fresh = []
        for n, item in enumerate(inputs):
            if item.inbox_id is not None and item.inbox_id not in new:
                metrics.REPEATED.inc()
            elif item.work_id is None or item.work_id in owned:
                fresh.append(n)
        return fresh, streams

    async def _parking(self, tx: Connection, keys: list[str]) -> "_Parking":
        # Read after the locks are held, or what another transaction has just parked would be missed.
        return _Parking(await rows(tx, _PARKED, keys) if keys else ())


class _Parking:
    """The queues of keys of which something failed, and what a transaction changes about them."""

    def __init__(self, found: Sequence[Any]) -> None:
        self._waiting: dict[str, deque[UUID]] = {}
        for row in found:
            self._waiting.setdefault(row.key, deque()).append(row.token)
        self._records = {row.record for row in found}
        self._parked: list[tuple[str, UUID, UUID]] = []
        self._again: list[tuple[UUID, UUID, UUID]] = []
        self.released: list[UUID] = []

    def lets_pass(self, item: Input) -> bool:
        """Whether nothing of its key waits, or it is the replay of what waits first."""
        waiting = self._waiting.get(item.key)
        if not waiting:
            return True
        if item.parked_place != waiting[0]:
            return False
        self.released.append(waiting.popleft())
        return True

    def park(self, item: Input) -> UUID | None:
        """Its place in the key's queue: the end, or the one it had. None: this very record is parked already."""
        assert item.record_id is not None
        waiting = self._waiting.setdefault(item.key, deque())
        if item.parked_place is not None and item.parked_place in waiting:
            token = _place(item.parked_place.int >> 64)
            waiting[waiting.index(item.parked_place)] = token
            self._again.append((item.parked_place, token, item.record_id))
        elif item.record_id in self._records:
            return None
        else:
            token = _place(time.time_ns())
            waiting.append(token)
            self._parked.append((item.key, token, item.record_id))
        self._records.add(item.record_id)
        return token

    async def write(self, tx: Connection) -> None:
        for again in self._again:
            await execute(tx, _PARK_AGAIN, *again)
        if self._parked:
            keys = [key for key, _, _ in self._parked]
            await execute(
                tx, _PARK, keys, [token for _, token, _ in self._parked], [record for _, _, record in self._parked]
            )
            await execute(tx, _PARK_STREAMS, keys)
        if self.released:
            await execute(tx, _RELEASE, self.released)


def _place(since: int) -> UUID:
    # Places sort by the time they were first given, and cannot be guessed.
    return UUID(int=(since << 64) | random.SystemRandom().getrandbits(64))


class _Ledger:
    """What one transaction tells and asks for, collected to be written at once."""

    def __init__(self, source: str, now: datetime, produced: set[type]) -> None:
        self.now = now
        self.sequences: dict[str, int] = {}
        self.events: list[Outgoing] = []
        self.tasks: list[tuple[Input, Task]] = []
        self.claimed: dict[str, list[ClaimedTask]] = {}
        self._asked: list[ClaimedTask] = []
        self._source = source
        self._produced = produced
        self._touched: set[str] = set()
        self._counters: dict[tuple[str, str], int] = {}

    def tell(self, item: Input, events: Sequence[Event]) -> None:
        for event in events:
            if type(event.message) not in self._produced:
                raise TypeError(f"{type(event.message).__name__} is not among what this service produces")
            outgoing = self._encode(event.message, event.cause or item.cause, "" if event.cause else item.step)
            if (size := outgoing.size()) > MAX_EVENT_BYTES:
                raise ValueError(f"{event.message.ce_type} of {size} bytes is over the limit")
            self.events.append(outgoing)

    def bury(self, item: Input, reason: str, token: UUID | None) -> None:
        assert item.dead_letter is not None
        # Of one message more than one letter can come: from each service, and for each place it is given in a queue.
        step = f"{item.step}{self._source}/{token or ''}/"
        self.events.append(self._encode(item.dead_letter(reason, token), item.cause, step))
        metrics.DEAD_LETTERS.labels(reason).inc()

    def _encode(self, message: Message, cause: Cause, step: str) -> Outgoing:
        kind = f"{step}{message.ce_type}"
        counter = self._counters.get((cause.id, kind), 0)
        self._counters[cause.id, kind] = counter + 1
        key = message.key
        sequence = self.sequences.get(key)
        if sequence is not None:
            sequence = self.sequences[key] = sequence + 1
            self._touched.add(key)
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

    def asked(self, claimers: Mapping[str, Claimer], owner: int | None) -> Statement:
        """Writes the tasks, claimed at once for the claimers that have room."""
        self._asked = asked = [
            ClaimedTask(task.kind, task.ref, item.key, task.payload, task.cause or item.cause)
            for item, task in self.tasks
        ]
        keys: set[str] = set()
        wanted = []
        for (_, task), one in zip(self.tasks, asked, strict=True):
            claimer = claimers.get(task.kind)
            row = {
                "kind": one.kind,
                "ref": one.ref,
                "key": one.key,
                "payload": dict(one.payload),
                "cause": one.cause,
                "delay": task.delay.total_seconds(),
                "mine": claimer is not None and not task.delay and one.key not in keys and claimer.has_capacity(),
            }
            wanted.append(row)
            keys.add(one.key)
        return Statement(_ADD_WORK, (as_json(wanted), owner), ("id", "kind", "ref", "owner"))

    def claim(self, claimers: Mapping[str, Claimer], written: Sequence[Any]) -> None:
        """Keep for the claimers what was written: (id, kind, ref, owner)."""
        by_ref = {(one.kind, one.ref): one for one in self._asked}
        for row, kind, ref, owner in sorted(written, key=lambda row: int(row[0])):
            if kind in claimers:
                one = by_ref[kind, ref]
                self.claimed.setdefault(kind, []).append(
                    ClaimedTask(kind, ref, one.key, one.payload, one.cause, row, owner)
                )

    def advanced(self) -> dict[str, int]:
        """The counts of the keys that something was told about."""
        return {key: self.sequences[key] for key in sorted(self._touched)}
