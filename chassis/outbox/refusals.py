"""Events that Kafka refused for good, for example because they are too large: each is set aside, and a person decides.

The row of a refused event stays in the outbox under the owner `SET_ASIDE`, which is no process, and a row of
`refused_events` says why. Later events of its key wait in the outbox behind it: a reader that missed one event of a
client and got the next would act on a story with a gap, and would not know. All other keys are published.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from chassis.database.errors import is_transient
from chassis.database.pool import Database, execute
from chassis.database.presence import Presence
from chassis.outbox import statements
from chassis.outbox.queue import Queued

log = structlog.get_logger(__name__)

_RETRY_S: Final = 0.5


class Refusals:
    """The refused events of this process that are still to be stored, and the keys that wait behind refused events."""

    def __init__(self, database: Database, presence: Presence) -> None:
        self._database = database
        self._presence = presence
        self._wake = asyncio.Event()
        self._refused: list[tuple[Queued, str]] = []
        self._withdrawn: list[int] = []
        self._stored: set[str] = set()
        self.keys: dict[str, int] = {}
        """Keys with a refused event → its row id. Later events of such a key are not published from memory."""

    def add(self, refused: Queued, reason: str) -> None:
        """Set an event aside. `reason` is Kafka's name of the error."""
        row_id, event = refused
        headers = dict(event.texts)
        log.critical(
            "event_refused",
            topic=event.topic,
            key=event.key,
            id=str(event.event_id),
            type=headers.get("ce_type", ""),
            bytes=event.size(),
            reason=reason,
        )
        self.keys[event.key] = row_id
        self._stored.discard(event.key)
        self._refused.append((refused, reason))
        self._wake.set()

    def withdraw(self, row_id: int) -> None:
        """Take an event out of this process's hands: it waits in the table behind a refused event of its key."""
        self._withdrawn.append(row_id)
        self._wake.set()

    def filter(self, events: Sequence[Queued]) -> list[Queued]:
        """Withdraw the events that a refused event of their key precedes, and return the others."""
        passed: list[Queued] = []
        for item in events:
            if item[0] > self.keys.get(item[1].key, item[0]):
                self.withdraw(item[0])
            else:
                passed.append(item)
        return passed

    def stored_keys(self) -> set[str]:
        """Keys whose refused event is set aside in the database by now.

        If an event of such a key is claimed *after* this call, a person has decided about the refused event.
        """
        return set(self._stored)

    def release(self, keys: set[str]) -> None:
        """A person has decided about the refused events of these keys."""
        for key in keys:
            self.keys.pop(key, None)
        self._stored -= keys

    def clear(self) -> None:
        """The identity has ended: whoever publishes these events next finds out again."""
        self._refused, self._withdrawn, self.keys, self._stored = [], [], {}, set()

    async def run(self) -> None:
        """Store what is refused and withdrawn for as long as the service runs."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._store()
            except Exception as error:
                self._wake.set()
                if not is_transient(error):
                    raise
                log.warning("refused_event_not_stored", error=type(error).__name__)
                await asyncio.sleep(_RETRY_S)

    async def _store(self) -> None:
        owner = self._presence.publisher_id
        if owner is None:
            return
        # Refused events first: a withdrawn event without an owner may be claimed as soon as nothing precedes it.
        while self._refused:
            (row_id, event), reason = item = self._refused[0]
            kind = dict(event.texts).get("ce_type", "")
            async with self._database.single() as connection:
                await execute(connection, statements.SET_ASIDE, row_id, event.key, owner, kind, event.size(), reason)
            if self._presence.publisher_id != owner:
                return
            self._refused.remove(item)
            self._stored.add(event.key)
        if withdrawn := self._withdrawn:
            self._withdrawn = []
            try:
                async with self._database.single() as connection:
                    await execute(connection, statements.LET_GO, withdrawn, owner)
            except BaseException:
                self._withdrawn[:0] = withdrawn
                raise
