"""The fault modes of 1C: delays, error answers in place of 1C's answer, and lost or damaged answers."""

import asyncio
import time
from datetime import datetime

import orjson
from starlette.responses import Response

from tests.simulators.kit.faults import Fault, FaultTable
from tests.simulators.onec.errors import FAILURE, RIGHTS, OneCError

WRITES = frozenset({"POST", "PATCH", "PUT", "DELETE"})

# Lost answers and failing handlers apply to writes only. A cold start happens once.
_WRITE_MODES = frozenset({"commit_then_drop", "late_commit", "handler_error"})
_ONCE = frozenset({"cold_start"})
MODES = _WRITE_MODES | {
    *("slow", "cold_start", "infobase_locked", "licence_exhausted", "session_expired", "lock_conflict"),
    *("pool_full", "rights", "html_page", "encoding"),
}

BOM = b"\xef\xbb\xbf"
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


class Faults:
    """The faults that are on for this infobase, and their effects."""

    def __init__(self) -> None:
        self.table = FaultTable(MODES, once=_ONCE)
        self._in_pool = 0

    def take(self, entity: str, method: str, now: datetime) -> Fault | None:
        """The fault that applies to a call to this set by this HTTP method, or None."""
        facts = {"set": entity, "method": method, "write": "yes" if method in WRITES else "no"}
        return self.table.take(facts, now)

    def switch(self, body: dict[str, object]) -> None:
        """Apply the body of a `/__sim/fault` call. Raises ValueError."""
        if body.get("mode") in _WRITE_MODES:
            body = {**body, "match": {"write": "yes", **(body.get("match") or {})}}  # type: ignore[dict-item]
        self.table.switch(body)

    async def before(self, fault: Fault, starts_session: bool) -> Response | None:
        """Delay the call, or return an answer in its place. None: 1C executes the call. Raises OneCError."""
        match fault.mode:
            case "slow":
                await asyncio.sleep(fault.number("seconds", 5))
            case "cold_start":
                await asyncio.sleep(fault.number("seconds", 30))
            case "infobase_locked":
                return _vrs_exception(403, "HTTP: Forbidden", _MAINTENANCE_TEXT)
            case "licence_exhausted":
                return no_licence(starts_session, int(fault.number("status", 0)))
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
                return await self._wait_for_connection(fault)
        return None

    async def _wait_for_connection(self, fault: Fault) -> Response | None:
        # A call occupies its connection for `work_seconds`: the simulator is too fast to fill its pool otherwise.
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
        """The answer that reaches the client, changed by the fault; None cuts the connection."""
        if fault.mode == "commit_then_drop":
            return None
        if fault.mode == "encoding":
            return _damaged(response, str(fault.options.get("variant", "bom")))
        return response


def no_licence(starts_session: bool, status: int = 0) -> Response:
    """The answer without a free licence. The status for a request without `IBSession` is not proven."""
    return _vrs_exception(status or (406 if starts_session else 500), "Ошибка создания сеанса", _LICENCE_TEXT)


def session_over() -> Response:
    """The answer to a request in a session that has ended."""
    return _xml_exception("Истекло время ожидания сеанса")


def _damaged(response: Response, variant: str) -> Response:
    """Variant `bom`: a byte order mark and a header with a wrong charset; `truncated`: half of the body."""
    body = bytes(response.body)
    if variant == "truncated":
        return Response(body[: len(body) // 2], response.status_code, media_type="application/json")
    return Response(BOM + body, response.status_code, {"content-type": "application/json;charset=windows-1251"})


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
