"""Reads `$metadata`: 1C's description of the sets it publishes, as EDMX of OData v3, up to tens of megabytes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Final
from xml.etree.ElementTree import Element, ParseError, iterparse

_DOCTYPE: Final = b"<!DOCTYPE"


@dataclass(frozen=True, slots=True)
class Property:
    """A field. `kind` is its Edm type without the prefix (`String`, `Guid`, …).

    `length` is the number of characters that 1C stores, or None if there is no limit.
    """

    kind: str
    length: int | None = None


@dataclass(frozen=True, slots=True)
class EntitySet:
    """A published set: its fields by name, and the names of the fields that form its key."""

    fields: Mapping[str, Property]
    key: tuple[str, ...] = ()


@dataclass(slots=True)
class _Type:
    fields: dict[str, Property] = field(default_factory=dict)
    key: list[str] = field(default_factory=list)


def parse(document: bytes) -> dict[str, EntitySet]:
    """The published sets by name. Raises ValueError if the document is no EDMX or defines a document type."""
    if _DOCTYPE in document[:4096].upper():
        raise ValueError("the document defines a document type")
    types: dict[str, _Type] = {}
    sets: dict[str, str] = {}
    try:
        for _, element in iterparse(BytesIO(document)):  # noqa: S314  # without a document type there are no entities
            match _name(element):
                case "EntityType":
                    types[element.get("Name", "")] = _type(element)
                    element.clear()
                case "EntitySet":
                    sets[element.get("Name", "")] = element.get("EntityType", "").rpartition(".")[2]
    except ParseError as error:
        raise ValueError(f"not XML: {error}") from None
    return {name: EntitySet(types[kind].fields, tuple(types[kind].key)) for name, kind in sets.items() if kind in types}


def _type(element: Element) -> _Type:
    found = _Type()
    for child in element:
        if _name(child) == "Property":
            limit = child.get("MaxLength", "")
            kind = child.get("Type", "").removeprefix("Edm.")
            found.fields[child.get("Name", "")] = Property(kind, int(limit) if limit.isdigit() else None)
        elif _name(child) == "Key":
            found.key.extend(reference.get("Name", "") for reference in child)
    return found


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2]
