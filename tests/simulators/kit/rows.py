"""Storage: JSON documents that a simulator keeps in memory and copies to SQLite, so that they survive a restart."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

Document = dict[str, Any]


class Rows:
    """Documents by (kind, key) in one SQLite file, which is read once, at the start.

    With `synchronous=OFF` a write takes some microseconds. Written documents survive a kill of the process, which the
    tests do; they need not survive a crash of the machine.
    """

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(folder / name, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.execute("CREATE TABLE IF NOT EXISTS rows (kind TEXT, key TEXT, body BLOB, PRIMARY KEY (kind, key))")

    def load(self) -> Iterator[tuple[str, str, Document]]:
        """All documents as (kind, key, body), in the order in which they were first stored."""
        for kind, key, body in self._db.execute("SELECT kind, key, body FROM rows ORDER BY rowid"):
            yield kind, key, orjson.loads(body)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Write everything inside the block in one transaction, which is much faster."""
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.execute("COMMIT")

    def put(self, kind: str, key: str, body: Document) -> None:
        """Store or replace one document."""
        self._db.execute(
            "INSERT INTO rows VALUES (?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body",
            (kind, key, orjson.dumps(body)),
        )

    def remove(self, kind: str, key: str) -> None:
        """Delete one document."""
        self._db.execute("DELETE FROM rows WHERE kind = ? AND key = ?", (kind, key))

    def clear(self) -> None:
        """Delete all documents."""
        self._db.execute("DELETE FROM rows")

    def close(self) -> None:
        """Close the file."""
        self._db.close()
