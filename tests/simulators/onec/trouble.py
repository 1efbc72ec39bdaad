"""The fault modes of 1C: what a struck call meets, and what happens to its answer."""

import asyncio
import time
from datetime import datetime

import orjson
from starlette.responses import Response

from tests.simulators.kit.faults import Fault, FaultTable
from tests.simulators.onec.errors import FAILURE, RIGHTS, OneCError

WRITES = frozenset({"POST", "PATCH", "PUT", "DELETE"})

# A lost answer and a failing handler make sense for writes only; a cold start happens once.
_WRITE_MODES = frozenset({"commit_then_drop", "late_commit", "handler_error"})
_ONCE = frozenset({"cold_start"})
MODES = frozenset(
    [
        "slow",
        "cold_start",
        "commit_then_drop",
        "late_commit",
        "infobase_locked",
        "licence_exhausted",
        "session_expired",
        "lock_conflict",
        "handler_error",
        "pool_full",
        "rights",
        "html_page",
        "encoding",
    ]
)

_BOM = b"\xef\xbb\xbf"
_LOCK_TEXT = (
    "Конфликт блокировок при выполнении транзакции:\nПревышено максимальное время ожидания предоставления блокировки"
)
_HANDLER_TEXT = "Ошибка при выполнении обработчика - 'ПриЗаписи':\nЗапись отклонена правилами учета"
_LICENCE_TEXT = "Не обнаружено свободной лицензии!"
_MAINTENANCE_TEXT = "Начало сеанса с информационной базой запрещено.\nВедутся технические работы"
_VRS = "{http://v8.1c.ru/8.2/virtual-resource-system}"
_HTML = (
    "<html><head><title>1C:Enterprise 8 application error</title></head>"
    "<body><h1>1C:Enterprise 8 application error</h1><pre>Ошибка работы приложения</pre></body></html>"
)


class Trouble:
    """The faults switched on for this infobase, and their working."""

    def __init__(self) -> None:
        self.table = FaultTable(MODES, once=_ONCE)
        self._in_pool = 0

    def strike(self, entity: str, method: str, now: datetime) -> Fault | None:
        """The fault that strikes a call to this set by this method, if any."""
        facts = {"set": entity, "method": method, "write": "yes" if method in WRITES else "no"}
        return self.table.strike(facts, now)

    def order(self, body: dict[str, object]) -> None:
        """Carry out a `/__sim/fault` call."""
        if body.get("mode") in _WRITE_MODES:
            body = {**body, "match": {"write": "yes", **(body.get("match") or {})}}  # type: ignore[dict-item]
        self.table.order(body)

    async def before(self, fault: Fault, asks_session: bool) -> Response | None:
        """Delay the call, or answer in its place; None lets it go on."""
        match fault.mode:
            case "slow":
                await asyncio.sleep(fault.number("seconds", 5))
            case "cold_start":
                await asyncio.sleep(fault.number("seconds", 30))
            case "infobase_locked":
                return _vrs_exception(403, "HTTP: Forbidden", _MAINTENANCE_TEXT)
            case "licence_exhausted":
                return no_licence(asks_session, int(fault.number("status", 0)))
            case "session_expired":
                return session_over()
            case "lock_conflict":
                raise OneCError(500, FAILURE, _LOCK_TEXT)
            case "handler_error":
                raise OneCError(500, FAILURE, str(fault.options.get("text", _HANDLER_TEXT)))
            case "rights":
                raise OneCError(401, RIGHTS, "Нарушение прав доступа!")
            case "html_page":
                return Response(_HTML, int(fault.number("status", 500)), media_type="text/html")
            case "pool_full":
                return await self._wait_for_place(fault)
        return None

    async def _wait_for_place(self, fault: Fault) -> Response | None:
        # A call occupies its place for `work_seconds`: without that a simulator this quick is never full.
        deadline = time.monotonic() + fault.number("seconds", 5)
        while self._in_pool >= int(fault.number("limit", 10)):
            if time.monotonic() >= deadline:
                return _xml_exception("Превышено время ожидания свободного соединения из пула")
            await asyncio.sleep(0.02)
        self._in_pool += 1
        try:
            await asyncio.sleep(fault.number("work_seconds", 0.5))
        finally:
            self._in_pool -= 1
        return None

    @staticmethod
    def after(fault: Fault, response: Response) -> Response | None:
        """What of the answer reaches the client; None cuts the connection."""
        if fault.mode == "commit_then_drop":
            return None
        if fault.mode == "encoding":
            return _mangled(response, str(fault.options.get("variant", "bom")))
        return response


def no_licence(asks_session: bool, status: int = 0) -> Response:
    """No session could be had; which status a base gives without `IBSession` is not proven."""
    return _vrs_exception(status or (406 if asks_session else 500), "Ошибка создания сеанса", _LICENCE_TEXT)


def session_over() -> Response:
    """The session that the client showed is not there any more."""
    return _xml_exception("Истекло время ожидания сеанса")


def _mangled(response: Response, variant: str) -> Response:
    """`bom`: a byte order mark and a header that lies about the charset; `truncated`: half of the body."""
    body = bytes(response.body)
    if variant == "truncated":
        return Response(body[: len(body) // 2], response.status_code, media_type="application/json")
    return Response(_BOM + body, response.status_code, {"content-type": "application/json;charset=windows-1251"})


def _vrs_exception(status: int, text: str, inner: str) -> Response:
    body = {
        "#exception": f"{_VRS}Exception",
        "exception": {"reason": status, "descr": text, "inner": {"descr": inner}},
    }
    return Response(orjson.dumps(body), status, media_type="application/json;charset=utf-8")


def _xml_exception(text: str) -> Response:
    namespace = _VRS.strip("{}")
    xml = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<exception xmlns="{namespace}" reason="406">'
        f"<descr>{text}</descr></exception>"
    )
    return Response(xml.encode(), 406, media_type="application/xml;charset=utf-8")
