"""Parses a request (set, key, options) and answers a query from the infobase."""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from tests.simulators.onec.config import SETS, EntitySet, Field, Kind, Nature
from tests.simulators.onec.errors import (
    BAD_REQUEST,
    BAD_URL,
    FAILURE,
    MISSING_KEY,
    UNKNOWN_SET,
    OneCError,
    bad_option,
    cannot_parse,
    unlimited_comparison,
)
from tests.simulators.onec.filters import parse
from tests.simulators.onec.predicates import predicate
from tests.simulators.onec.store import Infobase, Key
from tests.simulators.onec.values import Row, parse_datetime, parse_guid

# A doubled quote inside a string matches as two adjacent strings, so that any text can be parsed in one way only.
_RESOURCE = re.compile(r"(?P<set>[^(/]+)(?:\((?P<key>(?:[^'()]|'[^']*')*)\))?(?:/(?P<rest>.+))?")
_KEY_PART = re.compile(
    r"\s*(?:(?P<name>\w+)\s*=\s*)?(?:(?P<type>guid|datetime)?'(?P<text>(?:[^']|'')*)'|(?P<number>-?\d+))\s*(?:,|$)"
)
_OPTIONS = frozenset(
    ["$filter", "$top", "$skip", "$orderby", "$select", "$inlinecount", "$format", "$expand", "$allowedOnly"]
)

JSON_FORMATS = ("json", "application/json")
_ATOM_FORMATS = ("atom", "application/atom+xml")


@dataclass(frozen=True, slots=True)
class Resource:
    """The resource that a path names: a set, a key in the set or None, and the rest behind it (`$count`, `Post`)."""

    entity: EntitySet
    key: Key | None
    rest: str


def set_name(path: str) -> str:
    """The name of the set in a path, known or not, for the call log and for matching faults."""
    match = _RESOURCE.fullmatch(path)
    return match["set"] if match else ""


def resource(path: str) -> Resource:
    """The resource of a path below the service's root. Raises OneCError."""
    match = _RESOURCE.fullmatch(path)
    if match is None:
        raise OneCError(400, BAD_URL, "Неверный URL")
    entity = SETS.get(match["set"])
    if entity is None:
        raise OneCError(404, UNKNOWN_SET, f"Тип сущности «{match['set']}» не найден")
    key = None if match["key"] is None else _key(entity, match["key"])
    return Resource(entity, key, match["rest"] or "")


def _key(entity: EntitySet, text: str) -> Key:
    parts: dict[str, str] = {}
    position = 0
    while position < len(text):
        match = _KEY_PART.match(text, position)
        if match is None:
            raise OneCError(400, BAD_URL, "Неверный URL: ключ сущности записан неверно")
        position = match.end()
        # The name may be left out only if the set has a single key field.
        name = match["name"] or (entity.key[0] if len(entity.key) == 1 else "")
        if name not in entity.key or name in parts:
            raise OneCError(400, BAD_URL, f"Неверный URL: ключевое поле «{name}»")
        parts[name] = _key_value(entity.by_name[name].kind, match)
    for name in entity.key:
        if name not in parts:
            raise OneCError(400, MISSING_KEY, f"Не хватает элемента ключа сущности {name}")
    return tuple(parts[name] for name in entity.key)


def _key_value(kind: Kind, match: re.Match[str]) -> str:
    text = (match["number"] or match["text"] or "").replace("''", "'")
    given = "number" if match["number"] else match["type"] or "string"
    wanted = {Kind.GUID: "guid", Kind.DATETIME: "datetime", Kind.INT64: "number"}.get(kind, "string")
    if given != wanted:
        raise cannot_parse(text, kind)
    if kind is Kind.GUID:
        return parse_guid(text)
    return parse_datetime(text) if kind is Kind.DATETIME else text


def options(raw: bytes) -> dict[str, str]:
    """The query options by name. Raises OneCError as 1C does, also for a raw `+`, which 1C does not read as a space."""
    if b"+" in raw:
        raise OneCError(500, FAILURE, 'Операция не разрешена в предложении "ГДЕ"')
    found: dict[str, str] = {}
    for pair in filter(None, raw.split(b"&")):
        name, _, value = pair.partition(b"=")
        try:
            found[unquote(name.decode("ascii"), errors="strict")] = unquote(value.decode("ascii"), errors="strict")
        except UnicodeError:
            raise OneCError(400, BAD_REQUEST, "Неверный формат запроса") from None
    for option in found:
        if option.startswith("$") and option not in _OPTIONS:
            raise bad_option(option, "опция неизвестна")
    if found.get("$format", "json").partition(";")[0] not in (*JSON_FORMATS, *_ATOM_FORMATS):
        raise bad_option("$format", f"«{found['$format']}»")
    return found


