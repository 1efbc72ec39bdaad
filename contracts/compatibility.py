"""Which changes of a published schema are compatible, so that its name and version may stay.

Old and new code run at the same time, and topics keep the messages of old code. So new code must read every message
of old code, and old code every message of new code. Readers ignore unknown fields. Therefore optional fields may be
added and descriptions may change. Every other change needs a new version of the message.

Optional fields may not be removed (mark them `deprecated`). So the name of a field never returns with another meaning,
and a schema that is compatible with the published one is compatible with all versions published before.
"""

from collections.abc import Iterator
from typing import Any, Final

Schema = dict[str, Any]

_WORDS: Final = frozenset({"$schema", "$id", "$defs", "$comment", "title", "description", "examples", "deprecated"})
_FLOORS: Final = frozenset({"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"})
_CEILINGS: Final = frozenset({"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"})
_NESTED: Final = frozenset({"items", "additionalProperties"})
_HERE: Final = frozenset({"properties", "required", "anyOf"})  # compared by functions of their own
_ABSENT: Final = object()


def breaking_changes(published: Schema, proposed: Schema) -> list[str]:
    """The reasons why `proposed` may not replace `published`, one line each. Empty if it may.

    Both are schemas as pydantic generates them. A keyword without a rule in this module may not change. A definition
    that refers to itself is not supported.
    """
    return list(_compare(_plain(published, published), _plain(proposed, proposed), "message"))


def _plain(node: Schema, root: Schema) -> Schema:
    """The schema without descriptions and references, in a normal form: schemas of one meaning become equal."""
    if "$ref" in node:
        target = root["$defs"][node["$ref"].removeprefix("#/$defs/")]
        node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    plain: Schema = {}
    for key, value in node.items():
        if key in _WORDS or (key == "additionalProperties" and value is True):
            continue
        if key == "properties":
            plain[key] = {name: _plain(field, root) for name, field in value.items()}
        elif key == "anyOf":
            plain[key] = [_plain(branch, root) for branch in value]
        elif key in _NESTED and isinstance(value, dict):
            plain[key] = _plain(value, root)
        elif key in ("const", "enum"):
            plain["enum"] = sorted(value if key == "enum" else [value], key=repr)
        else:
            plain[key] = value
    return plain


def _compare(old: Schema, new: Schema, at: str) -> Iterator[str]:
    if "anyOf" in old or "anyOf" in new:
        yield from _compare_branches(_branches(old), _branches(new), at)
        old, new = _beside_branches(old), _beside_branches(new)
    for key in sorted((old.keys() | new.keys()) - _HERE):
        before, after = old.get(key, _ABSENT), new.get(key, _ABSENT)
        if key in _NESTED and isinstance(before, dict) and isinstance(after, dict):
            yield from _compare(before, after, f"{at}[]")
        elif before != after:
            yield from _compare_keyword(key, before, after, at)
    yield from _compare_fields(old, new, at)


def _compare_fields(old: Schema, new: Schema, at: str) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    needed, needed_now = set(old.get("required", ())), set(new.get("required", ()))
    for name, field in before.items():
        where = f"{at}.{name}"
        if name not in after:
            why = "old readers need it" if name in needed else "its name could return with another meaning"
            yield f"{where}: removed; {why}"
            continue
        if name in needed - needed_now:
            yield f"{where}: was required, is optional; new messages may lack what old readers need"
        if name in needed_now - needed:
            yield f"{where}: was optional, is required; old messages may lack it"
        yield from _compare(field, after[name], where)
    for name in after:
        if name not in before and name in needed_now:
            yield f"{at}.{name}: new and required; old messages lack it"


def _compare_keyword(key: str, old: Any, new: Any, at: str) -> Iterator[str]:
    change = f"{at}: {key} was {_show(old)}, is {_show(new)}"
    if key == "default":
        yield f"{change}; old and new code would read one message differently"
    elif key == "enum" and _ABSENT not in (old, new):
        if lost := [value for value in old if value not in new]:
            yield f"{at}: no longer accepts {_show(lost)}; old messages may hold it"
        if gained := [value for value in new if value not in old]:
            yield f"{at}: now also accepts {_show(gained)}; old readers refuse it"
    elif new is _ABSENT or (old is not _ABSENT and key in _FLOORS | _CEILINGS and (new < old) == (key in _FLOORS)):
        yield f"{change}: wider; old readers refuse what new messages may hold"
    elif old is _ABSENT or key in _FLOORS | _CEILINGS:
        yield f"{change}: narrower; old messages may not fit"
    else:
        yield f"{change}; old and new code would not understand each other"


def _compare_branches(old: list[Schema], new: list[Schema], at: str) -> Iterator[str]:
    lost = [branch for branch in old if branch not in new]
    gained = [branch for branch in new if branch not in old]
    for branch in lost:
        twin = next((other for other in gained if other.get("type") == branch.get("type")), None)
        if twin is None:
            yield f"{at}: no longer accepts {_name(branch)}; old messages may hold it"
        else:
            gained.remove(twin)
            yield from _compare(branch, twin, at)
    for branch in gained:
        yield f"{at}: now also accepts {_name(branch)}; old readers refuse it"


def _branches(schema: Schema) -> list[Schema]:
    branches: list[Schema] = schema.get("anyOf") or [{key: schema[key] for key in schema if key != "default"}]
    return branches


def _beside_branches(schema: Schema) -> Schema:
    kept = schema if "anyOf" in schema else {"default"}
    return {key: value for key, value in schema.items() if key in kept and key != "anyOf"}


def _name(branch: Schema) -> str:
    return str(branch.get("type", branch))


def _show(value: Any) -> str:
    return "absent" if value is _ABSENT else repr(value)
