"""An OData v3 client as 1C needs it, and one log line an exchange for its administrator.

URLs are put together by hand: to 1C a space is `%20`, never `+`. Neither they nor bodies are ever logged.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import httpx
import orjson
import structlog

from services.onec_gateway.onec import answers
from services.onec_gateway.onec.errors import Exists, NoAnswer, NoRights, NotReached, OneCError

log = structlog.get_logger(__name__)

MAX_QUERY_BYTES: Final = 2000  # IIS takes 2,048
_ROOT: Final = "/odata/standard.odata/"
_TIMEOUT: Final = httpx.Timeout(60.0, connect=5.0)
_MESSAGES: Final[dict[str, str]] = {
    "ok": "1С ответила",
    "exists": "Такая запись в 1С уже есть, повторно она не создана",
    "refused": "1С отклонила запрос",
    "no-rights": "Пользователю 1С не хватает прав, либо неверны имя или пароль: проверьте учётную запись обмена",
    "infobase-locked": "Сеансы с информационной базой запрещены (идут работы), запрос будет повторён",
    "no-session": "1С не открыла сеанс, запрос будет повторён",
    "no-licence": "В 1С нет свободной лицензии, запрос будет повторён",
    "lock-conflict": "Конфликт блокировок в 1С, запрос будет повторён",
    "not-1c": "Получен ответ, который нельзя прочитать как ответ 1С, запрос будет повторён",
    "server-error": "Веб-сервер 1С ответил ошибкой, запрос будет повторён",
    "not-connected": "Нет соединения с 1С, запрос будет повторён",
    "timeout": "1С не ответила вовремя: выполнен ли запрос, неизвестно",
    "broken-off": "Соединение с 1С оборвалось: выполнен ли запрос, неизвестно",
}


@dataclass(frozen=True, slots=True)
class Call:
    """On whose behalf 1C is called: for the log."""

    operation: str
    leads: tuple[str, ...]
    attempt: int = 1


class OneC:
    """One infobase. At most `concurrency` requests are under way at once, whoever asks."""

    def __init__(self, url: str, user: str, password: str, *, concurrency: int) -> None:
        self._base = url.rstrip("/") + _ROOT
        self._http = httpx.AsyncClient(
            auth=httpx.BasicAuth(user, password),  # in UTF-8, as 1C wants it
            timeout=_TIMEOUT,
            limits=httpx.Limits(max_connections=concurrency),
            trust_env=False,
        )
        self._turns = asyncio.Semaphore(concurrency)

    async def find(self, call: Call, entity: str, condition: str, fields: Sequence[str]) -> list[dict[str, Any]]:
        """The rows of a set that meet an OData condition. Raises OneCError."""
        body = await self._exchange(call, "GET", entity, "", find_query(condition, fields))
        rows = body.get("value")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise NoAnswer("not-1c", 200)
        return rows

    async def create(self, call: Call, entity: str, record: Mapping[str, Any]) -> dict[str, Any]:
        """A new object, as 1C keeps it. Raises OneCError."""
        return await self._exchange(call, "POST", entity, "", _query({}), record)

    async def change(self, call: Call, entity: str, key: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Some fields of the object with this key (`Поле='…'` or `guid'…'`). Raises OneCError."""
        return await self._exchange(call, "PATCH", entity, f"({key})", _query({}), fields)

    async def close(self) -> None:
        await self._http.aclose()

    async def _exchange(
        self,
        call: Call,
        method: str,
        entity: str,
        key: str,
        query: str,
        record: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        url = f"{self._base}{quote(entity + key, safe='()')}?{query}"
        content = None if record is None else orjson.dumps(record)
        headers = {"accept": "application/json", "content-type": "application/json; charset=utf-8"}
        async with self._turns:
            started = time.monotonic()
            status: int | None = None
            failure: OneCError | None = None
            try:
                response = await self._send(method, url, content, headers)
                status = response.status_code
                return answers.read(status, response.content)
            except OneCError as error:
                failure = error
                raise
            finally:
                _tell(call, method, entity, status, failure, started)

    async def _send(self, method: str, url: str, content: bytes | None, headers: Mapping[str, str]) -> httpx.Response:
        try:
            return await self._http.request(method, url, content=content, headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            raise NotReached("not-connected") from None
        except httpx.TimeoutException:
            raise NoAnswer("timeout") from None
        except httpx.HTTPError:
            raise NoAnswer("broken-off") from None


def find_query(condition: str, fields: Sequence[str]) -> str:
    """The query of a search, encoded: its length is what web servers limit."""
    return _query({"$filter": condition, "$select": ",".join(fields)})


def text(value: str) -> str:
    """A string literal."""
    return "'" + value.replace("'", "''") + "'"


def guid(value: str) -> str:
    """A reference literal."""
    return f"guid'{value}'"


def _query(options: Mapping[str, str]) -> str:
    return "&".join(f"{name}={quote(value, safe='(),')}" for name, value in {"$format": "json", **options}.items())


def _tell(call: Call, method: str, entity: str, status: int | None, failure: OneCError | None, started: float) -> None:
    outcome = failure.reason if failure else "ok" if status is not None else "cancelled"
    level = log.info
    if failure is not None and not isinstance(failure, Exists):
        level = log.error if isinstance(failure, NoRights) else log.warning
    level(
        "exchange",
        operation=call.operation,
        leads=list(call.leads),
        set=entity,
        method=method,
        status=status,
        code=failure.code if failure else None,
        ms=round((time.monotonic() - started) * 1000),
        attempt=call.attempt,
        outcome=outcome,
        message=_MESSAGES.get(outcome, "Запрос прерван остановкой шлюза"),
    )