def matching(infobase: Infobase, entity: EntitySet, given: dict[str, str]) -> list[Row]:
    """The rows that meet `$filter`, in the order of `$orderby`."""
    rows = infobase.scan(entity)
    if given.get("$filter", "").strip(" "):
        test = predicate(parse(given["$filter"]), entity)
        found = [row for row in rows if test(row)]
    else:
        found = list(rows)
    # Sorting is stable: sort by the last field first, so that the first field decides.
    for name, descending in reversed(_ordering(entity, given.get("$orderby", ""))):
        found.sort(key=lambda row, name=name: _sortable(entity, name, row), reverse=descending)  # type: ignore[misc]
    return found


def _ordering(entity: EntitySet, text: str) -> list[tuple[str, bool]]:
    ordering: list[tuple[str, bool]] = []
    for item in filter(None, (part.strip(" ") for part in text.split(","))):
        name, _, direction = item.partition(" ")
        direction = direction.strip(" ") or "asc"
        if name not in entity.by_name or direction not in ("asc", "desc"):
            raise bad_option("$orderby", f"«{item}»")
        if entity.by_name[name].unlimited or entity.by_name[name].kind is Kind.ROWS:
            raise unlimited_comparison()
        ordering.append((name, direction == "desc"))
    return ordering


def _sortable(entity: EntitySet, name: str, row: Row) -> Any:
    value = row[name]
    kind = entity.by_name[name].kind
    if kind is Kind.INT64:
        return int(value)
    return value.casefold() if isinstance(value, str) else value


def _natural(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise bad_option(name, f"«{text}» не является числом")
    return int(text)


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the matching rows. `count` is the number of all matching rows if `$inlinecount` requested it."""

    rows: list[Row]
    count: int | None


def page(infobase: Infobase, entity: EntitySet, given: dict[str, str]) -> Page:
    """The rows that a query of a set returns."""
    counted = given.get("$inlinecount", "none")
    if counted not in ("none", "allpages"):
        raise bad_option("$inlinecount", f"«{counted}»")
    skip = _natural("$skip", given.get("$skip", "0"))
    top = _natural("$top", given["$top"]) if "$top" in given else None
    names, expand = selected(entity, given), expanded(entity, given)
    rows = matching(infobase, entity, given)
    total = len(rows)
    # The vendor's guide: with `$inlinecount` the paging options are ignored.
    if counted == "none":
        rows = rows[skip:] if top is None else rows[skip : skip + top]
    found = [shown(row, names) | _referenced(infobase, row, expand, names) for row in rows]
    return Page(found, total if counted == "allpages" else None)


def selected(entity: EntitySet, given: dict[str, str]) -> tuple[str, ...] | None:
    """The names of the fields in `$select`, or None for all fields."""
    wanted = [name for name in (part.strip(" ") for part in given.get("$select", "").split(",")) if name]
    if not wanted or "*" in wanted:
        return None
    if "**" in wanted:
        return tuple(field.name for field in entity.fields if field.kind is not Kind.ROWS)
    for name in wanted:
        if name not in entity.by_name and name not in expanded(entity, given):
            raise OneCError(400, BAD_URL, f"Неверный URL: сегмент пути «{name}» не найден в {entity.name}")
    return tuple(wanted)


def shown(row: Row, names: tuple[str, ...] | None) -> Row:
    """The row with the selected fields only."""
    return row if names is None else {name: row[name] for name in names if name in row}


def expanded(entity: EntitySet, given: dict[str, str]) -> dict[str, Field]:
    """The reference fields in `$expand`, by their navigation names. Rows of tabular parts cannot be expanded."""
    wanted = [name for name in (part.strip(" ") for part in given.get("$expand", "").split(",")) if name]
    if wanted and entity.nature is Nature.TABULAR:
        raise bad_option("$expand", "для табличных частей не поддерживается")
    for name in wanted:
        if name not in entity.navigation:
            raise bad_option("$expand", f"«{name}» не является навигационным свойством {entity.name}")
    return {name: entity.navigation[name] for name in wanted}


def _referenced(
    infobase: Infobase, row: Row, expand: dict[str, Field], names: tuple[str, ...] | None
) -> dict[str, Row | None]:
    """The objects that the references point to, null for a dangling reference.

    A live base returns only the objects that `$select` names too.
    """
    found: dict[str, Row | None] = {}
    for name, field in expand.items():
        if names is not None and name in names:
            try:
                found[name] = infobase.get(SETS[field.refers], (row[field.name],))
            except OneCError:
                found[name] = None
    return found
