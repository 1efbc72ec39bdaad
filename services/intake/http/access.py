"""Authentication of portals by their keys, and their scopes."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, FastAPI, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from chassis.service import Database
from services.intake.domain.model import Scope
from services.intake.http.problems import Problem
from services.intake.store.portals import hash_key, list_portals

REREAD_AFTER_S = 2.0
PAUSE_FOR_UNKNOWN_S = 0.2  # a new key works almost at once, and wrong keys cause at most five queries a second

_bearer = HTTPBearer(auto_error=False, description="Ключ портала")


class Keyring:
    """Keys of portals, cached from the database for two seconds: a revoked key stops working by then."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._reading = asyncio.Lock()
        self._read_at = float("-inf")
        self._portals: dict[bytes, tuple[str, frozenset[str]]] = {}

    async def portal(self, key: str) -> tuple[str, frozenset[str]] | None:
        """Name and scopes of the portal with this key, None for an unknown or revoked key."""
        hashed, called_at = hash_key(key), time.monotonic()
        if self._is_stale(hashed, called_at):
            async with self._reading:  # of many concurrent callers one reads, the others find the result
                if self._is_stale(hashed, called_at):
                    await self._read()
        return self._portals.get(hashed)

    def scopes(self, portal: str) -> frozenset[str]:
        """The scopes of a portal that was authenticated a moment ago, by its name."""
        return next((scopes for name, scopes in self._portals.values() if name == portal), frozenset())

    def _is_stale(self, hashed: bytes, called_at: float) -> bool:
        return self._read_at < (called_at - REREAD_AFTER_S if hashed in self._portals else called_at)

    async def _read(self) -> None:
        await asyncio.sleep(self._read_at + PAUSE_FOR_UNKNOWN_S - time.monotonic())
        began = time.monotonic()
        self._portals = {
            row.key_hash: (row.name, frozenset(row.scopes))
            for row in await list_portals(self._database)
            if row.key_hash is not None
        }
        self._read_at = began


def portal_with(scope: Scope | None = None) -> Callable[..., Awaitable[str]]:
    """A dependency that yields the calling portal's name.

    Raises Problem: 401 without a working key, 403 without `scope` where a scope is given.
    """

    async def check(
        request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
    ) -> str:
        keyring: Keyring = request.app.state.keyring
        found = await keyring.portal(credentials.credentials) if credentials is not None else None
        if found is None:
            raise Problem(401, "unauthorized", headers={"WWW-Authenticate": "Bearer"})
        name, scopes = found
        if scope is not None and scope not in scopes:
            raise Problem(403, "forbidden")
        return name

    return check


def require_scope(app: FastAPI, portal: str, scope: Scope) -> None:
    """Raises Problem 403 without the scope; for operations whose body determines the scope."""
    if scope not in app.state.keyring.scopes(portal):
        raise Problem(403, "forbidden")
