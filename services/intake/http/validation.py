"""Errors of validation as the portal shows them: per field, in Russian, saying what to do."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from contracts.text import INVALID_NAME, INVALID_PHONE, INVALID_TEXT
from services.intake.decoding import field_path, text_code

FIELD_NAMES: Final[dict[str, str]] = {
    "": "Запрос",
    "partner_id": "Партнёр",
    "client": "Клиент",
    "full_name": "Имя и фамилия",
    "phone": "Телефон",
    "consent": "Согласие",
    "given_at": "Время согласия",
    "advertising": "Согласие на рекламу",
    "note": "Примечание",
    "agreement": "Договор",
    "number": "Номер договора",
    "signed_on": "Дата договора",
    "status": "Статус",
    "manager": "Менеджер",
    "again": "Повторный возврат",
    "reason": "Причина",
    "lead_id": "Номер заявки",
    "claim_id": "Номер заявления на вознаграждение",
    "request_id": "Номер запроса",
    "decision": "Решение",
    "amount": "Сумма",
    "currency": "Валюта",
    "decided_by": "Кто решил",
    "limit": "Заявок на странице",
    "cursor": "Следующая страница",
}
"""Names of the fields by the last part of the path; the empty path is the body as a whole."""

FALLBACK: Final = "проверьте значение"

_DATE: Final = "укажите дату, например 2026-11-28"
_TIME: Final = "укажите дату и время с часовым поясом, например 2026-11-28T12:00:00+03:00"
_NUMBER: Final = "укажите число, например 249000.00"
_WHOLE: Final = "укажите целое число"
_YES_NO: Final = "укажите true или false"
_ID: Final = "укажите номер вида 3f2b8a1e-0c57-4d0e-9c62-0d5f0a1b2c3d"

_TEXTS: Final[dict[str, str]] = {
    "missing": "обязательное поле, заполните его",
    "string_type": "укажите текст",
    "string_unicode": "уберите недопустимые символы",
    INVALID_NAME: "уберите управляющие символы, укажите имя буквами",
    INVALID_PHONE: "уберите управляющие символы, например +7 916 555-01-23",
    "bool_type": _YES_NO,
    "bool_parsing": _YES_NO,
    "date_type": _DATE,
    "date_parsing": _DATE,
    "date_from_datetime_parsing": _DATE,
    "date_from_datetime_inexact": "укажите дату без времени, например 2026-11-28",
    "datetime_type": _TIME,
    "datetime_parsing": _TIME,
    "datetime_from_date_parsing": _TIME,
    "timezone_aware": "добавьте часовой пояс, например 2026-11-28T12:00:00+03:00",
    "uuid_type": _ID,
    "uuid_parsing": _ID,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_from_float": _WHOLE,
    "decimal_type": _NUMBER,
    "decimal_parsing": _NUMBER,
    "finite_number": _NUMBER,
}
_PATTERNS: Final[dict[str, str]] = {
    "partner_id": "используйте только латинские буквы, цифры и знаки . _ : -",
    "currency": "укажите три заглавные латинские буквы, например RUB",
    "cursor": "передайте next_cursor предыдущей страницы без изменений",
}
"""What a text with a pattern must look like, by the last part of the field's path."""

_OBJECTS: Final[dict[str, str]] = {
    "": "передайте объект JSON с заголовком Content-Type: application/json",
    "client": "передайте объект JSON с полями full_name и phone или зашифрованный текст",
    "consent": "передайте объект JSON с полями given_at и advertising",
    "agreement": "передайте объект JSON с полями number и signed_on",
}
"""What to send for a field that is an object, by the last part of the field's path."""

_QUOTED: Final = re.compile("'([^']*)'")


def field_errors(errors: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """At most one `{"field", "code", "message"}` a field, from the errors of pydantic.

    `field` is the dotted path in the body, or begins with `query.` or `path.`. A client is an object or a sealed text,
    and pydantic reports why it is neither; when the object has a faulty field, the error about the text is dropped.
    Messages never repeat what was sent.
    """
    by_field: dict[str, dict[str, str]] = {}
    for error in errors:
        found = _field_error(error)
        faulty_part = any(field.startswith(f"{found['field']}.") for field in by_field)
        if not (error["loc"][-1] == "str" and faulty_part):
            by_field.setdefault(found["field"], found)
    return list(by_field.values())


def _field_error(error: Mapping[str, Any]) -> dict[str, str]:
    kind: str = error["type"]
    # The location of `json_invalid` is a position in the text, not a field.
    place = [] if kind == "json_invalid" else error["loc"]
    field = field_path(place)
    name = field.rpartition(".")[2]
    label = FIELD_NAMES.get(name, name)
    code = text_code(kind) or kind.replace("_", "-")
    return {"field": field, "code": code, "message": f"{label}: {_advice(kind, name, error)}"}


def _advice(kind: str, name: str, error: Mapping[str, Any]) -> str:
    """What to do about an error of one pydantic type in the field `name`."""
    limits: Mapping[str, Any] = error.get("ctx") or {}
    match kind:
        case "json_invalid":
            return f"передайте JSON, чтение остановилось на символе {error['loc'][-1]}"
        case "model_attributes_type":
            return _OBJECTS.get(name, FALLBACK)
        case _ if kind == INVALID_TEXT:
            return f"уберите управляющие символы{', кроме переводов строк' if limits['lines'] else ' и переводы строк'}"
        case "string_too_short":
            return "заполните поле" if limits["min_length"] == 1 else f"не меньше {_characters(limits['min_length'])}"
        case "string_too_long":
            return f"не больше {_characters(limits['max_length'])}"
        case "string_pattern_mismatch":
            return _PATTERNS.get(name, FALLBACK)
        case "literal_error":
            return f"укажите одно из значений: {', '.join(_QUOTED.findall(limits['expected']))}"
        case "greater_than_equal":
            return f"укажите число не меньше {limits['ge']}"
        case "less_than_equal":
            return f"укажите число не больше {limits['le']}"
        case "decimal_max_places":
            places = limits["decimal_places"]
            return "не больше двух знаков после запятой" if places == 2 else f"знаков после запятой: до {places}"
        case "decimal_max_digits":
            return f"не больше {limits['max_digits']} цифр"
        case "decimal_whole_digits":
            return f"не больше {limits['whole_digits']} цифр до запятой"
        case _:
            return _TEXTS.get(kind, FALLBACK)


def _characters(count: int) -> str:
    """A count of characters in the genitive case."""
    return f"{count} символа" if count % 10 == 1 and count % 100 != 11 else f"{count} символов"
