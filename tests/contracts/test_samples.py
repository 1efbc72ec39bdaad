"""Golden samples: every published kind of message is still read, and its meaning is unchanged."""

import base64
import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from contracts import asyncapi, topics
from contracts.catalogue import MESSAGES
from contracts.person import client_key
from contracts.sealing import Unsealable, decrypt_with
from tests.contracts import keys
from tests.contracts.samples import BY_TYPE, FOLDER, TYPES, load

pytestmark = pytest.mark.filterwarnings("error")
every_message = pytest.mark.parametrize("ce_type", TYPES)
SEALED = [
    (ce_type, field)
    for ce_type in TYPES
    for field in ("client", "person")
    if field in load("samples", ce_type)["value"]
]
INSIDE = [(ce_type, field) for ce_type, field in SEALED if BY_TYPE[ce_type].topic != topics.PORTAL_REQUESTS]
FROM_PORTALS = [(ce_type, field) for ce_type, field in SEALED if BY_TYPE[ce_type].topic == topics.PORTAL_REQUESTS]


def test_there_is_exactly_one_sample_for_each_message() -> None:
    assert sorted(TYPES) == sorted(path.stem for path in (FOLDER / "samples").iterdir())


@every_message
def test_a_model_reads_its_sample_and_writes_the_same_json(ce_type: str) -> None:
    value = load("samples", ce_type)["value"]

    message = BY_TYPE[ce_type].model_validate_json(json.dumps(value))

    assert json.loads(message.model_dump_json(exclude_unset=True)) == value
    assert BY_TYPE[ce_type].model_validate_json(message.model_dump_json()) == message


@every_message
def test_a_sample_fits_its_published_schema(ce_type: str) -> None:
    schema = load("schemas", ce_type)
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)

    validator.validate(load("samples", ce_type)["value"])


@every_message
def test_the_json_that_a_model_writes_fits_its_published_schema(ce_type: str) -> None:
    message = BY_TYPE[ce_type].model_validate(load("samples", ce_type)["value"])

    Draft202012Validator(load("schemas", ce_type)).validate(json.loads(message.model_dump_json()))


@every_message
def test_a_samples_headers_fit_the_asyncapi_document(ce_type: str) -> None:
    components = asyncapi.document(MESSAGES)["components"]
    headers = components["messages"][ce_type]["headers"]
    sample = load("samples", ce_type)["headers"]

    Draft202012Validator({**headers, "components": components}).validate(sample)
    with pytest.raises(Exception, match="ce_type"):
        Draft202012Validator({**headers, "components": components}).validate({**sample, "ce_type": "other.v1"})


@every_message
def test_key_and_subject_are_those_of_the_model(ce_type: str) -> None:
    sample = load("samples", ce_type)
    message = BY_TYPE[ce_type].model_validate(sample["value"])

    if BY_TYPE[ce_type].topic != topics.PORTAL_REQUESTS:
        assert sample["key"] == message.key
    assert sample["headers"].get("ce_subject") == message.subject


@every_message
def test_unknown_fields_are_ignored_at_every_level(ce_type: str) -> None:
    value = load("samples", ce_type)["value"]

    message = BY_TYPE[ce_type].model_validate(value)

    assert BY_TYPE[ce_type].model_validate(_with_unknown(value)) == message
    Draft202012Validator(load("schemas", ce_type)).validate(_with_unknown(value))


def _with_unknown(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {**{name: _with_unknown(part) for name, part in value.items()}, "from_the_future": {"any": [1, None]}}


@every_message
def test_a_message_cannot_be_changed(ce_type: str) -> None:
    message = BY_TYPE[ce_type].model_validate(load("samples", ce_type)["value"])

    with pytest.raises(ValueError, match="frozen"):
        setattr(message, next(iter(BY_TYPE[ce_type].model_fields)), "else")


@pytest.mark.parametrize(("ce_type", "field"), INSIDE)
def test_a_sealed_person_opens_only_with_the_key_and_for_its_owner(ce_type: str, field: str) -> None:
    value = load("samples", ce_type)["value"]
    owner = value.get("lead_id", value["partner_id"])

    client = keys.sealer(keys.KEY).open(value[field], owner)

    assert client.phone.startswith("+7999000000")
    with pytest.raises(Unsealable):
        keys.sealer(keys.KEY).open(value[field], "another-owner")
    if "client_key" in value:
        assert client_key(keys.CLIENT_KEY_SECRET, client.phone) == value["client_key"]


@pytest.mark.parametrize(("ce_type", "field"), FROM_PORTALS)
def test_a_person_that_a_portal_encrypted_opens_with_intakes_key(ce_type: str, field: str) -> None:
    value = load("samples", ce_type)["value"]

    person = json.loads(decrypt_with([keys.private(keys.INTAKE_JWK)], value[field]))

    assert person.keys() == {"full_name", "phone"}


def test_a_dead_letter_opens_to_the_whole_original() -> None:
    value = load("samples", "dead-letter.v1")["value"]

    original = json.loads(decrypt_with([keys.private(keys.OPERATOR_JWK)], value["original"]))

    assert base64.b64decode(original["key"]) == b"partner-17"
    assert [name for name, _ in original["headers"]] == ["ce_id", "ce_type"]
    assert base64.b64decode(original["value"]).startswith(b'{"partner_id"')


@every_message
def test_no_sample_shows_a_phone_or_a_name(ce_type: str) -> None:
    text = (FOLDER / "samples" / f"{ce_type}.json").read_text("utf-8")

    assert not [word for word in ("9990000", "000-00-0", "Пелагея", "Образцов") if word in text]


@every_message
def test_a_validation_error_quotes_no_content(ce_type: str) -> None:
    secret = "Пелагея +7 999 000-00-01"
    spoilt = {name: {"full_name": [secret], secret: secret} for name in BY_TYPE[ce_type].model_fields}

    with pytest.raises(ValueError, match=r"validation error") as refused:
        BY_TYPE[ce_type].model_validate_json(json.dumps(spoilt))

    assert secret not in f"{refused.value!s}{refused.value!r}"


@every_message
def test_an_error_about_broken_json_quotes_none_of_it(ce_type: str) -> None:
    with pytest.raises(ValueError, match="Invalid JSON") as refused:
        BY_TYPE[ce_type].model_validate_json('{"full_name": "Пелагея", "phone": +7999')

    assert "Пелагея" not in str(refused.value)
    assert "7999" not in str(refused.value)
