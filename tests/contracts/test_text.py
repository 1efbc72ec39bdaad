"""Text that people type: control characters are refused where it enters, and every other text stays as it is."""

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from contracts.base import RecordedText, StaffName, TypedText
from contracts.catalogue import MESSAGES
from contracts.portal import Agreement, PlainPerson, SettleReward, SubmitLead
from contracts.topics import PORTAL_REQUESTS

CONTROLS = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) in ("Cc", "Cs")][:66]
"""C0, DEL, C1, and the first surrogate."""
LINES = TypeAdapter(TypedText)
LINE = TypeAdapter(StaffName)
RECORDED = TypeAdapter(RecordedText)
SETTLEMENT = {"claim_id": "3f2b8a1e-0c57-4d0e-9c62-0d5f0a1b2c3d", "decision": "decline"}


def error_of(adapter: TypeAdapter[Any] | type, value: Any) -> dict[str, Any]:
    """The only error that the value causes."""
    validate = adapter.validate_python if isinstance(adapter, TypeAdapter) else adapter.model_validate  # type: ignore[attr-defined]
    with pytest.raises(ValidationError) as refused:
        validate(value)
    (error,) = refused.value.errors(include_url=False)
    return dict(error)


@pytest.mark.parametrize("character", CONTROLS, ids=lambda character: f"U+{ord(character):04X}")
@pytest.mark.parametrize("place", ["{}анна", "ан{}на", "анна{}"])
def test_a_control_character_is_refused_wherever_it_stands(character: str, place: str) -> None:
    text = place.format(character)

    assert error_of(LINE, text)["type"] == "invalid_text"
    if character == "\n":
        assert LINES.validate_python(text) == text.strip()
    else:
        assert error_of(LINES, text)["type"] == "invalid_text"


@given(st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=200))
def test_any_other_text_is_taken_and_only_trimmed(text: str) -> None:
    if text.strip():
        assert LINE.validate_python(text) == text.strip()
        assert LINES.validate_json(json.dumps(text)) == text.strip()


def test_an_error_quotes_nothing_of_the_text() -> None:
    with pytest.raises(ValidationError) as refused:
        SettleReward.model_validate({**SETTLEMENT, "reason": "тайна\x00", "decided_by": "тайна\x07"})

    assert "тайна" not in str(refused.value)


@pytest.mark.parametrize(
    ("model", "body", "kind", "field"),
    [
        (SettleReward, {**SETTLEMENT, "reason": "a\x00", "decided_by": "b"}, "invalid_text", "reason"),
        (SettleReward, {**SETTLEMENT, "reason": "a", "decided_by": "b\n"}, "invalid_text", "decided_by"),
        (SubmitLead, {"partner_id": "a", "client": "jwe", "note": "a\tb"}, "invalid_text", "note"),
        (Agreement, {"number": "A\x85", "signed_on": "2026-01-15"}, "invalid_text", "number"),
        (PlainPerson, {"full_name": "А\x00", "phone": "1"}, "invalid_name", "full_name"),
        (PlainPerson, {"full_name": "\ud800", "phone": "1"}, "invalid_name", "full_name"),
        (PlainPerson, {"full_name": "А", "phone": "1\x1b"}, "invalid_phone", "phone"),
    ],
)
def test_the_error_names_the_field_and_its_kind(model: type, body: dict[str, Any], kind: str, field: str) -> None:
    error = error_of(model, body)

    assert (error["type"], error["loc"]) == (kind, (field,))


def test_spaces_of_any_kind_are_allowed_in_a_name_and_folded_later() -> None:
    assert PlainPerson(full_name="Анна\tОбразцова\n", phone="1").full_name == "Анна\tОбразцова\n"


def test_an_event_of_an_earlier_version_with_control_characters_is_still_read() -> None:
    assert RECORDED.validate_python("ждёт\tипотеку\x1b") == "ждёт\tипотеку\x1b"


@pytest.mark.parametrize("text", ["a\x00", "\udfff"])
def test_no_event_holds_a_text_that_a_reader_could_not_store(text: str) -> None:
    assert error_of(RECORDED, text)["type"] == "invalid_text"


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (message, name)
        for message in MESSAGES
        if message.topic == PORTAL_REQUESTS
        for name in ("manager", "reason", "note", "decided_by")
        if name in message.model_fields
    ],
)
def test_every_text_that_a_portal_sends_is_checked(message: Any, field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        message.model_validate({field: "a\x00b"})

    assert ("invalid_text", (field,)) in [(error["type"], error["loc"]) for error in refused.value.errors()]
