"""A client's history: append-only entries, each chained to the entry before it by a keyed hash.

A person who can write to the database but does not have the key cannot edit, remove, insert or reorder entries without
`flaws` finding it. The head (the number of entries and the last hash) is stored apart from the entries under a seal of
its own, and every reservation event carries it, so removed entries at the end are found as well.
"""

import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson


@dataclass(frozen=True, slots=True)
class Head:
    """The number of entries in a client's history and the hash of the last entry; an empty history has `b""`."""

    count: int = 0
    hash: bytes = b""

    def seal(self, key: bytes, client_key: str) -> bytes:
        """Return the keyed hash that proves that this head was written by a holder of `key`."""
        return _keyed(key, b"head\n%d\n%s\n" % (self.count, client_key.encode()) + self.hash)


class Entry(NamedTuple):
    """A history entry as it is stored: its number (from 1), its text (canonical JSON) and the hash that chains it."""

    number: int
    text: str
    hash: bytes


def appended(head: Head, key: bytes, client_key: str, facts: Mapping[str, Any]) -> tuple[Head, Entry]:
    """Append one entry to the history that ends at `head`; return the new head and the entry."""
    number = head.count + 1
    text = orjson.dumps(facts, option=orjson.OPT_SORT_KEYS).decode()
    entry = Entry(number, text, _chained(key, client_key, head.hash, number, text))
    return Head(number, entry.hash), entry


def flaws(
    key: bytes, client_key: str, entries: Sequence[Entry], head: Head | None, seal: bytes | None
) -> Iterator[str]:
    """Yield what is wrong with a client's history, in Russian; nothing for an intact history.

    `entries` are in the order of their numbers. `head` and `seal` are None if the head's row is missing.
    """
    before, expected = b"", 1
    for entry in entries:
        if entry.number != expected:
            yield f"нет записи {expected}" if entry.number > expected else f"запись {entry.number} повторяется"
            expected = entry.number
        # The chain continues from the stored hash, so one altered entry is reported once.
        if not hmac.compare_digest(entry.hash, _chained(key, client_key, before, entry.number, entry.text)):
            yield f"запись {entry.number} изменена или стоит не на своём месте"
        before, expected = entry.hash, expected + 1
    if head is None or seal is None:
        yield "нет итога истории (числа записей и последнего хеша)"
        return
    if not hmac.compare_digest(seal, head.seal(key, client_key)):
        yield "итог истории изменён"
    elif head.count != expected - 1:
        yield f"по итогу истории записей {head.count}, а есть {expected - 1}"
    elif head.hash != before:
        yield "итог истории относится к другой последней записи"


def _chained(key: bytes, client_key: str, before: bytes, number: int, text: str) -> bytes:
    return _keyed(key, b"%s\n%d\n%s\n" % (client_key.encode(), number, before) + text.encode())


def _keyed(key: bytes, data: bytes) -> bytes:
    # Keyed BLAKE2b is a message authentication code in one pass and takes an eighth of the time of HMAC.
    return hashlib.blake2b(data, digest_size=32, key=key).digest()
