"""The ledger of a transaction: the events and tasks of all its decisions, to be written with one statement each."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from chassis.database.writing import Statement, as_json
from chassis.decision import Cause, Event, Message, Task, derived_id
from chassis.envelope import Outgoing, encode
from chassis.limits import MAX_EVENT_BYTES
from chassis.observability import metrics
from chassis.processor.model import ClaimedTask, Claimer, Input, ReplayOutcome, Unreadable

# A task is claimed while it is written if this process has capacity for it and no earlier task of its key is waiting.
_INSERT_WORK: Final = """
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
        OFFSET 0  -- the owner is computed once for each row, not at each mention
    ) AS t
    ORDER BY n ON CONFLICT (kind, ref) DO NOTHING RETURNING id, kind, ref, owner
"""


class UnstorableEvent(ValueError):
    """An event that its readers could not store. The message names the kind of the event and quotes nothing of it."""


class Ledger:
    """Events and tasks of one transaction. `now` is the business time of all its decisions."""

    def __init__(self, source: str, now: datetime, produced: set[type], sequences: dict[str, int]) -> None:
        self.now = now
        self.events: list[Outgoing] = []
        self.tasks: list[tuple[Input, Task]] = []
        self.claimed: dict[str, list[ClaimedTask]] = {}
        """Tasks that were written, by kind: to be given to the workers after the commit."""
        self._source = source
        self._produced = produced
        self._sequences = sequences
        self._advanced: set[str] = set()
        self._counters: dict[tuple[str, str], int] = {}
        self._written: list[ClaimedTask] = []

    def record(self, item: Input, events: Sequence[Event]) -> None:
        """Record the events of a decision.

        Raises TypeError for an undeclared message, ValueError for one that is too large or that no reader can store:
        so the input that causes it fails, and not its readers.
        """
        for event in events:
            if type(event.message) not in self._produced:
                raise TypeError(f"{type(event.message).__name__} is not among what this service produces")
            outgoing = self._encode(event.message, event.cause or item.cause, "" if event.cause else item.step)
            if (size := outgoing.size()) > MAX_EVENT_BYTES:
                raise ValueError(f"{event.message.ce_type} of {size} bytes is over the limit of {MAX_EVENT_BYTES}")
            if not outgoing.is_storable():
                raise UnstorableEvent(f"{event.message.ce_type} holds NUL, which PostgreSQL cannot store")
            self.events.append(outgoing)

    def record_dead_letter(self, item: Input, reason: str, token: UUID) -> UUID:
        """Record the dead letter of an input; return its id. `token`: its place among the open letters. Raises Halt."""
        assert item.dead_letter is not None
        # One message can have several dead letters, with different ids: one from each service, and one for each time it
        # was parked. The cause of an unreadable record is its place on the topic, which is another one for each replay.
        time = "" if isinstance(item.body, Unreadable) else token
        letter = self._encode(item.dead_letter(reason, token), item.cause, f"{item.step}{self._source}/{time}/")
        self.events.append(letter)
        metrics.DEAD_LETTERS.labels(reason).inc()
        return letter.event_id

    def record_replay(self, item: Input, outcome: ReplayOutcome) -> None:
        """Record what became of an input that is the replay of a dead letter; nothing for any other input."""
        if item.replay is not None:
            message = item.replay.outcome_message(outcome)
            self.events.append(self._encode(message, item.cause, f"{self._source}/{item.replay.record}/"))

    def schedule(self, item: Input, tasks: Sequence[Task]) -> None:
        """Record the tasks of a decision."""
        self.tasks.extend((item, task) for task in tasks)

    def insert_work(self, claimers: Mapping[str, Claimer], owner: int | None) -> Statement:
        """The statement that writes the tasks, and claims them for workers with capacity.

        Returns (id, kind, ref, owner).
        """
        self._written = [
            ClaimedTask(task.kind, task.ref, item.key, task.payload, task.cause or item.cause)
            for item, task in self.tasks
        ]
        keys: set[str] = set()
        rows = []
        for (_, task), written in zip(self.tasks, self._written, strict=True):
            claimer = claimers.get(task.kind)
            rows.append(
                {
                    "kind": written.kind,
                    "ref": written.ref,
                    "key": written.key,
                    "payload": dict(written.payload),
                    "cause": written.cause,
                    "delay": task.delay.total_seconds(),
                    "mine": claimer is not None
                    and not task.delay
                    and written.key not in keys
                    and claimer.has_capacity(),
                }
            )
            keys.add(written.key)
        return Statement(_INSERT_WORK, (as_json(rows), owner), ("id", "kind", "ref", "owner"))

    def note_claims(self, claimers: Mapping[str, Claimer], rows: Sequence[Any]) -> None:
        """Note the rows that `insert_work` returned."""
        by_ref = {(task.kind, task.ref): task for task in self._written}
        for row_id, kind, ref, owner in sorted(rows, key=lambda row: int(row[0])):
            if kind in claimers:
                task = by_ref[kind, ref]
                claimed = ClaimedTask(kind, ref, task.key, task.payload, task.cause, row_id, owner)
                self.claimed.setdefault(kind, []).append(claimed)

    def advanced_sequences(self) -> dict[str, int]:
        """The new number of events of every key that got events, in the order of the keys."""
        return {key: self._sequences[key] for key in sorted(self._advanced)}

    def _encode(self, message: Message, cause: Cause, step: str) -> Outgoing:
        kind = f"{step}{message.ce_type}"
        counter = self._counters.get((cause.id, kind), 0)
        self._counters[cause.id, kind] = counter + 1
        key = message.key
        sequence = self._sequences.get(key)
        if sequence is not None:
            sequence = self._sequences[key] = sequence + 1
            self._advanced.add(key)
        return encode(
            message,
            event_id=derived_id(cause.id, kind, counter),
            source=self._source,
            at=self.now,
            cause=cause,
            sequence=sequence,
        )
