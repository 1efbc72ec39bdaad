"""Who is alive: one identity per process, which ends when the process does.

The identity is a session advisory lock on a connection of its own. A killed process loses it at once with its
connection; a stopped or cut-off one when the server ends the session that stopped calling. What an identity owned
(outbox rows on their way, claimed work) is then free for others, and a late writer finds that it owns nothing.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable

import asyncpg
import structlog

from chassis.database.sql import CONNECT_TIMEOUT_S, driver_url, is_transient

log = structlog.get_logger(__name__)

PING_EVERY_S = 2.0
SESSION_ENDS_AFTER_S = 15
SURE_FOR_S = 10.0
_LOCK_CLASS = 0x7275CE

# Of the owners that its snapshot shows, those without a lock later on, when the locks are read: never one that came
# after the snapshot. For the same reason rows are freed by the owners found here, and not of all that are not live.
_DEAD = """
    SELECT array_agg(owner) FROM (
        SELECT owner FROM outbox WHERE owner IS NOT NULL UNION SELECT owner FROM work WHERE owner IS NOT NULL
    ) AS owned
    WHERE owner NOT IN (
        SELECT objid::bigint::integer FROM pg_locks
        WHERE locktype = 'advisory' AND classid = $1::integer::oid AND objsubid = 2 AND granted
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    )
"""
_FREE_OUTBOX = "UPDATE outbox SET owner = NULL WHERE owner = ANY($1::integer[])"
# How far a dead owner's calls came is open; the note says so until the row is put back for another reason.
OWNER_LOST = "freed"
_FREE_WORK = f"UPDATE work SET owner = NULL, note = '{OWNER_LOST}' WHERE owner = ANY($1::integer[])"


class Presence:
    """`id` is this process's identity, or None while it has none (no database, or just given up)."""

    def __init__(self, dsn: str, name: str) -> None:
        self._dsn = dsn
        self._name = name
        self._connection: asyncpg.Connection | None = None
        self._lost: list[Callable[[], None]] = []
        self._freed: list[Callable[[], None]] = []
        self._confirmed = 0.0
        self.id: int | None = None

    def sure(self) -> bool:
        """Whether nobody can have taken over what the identity owns. A process that was frozen is not sure."""
        return self.id is not None and time.monotonic() - self._confirmed < SURE_FOR_S

    def on_lost(self, forget: Callable[[], None]) -> None:
        """Call `forget` whenever the identity ends: what it owned may be somebody else's from now on."""
        self._lost.append(forget)

    def on_freed(self, wake: Callable[[], None]) -> None:
        """Call `wake` when rows of a dead identity were freed."""
        self._freed.append(wake)

    async def run(self) -> None:
        """Hold an identity for as long as this runs, taking a new one after each loss."""
        try:
            while True:
                try:
                    async with asyncio.timeout(CONNECT_TIMEOUT_S):
                        await self._beat()
                except Exception as error:
                    # Frozen in the middle of an answer, the driver raises an error of its own; any of them is a loss.
                    if not (is_transient(error) or isinstance(error, asyncpg.PostgresError)):
                        raise
                    log.warning("presence lost", error=type(error).__name__)
                    self.give_up()
                    await asyncio.sleep(0.5)
                else:
                    await asyncio.sleep(PING_EVERY_S if self.id is not None else 0)
        finally:
            self.give_up()

    def give_up(self) -> None:
        """End the identity now: on any doubt about what was committed under it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
        if self.id is not None:
            self.id = None
            for forget in self._lost:
                forget()

    async def _beat(self) -> None:
        if self._connection is None:
            await self._take()
        connection = self._connection
        if connection is None:
            return
        asked = time.monotonic()
        dead = await connection.fetchval(_DEAD, _LOCK_CLASS)
        self._confirmed = asked
        if not dead:
            return
        freed = 0
        for statement in (_FREE_OUTBOX, _FREE_WORK):
            freed += int((await connection.execute(statement, dead)).rpartition(" ")[2])
        if freed:
            log.warning("freed what a dead process owned", rows=freed)
            for wake in self._freed:
                wake()

    async def _take(self) -> None:
        connection = await asyncpg.connect(
            driver_url(self._dsn),
            timeout=CONNECT_TIMEOUT_S,
            server_settings={
                "application_name": f"{self._name} presence",
                "idle_session_timeout": f"{SESSION_ENDS_AFTER_S}s",
                "tcp_user_timeout": f"{SESSION_ENDS_AFTER_S}s",
            },
        )
        self._connection = connection
        asked = time.monotonic()
        candidate = random.randint(1, 2**31 - 1)
        if await connection.fetchval("SELECT pg_try_advisory_lock($1, $2)", _LOCK_CLASS, candidate):
            self.id, self._confirmed = candidate, asked

    async def close(self) -> None:
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            if self._connection is not None:
                await self._connection.close(timeout=CONNECT_TIMEOUT_S)
        self.give_up()
