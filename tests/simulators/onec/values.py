"""1C's empty values, and how 1C stores, refuses or silently changes a JSON value."""

import re
import uuid
from datetime import datetime
from typing import Any

from tests.simulators.onec.config import Field, Kind
from tests.simulators.onec.errors import FAILURE, MISSING_VALUE, OneCError, cannot_parse

Row = dict[str, Any]

ZERO_GUID = "00000000-0000-0000-0000-000000000000"
EMPTY_DATE = "0001-01-01T00:00:00"
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_INTEGER = re.compile(r"[+-]?\d{1,19}")

_EMPTY: dict[Kind, Any] = {
    Kind.GUID: ZERO_GUID,
    Kind.STRING: "",
    Kind.BOOLEAN: False,
    Kind.DATETIME: EMPTY_DATE,
    Kind.INT64: "0",
    Kind.DOUBLE: 0,
    Kind.ENUM: "",
}


def empty(field: Field) -> Any:
    """The value that 1C stores in a field that the client did not send."""
    return [] if field.kind is Kind.ROWS else _EMPTY[field.kind]


def parse_guid(text: str) -> str:
    """A reference in its canonical form. Raises OneCError."""
    try:
        if len(text) != 36:
            raise ValueError
        return str(uuid.UUID(text))
    except ValueError:
        raise cannot_parse(text, Kind.GUID) from None


def parse_datetime(text: str) -> str:
    """A local time to the second. Raises OneCError, also for an offset, `Z` or a fraction of a second."""
    try:
        if not _DATE.fullmatch(text):
            raise ValueError
        datetime.fromisoformat(text)
    except ValueError:
        raise cannot_parse(text, Kind.DATETIME) from None
    return text


def stored(field: Field, value: Any) -> Any:
    """The value that 1C stores for a JSON value of the client. Raises OneCError for a value that 1C refuses."""
    if value is None:
        return empty(field)
    match field.kind:
        case Kind.ROWS:
            return _stored_rows(field, value)
        case Kind.GUID:
            return parse_guid(value if isinstance(value, str) else _as_text(value))
        case Kind.BOOLEAN:
            if not isinstance(value, bool):
                raise cannot_parse(_as_text(value), field.edm)
            return value
        case Kind.DATETIME:
            return parse_datetime(value if isinstance(value, str) else _as_text(value))
        case Kind.INT64:
            # 1C stores 0 for a value that is no number, without an error.
            return str(int(str(value))) if _INTEGER.fullmatch(str(value)) else "0"
        case Kind.DOUBLE:
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise cannot_parse(_as_text(value), field.edm)
            return value
        case Kind.ENUM:
            known = field.enumeration.values if field.enumeration else ()
            if value != "" and value not in known:
                raise cannot_parse(_as_text(value), field.edm)
            return value
        case Kind.STRING:
            if not isinstance(value, str):
                raise OneCError(500, FAILURE, "Несоответствие типов при чтении свойства " + field.name)
            # 1C cuts off what is too long, without an error: the client must compare the object that it gets back.
            return value[: field.length] if field.length else value


def _stored_rows(field: Field, value: Any) -> list[Row]:
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise OneCError(500, FAILURE, f"Непредвиденный символ при чтении JSON: {field.name}")
    rows: list[Row] = []
    for number, given in enumerate(value, start=1):
        if "LineNumber" not in given:
            raise OneCError(500, FAILURE, "Не задан номер строки табличной части")
        if str(given["LineNumber"]) != str(number):
            raise OneCError(400, MISSING_VALUE, f"Неверный номер строки табличной части {field.name}")
        row: Row = {
            column.name: stored(column, given.get(column.name))
            for column in field.rows
            if column.name not in ("Ref_Key", "LineNumber")
        }
        rows.append({"LineNumber": str(number), **row})
    return rows


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
