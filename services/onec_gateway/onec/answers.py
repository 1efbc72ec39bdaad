"""Reading 1C's answers: bytes in, an object or one of the errors out. Headers are not believed: they lie."""

from collections.abc import Sequence
from typing import Any, Final

import orjson

from services.onec_gateway.onec.errors import Exists, NoAnswer, NoRights, NotReached, OneCError, Refused
from services.onec_gateway.onec.scrub import scrubbed

_EXISTS: Final = "15"
_FAILURE: Final = "-1"
# Words of 1C's own that tell a passing trouble from a refusal. Looked for, never kept.
_LOCK_WORDS: Final = ("конфликт блокировок", "взаимоблокировк", "deadlock")
_LICENCE_WORDS: Final = ("лиценз",)


def read(status: int, content: bytes, personal: Sequence[str] = ()) -> dict[str, Any]:
    """The object that 1C answered with. Raises OneCError; `personal` is what must not show in its text."""
    if status == 204:
        return {}
    body = _parsed(content)
    if 200 <= status < 300 and body is not None and not body.keys() & {"odata.error", "#exception"}:
        return body
    raise _error(status, body, content, personal)


def _error(status: int, body: dict[str, Any] | None, content: bytes, personal: Sequence[str]) -> OneCError:
    if status == 401:
        return NoRights("no-rights", status, _code(body), scrubbed(_message(body), personal) if body else None)
    text = _text(body, content)
    if body is not None and any(word in text for word in _LICENCE_WORDS):
        return NotReached("no-licence", status, _code(body))
    if status in (403, 406):
        return NotReached("infobase-locked" if status == 403 else "no-session", status)
    if status in (404, 414) and body is None:
        # The web server's own page: it did not even ask 1C. IIS says 404.15 of a query that is too long.
        return Refused("address-not-served", status)
    if body is not None and "#exception" in body:
        # The web server's extension, not the infobase, answers in this form: no session was had, nothing ran.
        return NotReached("no-session", status)
    if body is None or "odata.error" not in body:
        # HTML, half a JSON, an empty page: from before the infobase or after it, nobody can tell.
        return NoAnswer("not-1c" if status < 500 else "server-error", status)
    code, said = _code(body), scrubbed(_message(body), personal)
    if code == _EXISTS:
        return Exists("exists", status, code, said)
    if code == _FAILURE and any(word in text for word in _LOCK_WORDS):
        return NotReached("lock-conflict", status, code, said)  # its transaction was rolled back
    return Refused("refused", status, code, said)


def _parsed(content: bytes) -> dict[str, Any] | None:
    try:
        body = orjson.loads(content.decode("utf-8-sig"))
    except (UnicodeDecodeError, orjson.JSONDecodeError):
        return None
    return body if isinstance(body, dict) else None


def _code(body: dict[str, Any] | None) -> str | None:
    error = body.get("odata.error") if body else None
    return str(error.get("code")) if isinstance(error, dict) else None


def _message(body: dict[str, Any]) -> str:
    error = body.get("odata.error")
    said = error.get("message") if isinstance(error, dict) else None
    return str(said.get("value", "")) if isinstance(said, dict) else ""


def _text(body: dict[str, Any] | None, content: bytes) -> str:
    return (orjson.dumps(body) if body else content).decode(errors="replace").casefold()
