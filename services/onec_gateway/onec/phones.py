"""A phone as 1C's users typed it, and the question whether it is the one we mean."""

import re
from collections.abc import Iterable
from typing import Final

import phonenumbers

_BETWEEN_NUMBERS: Final = re.compile(r"[,;/|\n]|доб\.?|ext\.?|вн\.?", re.IGNORECASE)
_LOCAL: Final = 7  # digits of a number without any code
_LONGEST: Final = 15  # digits of one number, by E.164


def last_digits(phone: str) -> str:
    """The last seven digits: what every form of the number has in common."""
    return phone[-_LOCAL:]


def loose_pattern(phone: str) -> str:
    """A pattern of `like` that finds the last seven digits whatever stands between them."""
    return f"%{'%'.join(last_digits(phone))}%"


def parsed(text: str) -> set[str]:
    """The numbers written in full in one column, as E.164; those that are no valid number are left out."""
    found = set()
    for piece in _BETWEEN_NUMBERS.split(text):
        try:
            number = phonenumbers.parse(piece, "RU")
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            found.add(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
    return found


def same(phone: str, columns: Iterable[str]) -> bool:
    """Whether the columns of one contact hold the E.164 `phone`.

    A number written in full decides. Seven bare digits with no full number beside them are taken for ours: that
    they would be a stranger's by chance is one in ten million.
    """
    candidates = [
        digits for column in columns for piece in _BETWEEN_NUMBERS.split(column) if (digits := _digits(piece))
    ]
    full = [digits for digits in candidates if len(digits) >= 10]
    if full:
        return any(_equal(phone.removeprefix("+"), digits) for digits in full)
    return last_digits(phone) in candidates


def pretty(phone: str) -> str:
    """As people read it."""
    return phonenumbers.format_number(phonenumbers.parse(phone), phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def _equal(ours: str, digits: str) -> bool:
    if len(digits) > _LONGEST:
        # Several numbers with only spaces between them.
        return ours[-10:] in digits
    if ours.startswith("7") and len(ours) == 11:
        return digits[-10:] == ours[-10:] and (len(digits) == 10 or (len(digits) == 11 and digits[0] in "78"))
    return digits.removeprefix("00").removeprefix("810") == ours


def _digits(text: str) -> str:
    return "".join(character for character in text if character.isascii() and character.isdigit())
