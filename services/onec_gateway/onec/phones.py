"""Phone numbers as the users of 1C typed them, compared with a number in E.164."""

import re
from collections.abc import Iterable
from typing import Final

import phonenumbers

# Letters stand between numbers, never inside a number; a plus begins a number.
_BETWEEN_NUMBERS: Final = re.compile(r"[,;/|\n]|[^\W\d_]+\.?|(?=\+)")
_TRUNK_PREFIX: Final = re.compile(r"\s(?=8[\s(-])")
_ABROAD: Final = re.compile(r"^(?:00|810)")
_LOCAL: Final = 7  # digits of a number without any code
_FULL: Final = 10  # digits of a number with the code of its city or operator
_SEVERAL: Final = 2 * _LOCAL


def last_digits(phone: str) -> str:
    """The last seven digits of a number, which all its forms have in common."""
    return phone[-_LOCAL:]


def loose_pattern(phone: str) -> str:
    """A pattern for 1C's `like` that matches the last seven digits with any characters between them."""
    return f"%{'%'.join(last_digits(phone))}%"


def parsed(text: str) -> set[str]:
    """The numbers of one column that are written in full, as E.164. Invalid and incomplete numbers are left out."""
    numbers = set()
    for piece in _BETWEEN_NUMBERS.split(text):
        # Where only spaces separate two numbers, the second is recognised by the 8 in front of it.
        for part in (piece, *_TRUNK_PREFIX.split(piece)):
            for match in phonenumbers.PhoneNumberMatcher(part, "RU"):
                numbers.add(phonenumbers.format_number(match.number, phonenumbers.PhoneNumberFormat.E164))
    return numbers


def same(phone: str, columns: Iterable[str]) -> bool:
    """Whether the columns of one contact hold the number `phone` (E.164).

    A number written in full decides, and so does the same number repeated beside it without its codes. Other digits
    without codes that contain our last seven digits count as our number. A stranger has these seven digits by chance
    in one case of ten million, and a client is never confirmed on doubt.
    """
    fields = list(columns)
    numbers = [digits for field in fields for piece in _BETWEEN_NUMBERS.split(field) if (digits := _digits(piece))]
    full = [number for number in numbers if len(number) >= _FULL]
    # Slashes and commas also stand inside a number, if the field holds only one.
    whole = (digits for field in fields if len(digits := _digits(field)) < _SEVERAL)
    if any(_equal(phone.removeprefix("+"), number) for number in (*full, *whole)):
        return True
    short_numbers = (number for number in numbers if len(number) < _FULL and last_digits(phone) in number)
    return any(not any(number.endswith(short) for number in full) for short in short_numbers)


def pretty(phone: str) -> str:
    """The number in the international format that people read, such as `+7 916 123-45-67`."""
    return phonenumbers.format_number(phonenumbers.parse(phone), phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def _equal(ours: str, digits: str) -> bool:
    if len(digits) >= _SEVERAL:
        # Either several numbers separated by spaces only, or one number as dialled from abroad: on doubt it is ours.
        return last_digits(ours) in digits
    number = _ABROAD.sub("", digits)
    if ours.startswith("7") and len(ours) == 11:
        # Eleven digits are a country code and ten digits; in a longer text another number's extension comes first.
        return number.endswith(ours[1:]) and (len(number) != 11 or number[0] in "78")
    return number == ours


def _digits(text: str) -> str:
    return "".join(character for character in text if character.isascii() and character.isdigit())
