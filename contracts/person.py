"""People as all services compare them: phone in E.164, folded name, and the client key, which hides the phone."""

import hashlib
import hmac
import re
import unicodedata
from dataclasses import dataclass

import phonenumbers

DEFAULT_REGION = "RU"
MAX_NAME_LENGTH = 150

_KEY_PREFIX = "k1:"
_YO = re.compile("е\u0308+")  # ё as two code points


class InvalidPhone(ValueError):
    """The text is not a valid telephone number. The error quotes no part of the text."""


class InvalidName(ValueError):
    """The name is empty, too long, or holds no letter. The error quotes no part of the name."""


@dataclass(frozen=True, slots=True)
class Person:
    """A person. `phone` is E.164, `phone_raw` the phone as it was typed; `full_name` has single spaces only."""

    full_name: str
    phone: str
    phone_raw: str

    @classmethod
    def parse(cls, full_name: str, phone: str, region: str = DEFAULT_REGION) -> "Person":
        """Normalise a name and a phone that a portal sent. Raises InvalidName or InvalidPhone."""
        return cls(full_name=tidy_name(full_name), phone=parse_phone(phone, region), phone_raw=phone)


def parse_phone(text: str, region: str = DEFAULT_REGION) -> str:
    """The number in E.164. A number without a country code is one of `region`. Raises InvalidPhone."""
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        raise InvalidPhone("not a telephone number") from None
    if not phonenumbers.is_valid_number(number):
        raise InvalidPhone("no such number in its country's plan")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def tidy_name(text: str) -> str:
    """The name in NFC, trimmed, with single spaces. Raises InvalidName."""
    name = _fold_spaces(text)
    if not any(character.isalpha() for character in name):
        raise InvalidName("no letters in the name")
    if len(name) > MAX_NAME_LENGTH:
        raise InvalidName(f"longer than {MAX_NAME_LENGTH} characters")
    if not name.isprintable():
        raise InvalidName("control characters in the name")
    return name


def fold_name(name: str) -> str:
    """The form in which two names are compared: without differences of case, ё/е, spaces and Unicode normal form."""
    folded = unicodedata.normalize("NFD", _fold_spaces(name)).casefold()
    return unicodedata.normalize("NFC", _YO.sub("е", folded))


def client_key(secret: bytes, phone: str) -> str:
    """The client key: `k1:` and the hex HMAC-SHA256 of the E.164 phone. The phone cannot be found from it.

    Another `secret` changes the key of every client, so it cannot be rotated, only migrated.
    """
    return _KEY_PREFIX + hmac.digest(secret, phone.encode(), hashlib.sha256).hex()


def is_client_key(text: str) -> bool:
    """Whether the text is a client key, and not the key of another thing."""
    return text.startswith(_KEY_PREFIX)


def _fold_spaces(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())
