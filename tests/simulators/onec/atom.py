"""A minimum of Atom, the answer to a client that does not request JSON: well-formed XML."""

from collections.abc import Iterable
from typing import Any
from xml.sax.saxutils import escape

_NAMESPACES = (
    'xmlns="http://www.w3.org/2005/Atom"'
    ' xmlns:d="http://schemas.microsoft.com/ado/2007/08/dataservices"'
    ' xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata"'
)
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


def _entry(row: dict[str, Any], namespaces: str = "") -> str:
    properties = "".join(
        f"<d:{name}>{escape(str(value).lower() if isinstance(value, bool) else str(value))}</d:{name}>"
        for name, value in row.items()
        if not isinstance(value, list)
    )
    content = f'<content type="application/xml"><m:properties>{properties}</m:properties></content>'
    return f"<entry{namespaces}>{content}</entry>"


def entry(row: dict[str, Any]) -> bytes:
    """An entry with one object."""
    return (_HEAD + _entry(row, " " + _NAMESPACES)).encode()


def feed(rows: Iterable[dict[str, Any]]) -> bytes:
    """A feed of objects."""
    return f"{_HEAD}<feed {_NAMESPACES}>{''.join(map(_entry, rows))}</feed>".encode()


def service(names: Iterable[str]) -> bytes:
    """The service document: the list of sets."""
    sets = "".join(f'<collection href="{name}"><atom:title>{name}</atom:title></collection>' for name in names)
    return (
        f'{_HEAD}<service xmlns="http://www.w3.org/2007/app" xmlns:atom="http://www.w3.org/2005/Atom">'
        f"<workspace><atom:title>Default</atom:title>{sets}</workspace></service>"
    ).encode()
