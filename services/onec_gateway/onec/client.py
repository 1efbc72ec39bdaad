"""A client of 1C's standard OData interface. Each request passes the gate and is recorded for the administrator."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlsplit

from services.onec_gateway.onec import answers, odata
from services.onec_gateway.onec.errors import NoAnswer, NotReached, OneCError, Refused
from services.onec_gateway.onec.exchange import Call, Exchange, log_exchange
from services.onec_gateway.onec.gate import Gate
from services.onec_gateway.onec.odata import WebServer
from services.onec_gateway.onec.transport import Transport

T = TypeVar("T")

NOT_FOUND: Final = "9"  # 1C's error code
PROBE_EVERY_S: Final = 60.0


class OneC:
    """One infobase.

    `url` is where 1C is published, without `/odata/…`. `connections`: requests that may run at the same time, besides
    the probe. `probe_set`: the set that a probe reads. `record` takes the record of each request and returns at once.
    """

    def __init__(
        self,
        url: str,
        user: str,
        password: str,
        *,
        gate: Gate,
        record: Callable[[Exchange], None],
        web_server: WebServer,
        connections: int,
        probe_set: str,
        timeout_s: float = 60.0,
    ) -> None:
        self._base = url.rstrip("/") + odata.ROOT
        self._path = urlsplit(self._base).path
        self._transport = Transport(user, password, connections=connections + 1, timeout_s=timeout_s)
        self._gate = gate
        self._record = record
        self._web_server = web_server
        self._probe_set = probe_set

    def longest_query(self, entity: str) -> int:
        """How many bytes the encoded query of a search in this set may have before the web server refuses it."""
        return odata.longest_query(self._web_server, self._path + quote(entity))

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
        query = odata.find_query(condition, fields, order_by=order_by, top=top)
        body = await self._send(call, "GET", entity, query=query)
        rows = body.get("value")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise NoAnswer("not-1c", 200)
        return rows

    async def get(self, call: Call, entity: str, key: str) -> dict[str, Any] | None:
        """The object with this key (`Поле='…'` or `guid'…'`), or None if there is none. Raises OneCError."""
        try:
            return await self._send(call, "GET", entity, f"({key})")
        except Refused as error:
            if error.status == 404 and error.code == NOT_FOUND:
                return None
            raise

    async def create(self, call: Call, entity: str, record: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object. Returns the object as 1C stored it. Raises OneCError."""
        return await self._send(call, "POST", entity, record=record)

    async def change(self, call: Call, entity: str, key: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Change some fields of the object with this key. Returns the whole object. Raises OneCError."""
        return await self._send(call, "PATCH", entity, f"({key})", record=fields)

    async def metadata(self, call: Call) -> bytes:
        """The document `$metadata`: 1C's description of what it publishes, megabytes of XML. Raises OneCError."""
        async with self._gate.admitted(ignore_holds=call.ignore_holds):
            return await self._recorded(call, "GET", "$metadata", "", "", None, _raw)

    async def probe(self) -> None:
        """Read one row without passing the gate. Raises OneCError."""
        query = odata.query({"$top": "1", "$select": "Ref_Key"})
        call = Call("probe", retry_after_s=PROBE_EVERY_S)
        await self._recorded(call, "GET", self._probe_set, "", query, None, answers.read)

    async def close(self) -> None:
        """End the sessions in 1C and close the connections."""
        await self._transport.close(f"{self._base}?$format=json")

    async def _send(
        self,
        call: Call,
        method: str,
        entity: str,
        key: str = "",
        *,
        query: str = "",
        record: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        read = partial(answers.read, personal=call.personal)
        async with self._gate.admitted(ignore_holds=call.ignore_holds):
            return await self._recorded(call, method, entity, key, query or odata.query({}), record, read)

    async def _recorded(
        self,
        call: Call,
        method: str,
        entity: str,
        key: str,
        query: str,
        record: Mapping[str, Any] | None,
        read: Callable[[int, bytes], T],
    ) -> T:
        """Send a request, and pass its result to the gate, the log and the exchange journal.

        Returns what `read` made of the HTTP status and the body. Raises OneCError.
        """
        url = f"{self._base}{quote(entity + key, safe='()$')}" + (f"?{query}" if query else "")
        started = time.monotonic()
        status: int | None = None
        failure: OneCError | None = None
        is_cancelled = True
        try:
            status, content = await self._transport.send(method, url, record)
            answer = read(status, content)
            is_cancelled = False
            return answer
        except OneCError as error:
            failure, is_cancelled = error, False
            raise
        finally:
            seconds = time.monotonic() - started
            if not is_cancelled:
                self._gate.record(failure, seconds)
            is_absent = failure is not None and failure.code == NOT_FOUND and method == "GET"
            if is_absent:
                failure = None
            exchange = Exchange(
                at=(now := datetime.now(UTC)),
                operation=call.operation,
                leads=call.leads,
                set=entity,
                method=method,
                status=status,
                code=failure.code if failure is not None else None,
                text=failure.text if failure is not None else None,
                ms=round(seconds * 1000),
                attempt=call.attempt,
                outcome=_outcome(failure, is_absent=is_absent, is_cancelled=is_cancelled),
                next_at=now + timedelta(seconds=call.retry_after_s)
                if isinstance(failure, (NoAnswer, NotReached))
                else None,
                correlation=call.correlation,
            )
            self._record(exchange)
            log_exchange(exchange, failure)


def _outcome(failure: OneCError | None, *, is_absent: bool, is_cancelled: bool) -> str:
    if failure is not None:
        return failure.reason
    if is_absent:
        return "not-found"
    return "cancelled" if is_cancelled else "ok"


def _raw(status: int, content: bytes) -> bytes:
    """The bytes of an answer that is not JSON. Raises OneCError for any status but 200."""
    if status != 200:
        answers.read(status, content)
        raise NoAnswer("not-1c", status)
    return content
