"""Errors as RFC 9457 problems: a stable English code for programs, Russian texts for people.

A problem never repeats what was sent.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import asyncpg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from chassis.service import is_transient
from services.intake.http.problem_texts import OTHER_REFUSAL, REFUSALS, TITLES
from services.intake.http.validation import field_errors
from services.intake.metrics import REQUESTS_REFUSED

log = structlog.get_logger(__name__)

RETRY_AFTER_S = 5
_CODES = {401: "unauthorized", 403: "forbidden", 404: "not-found", 405: "method-not-allowed", 413: "too-large"}

_TEXT: Final = {"type": "string"}
_SCHEMA: Final = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        **dict.fromkeys(("type", "title", "detail", "code"), _TEXT),
        "status": {"type": "integer"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "code", "message"],
                "properties": dict.fromkeys(("field", "code", "message"), _TEXT),
            },
        },
    },
}
OPENAPI_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    kind: {"description": "RFC 9457", "content": {"application/problem+json": {"schema": _SCHEMA}}}
    for kind in ("4XX", "5XX")
}
"""The error responses of every operation in the OpenAPI document."""


class Problem(Exception):
    """An error response with a status, a code of `TITLES`, headers, and `{"field", "code", "message"}` per field."""

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
        """The problem as a JSON object; `detail` is the message of the first field, or else the title."""
        title = TITLES.get(self.code, TITLES["invalid"])
        body: dict[str, Any] = {
            "type": f"urn:truce:problem:{self.code}",
            "title": title,
            "status": self.status,
            "detail": self.errors[0]["message"] if self.errors else title,
            "code": self.code,
        }
        return {**body, "errors": list(self.errors)} if self.errors else body


def refused(code: str, *, prefix: str = "client.", retry_after_s: float = RETRY_AFTER_S) -> Problem:
    """The problem for a refusal by a rule, counted in the metrics.

    `prefix` is the path of the person's fields in the body, `client.` or nothing. `retry_after_s` is the header of a
    refusal that ends by itself.
    """
    REQUESTS_REFUSED.labels(code).inc()
    if code == "id-conflict":
        return Problem(409, code)
    if code == "over-quota":
        return Problem(429, code, headers={"Retry-After": str(max(1, math.ceil(retry_after_s)))})
    field, message = REFUSALS.get(code, OTHER_REFUSAL)
    if field.startswith("client."):
        field = prefix + field.removeprefix("client.")
    return Problem(422, code, errors=[{"field": field, "code": code, "message": message}])


def unavailable() -> Problem:
    """The problem when nothing was taken and the same request may be sent again later."""
    return Problem(503, "unavailable", headers={"Retry-After": str(RETRY_AFTER_S)})


def install(app: FastAPI) -> None:
    """Make `app` answer every error with a problem."""

    @app.exception_handler(Problem)
    async def problem(_: Request, error: Problem) -> JSONResponse:
        return problem_response(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        errors = field_errors(error.errors())
        is_one_code = len(errors) == 1 or all(one["code"] == "invalid-text" for one in errors)
        return problem_response(Problem(422, errors[0]["code"] if is_one_code else "invalid", errors=errors))

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> JSONResponse:
        return problem_response(
            Problem(error.status_code, _CODES.get(error.status_code, "invalid"), headers=error.headers)
        )

    # Starlette logs a traceback for errors that only the handler of Exception covers. With handlers of their own,
    # errors of an outage take one log line each.
    @app.exception_handler(asyncpg.PostgresError)
    @app.exception_handler(asyncpg.InterfaceError)
    @app.exception_handler(OSError)
    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        route = request.scope.get("route")
        return error_response(error, getattr(route, "path", None))


def error_response(error: Exception, route: str | None) -> JSONResponse:
    """The response to an exception, logged unless it is a Problem: 503 if it passes by itself, else 500."""
    if isinstance(error, Problem):
        return problem_response(error)
    if is_transient(error):
        log.warning("request_not_taken", error=type(error).__name__)
        return problem_response(unavailable())
    log.error("request_failed", route=route, exc_info=error)
    return problem_response(Problem(500, "internal"))


def problem_response(problem: Problem) -> JSONResponse:
    return JSONResponse(problem.body(), problem.status, dict(problem.headers), "application/problem+json")
