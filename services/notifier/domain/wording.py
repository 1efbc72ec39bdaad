"""The texts of SMS: Russian wordings by name and version, how long each is valid, and how many segments it takes.

A wording that was sent once is never changed: a new wording is a new file `<name>.v<version>.txt` beside the old one in
`templates/`, and a new version here. Wordings avoid declension, because no rule declines every name. A text ends with
the last four hexadecimal digits of the lead's id, so the texts about two leads of one realtor always differ: the
realtor can tell them apart, and SMSC does not refuse the second one as a repeat.
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
"""A text is sent, and billed, as at most so many segments."""
MAX_SURNAME: Final = 40
"""At most so many UTF-16 units of a surname are sent, so that every text fits into `MAX_SEGMENTS`."""
MAX_FACT: Final = 32
"""At most so many UTF-16 units of a value that a person typed are sent: a contract's number, a reason."""


@dataclass(frozen=True, slots=True)
class Text:
    """One wording.

    `valid_for` is how long after its event the text is still worth sending. `verdict`: the realtor waits for it, so it
    is sent during quiet hours too, unless the operator's settings name it. `always_true`: a later event about the same
    lead or claim does not make the text untrue.
    """

    name: str
    version: int = 1
    valid_for: timedelta = timedelta(days=7)
    verdict: bool = False
    always_true: bool = False

    def __str__(self) -> str:
        return f"{self.name}.v{self.version}"


CONFIRMED: Final = Text("confirmed", verdict=True, valid_for=timedelta(days=400))
REJECTED: Final = Text("rejected", verdict=True)
ALREADY_YOURS: Final = Text("already-yours", verdict=True)
DELAYED: Final = Text("delayed", valid_for=timedelta(days=1))
EXPIRING: Final = Text("expiring", valid_for=timedelta(days=1))
EXPIRED: Final = Text("expired")
EXTENDED: Final = Text("extended", valid_for=timedelta(days=400))
REINSTATED: Final = Text("reinstated", valid_for=timedelta(days=400))
REOPENED: Final = Text("reopened", valid_for=timedelta(days=400))
WITHDRAWN: Final = Text("withdrawn")
WON: Final = Text("won")
CLAIM_ACCEPTED: Final = Text("claim-accepted")
ACCRUED: Final = Text("accrued", always_true=True)
CORRECTED: Final = Text("corrected", always_true=True)
DECLINED: Final = Text("declined")

TEXTS: Final = {
    str(text): text
    for text in (
        *(CONFIRMED, REJECTED, ALREADY_YOURS, DELAYED, EXPIRING, EXPIRED, EXTENDED, REINSTATED, REOPENED),
        *(WITHDRAWN, WON, CLAIM_ACCEPTED, ACCRUED, CORRECTED, DECLINED),
    )
}
"""Template → text. A template is name and version, as in `confirmed.v1`."""
NAMES: Final = frozenset(text.name for text in TEXTS.values())
"""The names of all texts, without versions."""

_GSM_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_EXTENDED: Final = frozenset("^{}\\[~]|€\f")


def render(template: str, full_name: str, lead_id: UUID, facts: Mapping[str, str]) -> str:
    """The text of an SMS. `facts` are the values that the template needs besides the client and the lead.

    Raises KeyError for an unknown template, jinja2.UndefinedError for a missing fact.
    """
    return _template(str(TEXTS[template])).render(facts, client=short_name(full_name), lead=lead_id.hex[-4:].upper())


def day(of: date) -> str:
    """A date in Russian form: 24.05.2027."""
    return of.strftime("%d.%m.%Y")


def short(typed: str) -> str:
    """Text that a person typed, on one line and at most `MAX_FACT` UTF-16 units long; a longer one ends with «…»."""
    return _cut(" ".join(typed.split()), MAX_FACT)


def short_name(full_name: str) -> str:
    """«Иванов И.» for «Иванов Иван Иванович»: a lost telephone must not show whole names."""
    surname, *others = full_name.split() or [""]
    initial = next((letter for letter in (others[0] if others else "") if letter.isalpha()), None)
    return _cut(surname, MAX_SURNAME) if initial is None else f"{_cut(surname, MAX_SURNAME)} {initial.upper()[0]}."


def segments(text: str) -> int:
    """How many segments (parts of one SMS) the text is sent, and billed, as."""
    if all(character in _GSM_BASIC or character in _GSM_EXTENDED for character in text):
        return _packed([1 + (character in _GSM_EXTENDED) for character in text], 160, 153)
    return _packed([_units(character) for character in text], 70, 67)


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent.parent / "templates"),
        undefined=jinja2.StrictUndefined,
        autoescape=jinja2.select_autoescape(()),  # an SMS is not HTML
    )


@cache
def _template(name: str) -> jinja2.Template:
    return _environment().get_template(f"{name}.txt")


def _packed(widths: list[int], single: int, part: int) -> int:
    """Segments for characters of these widths: `single` units fit into one segment, `part` into each of several."""
    if sum(widths) <= single:
        return 1
    count, left = 1, part
    for width in widths:
        if width > left:  # an escaped character or a surrogate pair is never split
            count, left = count + 1, part
        left -= width
    return count


def _cut(text: str, limit: int) -> str:
    if sum(map(_units, text)) <= limit:
        return text
    kept, left = "", limit - 1
    for character in text:
        left -= _units(character)
        if left < 0:
            break
        kept += character
    return kept + "…"


def _units(character: str) -> int:
    return 2 if ord(character) > 0xFFFF else 1
