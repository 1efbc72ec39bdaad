"""The rules of `breaking_changes`: one line a rule, each with the smallest schemas that break it or keep it."""

import copy
from typing import Any, Final

import pytest

from contracts.compatibility import breaking_changes
from tests.contracts.samples import TYPES, load

Schema = dict[str, Any]
TEXT: Final[Schema] = {"type": "string"}
NULL: Final[Schema] = {"type": "null"}


def message(required: tuple[str, ...] = (), **fields: Schema) -> Schema:
    return {"type": "object", "properties": fields, "required": list(required)}


def field(schema: Schema) -> Schema:
    """A message with one required field `f`."""
    return message(("f",), f=schema)


def optional(schema: Schema) -> Schema:
    """A message with one field `f`, which may be null."""
    return field({"anyOf": [schema, NULL]})


def mapping(schema: Schema) -> Schema:
    """A message with one field `f`, a map to `schema`."""
    return field({"type": "object", "additionalProperties": schema})


def listing(schema: Schema) -> Schema:
    """A message with one field `f`, a list of `schema`."""
    return field({"type": "array", "items": schema})


BREAKING: Final = [
    ("a required field is not removed", message(("f",), f=TEXT), message(), "message.f: removed; old readers need it"),
    ("an optional field is not removed", message(f=TEXT), message(), "message.f: removed; its name could return"),
    ("a new field is not required", message(), message(("f",), f=TEXT), "message.f: new and required"),
    ("a required field stays required", message(("f",), f=TEXT), message(f=TEXT), "message.f: was required"),
    ("an optional field stays optional", message(f=TEXT), message(("f",), f=TEXT), "message.f: was optional"),
    ("a default stays", field({**TEXT, "default": "a"}), field({**TEXT, "default": "b"}), "default was 'a', is 'b'"),
    ("a default is not dropped", field({**TEXT, "default": "a"}), field(TEXT), "default was 'a', is absent"),
    ("a type is not changed", field(TEXT), field({"type": "integer"}), "type was 'string', is 'integer'"),
    ("a whole number stays whole", field({"type": "integer"}), field({"type": "number"}), "is 'number'"),
    ("a list stays a list", listing(TEXT), field(TEXT), "items was"),
    ("the items of a list stay", listing(TEXT), listing(NULL), "message.f[]: type was"),
    ("the values of a map stay", mapping(TEXT), mapping(NULL), "message.f[]: type was"),
    ("unknown fields stay allowed", message(), {**message(), "additionalProperties": False}, "narrower"),
    ("an enum loses no value", field({"enum": ["a", "b"]}), field({"enum": ["a"]}), "no longer accepts ['b']"),
    ("an enum gains no value", field({"enum": ["a"]}), field({"enum": ["a", "b"]}), "now also accepts ['b']"),
    ("a constant gains no value", field({"const": "a"}), field({"enum": ["a", "b"]}), "now also accepts ['b']"),
    ("a constant stays", field({"const": "a"}), field({"const": "b"}), "no longer accepts ['a']"),
    ("a text does not become an enum", field(TEXT), field({**TEXT, "enum": ["a"]}), "narrower"),
    ("an enum does not become a text", field({**TEXT, "enum": ["a"]}), field(TEXT), "wider"),
    ("a pattern is not changed", field({"pattern": "^a"}), field({"pattern": "^b"}), "pattern was '^a', is '^b'"),
    ("a pattern is not added", field(TEXT), field({**TEXT, "pattern": "^a"}), "narrower"),
    ("a pattern is not dropped", field({**TEXT, "pattern": "^a"}), field(TEXT), "wider"),
    ("a length is not cut", field({"maxLength": 9}), field({"maxLength": 8}), "narrower"),
    ("a length is not stretched", field({"maxLength": 8}), field({"maxLength": 9}), "wider"),
    ("a length limit is not added", field(TEXT), field({**TEXT, "maxLength": 9}), "narrower"),
    ("a length limit is not dropped", field({**TEXT, "maxLength": 9}), field(TEXT), "wider"),
    ("a least length is not raised", field({"minLength": 1}), field({"minLength": 2}), "narrower"),
    ("a least length is not lowered", field({"minLength": 2}), field({"minLength": 1}), "wider"),
    ("a least value is not raised", field({"minimum": 0}), field({"minimum": 1}), "narrower"),
    ("a greatest value is not raised", field({"maximum": 1}), field({"maximum": 2}), "wider"),
    ("a format is not changed", field({"format": "date"}), field({"format": "date-time"}), "format was 'date'"),
    ("null is not allowed later", field(TEXT), optional(TEXT), "now also accepts null"),
    ("null is not forbidden later", optional(TEXT), field(TEXT), "no longer accepts null"),
    ("an alternative is not narrowed", optional(TEXT), optional({**TEXT, "maxLength": 9}), "narrower"),
    ("a nested object has the same rules", field(message(("g",), g=TEXT)), field(message()), "message.f.g: removed"),
    ("a topic stays", {"x-kafka-topic": "leads"}, {"x-kafka-topic": "verdicts"}, "x-kafka-topic was 'leads'"),
    ("a keyword without a rule stays", field({"multipleOf": 2}), field({"multipleOf": 3}), "multipleOf was 2"),
]  # fmt: skip

