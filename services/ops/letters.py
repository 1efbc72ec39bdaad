"""Dead letters and the records in them. Pure: no I/O.

A letter is open until an operator replays or discards it. A record that was parked keeps its place in the queue of its
key while its letter is open.
"""

import base64
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, NamedTuple

import orjson
from joserfc.jwk import ECKey

from contracts.dead_letters import (
    REPLAY,
    REPLAY_KEY,
    REPLAY_LETTER,
    REPLAY_SINCE,
    DeadLetter,
    DeadLetterReplayed,
    ReplayOutcome,
)
from contracts.sealing import Unsealable, decrypt_with

Action = Literal["replayed", "discarded"]
Headers = list[tuple[str, bytes | None]]

PARKED_REASONS: Final = ("failed", "behind-parked")
"""The reasons of records that could be read: they have a key, and a place in its queue."""


@dataclass(frozen=True, slots=True)
class Letter:
    """An open letter. `id` is its `ce_id`; `created_at` is business time."""

    id: str
    created_at: datetime
    content: DeadLetter

    @property
    def record(self) -> str:
        """Where the record was consumed: `topic/partition/offset`."""
        return self.content.key


class Whole(NamedTuple):
    """What a letter of a record that was too large knows of the whole record: `size` in bytes, and its SHA-256."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Original:
    """The record as it was consumed. `token`: its place among the open letters of the service; None in old letters.

    `cut_from` is None, or the record was too large, and key, headers and value are only their beginnings.
    """

    key: bytes | None
    headers: Headers
    value: bytes | None
    token: str | None
    cut_from: Whole | None = None


class Unsealed(NamedTuple):
    """A letter and the record in it."""

    letter: Letter
    original: Original

    @property
    def is_parked(self) -> bool:
        """Whether later records of its key wait behind the record."""
        return self.original.token is not None and self.letter.content.reason in PARKED_REASONS


def unseal(letter: Letter, key: ECKey) -> Unsealed:
    """Decrypt the record of a letter with the operators' private key. Raises ValueError if another key sealed it."""
    try:
        content = orjson.loads(decrypt_with([key], letter.content.original))
    except Unsealable:
        raise ValueError(f"letter {letter.id} does not open with this key") from None
    headers = [(name, _bytes(value)) for name, value in content["headers"]]
    record_key = _bytes(content["key"])
    if any(name == REPLAY_LETTER for name, _ in headers):
        # A service of an earlier version wrote the letter of a replay: it has the replay's own key.
        record_key = next((value for name, value in headers if name == REPLAY_KEY), None)
        headers = [(name, value) for name, value in headers if name not in (REPLAY_KEY, REPLAY_LETTER)]
    cut_from = None if letter.content.whole else Whole(content["size"], content["sha256"])
    original = Original(record_key, headers, _bytes(content["value"]), content.get("token"), cut_from)
    return Unsealed(letter, original)


def open_letters(letters: Iterable[Letter], resolved: Collection[str]) -> list[Letter]:
    """The letters whose ids are not among `resolved`, oldest first."""
    remaining = [letter for letter in letters if letter.id not in resolved]
    return sorted(remaining, key=lambda letter: (letter.created_at, *_position(letter)))


def in_replay_order(unsealed: Iterable[Unsealed]) -> list[Unsealed]:
    """Records in the order in which they must be replayed.

    Records come by their tokens, which sort by the time of the first failure; those of old letters without a token come
    first, in the order of their topics.
    """
    return sorted(unsealed, key=lambda pair: (pair.original.token or "", *_position(pair.letter)))


class Publication(NamedTuple):
    """A record to publish to the topic and the partition of a letter's record."""

    key: bytes
    headers: Headers
    value: bytes | None


def replay_of(letter: Letter, original: Original) -> Publication:
    """The original record with a key of its own, and headers by which only the service of the letter handles it."""
    mark = f"{letter.content.service} {original.token or ''}".strip()
    headers = [*original.headers, (REPLAY, mark.encode()), *_identity(letter, original)]
    if not any(name == REPLAY_SINCE for name, _ in headers):
        headers.append((REPLAY_SINCE, letter.created_at.isoformat().encode()))
    return Publication(f"replay/{letter.id}".encode(), headers, original.value)


def discard_of(letter: Letter, original: Original) -> Publication:
    """The record that removes the parked record of a letter from the queue of its key. It has a key of its own."""
    mark = f"{letter.content.service} {original.token} discard"
    headers = [(REPLAY, mark.encode()), *_identity(letter, original)]
    return Publication(f"discard/{letter.id}".encode(), headers, orjson.dumps({"letter": letter.id}))


class Outcomes:
    """What became of the replays of letters, as their services publish it. `letters`: id → service."""

    def __init__(self, letters: Iterable[Letter]) -> None:
        self.missing = {letter.id: letter.content.service for letter in letters}
        self.found: dict[str, ReplayOutcome] = {}

    def add(self, message: DeadLetterReplayed) -> None:
        """Add a message; messages about other replays are left out, and the first about a letter counts."""
        if self.missing.get(message.letter) == message.service:
            del self.missing[message.letter]
            self.found[message.letter] = message.outcome


def _identity(letter: Letter, original: Original) -> Headers:
    """The headers that name the letter, and the key of the original record, if it had one."""
    key: Headers = [] if original.key is None else [(REPLAY_KEY, original.key)]
    return [(REPLAY_LETTER, letter.id.encode()), *key]


def choose(letters: Sequence[Letter], beginnings: Sequence[str]) -> list[Letter]:
    """The letters whose ids begin with `beginnings`. Raises ValueError unless each names exactly one letter."""
    chosen = []
    for beginning in beginnings:
        found = [letter for letter in letters if letter.id.startswith(beginning)]
        if len(found) != 1:
            raise ValueError(f"{len(found) or 'no'} open letters have an id that begins with {beginning}")
        chosen.extend(found)
    return chosen


def _position(letter: Letter) -> tuple[str, int, int]:
    content = letter.content
    return content.original_topic, content.partition, content.offset


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)
