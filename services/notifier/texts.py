"""What a realtor reads: Russian texts by name and version, and how many SMS a text takes.

A text is never changed once it was sent: a new wording is a new version beside the old one. Wordings need no
declension, since nobody can decline every name. A text ends with the last four digits of the lead's id, so that two
leads of one realtor never read the same: he can tell them apart, and SMSC does not take the second for a repeat.
"""

from datetime import date
from typing import Final
from uuid import UUID

CONFIRMED: Final = "confirmed.v1"
REJECTED: Final = "rejected.v1"
ALREADY_YOURS: Final = "already-yours.v1"
EXPIRED: Final = "expired.v1"

TEXTS: Final = {
    CONFIRMED: "Клиент {client} закреплён за вами до {through} включительно. Заявка {lead}.",
    REJECTED: "Клиент {client}: отказ, клиент уже в работе. Заявка {lead}.",
    ALREADY_YOURS: "Клиент {client} уже закреплён за вами. Заявка {lead}.",
    EXPIRED: "Клиент {client}: срок закрепления истёк, клиент передан застройщику. Заявка {lead}.",
}

MAX_SEGMENTS: Final = 2
MAX_SURNAME: Final = 40
"""UTF-16 units of a surname; a longer one is cut, so that every text fits into `MAX_SEGMENTS`."""

_GSM_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_EXTENDED: Final = frozenset("^{}\\[~]|€\f")


def render(template: str, full_name: str, lead_id: UUID, through: date | None = None) -> str:
    """The text of a message. Raises KeyError for a template nobody wrote, ValueError where its date is missing."""
    text = TEXTS[template]
    if "{through}" in text and through is None:
        raise ValueError(f"{template} needs a date")
    day = through.strftime("%d.%m.%Y") if through is not None else ""
    return text.format(client=short_name(full_name), lead=lead_id.hex[-4:].upper(), through=day)


def short_name(full_name: str) -> str:
    """«Иванов И.» of «Иванов Иван Иванович»: an SMS on a lost telephone tells little."""
    surname, *others = full_name.split()
    initial = next((letter for letter in (others[0] if others else "") if letter.isalpha()), None)
    return _cut(surname) if initial is None else f"{_cut(surname)} {initial.upper()[0]}."


def segments(text: str) -> int:
    """How many SMS the text is sent, and billed, as."""
    if all(character in _GSM_BASIC or character in _GSM_EXTENDED for character in text):
        return _packed([1 + (character in _GSM_EXTENDED) for character in text], 160, 153)
    return _packed([_units(character) for character in text], 70, 67)


def _packed(widths: list[int], alone: int, joined: int) -> int:
    if sum(widths) <= alone:
        return 1
    count, room = 1, joined
    for width in widths:
        if width > room:  # an escaped character or a surrogate pair is never split
            count, room = count + 1, joined
        room -= width
    return count


def _cut(surname: str) -> str:
    if sum(map(_units, surname)) <= MAX_SURNAME:
        return surname
    kept, room = "", MAX_SURNAME - 1
    for character in surname:
        room -= _units(character)
        if room < 0:
            break
        kept += character
    return kept + "…"


def _units(character: str) -> int:
    return 2 if ord(character) > 0xFFFF else 1
