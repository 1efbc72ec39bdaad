"""Presence: one identity for each running process, which ends when the process does.

The identity is a session advisory lock on a connection of its own. A killed process loses its connection, and with it
the lock, at once; a frozen or cut-off process loses them when PostgreSQL ends the session that stopped its heartbeat.
Rows that the identity owned (claimed events of the outbox, claimed work) then become free for other processes, and a
late write of the former owner matches no row.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable

import asyncpg
import structlog

from chassis.database.errors import is_transient
from chassis.database.pool import driver_url
from chassis.limits import CONNECT_TIMEOUT_S, HEARTBEAT_EVERY_S, IDENTITY_CERTAIN_FOR_S, SESSION_ENDS_AFTER_S

log = structlog.get_logger(__name__)

OWNER_LOST = "freed"
"""The note of a work row whose owner ended during the call: how far the call came is unknown."""

SET_ASIDE_OWNER = 0
"""The owner of outbox rows that a person must decide about. No process has this identity."""

_RETAKE_PAUSE_S = 0.5
LOCK_CLASS = 0x7275CE


class Presence:
    """The identity of this process: two numbers, each under an advisory lock of the same connection.

    `id` owns the work rows that the process claims, `publisher_id` the outbox rows. Both are random. They are None
    while PostgreSQL is unreachable and right after the identity was given up; then new ones are taken. `publisher_id`
    is also None while publishing is suspended: a process that cannot reach Kafka keeps its work.
    """

    def __init__(self, dsn: str, name: str) -> None:
        self._dsn = dsn
        self._name = name
        self._connection: asyncpg.Connection | None = None
        self._lost: list[Callable[[], None]] = []
        self._publisher_lost: list[Callable[[], None]] = []
        self._retired_publisher: int | None = None
        self._may_publish = True
        self._freed: list[Callable[[], None]] = []
        self._confirmed_at = 0.0
        self.id: int | None = None
        self.publisher_id: int | None = None

    def is_certain(self) -> bool:
        """Whether no other process can have taken over what the identity owns.

        False without an identity, and in a process that was frozen for so long that its session may have ended.
        """
        return self.id is not None and time.monotonic() - self._confirmed_at < IDENTITY_CERTAIN_FOR_S

    def on_lost(self, callback: Callable[[], None]) -> None:
        """Call `callback` whenever the identity ends. What it owned may belong to another process from then on."""
        self._lost.append(callback)

    def on_publisher_lost(self, callback: Callable[[], None]) -> None:
        """Call `callback` whenever the publisher's identity ends, with the whole identity or alone."""
        self._publisher_lost.append(callback)

    def suspend_publishing(self) -> None:
        """End the publisher's identity, so that other processes publish its events, and take no new one.

        Its lock is released by the next heartbeat.
        """
        self._may_publish = False
        if self.publisher_id is not None:
            self._retired_publisher = self.publisher_id
        self._end_publisher()

    def resume_publishing(self) -> None:
        """Take a publisher's identity again, with the next heartbeat."""
        self._may_publish = True

    def on_freed(self, callback: Callable[[], None]) -> None:
        """Call `callback` when rows of a dead identity were freed: this process may claim them."""
        self._freed.append(callback)

    def report_freed(self) -> None:
        """Rows of a dead identity were freed."""
        for callback in self._freed:
            callback()

    async def run(self) -> None:
        """Hold an identity for as long as this runs; after a loss, take a new one."""
        try:
            while True:
                try:
                    async with asyncio.timeout(CONNECT_TIMEOUT_S):
                        await self._beat()
                except Exception as error:
                    # A process that was frozen in the middle of an answer gets an internal error of the driver. Any
                    # error of the database means that the identity is lost.
                    if not (is_transient(error) or isinstance(error, asyncpg.PostgresError)):
                        raise
                    log.warning("presence_lost", error=type(error).__name__)
                    self.give_up()
                    await asyncio.sleep(_RETAKE_PAUSE_S)
                else:
                    await asyncio.sleep(HEARTBEAT_EVERY_S if self.id is not None else 0)
        finally:
            self.give_up()

    def give_up(self) -> None:
        """End the identity now. To be called whenever it is unknown what was committed under it."""
        connection, self._connection = self._connection, None
        self._retired_publisher = None
        if connection is not None:
            connection.terminate()
        self._end_publisher()
        if self.id is not None:
            self.id = None
            for callback in self._lost:
                callback()

    async def close(self) -> None:
        """End the identity and close its connection."""
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            if self._connection is not None:
                await self._connection.close(timeout=CONNECT_TIMEOUT_S)
        self.give_up()

    async def _beat(self) -> None:
        if self._connection is None:
            await self._take()
        connection = self._connection
        if connection is None:
            return
        # The heartbeat touches no table: a lock on one must not cost all processes their identities.
        sent_at = time.monotonic()
        await connection.execute("SELECT 1")
        self._confirmed_at = sent_at
        if (retired := self._retired_publisher) is not None:
            await connection.fetchval("SELECT pg_advisory_unlock($1, $2)", LOCK_CLASS, retired)
            self._retired_publisher = None
        if self.publisher_id is None and self._may_publish:
            self.publisher_id = await _lock_number(connection)

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
        sent_at = time.monotonic()
        identity = await _lock_number(connection)
        publisher = await _lock_number(connection) if self._may_publish else None
        self.id, self.publisher_id, self._confirmed_at = identity, publisher, sent_at

    def _end_publisher(self) -> None:
        if self.publisher_id is not None:
            self.publisher_id = None
            for callback in self._publisher_lost:
                callback()


async def _lock_number(connection: asyncpg.Connection) -> int:
    """A random number that no other process has, under an advisory lock."""
    number = random.randint(1, 2**31 - 1)
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1, $2)", LOCK_CLASS, number):
        number = random.randint(1, 2**31 - 1)
    return number
