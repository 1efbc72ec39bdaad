"""A history that proves itself: each entry is chained to the one before by a keyed hash.

Who has the database but not the key can neither edit, remove, insert nor reorder an entry unnoticed. The head, which
says how many entries there are, is kept apart and sealed, and stands in the events too: a lost tail shows.
"""

import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson


@dataclass(frozen=True, slots=True)
class Head:
    """How many entries a client's history has, and the hash of the last; of an empty one, none."""

    count: int = 0
    hash: bytes = b""

    def seal(self, key: bytes, client_key: str) -> bytes:
        """Proves that this head was written by who has the key."""
        return _keyed(key, b"head\n%d\n%s\n" % (self.count, client_key.encode()) + self.hash)


class Entry(NamedTuple):
    """One entry as it is kept: its number, its text (canonical JSON) and the hash that chains it."""

    number: int
    text: str
    hash: bytes


def appended(head: Head, key: bytes, client_key: str, facts: Mapping[str, Any]) -> tuple[Head, Entry]:
    """The history with one entry more."""
    number = head.count + 1
    text = orjson.dumps(facts, option=orjson.OPT_SORT_KEYS).decode()
    entry = Entry(number, text, _chained(key, client_key, head.hash, number, text))
    return Head(number, entry.hash), entry


def flaws(
    key: bytes, client_key: str, entries: Sequence[Entry], head: Head | None, seal: bytes | None
) -> Iterator[str]:
    """What is wrong with a client's history, in words; nothing for one that nobody touched. `entries` by number."""
    before, expected = b"", 1
    for entry in entries:
        if entry.number != expected:
            yield f"entry {expected} is missing" if entry.number > expected else f"entry {entry.number} stands twice"
            expected = entry.number
        # The entry's own hash carries the chain on: one flaw is told once.
        if not hmac.compare_digest(entry.hash, _chained(key, client_key, before, entry.number, entry.text)):
            yield f"entry {entry.number} is not what was written, or not in its place"
        before, expected = entry.hash, expected + 1
    if head is None or seal is None:
        yield "the head is missing"
        return
    if not hmac.compare_digest(seal, head.seal(key, client_key)):
        yield "the head is not what was written"
    elif head.count != expected - 1:
        yield f"the head counts {head.count} entries, there are {expected - 1}"
    elif head.hash != before:
        yield "the head is of another last entry"


def _chained(key: bytes, client_key: str, before: bytes, number: int, text: str) -> bytes:
    return _keyed(key, b"%s\n%d\n%s\n" % (client_key.encode(), number, before) + text.encode())


def _keyed(key: bytes, data: bytes) -> bytes:
    # BLAKE2b with a key is such a hash by itself, in an eighth of the time of HMAC.
    return hashlib.blake2b(data, digest_size=32, key=key).digest()
