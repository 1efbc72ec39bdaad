"""Portals and their keys. Keys rest hashed."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

from chassis.service import Database, rows
from services.intake.store.tables import PortalRow

_LIST = "SELECT name, scopes, key_hash, changed_at FROM portals ORDER BY name"
_ADD = """
    INSERT INTO portals (name, scopes, key_hash, changed_at) VALUES ($1, $2, $3, $4)
    ON CONFLICT DO NOTHING RETURNING name
"""
_SET_KEY = "UPDATE portals SET key_hash = $2, changed_at = $3 WHERE name = $1 RETURNING name"


def hash_key(key: str) -> bytes:
    """The stored form of a portal's key. A key has 256 random bits, so a plain hash cannot be reversed by search."""
    return hashlib.sha256(key.encode()).digest()


async def list_portals(database: Database) -> list[PortalRow]:
    """All portals by name; a revoked portal has no `key_hash`."""
    async with database.single() as tx:
        found = await rows(tx, _LIST)
    return [PortalRow(**dict(row)) for row in found]


async def add_portal(database: Database, name: str, scopes: Sequence[str], key: str) -> bool:
    """Store a new portal with its key. False: a portal with this name exists, and nothing changed."""
    async with database.single() as tx:
        return bool(await rows(tx, _ADD, name, list(scopes), hash_key(key), datetime.now(UTC)))


async def set_portal_key(database: Database, name: str, key: str | None) -> bool:
    """Replace a portal's key; None revokes it. False: no portal has this name."""
    hashed = None if key is None else hash_key(key)
    async with database.single() as tx:
        return bool(await rows(tx, _SET_KEY, name, hashed, datetime.now(UTC)))
