"""An OData v3 client as 1C needs it, and one log line an exchange for its administrator.

URLs are put together by hand: to 1C a space is `%20`, never `+`. Neither they nor bodies are ever logged.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, Literal, TypeVar
from urllib.parse import quote, urlsplit

import httpx
import orjson
import structlog

from services.onec_gateway.onec import answers
from services.onec_gateway.onec.errors import Exists, NoAnswer, NoRights, NotReached, OneCError, Refused
from services.onec_gateway.onec.manners import Manners

log = structlog.get_logger(__name__)

T = TypeVar("T")
WebServer = Literal["iis", "apache"]

_IIS_QUERY: Final = 2048  # maxQueryString of its request filtering
_APACHE_LINE: Final = 8190  # LimitRequestLine
_MARGIN: Final = 0.98
_ROOT: Final = "/odata/standard.odata/"
_NOT_FOUND: Final = "9"
_FINISH_S: Final = 5.0
_MESSAGES: Final[dict[str, str]] = {
    "ok": "1С ответила",
    "exists": "Такая запись в 1С уже есть, повторно она не создана",
    "not-found": "Такого объекта в 1С нет",
    "refused": "1С отклонила запрос: повторять его бесполезно, нужно решение администратора",
    "address-not-served": "Веб-сервер не передал запрос в 1С: адрес не опубликован или запрос длиннее допустимого",
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
    "cancelled": "Запрос прерван остановкой шлюза",
}


@dataclass(frozen=True, slots=True)
class Call:
    """On whose behalf 1C is called: for the log. `personal` is what must not show in what 1C says; `again_s`: when
    it is to be tried again if it fails. `held`: it goes although something holds the gate."""

    operation: str
    leads: tuple[str, ...] = ()
    attempt: int = 1
    correlation: str | None = None
    personal: tuple[str, ...] = ()
    again_s: float = 1.0
    held: bool = False


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what came of it, as the administrator sees it. `text` holds nothing personal."""

    at: datetime
    operation: str
    leads: tuple[str, ...]
    set: str
    method: str
    status: int | None
    code: str | None
    text: str | None
    ms: int
    attempt: int
    outcome: str
    next_at: datetime | None
    correlation: str | None


