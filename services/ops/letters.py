"""Dead letters and the records in them. Pure: no I/O.

A letter is open until an operator replays or discards it. A record that was parked keeps its place in the queue of its
key while its letter is open.
"""

import base64
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

import orjson
from joserfc.jwk import ECKey

from contracts.dead_letters import REPLAY, DeadLetter
from contracts.sealing import Unsealable, decrypt_with

Action = Literal["replayed", "discarded"]
Headers = list[tuple[str, bytes | None]]


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
    """The record as it was consumed. `token`: its place in the parked queue of its key; None if it is not parked.

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


def unseal(letter: Letter, key: ECKey) -> Unsealed:
    """Decrypt the record of a letter with the operators' private key. Raises ValueError if another key sealed it."""
    try:
        content = orjson.loads(decrypt_with([key], letter.content.original))
    except Unsealable:
        raise ValueError(f"letter {letter.id} does not open with this key") from None
    headers = [(name, _bytes(value)) for name, value in content["headers"]]
    cut_from = None if letter.content.whole else Whole(content["size"], content["sha256"])
    original = Original(_bytes(content["key"]), headers, _bytes(content["value"]), content.get("token"), cut_from)
    return Unsealed(letter, original)


def open_letters(letters: Iterable[Letter], resolved: Collection[str]) -> list[Letter]:
    """The letters whose ids are not among `resolved`, oldest first."""
    remaining = [letter for letter in letters if letter.id not in resolved]
    return sorted(remaining, key=lambda letter: (letter.created_at, *_position(letter)))


def in_replay_order(unsealed: Iterable[Unsealed]) -> list[Unsealed]:
    """Records in the order in which they must be replayed.

    Records that are not parked come first, in the order of their topics. Parked records follow by their tokens, which
    sort by the time of parking.
    """
    return sorted(unsealed, key=lambda pair: (pair.original.token or "", *_position(pair.letter)))


def replay_headers(letter: Letter, original: Original) -> Headers:
    """The headers of a replay: the original headers, and a mark that only the service of the letter handles it."""
    mark = f"{letter.content.service} {original.token or ''}".strip()
    return [*original.headers, (REPLAY, mark.encode())]


def discard_headers(letter: Letter, token: str) -> Headers:
    """The headers of a record that removes the parked record with this `token` from the queue of its key."""
    return [(REPLAY, f"{letter.content.service} {token} discard".encode())]


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
