"""What a realtor reads: Russian texts by name and version, how long each is true, and how many SMS it takes.

A text is never changed once it was sent: a new wording is a new file beside the old one in `templates`. Wordings need
no declension, since nobody can decline every name. A text ends with the last four digits of the lead's id, so that two
leads of one realtor never read the same: he can tell them apart, and SMSC does not take the second for a repeat.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Final
from uuid import UUID

import jinja2

MAX_SEGMENTS: Final = 2
MAX_SURNAME: Final = 40
"""UTF-16 units of a surname; a longer one is cut, so that every text fits into `MAX_SEGMENTS`."""
MAX_FACT: Final = 32
"""The same for what people wrote: a number of a contract, a reason."""


@dataclass(frozen=True, slots=True)
class Text:
    """One wording. `lasts`: how long after its event it is still worth saying. `verdict`: what a realtor waits for in
    the street, so no quiet hours unless set otherwise. `lasting`: what comes later about the same matter does not
    make it untrue."""

    name: str
    version: int = 1
    lasts: timedelta = timedelta(days=7)
    verdict: bool = False
    lasting: bool = False

    def __str__(self) -> str:
        return f"{self.name}.v{self.version}"


CONFIRMED: Final = Text("confirmed", verdict=True, lasts=timedelta(days=400))
REJECTED: Final = Text("rejected", verdict=True)
ALREADY_YOURS: Final = Text("already-yours", verdict=True)
DELAYED: Final = Text("delayed", lasts=timedelta(days=1))
EXPIRING: Final = Text("expiring", lasts=timedelta(days=1))
EXPIRED: Final = Text("expired")
EXTENDED: Final = Text("extended", lasts=timedelta(days=400))
REINSTATED: Final = Text("reinstated", lasts=timedelta(days=400))
REOPENED: Final = Text("reopened", lasts=timedelta(days=400))
WITHDRAWN: Final = Text("withdrawn")
WON: Final = Text("won")
CLAIM_ACCEPTED: Final = Text("claim-accepted")
ACCRUED: Final = Text("accrued", lasting=True)
CORRECTED: Final = Text("corrected", lasting=True)
DECLINED: Final = Text("declined")

TEXTS: Final = {
    str(text): text
    for text in (
        *(CONFIRMED, REJECTED, ALREADY_YOURS, DELAYED, EXPIRING, EXPIRED, EXTENDED, REINSTATED, REOPENED),
        *(WITHDRAWN, WON, CLAIM_ACCEPTED, ACCRUED, CORRECTED, DECLINED),
    )
}
"""By template, which is name and version, as in `confirmed.v1`."""
NAMES: Final = frozenset(text.name for text in TEXTS.values())

_GSM_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_EXTENDED: Final = frozenset("^{}\\[~]|€\f")


def render(template: str, full_name: str, lead_id: UUID, facts: Mapping[str, str]) -> str:
    """The text of a message. Raises KeyError for a template nobody wrote, jinja2.UndefinedError for a missing fact."""
    return _template(str(TEXTS[template])).render(facts, client=short_name(full_name), lead=lead_id.hex[-4:].upper())


def day(of: date) -> str:
    """A date as a realtor reads it."""
    return of.strftime("%d.%m.%Y")


def short(words: str) -> str:
    """What people wrote, on one line and not longer than a text has room for."""
    return _cut(" ".join(words.split()), MAX_FACT)


def short_name(full_name: str) -> str:
    """«Иванов И.» of «Иванов Иван Иванович»: an SMS on a lost telephone tells little."""
    surname, *others = full_name.split() or [""]
    initial = next((letter for letter in (others[0] if others else "") if letter.isalpha()), None)
    return _cut(surname, MAX_SURNAME) if initial is None else f"{_cut(surname, MAX_SURNAME)} {initial.upper()[0]}."


def segments(text: str) -> int:
    """How many SMS the text is sent, and billed, as."""
    if all(character in _GSM_BASIC or character in _GSM_EXTENDED for character in text):
        return _packed([1 + (character in _GSM_EXTENDED) for character in text], 160, 153)
    return _packed([_units(character) for character in text], 70, 67)


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=jinja2.StrictUndefined,
        autoescape=jinja2.select_autoescape(()),  # an SMS is no page
    )


@cache
def _template(name: str) -> jinja2.Template:
    return _environment().get_template(f"{name}.txt")


def _packed(widths: list[int], alone: int, joined: int) -> int:
    if sum(widths) <= alone:
        return 1
    count, room = 1, joined
    for width in widths:
        if width > room:  # an escaped character or a surrogate pair is never split
            count, room = count + 1, joined
        room -= width
    return count


def _cut(words: str, most: int) -> str:
    if sum(map(_units, words)) <= most:
        return words
    kept, room = "", most - 1
    for character in words:
        room -= _units(character)
        if room < 0:
            break
        kept += character
    return kept + "…"


def _units(character: str) -> int:
    return 2 if ord(character) > 0xFFFF else 1
