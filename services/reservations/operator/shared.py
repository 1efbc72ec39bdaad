"""What the operators' commands of reservations share."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from chassis.commands.console import query
from chassis.service import Row
from chassis.settings import load
from services.reservations.app import NAME
from services.reservations.settings import Settings

AsJson = Annotated[bool, typer.Option("--json", help="по объекту JSON в строке вместо таблицы")]


def select(sql: str, *args: Any) -> Sequence[Row]:
    """Run one statement on the service's database; return its rows."""
    return query(load(Settings).database_url.get_secret_value(), NAME, sql, *args)


def builder_zone() -> ZoneInfo:
    """Return the time zone in which dates are shown and days begin."""
    return ZoneInfo(load(Settings).time_zone)


def format_moment(moment: datetime, zone: ZoneInfo) -> str:
    """Format a moment in the builder's time zone, with the year."""
    return f"{moment.astimezone(zone):%d.%m.%Y %H:%M:%S}"
