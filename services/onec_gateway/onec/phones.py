"""A phone as 1C's users typed it, and the question whether it is the one we mean."""

import re
from collections.abc import Iterable
from typing import Final

import phonenumbers

# Letters stand between numbers, never inside one; a plus begins one.
_BETWEEN_NUMBERS: Final = re.compile(r"[,;/|\n]|[^\W\d_]+\.?|(?=\+)")
_TRUNK_PREFIX: Final = re.compile(r"\s(?=8[\s(-])")
_ABROAD: Final = re.compile(r"^(?:00|810)")
_LOCAL: Final = 7  # digits of a number without any code
_FULL: Final = 10  # digits of a number with the code of its city or operator
_SEVERAL: Final = 2 * _LOCAL


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
        # With nothing but spaces between them, numbers are told apart by the 8 that one begins with.
        for part in (piece, *_TRUNK_PREFIX.split(piece)):
            for match in phonenumbers.PhoneNumberMatcher(part, "RU"):
                found.add(phonenumbers.format_number(match.number, phonenumbers.PhoneNumberFormat.E164))
    return found


def same(phone: str, columns: Iterable[str]) -> bool:
    """Whether the columns of one contact hold the E.164 `phone`.

    A number written in full decides, and also what the same number means where it stands again without its codes.
    Other bare digits that hold our last seven are taken for ours: that they would be a stranger's by chance is one
    in ten million, and a client is never confirmed on doubt.
    """
    fields = list(columns)
    numbers = [digits for field in fields for piece in _BETWEEN_NUMBERS.split(field) if (digits := _digits(piece))]
    full = [number for number in numbers if len(number) >= _FULL]
    # Slashes and commas stand within a number too, where a field holds no more than one.
    whole = (digits for field in fields if len(digits := _digits(field)) < _SEVERAL)
    if any(_equal(phone.removeprefix("+"), number) for number in (*full, *whole)):
        return True
    bare = (number for number in numbers if len(number) < _FULL and last_digits(phone) in number)
    return any(not any(number.endswith(short) for number in full) for short in bare)


def pretty(phone: str) -> str:
    """As people read it."""
    return phonenumbers.format_number(phonenumbers.parse(phone), phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def _equal(ours: str, digits: str) -> bool:
    if len(digits) >= _SEVERAL:
        # Several numbers with nothing but spaces between them, or one as dialled from abroad: on doubt it is ours.
        return last_digits(ours) in digits
    number = _ABROAD.sub("", digits)
    if ours.startswith("7") and len(ours) == 11:
        # Eleven digits are a country's code and ten; in more of them another number's extension stands before it.
        return number.endswith(ours[1:]) and (len(number) != 11 or number[0] in "78")
    return number == ours


def _digits(text: str) -> str:
    return "".join(character for character in text if character.isascii() and character.isdigit())
