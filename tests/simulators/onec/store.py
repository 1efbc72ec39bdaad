"""The infobase: the rows of all sets, written by 1C's rules."""

import base64
import uuid
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.simulators.kit.rows import Rows
from tests.simulators.onec.config import PREDEFINED, SETS, EntitySet, Field, Kind, Nature
from tests.simulators.onec.errors import (
    EXISTS,
    HTTP_METHOD,
    MISSING_VALUE,
    NOT_FOUND,
    TABULAR_ROW,
    OneCError,
)
from tests.simulators.onec.values import Row, empty, parse_guid, stored

Key = tuple[str, ...]

# The platform sets these fields and ignores what a client sends.
_PLATFORM = frozenset({"Ref_Key", "DataVersion", "Predefined", "PredefinedDataName"})


class Table:
    """The rows of one set, ordered by their key, which is no useful order: a client must use `$orderby`."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self._order: list[str] = []

    def put(self, key: str, row: Row) -> None:
        """Add or replace a row."""
        if key not in self.rows:
            insort(self._order, key)
        self.rows[key] = row

    def remove(self, key: str) -> None:
        """Remove a row."""
        del self.rows[key]
        del self._order[bisect_left(self._order, key)]

    def __iter__(self) -> Iterator[Row]:
        return (self.rows[key] for key in self._order)


@dataclass(frozen=True, slots=True)
class Numbering:
    """How 1C numbers new documents: the prefix, and whether the numbers begin again with each year.

    The year is that of the document's own date, so a document that is dated back gets the next number of its year.
    """

    prefix: str = "0000-"
    by_year: bool = False

    def year_of(self, row: Row) -> str:
        """The year whose numbers a document belongs to; empty if the numbers are continuous."""
        return str(row.get("Date", ""))[:4] if self.by_year else ""


class Infobase:
    """All sets of the configuration, in memory and on disk."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._tables: dict[str, Table] = {}
        self._numbers: dict[tuple[str, str], int] = {}
        self.numbering = Numbering()
        self._start_empty()
        stored_before = False
        for name, key, row in rows.load():
            stored_before = True
            if name in self._tables:
                self._tables[name].put(key, row)
                self._note_number(SETS[name], row)
        if not stored_before:
            self._predefine()

    def _start_empty(self) -> None:
        self._tables = {name: Table() for name, entity in SETS.items() if entity.nature is not Nature.TABULAR}
        self._numbers = {}

    def _predefine(self) -> None:
        for name, rows in PREDEFINED.items():
            for row in rows:
                self._save(SETS[name], self._complete(SETS[name], row))

    def reset(self) -> None:
        """Delete all rows but the predefined ones."""
        self._rows.clear()
        self.numbering = Numbering()
        self._start_empty()
        self._predefine()

    def scan(self, entity: EntitySet) -> Iterator[Row]:
        """All rows of a set. Rows of a tabular part hold the reference of their owner in `Ref_Key`."""
        if entity.nature is not Nature.TABULAR:
            yield from self._tables[entity.name]
            return
        for owner in self._tables[entity.parent]:
            for row in owner[entity.part]:
                yield {"Ref_Key": owner["Ref_Key"], **row}

    def get(self, entity: EntitySet, key: Key) -> Row:
        """The row with this key. Raises OneCError with code 9 if there is none."""
        if entity.nature is Nature.TABULAR:
            owner = self._tables[entity.parent].rows.get(key[0])
            for row in owner[entity.part] if owner else ():
                if row["LineNumber"] == key[1]:
                    return {"Ref_Key": key[0], **row}
            raise _not_found(entity)
        found = self._tables[entity.name].rows.get(_key_text(key))
        if found is None:
            raise _not_found(entity)
        return found

    def create(self, entity: EntitySet, body: Mapping[str, Any]) -> Row:
        """POST: create a row. Fields that the body lacks are empty, unknown fields of the body are ignored.

        Raises OneCError, for an existing key of a register with code 15.
        """
        if entity.nature is Nature.TABULAR:
            raise OneCError(400, TABULAR_ROW, "Создание строк табличных частей напрямую не поддерживается")
        values = _values(entity, body)
        if entity.nature is Nature.REGISTER:
            row = self._complete(entity, values)
            if _key_text(_key_of(entity, row)) in self._tables[entity.name].rows:
                raise OneCError(400, EXISTS, f"Сущность {entity.name} с таким ключом уже существует")
        else:
            # The client's own `Ref_Key` is ignored: it is not proven that 1C uses it.
            row = self._complete(entity, {"Ref_Key": str(uuid.uuid4()), **values})
        self._save(entity, row)
        return row

    def create_all(self, entity: EntitySet, bodies: Iterable[Mapping[str, Any]]) -> None:
        """Create many rows. Raises OneCError."""
        with self._rows.together():
            for body in bodies:
                self.create(entity, body)

    def update(self, entity: EntitySet, key: Key, body: Mapping[str, Any], *, whole: bool = False) -> Row:
        """PATCH, or with `whole` PUT: change a row. A tabular part in the body replaces the stored part.

        Raises OneCError.
        """
        if entity.nature is Nature.TABULAR:
            raise _wrong_method(entity)
        before = self.get(entity, key)
        values = _values(entity, body)
        if whole:
            for field in entity.fields:
                if field.name not in values and field.name not in _PLATFORM and field.name not in entity.key:
                    raise OneCError(400, MISSING_VALUE, f"Отсутствует обязательное значение свойства {field.name}")
        # A body cannot change the key of a row.
        after = {**before, **values, **{name: before[name] for name in entity.key}}
        if "DataVersion" in after:
            after["DataVersion"] = _version(_version_number(before["DataVersion"]) + 1)
        self._save(entity, after)
        return after

    def delete(self, entity: EntitySet, key: Key) -> None:
        """DELETE: delete a row physically. References to the row stay and dangle. Raises OneCError."""
        if entity.nature is Nature.TABULAR:
            raise _wrong_method(entity)
        self.get(entity, key)
        self._tables[entity.name].remove(_key_text(key))
        self._rows.remove(entity.name, _key_text(key))

    def _complete(self, entity: EntitySet, values: Mapping[str, Any]) -> Row:
        row: Row = {field.name: values.get(field.name, empty(field)) for field in entity.fields}
        if entity.nature is not Nature.REGISTER:
            row["DataVersion"] = _version(0)
            if entity.nature is Nature.CATALOG and not row["Code"]:
                row["Code"] = f"00-{self._next_number(entity, '00-'):08d}"
            if entity.nature is Nature.DOCUMENT and not row["Number"]:
                prefix = self.numbering.prefix
                row["Number"] = f"{prefix}{self._next_number(entity, prefix + self.numbering.year_of(row)):06d}"
        return row

    def _note_number(self, entity: EntitySet, row: Row) -> None:
        """Continue the numbering of a stored row's series after its number."""
        text = str(row.get("Number") or row.get("Code") or "")
        prefix = text.rstrip("0123456789")
        if digits := text[len(prefix) :]:
            year = self.numbering.year_of(row) if entity.nature is Nature.DOCUMENT else ""
            series = (entity.name, prefix + year)
            self._numbers[series] = max(self._numbers.get(series, 0), int(digits))

    def _next_number(self, entity: EntitySet, series: str) -> int:
        number = self._numbers[entity.name, series] = self._numbers.get((entity.name, series), 0) + 1
        return number

    def _save(self, entity: EntitySet, row: Row) -> None:
        key = _key_text(_key_of(entity, row))
        self._tables[entity.name].put(key, row)
        self._rows.put(entity.name, key, row)


