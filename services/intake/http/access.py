"""Who is calling: a portal, by its key."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, FastAPI, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from chassis.service import Database
from services.intake.domain import Scope
from services.intake.http.problems import Problem
from services.intake.store import hash_key, portals

REREAD_AFTER_S = 2.0
PAUSE_FOR_UNKNOWN_S = 0.2  # a new key works at once, and wrong ones do not hammer the database

_bearer = HTTPBearer(auto_error=False, description="Ключ портала")


class Keyring:
    """Portals' keys, read anew every two seconds: a revoked key stops working by then."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._reading = asyncio.Lock()
        self._read_at = float("-inf")
        self._portals: dict[bytes, tuple[str, frozenset[str]]] = {}

    async def portal(self, key: str) -> tuple[str, frozenset[str]] | None:
        """Name and scopes of the portal whose key it is."""
        hashed, asked_at = hash_key(key), time.monotonic()
        if self._is_old(hashed, asked_at):
            async with self._reading:  # many may ask at once; one of them reads
                if self._is_old(hashed, asked_at):
                    await self._read()
        return self._portals.get(hashed)

    def scopes(self, portal: str) -> frozenset[str]:
        """What a portal that has just been let in may do."""
        return next((scopes for name, scopes in self._portals.values() if name == portal), frozenset())

    def _is_old(self, hashed: bytes, asked_at: float) -> bool:
        return self._read_at < (asked_at - REREAD_AFTER_S if hashed in self._portals else asked_at)

    async def _read(self) -> None:
        await asyncio.sleep(self._read_at + PAUSE_FOR_UNKNOWN_S - time.monotonic())
        began = time.monotonic()
        self._portals = {
            row.key_hash: (row.name, frozenset(row.scopes))
            for row in await portals(self._database)
            if row.key_hash is not None
        }
        self._read_at = began


def needs(scope: Scope | None = None) -> Callable[..., Awaitable[str]]:
    """A dependency: the calling portal's name. 401 without a key that works, 403 without the scope, if one is asked."""

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


def allowed(app: FastAPI, portal: str, scope: Scope) -> None:
    """403 without the scope, where the body says which is asked."""
    if scope not in app.state.keyring.scopes(portal):
        raise Problem(403, "forbidden")
