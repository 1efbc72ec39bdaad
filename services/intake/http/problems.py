"""Errors as RFC 9457 problems: a stable English code for programs, Russian words for people, never what was sent."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import asyncpg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import Counter
from starlette.exceptions import HTTPException

from chassis.service import is_transient

REFUSED = Counter("truce_requests_refused_total", "Requests over HTTP that were refused", ["reason"])

log = structlog.get_logger(__name__)

_TITLES: dict[str, str] = {
    "unauthorized": "Нужен действующий ключ портала",
    "forbidden": "Ключ портала не даёт права на это действие",
    "not-found": "Не найдено",
    "method-not-allowed": "Такой запрос здесь не принимается",
    "too-large": "Запрос больше 64 КиБ",
    "invalid": "Запрос заполнен неверно",
    "idempotency-key-required": "Нужен заголовок Idempotency-Key: до 255 видимых символов ASCII",
    "id-conflict": "Этот Idempotency-Key уже использован с другим содержанием",
    "unavailable": "Сейчас запрос принять нельзя, повторите позже: ничего не потеряно",
    "internal": "Внутренняя ошибка: мы о ней уже знаем",
    "invalid-phone": "Это не похоже на номер телефона",
    "invalid-name": "Укажите имя и фамилию буквами, до 150 символов",
    "no-consent": "Нужно согласие клиента на обработку персональных данных",
    "invalid-agreement": "Номер договора содержит недопустимые символы",
    "unknown-partner": "Партнёр с таким номером не зарегистрирован",
    "partner-suspended": "Работа партнёра приостановлена",
    "over-quota": "Партнёр подал слишком много заявок за час или за сутки, повторите позже",
    "over-limit": "У партнёра закреплено столько клиентов, сколько разрешено",
    "unknown-lead": "Такой заявки у партнёра нет",
    "name-mismatch": "Имя не совпадает с тем, на которое оформлена заявка",
    "not-yours": "Это заявка другого партнёра",
    "who-asks": "Укажите либо партнёра, либо менеджера",
    "no-amount": "Для начисления нужны сумма больше нуля и валюта",
    "does-not-open": "Зашифрованные данные клиента не открываются нашим ключом",
}
_FIELDS: dict[str, str] = {
    "invalid-phone": "client.phone",
    "invalid-name": "client.full_name",
    "no-consent": "consent",
    "invalid-agreement": "agreement.number",
    "unknown-partner": "partner_id",
    "partner-suspended": "partner_id",
    "over-quota": "partner_id",
    "over-limit": "partner_id",
    "unknown-lead": "lead_id",
    "name-mismatch": "client.full_name",
    "not-yours": "partner_id",
    "who-asks": "manager",
    "no-amount": "amount",
    "does-not-open": "client",
}
_BY_STATUS = {401: "unauthorized", 403: "forbidden", 404: "not-found", 405: "method-not-allowed", 413: "too-large"}
RETRY_AFTER_S = 5

_TEXTS: Final = {"type": "string"}
_FORM: Final = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        **dict.fromkeys(("type", "title", "detail", "code"), _TEXTS),
        "status": {"type": "integer"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "code", "message"],
                "properties": dict.fromkeys(("field", "code", "message"), _TEXTS),
            },
        },
    },
}
DOCUMENTED: Final[dict[int | str, dict[str, Any]]] = {
    kind: {"description": "RFC 9457", "content": {"application/problem+json": {"schema": _FORM}}}
    for kind in ("4XX", "5XX")
}
"""What OpenAPI says of errors."""


class Problem(Exception):
    """An error to be answered. `errors` point at fields: `{"field", "code", "message"}`."""

    def __init__(
        self,
        status: int,
        code: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.errors = errors
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        title = _TITLES.get(self.code, _TITLES["invalid"])
        body: dict[str, Any] = {
            "type": f"urn:truce:problem:{self.code}",
            "title": title,
            "status": self.status,
            "detail": self.errors[0]["message"] if self.errors else title,
            "code": self.code,
        }
        return {**body, "errors": list(self.errors)} if self.errors else body


def refused(code: str, *, prefix: str = "client.", again_s: float = RETRY_AFTER_S) -> Problem:
    """A refusal of the domain. `prefix` is where a person's fields stand in the body, `again_s` when time mends it."""
    REFUSED.labels(code).inc()
    if code == "id-conflict":
        return Problem(409, code)
    if code == "over-quota":
        return Problem(429, code, headers={"Retry-After": str(max(1, math.ceil(again_s)))})
    name = _FIELDS.get(code, "")
    name = name.replace("client.", prefix) if name.startswith("client.") else name
    return Problem(422, code, errors=[{"field": name, "code": code, "message": _TITLES[code]}])


def unavailable() -> Problem:
    """Nothing was taken; the same request may be sent again."""
    return Problem(503, "unavailable", headers={"Retry-After": str(RETRY_AFTER_S)})


def install(app: FastAPI) -> None:
    """Answer every error of `app` as a problem."""

    @app.exception_handler(Problem)
    async def problem(_: Request, error: Problem) -> JSONResponse:
        return respond(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        errors = _field_errors(error.errors())
        return respond(Problem(422, errors[0]["code"] if len(errors) == 1 else "invalid", errors=errors))

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> JSONResponse:
        return respond(Problem(error.status_code, _BY_STATUS.get(error.status_code, "invalid"), headers=error.headers))

    # What is named here beside Exception is answered without the framework's own traceback: an outage is one line.
    @app.exception_handler(asyncpg.PostgresError)
    @app.exception_handler(asyncpg.InterfaceError)
    @app.exception_handler(OSError)
    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        route = request.scope.get("route")
        return answer(error, getattr(route, "path", None))


def answer(error: Exception, route: str | None) -> JSONResponse:
    """What is said of an exception, whoever raised it."""
    if isinstance(error, Problem):
        return respond(error)
    if is_transient(error):
        log.warning("not taken", error=type(error).__name__)
        return respond(unavailable())
    log.error("request failed", route=route, exc_info=error)
    return respond(Problem(500, "internal"))


def respond(problem: Problem) -> JSONResponse:
    return JSONResponse(problem.body(), problem.status, dict(problem.headers), "application/problem+json")


def _field_errors(found: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """One error a field. A client may be an object or a sealed text: about a broken object, only that is told."""
    errors: dict[str, dict[str, str]] = {}
    for one in found:
        error = _field_error(one)
        within = any(field.startswith(f"{error['field']}.") for field in errors)
        if not (one["loc"][-1] == "str" and within):
            errors.setdefault(error["field"], error)
    return list(errors.values())


def _field_error(error: Mapping[str, Any]) -> dict[str, str]:
    # Where JSON breaks off is a position, not a field.
    place = [] if error["type"] == "json_invalid" else error["loc"]
    name = ".".join(str(part) for part in place if part not in ("body", "PlainPerson", "str"))
    if error["type"] == "missing" and name == "consent":
        return {"field": name, "code": "no-consent", "message": _TITLES["no-consent"]}
    words = {
        "missing": "Обязательное поле",
        "json_invalid": "Это не JSON",
        "string_too_long": "Слишком длинно",
        "string_pattern_mismatch": "Недопустимые символы",
    }
    return {"field": name, "code": str(error["type"]).replace("_", "-"), "message": words.get(error["type"], "Неверно")}
