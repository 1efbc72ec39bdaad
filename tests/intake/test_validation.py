"""Messages of validation errors: in Russian, with the field's name, saying what to do, whatever the request holds."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import pytest
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from chassis.clock import Clock
from chassis.service import Database, Runtime
from services.intake.http.app import build_api
from services.intake.http.problem_texts import REFUSALS, TITLES
from services.intake.http.problems import refused
from services.intake.http.validation import FALLBACK, FIELD_NAMES, field_errors
from tests.intake.in_process import DECODER, NO_DATABASE, SETTINGS, never_decide, serving

# For every type of field some of these values are wrong, each in its own way.
TEXTS = [
    *("", " ", "yes", "имя", "a\ud800", "a\x00b", "x" * 2000, "RUBLES", "1.5", "-1", "500", "9" * 5000),
    *("12.345", "1" * 19, "12345678901234567.1", "NaN"),
    *("2026-13-45", "2026-11-01T12:00:00", "2026-11-01T12:00:00Z", "2026-11-01T25:00:00Z"),
]
VALUES: list[Any] = [
    *(None, True, 0, -1, 1.5, 10**30, float("nan"), float("inf"), [], {}, [{}]),
    *TEXTS,
]
# The types of errors that pydantic can raise for a schema. Values come from JSON or from a URL, so errors about
# foreign Python objects cannot occur.
ERRORS_OF_SCHEMA = {
    "model": {"model_attributes_type", "missing"},
    "str": {"string_type", "string_unicode"},
    "bool": {"bool_type", "bool_parsing"},
    "uuid": {"uuid_type", "uuid_parsing"},
    "date": {"date_type", "date_from_datetime_parsing", "date_from_datetime_inexact"},
    "datetime": {"datetime_type", "datetime_parsing", "datetime_from_date_parsing"},
    "decimal": {"decimal_type", "decimal_parsing", "finite_number"},
    "literal": {"literal_error"},
    "int": {"int_parsing", "int_parsing_size"},
    "function-before": {"invalid_text", "invalid_name", "invalid_phone"},
}
ERRORS_OF_LIMIT = {
    "min_length": {"string_too_short"},
    "max_length": {"string_too_long"},
    "pattern": {"string_pattern_mismatch"},
    "tz_constraint": {"timezone_aware"},
    "ge": {"greater_than_equal"},
    "le": {"less_than_equal"},
    "max_digits": {"decimal_max_digits"},
    "decimal_places": {"decimal_max_places", "decimal_whole_digits"},
}

Place = tuple[str, ...]
Field = Any
"""FastAPI's `ModelField`, which is private to FastAPI."""


def fields_of_routes() -> Iterator[tuple[Place, Field]]:
    """The place and the field of every body, path parameter and query parameter of the API."""
    runtime = Runtime(Database(NO_DATABASE, name="test"), never_decide, Clock(), float)
    api, _ = build_api(runtime, SETTINGS, DECODER)
    for route in api.routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            if route.body_field is not None:
                yield ("body",), route.body_field
            for kind, fields in (("path", route.dependant.path_params), ("query", route.dependant.query_params)):
                yield from (((kind, field.alias), field) for field in fields)


def leaves(schema: Mapping[str, Any], place: Place = ()) -> Iterator[tuple[Place, Mapping[str, Any]]]:
    """The places of a schema at which a value is checked, with the schema of each."""
    match schema["type"]:
        case "default" | "nullable":
            yield from leaves(schema["schema"], place)
        case "union":
            for choice in schema["choices"]:
                yield from leaves(choice, place)
        case "model":
            yield place, schema
            for name, field in schema["schema"]["fields"].items():
                yield from leaves(field["schema"], (*place, name))
        case "function-before":
            # A type of `contracts.text`: its check comes first, then the checks of the text behind it.
            yield place, schema
            yield from leaves(schema["schema"], place)
        case kind:
            assert kind in ERRORS_OF_SCHEMA, f"no errors are listed for the schema {kind!r}"
            yield place, schema


def schema_of(field: Field) -> Mapping[str, Any]:
    schema: Mapping[str, Any] = TypeAdapter(Annotated[field.field_info.annotation, field.field_info]).core_schema
    return schema


def possible(schema: Mapping[str, Any]) -> set[str]:
    """The errors of a leaf; a text behind a check of `contracts.text` cannot hold a lone surrogate any more."""
    limits = [errors for limit, errors in ERRORS_OF_LIMIT.items() if schema.get(limit) is not None]
    return ERRORS_OF_SCHEMA[schema["type"]].union(*limits)


def errors_at(field: Field, place: Place, leaf: Place) -> Iterator[Mapping[str, Any]]:
    """The errors of pydantic with each of the values at one place of a field."""
    for value in TEXTS if place[0] in ("path", "query") else VALUES:
        body = value
        for name in reversed(leaf):
            body = {name: body}
        _, errors = field.validate(body, {}, loc=place)
        yield from errors or ()


FIELDS = list(fields_of_routes())
ids = [f"{n}-{'-'.join(place)}" for n, (place, _) in enumerate(FIELDS)]


@pytest.mark.parametrize(("place", "field"), FIELDS, ids=ids)
def test_every_validation_error_names_its_field_and_says_what_to_do(place: Place, field: Field) -> None:
    for leaf, _ in leaves(schema_of(field)):
        for error in errors_at(field, place, leaf):
            (found,) = field_errors([error])
            label, _, advice = found["message"].partition(": ")
            assert label in FIELD_NAMES.values(), f"{found['field']} has no Russian name"
            assert advice, found
            assert FALLBACK not in advice, f"{found['field']} has no text for {error['type']}"
            assert re.search("[а-я]", advice), found["message"]
            assert "еверно" not in found["message"]


