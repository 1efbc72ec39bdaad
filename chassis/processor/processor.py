"""The processor: one transaction a batch.

    lock the keys, drop repeats → load the states → decide each input → write states, work and events → commit

The domain decides one input at a time; all inputs of a batch share one statement for each step. A batch that fails is
retried one input at a time, so that one bad input costs only itself.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

import structlog

from chassis import crash_points
from chassis.clock import Clock
from chassis.database.errors import is_conflict, is_outcome_unknown, is_transient
from chassis.database.pool import Connection, Database, execute
from chassis.database.presence import Presence
from chassis.database.writing import Rows, Statement, execute_together, write
from chassis.decision import Cause, derived_id
from chassis.observability import metrics
from chassis.outbox.outbox import Outbox
from chassis.outbox.queue import Dispatch
from chassis.processor.admission import admit
from chassis.processor.ledger import Ledger
from chassis.processor.model import Claimer, Halt, Input, Outcome, Rule, Unreadable
from chassis.processor.parking import ParkedQueues, discard_parked
from chassis.processor.states import StateVersions

log = structlog.get_logger(__name__)

_CONFLICT_TRIES: Final = 3
_FORGET: Final = "DELETE FROM inbox WHERE id = ANY($1::uuid[])"


class Processor:
    """Decides inputs by `rules` and commits the results.

    `source` is the `ce_source` of the events; `produces` lists the message types the service may publish, by topic.
    """

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        presence: Presence,
        clock: Clock,
        *,
        source: str,
        rules: Sequence[Rule[Any]],
        produces: Mapping[str, Sequence[type]],
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._presence = presence
        self._clock = clock
        self._source = source
        self._rules = {rule.body: rule for rule in rules}
        self._produced = {kind for kinds in produces.values() for kind in kinds}
        self._claimers: dict[str, Claimer] = {}

    def register_claimer(self, kind: str, claimer: Claimer) -> None:
        """Claim new work of `kind` for `claimer` as it is written, and pass it on after the commit."""
        self._claimers[kind] = claimer

    async def process(self, inputs: Sequence[Input], *, deferred: bool = False) -> list[Outcome]:
        """Decide a batch in its order and commit it. Returns the outcomes in the order of `inputs`.

        `deferred`: the events take the deferred path of the outbox, behind the events of other transactions. Raises
        transient errors (`is_transient`) and Halt; nothing is committed then.
        """
        started = time.monotonic()
        try:
            outcomes = await self._transaction(inputs, deferred=deferred)
        except Exception as error:
            if is_transient(error) or isinstance(error, Halt):
                raise
            log.info("batch_split", size=len(inputs), error=type(error).__name__)
            outcomes = []
            for item in inputs:
                outcomes.append(await self._single(item))
                crash_points.reach(crash_points.SINGLE)
        metrics.TRANSACTION_SECONDS.observe(time.monotonic() - started)
        metrics.TRANSACTION_MESSAGES.observe(len(inputs))
        return outcomes

    async def discard(self, tokens: Sequence[UUID]) -> None:
        """Remove the records that are parked at these places."""
        await discard_parked(self._database, tokens)

    # --- failures

    async def _single(self, item: Input) -> Outcome:
        for attempt in range(1, _CONFLICT_TRIES + 1):
            try:
                return (await self._transaction([item]))[0]
            except Exception as error:
                if is_transient(error) or isinstance(error, Halt):
                    raise
                # Another transaction inserted a unique value first. The next attempt loads it and decides otherwise.
                if is_conflict(error) and attempt < _CONFLICT_TRIES:
                    continue
                log.error("input_failed", kind=type(item.body).__name__, cause=item.cause.id, exc_info=error)
                if item.dead_letter is not None:
                    await self._send_to_dead_letters(item)
                return Outcome(error=error)
        raise AssertionError("unreachable")

    async def _send_to_dead_letters(self, item: Input) -> None:
        """Write the dead letter of an input and park its key; if the key itself is what fails, do not park."""
        try:
            await self._transaction([item], failed=True)
        except Exception as error:
            if is_transient(error) or isinstance(error, Halt):
                raise
            # Each replay of the record that fails again has an identity of its own: it must not pass for a repeat.
            identity = derived_id(f"{item.record_id}/{item.parked_place or ''}", "dead-letter")
            cause = Cause(str(identity), str(identity))
            unreadable = Input(str(identity), Unreadable("failed"), cause, identity, dead_letter=item.dead_letter)
            known = replace(unreadable, parked_place=item.parked_place, replay=item.replay, place=item.place)
            await self._transaction([known])

    # --- one transaction

    async def _transaction(
        self, inputs: Sequence[Input], *, failed: bool = False, deferred: bool = False
    ) -> list[Outcome]:
        """Decide and commit. `failed`: send the inputs to the dead letters instead of deciding them."""
        decided = False
        dispatch: Dispatch | None = None
        try:
            async with self._database.transaction() as tx:
                outcomes, dispatch, ledger = await self._decide(tx, inputs, failed, deferred)
                decided = True
        except BaseException as error:
            if decided:
                # COMMIT failed.
                if dispatch is not None:
                    dispatch.discard()
                if is_outcome_unknown(error):
                    # If the events and the claims are committed, they are freed with the identity, and the events go
                    # by the deferred path.
                    self._presence.give_up()
            raise
        if dispatch is not None:
            dispatch.release()
        if ledger.events:
            log.info("events_recorded", events=[event.summary for event in ledger.events])
        for kind, tasks in ledger.claimed.items():
            self._claimers[kind].accept(tasks)
        return outcomes

    async def _decide(
        self, tx: Connection, inputs: Sequence[Input], failed: bool, deferred: bool
    ) -> tuple[list[Outcome], Dispatch | None, Ledger]:
        admission = await admit(tx, inputs, self._presence.id)
        ledger = Ledger(self._source, self._clock.now(), self._produced, admission.sequences)
        replayed = [item.parked_place for item in inputs if item.parked_place is not None]
        parked = await ParkedQueues.load(tx, admission.parked_keys, replayed)
        states = await StateVersions.load(tx, inputs)
        for position in admission.repeats:
            parked.release(inputs[position])
            ledger.record_replay(inputs[position], "repeated")
        by_store = await self._sort(tx, inputs, admission.fresh, ledger, parked, states, failed)
        outcomes: list[Outcome] = [Outcome()] * len(inputs)
        changed: list[Rows] = []
        for positions in by_store.values():
            changed.extend(await self._apply_rules(tx, inputs, positions, ledger, outcomes))
        return outcomes, await self._write(tx, changed, states, ledger, deferred), ledger

    async def _sort(
        self,
        tx: Connection,
        inputs: Sequence[Input],
        fresh: Sequence[int],
        ledger: Ledger,
        parked: ParkedQueues,
        states: StateVersions,
        failed: bool,
    ) -> dict[int, list[int]]:
        """Record dead letters, park what must wait, leave older states out. Returns the positions of the inputs to
        decide, by store."""
        by_store: dict[int, list[int]] = {}
        handled: set[UUID] = set()
        not_handled: set[UUID] = set()
        for position in fresh:
            item = inputs[position]
            if item.inbox_id in handled:
                # The same message twice in one batch.
                metrics.MESSAGES_REPEATED.inc()
                parked.release(item)
                ledger.record_replay(item, "repeated")
            elif isinstance(item.body, Unreadable):
                token = parked.add_unreadable(item)
                parked.add_letter(
                    item, token, ledger.record_dead_letter(item, item.body.reason, token), item.body.reason
                )
                ledger.record_replay(item, "dead-letter")
                handled.update([item.inbox_id] if item.inbox_id is not None else [])
            elif item.dead_letter is not None and (failed or not parked.lets_pass(item)):
                # No message of a key overtakes a failed one. A parked message is not handled: its replay must pass the
                # inbox.
                if (place := parked.park(item)) is not None:
                    reason = "failed" if failed else "behind-parked"
                    parked.add_letter(item, place, ledger.record_dead_letter(item, reason, place), reason)
                ledger.record_replay(item, "dead-letter")
                not_handled.update([item.inbox_id] if item.inbox_id is not None else [])
            else:
                if states.admit(item):
                    by_store.setdefault(id(self._rules[type(item.body)].store), []).append(position)
                else:
                    ledger.record_replay(item, "superseded")
                handled.update([item.inbox_id] if item.inbox_id is not None else [])
        if forgotten := not_handled - handled:
            await execute(tx, _FORGET, list(forgotten))
        await parked.save(tx)
        return by_store

    async def _apply_rules(
        self, tx: Connection, inputs: Sequence[Input], positions: Sequence[int], ledger: Ledger, outcomes: list[Outcome]
    ) -> Sequence[Rows]:
        """Thread each input through its rule, all on the states of one store. Returns the rows to write."""
        store = self._rules[type(inputs[positions[0]].body)].store
        before = await store.load(tx, [inputs[position] for position in positions])
        after = dict(before)
        for position in positions:
            item = inputs[position]
            decision = self._rules[type(item.body)].apply(after, item, ledger.now)
            after[item.key] = decision.state
            if decision.events:
                ledger.record(item, decision.events)
            if decision.tasks:
                ledger.schedule(item, decision.tasks)
            ledger.record_replay(item, "superseded" if decision.superseded else "handled")
            outcomes[position] = Outcome(reply=decision.reply)
        changes = {key: (before[key], after[key]) for key in after if after[key] is not before[key]}
        return store.save(changes) if changes else ()

    async def _write(
        self, tx: Connection, changed: Sequence[Rows], states: StateVersions, ledger: Ledger, deferred: bool
    ) -> Dispatch | None:
        """Write rows, tasks and events in one round trip, and queue the events."""
        statements: dict[str, Statement] = {f"rows_{n}": write(rows) for n, rows in enumerate(changed) if rows.values}
        if states.changed:
            statements["state_versions"] = states.save()
        if ledger.tasks:
            statements["work"] = ledger.insert_work(self._claimers, self._presence.id)
        if ledger.events:
            statements.update(self._outbox.store(ledger.events, ledger.advanced_sequences(), deferred=deferred))
        written = await execute_together(tx, statements)
        if ledger.tasks:
            ledger.note_claims(self._claimers, written["work"])
        if ledger.events and not deferred:
            return self._outbox.dispatch(ledger.events, written["outbox"])
        return None
