"""Phone numbers as the users of 1C typed them, compared with a number in E.164."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import phonenumbers

# Letters stand between numbers, never inside a number; a plus begins a number, `#` and `*` begin an extension.
_BETWEEN_NUMBERS: Final = re.compile(r"[,;/|\n#*]|[^\W\d_]+\.?|(?=\+)")
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


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers in the columns of one contact, as far as they can be read.

    `full`: numbers with all their codes, as E.164. `tails`: the last seven digits of numbers whose codes are missing or
    cannot be separated from other digits; on doubt such a number is the client's.
    """

    full: frozenset[str]
    tails: frozenset[str]

    def hold(self, phone: str) -> bool:
        """Whether `phone` (E.164) is among the numbers.

        A stranger has the same last seven digits by chance in one case of ten million, and a client is never confirmed
        on doubt.
        """
        return phone in self.full or last_digits(phone) in self.tails

    def __or__(self, other: "Numbers") -> "Numbers":
        return Numbers(self.full | other.full, self.tails | other.tails)


NO_NUMBERS: Final = Numbers(frozenset(), frozenset())


def read(columns: Iterable[str]) -> Numbers:
    """The numbers in the columns of one contact.

    A number written in full decides, and so does the same number repeated beside it without its codes. Other digits
    without codes are tails.
    """
    fields = [field for field in columns if field]
    numbers = [digits for field in fields for piece in _BETWEEN_NUMBERS.split(field) if (digits := _digits(piece))]
    # Slashes and commas also stand inside a number, if the field holds only one.
    whole = (digits for field in fields if len(digits := _digits(field)) < _SEVERAL)
    long = [number for number in numbers if len(number) >= _FULL]
    # The parser is slow, and is needed only where a number may be followed by something else.
    full = {number for field in set(fields) if _is_unclear(field) for number in parsed(field)}
    tails: set[str] = set()
    for number in (*long, *whole):
        if len(number) >= _SEVERAL:
            # Either several numbers separated by spaces only, or one number as dialled from abroad.
            tails |= _windows(number)
        else:
            full |= _readings(number)
    for number in numbers:
        if len(number) < _FULL and not any(other.endswith(number) for other in long):
            tails |= _windows(number)
    return Numbers(frozenset(full), frozenset(tails))


def same(phone: str, columns: Iterable[str]) -> bool:
    """Whether the columns of one contact hold the number `phone` (E.164)."""
    return read(columns).hold(phone)


def parsed(text: str) -> set[str]:
    """The valid numbers of one column that are written in full, as E.164; an extension behind a number is left out."""
    numbers = set()
    for piece in _BETWEEN_NUMBERS.split(text):
        # Where only spaces separate two numbers, the second is recognised by the 8 in front of it.
        for part in (piece, *_TRUNK_PREFIX.split(piece)):
            for match in phonenumbers.PhoneNumberMatcher(part, "RU"):
                numbers.add(phonenumbers.format_number(match.number, phonenumbers.PhoneNumberFormat.E164))
    return numbers


def is_possible(number: str) -> bool:
    """Whether a text in E.164 may be a number: some readings of digits that people typed are not."""
    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return False


def pretty(phone: str) -> str:
    """The number in the international format that people read, such as `+7 916 123-45-67`."""
    return phonenumbers.format_number(phonenumbers.parse(phone), phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def _readings(digits: str) -> set[str]:
    """The E.164 numbers that a person may mean by these digits, fewer than _SEVERAL."""
    number = _ABROAD.sub("", digits)
    readings = {f"+{number}"}
    # Eleven digits are a country code and ten digits; in a longer text another number's extension comes first.
    if len(number) >= _FULL and (len(number) != 11 or number[0] in "78"):
        readings.add(f"+7{number[-_FULL:]}")
    return readings


def _is_unclear(field: str) -> bool:
    """Whether a piece of the field has more digits than a Russian number with its code."""
    return any(len(_digits(piece)) > _FULL + 1 for piece in _BETWEEN_NUMBERS.split(field))


def _windows(digits: str) -> set[str]:
    return {digits[start : start + _LOCAL] for start in range(len(digits) - _LOCAL + 1)}


def _digits(text: str) -> str:
    return "".join(character for character in text if character.isascii() and character.isdigit())