def _values(entity: EntitySet, body: Mapping[str, Any]) -> Row:
    """The values in a client's body for the fields that a client may set."""
    values: Row = {}
    for field in entity.fields:
        if field.name in _PLATFORM:
            continue
        if field.name in body:
            values[field.name] = stored(field, body[field.name])
        elif (bind := body.get(_bind_name(field))) is not None:
            # "X@odata.bind": "Catalog_Y(guid'…')" has the same meaning as X_Key.
            values[field.name] = parse_guid(str(bind).partition("guid'")[2].partition("'")[0])
    return values


def _bind_name(field: Field) -> str:
    return f"{field.name.removesuffix('_Key')}@odata.bind" if field.kind is Kind.GUID else ""


def _key_of(entity: EntitySet, row: Row) -> Key:
    return tuple(row[name] for name in entity.key)


def _key_text(key: Key) -> str:
    # 1C ignores case and trailing spaces in comparisons, so keys that differ only in them are equal.
    return "\x1f".join(part.rstrip().casefold() for part in key)


def _version(number: int) -> str:
    # Base64 of 8 bytes with a counter in the upper 4, as seen on a live base.
    return base64.b64encode(number.to_bytes(4, "big") + bytes(4)).decode()


def _version_number(text: str) -> int:
    return int.from_bytes(base64.b64decode(text)[:4], "big")


def _not_found(entity: EntitySet) -> OneCError:
    name = entity.name.partition("_")[2]
    return OneCError(404, NOT_FOUND, f'Экземпляр сущности "{name}" не найден по переданному ключу.')


def _wrong_method(entity: EntitySet) -> OneCError:
    return OneCError(405, HTTP_METHOD, f"Использованный HTTP-метод запрещен для {entity.name}")
