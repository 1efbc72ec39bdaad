"""Reading 1C's answers: bytes in, an object or one of the errors out. Headers are not believed: they lie."""

import re
from collections.abc import Sequence
from typing import Any, Final

import orjson

from services.onec_gateway.onec.errors import Exists, NoAnswer, NoRights, NotReached, OneCError, Refused
from services.onec_gateway.onec.scrub import scrubbed

_EXISTS: Final = "15"
_FAILURE: Final = "-1"
# Words of 1C's own that tell a passing trouble from a refusal. Looked for where nothing that 1C echoes is left: a
# client of such a name would stop the exchange for all.
_LOCK_WORDS: Final = re.compile(r"конфликт блокировок|взаимоблокировк|deadlock", re.IGNORECASE)
_LICENCE_WORDS: Final = re.compile(
    r"\bне\w* (?:обнаружен|найден)\w* (?:свободн\w+ )?лицензи|нет свободн\w+ лицензи", re.IGNORECASE
)


def read(status: int, content: bytes, personal: Sequence[str] = ()) -> dict[str, Any]:
    """The object that 1C answered with. Raises OneCError; `personal` is what must not show in its text."""
    if status == 204:
        return {}
    body = _parsed(content)
    if 200 <= status < 300 and body is not None and not body.keys() & {"odata.error", "#exception"}:
        return body
    raise _error(status, body, personal)


def _error(status: int, body: dict[str, Any] | None, personal: Sequence[str]) -> OneCError:
    if status == 401:
        return NoRights("no-rights", status, _code(body), _own_words(body, personal) if body else None)
    if body is not None and _LICENCE_WORDS.search(_own_words(body, personal)):
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
    code, said = _code(body), _own_words(body, personal)
    if code == _EXISTS:
        return Exists("exists", status, code, said)
    if code == _FAILURE and _LOCK_WORDS.search(said):
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


def _own_words(body: dict[str, Any], personal: Sequence[str]) -> str:
    """What 1C or its web server's extension says, without what it echoes."""
    said: list[str] = []
    error, exception = body.get("odata.error"), body.get("exception")
    message = error.get("message") if isinstance(error, dict) else None
    if isinstance(message, dict):
        said.append(str(message.get("value", "")))
    while isinstance(exception, dict):
        said.append(str(exception.get("descr", "")))
        exception = exception.get("inner")
    return scrubbed("\n".join(said), personal)
