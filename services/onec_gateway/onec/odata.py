"""OData v3 as 1C reads it: literals, queries, and how long the address of a query may be.

Queries are encoded by hand, because 1C reads a space only as `%20`, never as `+`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, Literal
from urllib.parse import quote
from zoneinfo import ZoneInfo

WebServer = Literal["iis", "apache"]

ROOT: Final = "/odata/standard.odata/"
OR: Final = " or "
_IIS_QUERY: Final = 2048  # maxQueryString of its request filtering
_APACHE_LINE: Final = 8190  # LimitRequestLine
_MARGIN: Final = 0.98


def query(options: Mapping[str, str]) -> str:
    """The encoded query string of a request, with JSON as the format of the answer."""
    return "&".join(f"{name}={encoded(value)}" for name, value in {"$format": "json", **options}.items())


def find_query(condition: str, fields: Sequence[str], *, order_by: str = "", top: int | None = None) -> str:
    """The encoded query string of a search. Its length in bytes is what web servers limit."""
    options = {"$filter": condition, "$select": ",".join(fields), "$orderby": order_by}
    if top is not None:
        options["$top"] = str(top)
    return query({name: value for name, value in options.items() if value})


def encoded(value: str) -> str:
    """The value of a query option, percent-encoded."""
    return quote(value, safe="(),")


def longest_query(web_server: WebServer, path: str) -> int:
    """How many bytes the encoded query of a GET for this encoded path may have before the web server refuses it."""
    if web_server == "iis":
        return int(_IIS_QUERY * _MARGIN)
    return int((_APACHE_LINE - len(f"GET {path}? HTTP/1.1")) * _MARGIN)


def string_literal(value: str) -> str:
    """A string in a condition or a key; quotes inside are doubled."""
    return "'" + value.replace("'", "''") + "'"


def guid_literal(value: str) -> str:
    """A reference in a condition or a key."""
    return f"guid'{value}'"


def local_time(moment: datetime, zone: ZoneInfo) -> str:
    """A moment as 1C stores it: local time of the infobase, to the second, without an offset."""
    return moment.astimezone(zone).replace(tzinfo=None).isoformat(timespec="seconds")


def datetime_literal(moment: datetime, zone: ZoneInfo) -> str:
    """A moment in a condition, as local time of the infobase."""
    return f"datetime'{local_time(moment, zone)}'"
