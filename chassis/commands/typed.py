"""Options of operators' commands that people fill with text: who decided, and why."""

import unicodedata
from collections.abc import Callable
from typing import Final

import typer

MAX_WHO: Final = 200
MAX_WHY: Final = 1000
# Control characters, and the surrogates with which Python stands for bytes that are no text.
_FORBIDDEN: Final = frozenset({"Cc", "Cs"})


def _line(limit: int) -> Callable[[str], str]:
    """A parser of one line of text, trimmed, of at most `limit` characters. Raises typer.BadParameter."""

    def text(value: str) -> str:  # the help shows this name
        if any(unicodedata.category(character) in _FORBIDDEN for character in value):
            raise typer.BadParameter("уберите управляющие символы и переводы строк")
        line = value.strip()
        if not line:
            raise typer.BadParameter("напишите текст")
        if len(line) > limit:
            raise typer.BadParameter(f"не больше {limit} символов")
        return line

    return text


who: Final = _line(MAX_WHO)
"""The parser of an option that names a person."""
why: Final = _line(MAX_WHY)
"""The parser of an option that gives a reason."""