def test_values_of_this_test_raise_every_error_that_the_models_can_raise() -> None:
    expected: set[str] = set()
    raised: set[str] = set()
    for place, field in FIELDS:
        for leaf, schema in leaves(schema_of(field)):
            kinds = {error["type"] for error in errors_at(field, place, leaf)}
            raised |= kinds
            expected |= possible(schema) - ({"uuid_type", "string_type"} if place[0] != "body" else set())

    assert raised == expected


@pytest.mark.parametrize(
    ("body", "messages"),
    [
        ({"amount": "1.234"}, {"amount": "Сумма: не больше двух знаков после запятой"}),
        ({"amount": "12345678901234567"}, {"amount": "Сумма: не больше 16 цифр до запятой"}),
        ({"currency": "руб"}, {"currency": "Валюта: укажите три заглавные латинские буквы, например RUB"}),
        ({"decision": "yes"}, {"decision": "Решение: укажите одно из значений: accrue, decline"}),
        ({"reason": " "}, {"reason": "Причина: заполните поле"}),
        ({"reason": "x" * 1001}, {"reason": "Причина: не больше 1000 символов"}),
        ({"reason": "a\x00b"}, {"reason": "Причина: уберите управляющие символы, кроме переводов строк"}),
        ({"manager": "a\nb"}, {"manager": "Менеджер: уберите управляющие символы и переводы строк"}),
        ({"agreement": {"number": "a\tb"}}, {"agreement.number": "Номер договора: уберите управляющие символы"}),
        ({"full_name": "a\x00"}, {"full_name": "Имя и фамилия: уберите управляющие символы, укажите имя буквами"}),
        ({"client": {"phone": "1" * 65}}, {"client.phone": "Телефон: не больше 64 символов"}),
        ({"client": 5}, {"client": "Клиент: передайте объект JSON с полями full_name и phone"}),
        (
            {"consent": {"given_at": "2026-11-01T12:00:00"}},
            {"consent.given_at": "Время согласия: добавьте часовой пояс"},
        ),
        ({"partner_id": "a b"}, {"partner_id": "Партнёр: используйте только латинские буквы, цифры и знаки . _ : -"}),
    ],
)
def test_messages_read_as_published(body: dict[str, Any], messages: dict[str, str]) -> None:
    found: dict[str, str] = {}
    for place, field in FIELDS:
        if place == ("body",):
            errors = field_errors(field.validate(body, {}, loc=place)[1])
            found |= {error["field"]: error["message"] for error in errors if error["code"] != "missing"}

    for name, message in messages.items():
        assert found[name].startswith(message)


@pytest.mark.parametrize("text", ["a\x00b", "a\ud800"])
@pytest.mark.parametrize(
    ("name", "code"), [("reason", "invalid-text"), ("currency", None), ("full_name", "invalid-name")]
)
def test_forbidden_characters_have_a_code_of_their_own(text: str, name: str, code: str | None) -> None:
    codes: set[str] = set()
    for place, field in FIELDS:
        if place == ("body",):
            found = field_errors(field.validate({name: text}, {}, loc=place)[1])
            codes |= {error["code"] for error in found if error["field"] == name}

    # A currency has a pattern, which refuses all controls.
    assert codes == {code or ("invalid-text" if text == "a\ud800" else "string-pattern-mismatch")}


def test_faulty_part_of_a_client_is_the_only_error_about_the_client() -> None:
    (submit,) = (field for place, field in FIELDS if "SubmitLead" in str(field.field_info.annotation))

    found = field_errors(submit.validate({"partner_id": "anna", "client": {"phone": "1"}}, {}, loc=("body",))[1])

    assert found == [
        {"field": "client.full_name", "code": "missing", "message": "Имя и фамилия: обязательное поле, заполните его"}
    ]


@pytest.mark.parametrize("code", ["forbidden", "a-reason-of-a-later-version"])
def test_a_recorded_refusal_without_a_field_of_its_own_is_answered_with_422(code: str) -> None:
    """A request refused on the topic may be repeated over HTTP: it gets the recorded reason again."""
    problem = refused(code)

    assert (problem.status, problem.code) == (422, code)
    assert problem.errors
    assert problem.errors[0]["message"].startswith("Запрос: ")


def test_every_refusal_names_its_field_and_says_what_to_do() -> None:
    assert REFUSALS.keys() <= TITLES.keys()
    for code, (field, message) in REFUSALS.items():
        label, _, advice = message.partition(": ")
        assert label, code
        assert re.match("[а-я]", advice), message
        assert field.rpartition(".")[2] in FIELD_NAMES


async def test_text_that_is_not_json_is_answered_with_the_position_of_the_mistake() -> None:
    async with serving(NO_DATABASE) as (http, _):
        answer = await http.post("/v1/leads", content=b'{"a": }', headers={"Content-Type": "application/json"})

    (error,) = answer.json()["errors"]
    assert (error["field"], error["code"]) == ("", "json-invalid")
    assert error["message"] == "Запрос: передайте JSON, чтение остановилось на символе 6"
    assert json.loads(answer.text)["detail"] == error["message"]
