"""Reads the fields of a row that 1C returned. A missing or malformed field raises NoAnswer: the answer is unusable."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.onec_gateway.onec.errors import NoAnswer

_EMPTY_DAY: Final = "0001-01-01T"
_MIDNIGHT: Final = "T00:00:00"
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def string(row: Mapping[str, Any], name: str) -> str:
    """A text field as 1C stores it, control characters included. Raises NoAnswer if the field is missing."""
    value = row.get(name)
    if not isinstance(value, str):
        raise NoAnswer("not-1c", 200)
    return value


def line(row: Mapping[str, Any], name: str) -> str:
    """A text field that the gateway stores and publishes: a space stands for each control character. Raises NoAnswer.

    PostgreSQL cannot store NUL: without this, one such number in 1C would park the client.
    """
    return without_controls(string(row, name))


def without_controls(text: str) -> str:
    """The text with a space in place of each control character, line feeds too."""
    return _CONTROLS.sub(" ", text)


def money(row: Mapping[str, Any], name: str) -> Decimal:
    """An amount, to the cent. Raises NoAnswer."""
    # 1C sends Edm.Double: the shortest text of the number is the amount that people typed.
    try:
        return Decimal(str(row[name])).quantize(Decimal("0.01"))
    except (KeyError, InvalidOperation):
        raise NoAnswer("not-1c", 200) from None


def instant(row: Mapping[str, Any], name: str, zone: ZoneInfo) -> datetime:
    """A date with time in UTC; 1C's dates are local times of the infobase. Raises NoAnswer."""
    naive = string(row, name)
    if naive.startswith(_EMPTY_DAY):
        # 1C stores a document without a date, or with a time of day only, on this day. It counts as the oldest.
        return datetime.min.replace(tzinfo=UTC)
    try:
        return datetime.fromisoformat(naive).replace(tzinfo=zone).astimezone(UTC)
    except ValueError:
        raise NoAnswer("not-1c", 200) from None


def instant_or_day(row: Mapping[str, Any], name: str, zone: ZoneInfo) -> tuple[datetime, datetime | None] | None:
    """A date with time in UTC, and None; a date without a time of day as the beginning of that local day and its
    exclusive end, both in UTC; None for an empty date. Raises NoAnswer."""
    naive = string(row, name)
    if naive.startswith(_EMPTY_DAY):
        return None
    began = instant(row, name, zone)
    if not naive.endswith(_MIDNIGHT):
        return began, None
    after = datetime.fromisoformat(naive) + timedelta(days=1)
    return began, after.replace(tzinfo=zone).astimezone(UTC)


def day(row: Mapping[str, Any], name: str, default_name: str) -> date:
    """A calendar day; where the field is empty, the day of the field `default_name`. Raises NoAnswer."""
    naive, default = string(row, name), string(row, default_name)
    try:
        return datetime.fromisoformat(default if naive.startswith(_EMPTY_DAY) else naive).date()
    except ValueError:
        raise NoAnswer("not-1c", 200) from None
