"""Values that fit into 1C's fields: 1C cuts off what is too long without an error."""

from collections.abc import Callable, Mapping
from typing import Any

from services.onec_gateway.onec.errors import Refused

Length = Callable[[str, str], int | None]
"""(set, field) → how many characters 1C stores, None if there is no limit."""


def fitted(
    record: Mapping[str, Any], entity: str, length: Length, names: tuple[str, ...], comment: str
) -> dict[str, Any]:
    """The record with no value that 1C would cut.

    A person's name (`names` are the fields with names) that is too long is shortened, and stands in full at the
    start of the field `comment`. Raises Refused("too-long") for any other value, and for a comment that is too long.
    """
    result = dict(record)
    for name, value in record.items():
        limit = length(entity, name) if isinstance(value, str) else None
        if limit is None or len(value) <= limit:
            continue
        if name not in names:
            raise Refused("too-long")
        result[name] = value[: limit - 1] + "…"
        result[comment] = f"{value}. {result.get(comment, '')}".strip()
    limit = length(entity, comment)
    if limit is not None and len(result.get(comment, "")) > limit:
        raise Refused("too-long")
    return result


def check_stored(sent: Mapping[str, Any], stored: Mapping[str, Any]) -> None:
    """Compare what was sent with the object that 1C returned. Raises Refused("truncated") if a text is shorter."""
    for name, value in sent.items():
        kept = stored.get(name)
        if isinstance(value, str) and isinstance(kept, str) and len(kept) < len(value):
            raise Refused("truncated")
