"""Cuts personal data out of 1C's error messages.

1C repeats names, phones, keys and values of a request in its messages, with and without quotes (seen on a live base).
So everything that may be personal is cut out, and the platform's own words remain.
"""

import re
from collections.abc import Sequence
from typing import Final

LONGEST: Final = 500
CUT: Final = "…"
# A name in CamelCase belongs to the configuration: a handler, a set, a field.
_IDENTIFIER: Final = re.compile(r"^[A-Za-zА-Яа-яЁё_.]*[a-zа-яё][A-ZА-ЯЁ][A-Za-zА-Яа-яЁё_.]*$")
_QUOTED: Final = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"|«[^»\n]*»|„[^“\n]*“|“[^”\n]*”")
_ADDRESS: Final = re.compile(r"\S+@\S+")
_DIGITS: Final = re.compile(r"\+?\d(?:[\s().\-]*\d){4,}")
_WORD: Final = re.compile(r"[A-Za-zА-Яа-яЁё]+(?:-[A-Za-zА-Яа-яЁё]+)*")
_CAPITALISED: Final = re.compile(r"^[А-ЯЁ][а-яё]+(?:-[А-ЯЁ][а-яё]+)*$|^[А-ЯЁ]{2,}$")
# Nothing that a terminal executes, and no NUL, which PostgreSQL cannot store. Spaces of any kind are folded below.
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]")
_STEM: Final = 4
# First words of sentences that the platform is known to use. Any other capitalised word may be a surname.
_OPENING: Final = frozenset(
    (
        *("ошибка", "нарушение", "конфликт", "запись", "превышено", "неверный", "неверное", "не", "нет", "поле"),
        *("значение", "операция", "экземпляр", "сущность", "непредвиденный", "неизвестный", "отсутствует", "доступ"),
        *("объект", "недостаточно", "истекло", "начало", "ведутся", "пользователь", "использованный", "справочник"),
        *("документ", "регистр", "метод", "запрос", "при", "для", "транзакция", "блокировка", "данные"),
        *("клиент", "контрагент", "элемент", "телефон", "номер", "дата", "строка"),
    )
)


def scrubbed(text: str, personal: Sequence[str]) -> str:
    """The text without personal data, at most LONGEST characters long.

    `personal` are the names and phones of the request. A word that begins like a name of the request is cut out too,
    since 1C's messages decline names.
    """
    stems = {word[:_STEM] for value in personal for word in _words(value)}
    text = _QUOTED.sub(_quoted, _CONTROLS.sub("", text))
    text = _ADDRESS.sub(CUT, text)
    text = _DIGITS.sub(CUT, text)
    text = _WORD.sub(lambda word: CUT if _is_personal(word, text, stems) else word[0], text)
    return re.sub(r"…(?:[\s,.]*…)+", CUT, re.sub(r"\s+", " ", text)).strip()[:LONGEST]


def _quoted(found: re.Match[str]) -> str:
    inside = found[0][1:-1]
    return found[0] if _IDENTIFIER.match(inside) else found[0][0] + CUT + found[0][-1]


def _is_personal(word: re.Match[str], text: str, stems: set[str]) -> bool:
    folded = _folded(word[0])
    if any(part[:_STEM] in stems for part in folded.split("-")):
        return True
    if not _CAPITALISED.match(word[0]):
        return False
    before = text[: word.start()].rstrip(" «\"'(")
    opens = not before or before[-1] in ".:!?\n"
    return not (opens and folded in _OPENING)


def _words(value: str) -> list[str]:
    return [part for word in _WORD.findall(_folded(value)) for part in word.split("-") if len(part) > 1]


def _folded(text: str) -> str:
    return text.casefold().replace("ё", "е")
