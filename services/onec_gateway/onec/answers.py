"""Reads 1C's answers: bytes in, an object or an error out. The headers are ignored, since they can be wrong."""

import re
from collections.abc import Sequence
from typing import Any, Final

import orjson

from services.onec_gateway.onec.errors import (
    INFOBASE_LOCKED,
    LOCK_CONFLICT,
    NO_LICENCE,
    Exists,
    NoAnswer,
    NoRights,
    NotReached,
    OneCError,
    Refused,
)
from services.onec_gateway.onec.rows import without_controls
from services.onec_gateway.onec.scrub import scrubbed

_EXISTS: Final = "15"
_FAILURE: Final = "-1"
_LONGEST_CODE: Final = 40
# Words of 1C's own messages by which a passing failure differs from a refusal. They are searched for only in the
# scrubbed message: a client whose name contains such a word would otherwise stop the exchange for all clients.
_LOCK_WORDS: Final = re.compile(r"конфликт блокировок|взаимоблокировк|deadlock", re.IGNORECASE)
_LICENCE_WORDS: Final = re.compile(
    r"\bне\w* (?:обнаружен|найден)\w* (?:свободн\w+ )?лицензи|нет свободн\w+ лицензи", re.IGNORECASE
)


def read(status: int, content: bytes, personal: Sequence[str] = ()) -> dict[str, Any]:
    """The object in the body of an answer, empty for status 204.

    Raises OneCError for any other answer; `personal` are names and phones to cut out of the error's text.
    """
    if status == 204:
        return {}
    body = _parsed(content)
    if 200 <= status < 300 and body is not None and not body.keys() & {"odata.error", "#exception"}:
        return body
    raise _error(status, body, personal)


def _error(status: int, body: dict[str, Any] | None, personal: Sequence[str]) -> OneCError:
    if status == 401:
        return NoRights("no-rights", status, _code(body), _message(body, personal) if body else None)
    if body is not None and _LICENCE_WORDS.search(_message(body, personal)):
        return NotReached(NO_LICENCE, status, _code(body))
    if status in (403, 406):
        return NotReached(INFOBASE_LOCKED if status == 403 else "no-session", status)
    if status in (404, 414) and body is None:
        # A page of the web server, which did not call 1C. IIS answers 404.15 to a query that is too long.
        return Refused("address-not-served", status)
    if body is not None and "#exception" in body:
        # The web server's 1C extension answers in this form before a session exists: nothing was executed.
        return NotReached("no-session", status)
    if body is None or "odata.error" not in body:
        # HTML, half a JSON document or an empty page: 1C may or may not have executed the request.
        return NoAnswer("not-1c" if status < 500 else "server-error", status)
    code, message = _code(body), _message(body, personal)
    if code == _EXISTS:
        return Exists("exists", status, code, message)
    if code == _FAILURE and _LOCK_WORDS.search(message):
        return NotReached(LOCK_CONFLICT, status, code, message)  # 1C rolled its transaction back
    return Refused("refused", status, code, message)


def _parsed(content: bytes) -> dict[str, Any] | None:
    try:
        body = orjson.loads(content.decode("utf-8-sig"))
    except (UnicodeDecodeError, orjson.JSONDecodeError):
        return None
    return body if isinstance(body, dict) else None


def _code(body: dict[str, Any] | None) -> str | None:
    error = body.get("odata.error") if body else None
    return without_controls(str(error.get("code")))[:_LONGEST_CODE] if isinstance(error, dict) else None


def _message(body: dict[str, Any], personal: Sequence[str]) -> str:
    """The message of 1C or of the web server's extension, without personal data."""
    lines: list[str] = []
    error, exception = body.get("odata.error"), body.get("exception")
    message = error.get("message") if isinstance(error, dict) else None
    if isinstance(message, dict):
        lines.append(str(message.get("value", "")))
    while isinstance(exception, dict):
        lines.append(str(exception.get("descr", "")))
        exception = exception.get("inner")
    return scrubbed("\n".join(lines), personal)