class OneC:
    """One infobase. Every request passes `manners`, and every one is told to `record`."""

    def __init__(
        self,
        url: str,
        user: str,
        password: str,
        *,
        manners: Manners,
        record: Callable[[Exchange], None],
        web_server: WebServer,
        places: int,
        probe_set: str,
        timeout_s: float = 60.0,
    ) -> None:
        self._base = url.rstrip("/") + _ROOT
        self._path = urlsplit(self._base).path
        self._http = httpx.AsyncClient(
            auth=httpx.BasicAuth(user, password),  # in UTF-8, as 1C wants it
            timeout=httpx.Timeout(timeout_s, connect=5.0),
            limits=httpx.Limits(max_connections=places + 1),
            trust_env=False,
        )
        self._manners = manners
        self._record = record
        self._web_server = web_server
        self._probe_set = probe_set
        self._sessions: list[str] = []
        self._keeps_sessions = True

    def room(self, entity: str) -> int:
        """Bytes that the query of a search in this set may take, encoded, before the web server refuses it."""
        if self._web_server == "iis":
            return int(_IIS_QUERY * _MARGIN)
        line = len(f"GET {self._path}{quote(entity)}? HTTP/1.1")
        return int((_APACHE_LINE - line) * _MARGIN)

    async def find(
        self,
        call: Call,
        entity: str,
        condition: str,
        fields: Sequence[str],
        *,
        order_by: str = "",
        top: int | None = None,
    ) -> list[dict[str, Any]]:
        """The rows of a set that meet an OData condition. Raises OneCError."""
        query = find_query(condition, fields, order_by=order_by, top=top)
        body = await self._exchange(call, "GET", entity, "", query)
        rows = body.get("value")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise NoAnswer("not-1c", 200)
        return rows

    async def get(self, call: Call, entity: str, key: str) -> dict[str, Any] | None:
        """The object with this key (`Поле='…'` or `guid'…'`), if there is one. Raises OneCError."""
        try:
            return await self._exchange(call, "GET", entity, f"({key})", _query({}))
        except Refused as error:
            if error.status == 404 and error.code == _NOT_FOUND:
                return None
            raise

    async def create(self, call: Call, entity: str, record: Mapping[str, Any]) -> dict[str, Any]:
        """A new object, as 1C keeps it. Raises OneCError."""
        return await self._exchange(call, "POST", entity, "", _query({}), record)

    async def change(self, call: Call, entity: str, key: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Some fields of the object with this key. Raises OneCError."""
        return await self._exchange(call, "PATCH", entity, f"({key})", _query({}), fields)

    async def metadata(self, call: Call) -> bytes:
        """1C's description of what it publishes: XML, megabytes of it. Raises OneCError."""
        return await self._in_turn(call, "GET", "$metadata", "", "", None, _whole)

    async def probe(self) -> None:
        """The most harmless request there is, past the gate. Raises OneCError."""
        query = _query({"$top": "1", "$select": "Ref_Key"})
        call = Call("probe", again_s=60.0)
        await self._told(call, "GET", self._probe_set, "", query, None, answers.read)

    async def close(self) -> None:
        """End the sessions, so that they do not keep licences, and the connections."""
        with suppress(TimeoutError, httpx.HTTPError):
            async with asyncio.timeout(_FINISH_S):
                for session in self._sessions:
                    headers = {"ibsession": "finish", "cookie": f"ibsession={session}"}
                    await self._http.get(f"{self._base}?$format=json", headers=headers)
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
        read = partial(answers.read, personal=call.personal)
        return await self._in_turn(call, method, entity, key, query, record, read)

    async def _in_turn(
        self,
        call: Call,
        method: str,
        entity: str,
        key: str,
        query: str,
        record: Mapping[str, Any] | None,
        read: Callable[[int, bytes], T],
    ) -> T:
        async with self._manners.turn(held=call.held):
            return await self._told(call, method, entity, key, query, record, read)

    async def _told(
        self,
        call: Call,
        method: str,
        entity: str,
        key: str,
        query: str,
        record: Mapping[str, Any] | None,
        read: Callable[[int, bytes], T],
    ) -> T:
        """What was read from the answer; the gate, the journal and the log are told."""
        started = time.monotonic()
        status: int | None = None
        failure: OneCError | None = None
        answered = False
        try:
            status, content = await self._in_session(method, self._url(entity + key, query), record)
            answer = read(status, content)
            answered = True
            return answer
        except OneCError as error:
            failure, answered = error, True
            raise
        finally:
            seconds = time.monotonic() - started
            if answered:
                self._manners.tell(failure, seconds)
            self._report(call, method, entity, status, failure, answered, seconds)

    async def _in_session(self, method: str, url: str, record: Mapping[str, Any] | None) -> tuple[int, bytes]:
        """With a session of the base that is kept for the next request; one that has ended is replaced, once."""
        session = self._sessions.pop() if self._sessions else None
        try:
            response = await self._http_request(method, url, record, session)
        except OneCError:
            if session is not None:
                # It lives on in 1C and holds a licence; the last to be used again, since 1C may still be busy in it.
                self._sessions.insert(0, session)
            raise
        if response.status_code == 406 and session is not None:
            # The session is over: 1C has not even looked at the request.
            session = None
            response = await self._http_request(method, url, record, None)
        given = response.cookies.get("ibsession")
        if session is None and given is None and response.status_code < 400:
            self._keeps_sessions = False
        if (kept := given or session) is not None and response.status_code not in (401, 403, 406):
            self._sessions.append(kept)
        return response.status_code, response.content

    async def _http_request(
        self, method: str, url: str, record: Mapping[str, Any] | None, session: str | None
    ) -> httpx.Response:
        headers = {"accept": "application/json", "content-type": "application/json; charset=utf-8"}
        if session is not None:
            headers["cookie"] = f"ibsession={session}"
        elif self._keeps_sessions:
            headers["ibsession"] = "start"
        try:
            # Cookies are sent by hand: a jar would hand one session to several requests at once.
            self._http.cookies.clear()
            content = None if record is None else orjson.dumps(record)
            return await self._http.request(method, url, content=content, headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            raise NotReached("not-connected") from None
        except httpx.TimeoutException:
            raise NoAnswer("timeout") from None
        except httpx.HTTPError:
            raise NoAnswer("broken-off") from None

    def _url(self, resource: str, query: str) -> str:
        return f"{self._base}{quote(resource, safe='()$')}" + (f"?{query}" if query else "")

    def _report(
        self,
        call: Call,
        method: str,
        entity: str,
        status: int | None,
        failure: OneCError | None,
        answered: bool,
        seconds: float,
    ) -> None:
        now = datetime.now(UTC)
        outcome = failure.reason if failure is not None else "ok" if answered else "cancelled"
        if failure is not None and failure.code == _NOT_FOUND and method == "GET":
            outcome, failure = "not-found", None
        again = isinstance(failure, (NoAnswer, NotReached))
        exchange = Exchange(
            at=now,
            operation=call.operation,
            leads=call.leads,
            set=entity,
            method=method,
            status=status,
            code=failure.code if failure is not None else None,
            text=failure.text if failure is not None else None,
            ms=round(seconds * 1000),
            attempt=call.attempt,
            outcome=outcome,
            next_at=now + timedelta(seconds=call.again_s) if again else None,
            correlation=call.correlation,
        )
        self._record(exchange)
        level = log.info
        if failure is not None and not isinstance(failure, Exists):
            level = log.error if isinstance(failure, (NoRights, Refused)) else log.warning
        level(
            "exchange",
            operation=exchange.operation,
            leads=list(exchange.leads),
            set=entity,
            method=method,
            status=status,
            code=exchange.code,
            # What is left of 1C's own words; a field named text would be withheld.
            said=exchange.text,
            ms=exchange.ms,
            attempt=exchange.attempt,
            outcome=outcome,
            next_at=exchange.next_at.isoformat() if exchange.next_at is not None else None,
            correlation_id=exchange.correlation,
            message=_MESSAGES.get(outcome, outcome),
        )


def _whole(status: int, content: bytes) -> bytes:
    """The bytes of an answer that is no JSON. Raises OneCError."""
    if status != 200:
        answers.read(status, content)
        raise NoAnswer("not-1c", status)
    return content


def find_query(condition: str, fields: Sequence[str], *, order_by: str = "", top: int | None = None) -> str:
    """The query of a search, encoded: its length is what web servers limit."""
    options = {"$filter": condition, "$select": ",".join(fields), "$orderby": order_by}
    if top is not None:
        options["$top"] = str(top)
    return _query({name: value for name, value in options.items() if value})


def text(value: str) -> str:
    """A string literal."""
    return "'" + value.replace("'", "''") + "'"


def guid(value: str) -> str:
    """A reference literal."""
    return f"guid'{value}'"


def moment(naive: datetime) -> str:
    """A date literal; 1C's dates have no zone."""
    return f"datetime'{naive.isoformat(timespec='seconds')}'"


def _query(options: Mapping[str, str]) -> str:
    return "&".join(f"{name}={quote(value, safe='(),')}" for name, value in {"$format": "json", **options}.items())
