"""Text that people type: which characters it may not hold, as validators for the types of messages.

A text with NUL or a lone surrogate fits into no column of PostgreSQL, and a terminal executes other control
characters. Such a text is refused where it enters the system, so every text inside passes all services unchanged.
"""

import re
from typing import Any, Final

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

INVALID_TEXT: Final = "invalid_text"
"""The error type of a text with a forbidden character. Its context `lines` is true if the text may have lines."""
INVALID_NAME: Final = "invalid_name"
INVALID_PHONE: Final = "invalid_phone"
"""The same in the name and in the phone of a person."""

# C0, DEL, C1 and surrogates. Pydantic refuses surrogates too, but with another error, and only in Python's strings.
_IN_A_LINE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_IN_LINES: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
# A person's name is tidied: tabs and line feeds between its words become spaces.
_IN_A_PERSON: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_UNSTORABLE: Final = re.compile(r"[\x00\ud800-\udfff]")


def _without(forbidden: re.Pattern[str], error: str = INVALID_TEXT, *, lines: bool = False) -> BeforeValidator:
    """A validator of the text as it was sent, before it is trimmed. The error quotes no part of the text."""

    def check(value: Any) -> Any:
        if isinstance(value, str) and forbidden.search(value):
            raise PydanticCustomError(error, "forbidden characters in the text", {"lines": lines})
        return value

    return BeforeValidator(check)


ONE_LINE: Final = _without(_IN_A_LINE)
"""Refuses control characters and lone surrogates."""
LINES: Final = _without(_IN_LINES, lines=True)
"""The same, but line feeds are allowed."""
NAME: Final = _without(_IN_A_PERSON, INVALID_NAME)
PHONE: Final = _without(_IN_A_PERSON, INVALID_PHONE)
"""The same, but spaces of any kind are allowed."""
STORABLE: Final = _without(_UNSTORABLE)
"""Refuses only what PostgreSQL cannot store: NUL and lone surrogates."""