COMPATIBLE: Final = [
    ("an optional field may be added", message(), message(f=TEXT)),
    ("an optional field with a default may be added", message(), message(f={**TEXT, "default": "a"})),
    ("an optional object may be added", message(), message(f={**message(("g",), g=TEXT), "default": {}})),
    ("an optional field may be added to an object", field(message()), field(message(g=TEXT))),
    ("an optional field may be added to a nullable object", optional(message()), optional(message(g=TEXT))),
    ("an optional field may be added to the items of a list", listing(message()), listing(message(g=TEXT))),
    ("descriptions may change", field({**TEXT, "title": "A", "description": "a"}), field({**TEXT, "title": "B"})),
    ("a field may be deprecated", field(TEXT), field({**TEXT, "deprecated": True})),
    ("fields may be in another order", message(("f", "g"), f=TEXT, g=NULL), message(("g", "f"), g=NULL, f=TEXT)),
    ("values may be in another order", field({"enum": ["a", "b"]}), field({"enum": ["b", "a"]})),
    ("alternatives may be in another order", optional(TEXT), field({"anyOf": [NULL, TEXT]})),
    ("a constant is an enum of one", field({"const": "a"}), field({"enum": ["a"]})),
    ("allowing unknown fields may be written or left out", message(), {**message(), "additionalProperties": True}),
    (
        "a definition may be renamed or written out",
        {**field({"$ref": "#/$defs/A"}), "$defs": {"A": {**TEXT, "title": "A"}}},
        field(TEXT),
    ),
    ("a field may be named title or description", message(title=TEXT), message(title=TEXT, description=TEXT)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("published", "proposed", "reason"), [case[1:] for case in BREAKING], ids=[case[0] for case in BREAKING]
)
def test_a_breaking_change_is_named(published: Schema, proposed: Schema, reason: str) -> None:
    changes = breaking_changes(published, proposed)

    assert any(reason in change for change in changes), changes


@pytest.mark.parametrize(
    ("published", "proposed"), [case[1:] for case in COMPATIBLE], ids=[case[0] for case in COMPATIBLE]
)
def test_a_compatible_change_is_allowed(published: Schema, proposed: Schema) -> None:
    assert breaking_changes(published, proposed) == []


def test_a_field_named_like_a_schema_keyword_has_the_same_rules() -> None:
    assert breaking_changes(message(title=TEXT), message()) != []


def test_a_change_behind_a_reference_is_found() -> None:
    published = {**field({"$ref": "#/$defs/A"}), "$defs": {"A": TEXT}}
    proposed = {**field({"$ref": "#/$defs/A"}), "$defs": {"A": NULL}}

    assert breaking_changes(published, proposed) != []


def test_each_breaking_change_is_listed() -> None:
    changes = breaking_changes(message(("f",), f=TEXT, g=TEXT), message(("f", "h"), f=NULL, h=TEXT))

    assert len(changes) == 3


@pytest.mark.parametrize("ce_type", TYPES)
def test_a_published_schema_may_replace_itself(ce_type: str) -> None:
    schema = load("schemas", ce_type)

    assert breaking_changes(schema, copy.deepcopy(schema)) == []


@pytest.mark.parametrize("ce_type", TYPES)
def test_no_field_of_a_published_schema_can_be_dropped(ce_type: str) -> None:
    schema = load("schemas", ce_type)

    for name in schema["properties"]:
        rest = {key: value for key, value in schema["properties"].items() if key != name}
        required = [key for key in schema["required"] if key != name]
        assert breaking_changes(schema, {**schema, "properties": rest, "required": required}) != []
