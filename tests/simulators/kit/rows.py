"""Storage: JSON documents that the simulators keep in memory, mirrored into SQLite to survive a restart."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

Document = dict[str, Any]


class Rows:
    """Documents by (kind, key) in one SQLite file; reads happen once, at start.

    `synchronous=OFF` keeps a write at some microseconds. It survives the death of the process, which is
    what the tests do to it; it need not survive the death of the machine.
    """

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(folder / name, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.execute("CREATE TABLE IF NOT EXISTS rows (kind TEXT, key TEXT, body BLOB, PRIMARY KEY (kind, key))")

    def load(self) -> Iterator[tuple[str, str, Document]]:
        """Everything stored, in the order in which it was first put."""
        for kind, key, body in self._db.execute("SELECT kind, key, body FROM rows ORDER BY rowid"):
            yield kind, key, orjson.loads(body)

    def put(self, kind: str, key: str, body: Document) -> None:
        """Store or replace one document."""
        self._db.execute(
            "INSERT INTO rows VALUES (?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body",
            (kind, key, orjson.dumps(body)),
        )

    def remove(self, kind: str, key: str) -> None:
        """Forget one document."""
        self._db.execute("DELETE FROM rows WHERE kind = ? AND key = ?", (kind, key))

    def clear(self) -> None:
        """Forget everything."""
        self._db.execute("DELETE FROM rows")

    def close(self) -> None:
        """Release the file."""
        self._db.close()
