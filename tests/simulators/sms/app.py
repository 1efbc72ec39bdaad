"""The simulator of SMSC.ru: sending, status and balance requests, and the control calls."""

import asyncio
import hmac
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from tests.simulators.kit.calls import Call
from tests.simulators.kit.clock import SimClock
from tests.simulators.kit.faults import Fault, FaultTable
from tests.simulators.kit.rows import Rows
from tests.simulators.kit.serve import Simulator
from tests.simulators.sms.callbacks import MODES as CALLBACK_MODES
from tests.simulators.sms.callbacks import Callbacks
from tests.simulators.sms.outbox import Outbox
from tests.simulators.sms.protocol import (
    Parameters,
    SmscError,
    answer,
    checked,
    e164,
    form,
    json_body,
    own_id,
    refusal,
    shown_id,
)

MODES = frozenset({"slow", "accept_then_cut", "refuse", "down", "undeliverable"})
_AT_ONCE = 15
_CHECK_EVERY_S = 0.02
_MOSCOW = ZoneInfo("Europe/Moscow")
_PRICE = 3
_BALANCE = "100000.00"


class Smsc(Simulator):
    """The provider with one customer.

    `credentials` are login, password and API key (empty: none), `callbacks` the URL and the secret of reports. A
    message reaches the operator after `dispatch`, and is delivered `delivery` later.
    """

    def __init__(
        self,
        credentials: tuple[str, str, str],
        rows: Rows,
        clock: SimClock,
        dispatch: timedelta,
        delivery: timedelta,
        callbacks: tuple[str, str],
    ) -> None:
        super().__init__("SMS simulator", "", clock)
        self._login, self._password, self._api_key = credentials
        self._outbox = Outbox(rows, dispatch, delivery)
        self._faults = FaultTable(MODES)
        self._callback_faults = FaultTable(CALLBACK_MODES)
        self._callbacks = Callbacks(
            *callbacks,
            dispatch.total_seconds(),
            delivery.total_seconds(),
            lambda: self._callback_faults.take({}, self.clock.now()),
        )
        self._balance = _BALANCE
        self.controls |= {
            ("POST", "reset"): self._reset,
            ("POST", "fault"): self._fault,
            ("POST", "clock"): self._clock,
            ("GET", "messages"): self._messages,
            ("POST", "callbacks"): self._set_callbacks,
            ("GET", "callbacks"): self._made_callbacks,
            ("POST", "balance"): self._set_balance,
        }

    async def serve(self, request: Request, call: Call) -> Response | None:
        """One call to the provider, changed by the fault that applies to it. None cuts the connection."""
        path = request.scope["path"].rstrip("/")
        call.set = path.rpartition("/")[2].removesuffix(".php")
        fmt = "3"
        try:
            if path == "/rest/send" and request.method == "POST":
                parameters = await json_body(request)
            elif path in ("/sys/send.php", "/sys/status.php", "/sys/balance.php") and request.method in ("GET", "POST"):
                fmt = "0"
                parameters = await form(request)
                fmt = parameters.get("fmt", "0")
            else:
                return Response("<html><body><h1>404 Not Found</h1></body></html>", 404, media_type="text/html")
            if self.log.in_flight > _AT_ONCE:
                raise SmscError(9)
            fault = self._faults.take({"method": request.method, "call": call.set}, self.clock.now())
            if fault is not None:
                call.fault = fault.mode
                if (replacement := await self._apply(fault)) is not None:
                    return replacement
            self._authorise(parameters)
            if call.set == "status":
                return self._status(parameters, fmt)
            if call.set == "balance":
                return answer(fmt, {"balance": self._balance}, self._balance)
            response = self._send(parameters, fmt, undeliverable=call.fault == "undeliverable")
            call.committed = parameters.get("cost") != "1"
        except SmscError as error:
            return refusal(fmt, error)
        return None if fault is not None and fault.mode == "accept_then_cut" else response

    async def _apply(self, fault: Fault) -> Response | None:
        match fault.mode:
            case "slow":
                # When the fault is switched off, delayed calls continue at once.
                until = asyncio.get_running_loop().time() + fault.number("seconds", 5)
                while fault in self._faults.active and asyncio.get_running_loop().time() < until:
                    await asyncio.sleep(_CHECK_EVERY_S)
            case "refuse":
                raise SmscError(int(fault.number("code", 8)))
            case "down":
                return Response("Internal Server Error", int(fault.number("status", 500)), media_type="text/plain")
        return None

    def _authorise(self, given: Parameters) -> None:
        if "apikey" in given:
            good = bool(self._api_key) and _same(given["apikey"], self._api_key)
        else:
            good = _same(given.get("login", ""), self._login) and _same(given.get("psw", ""), self._password)
        if not good:
            raise SmscError(2)

    def _send(self, given: Parameters, fmt: str, *, undeliverable: bool) -> Response:
        now = self.clock.now()
        order = checked(given, self._outbox.next_id())
        if Decimal(self._balance) <= 0:
            raise SmscError(3)
        if order.cost != "1" and self._outbox.is_repeat(order.phones, order.text, now):
            raise SmscError(9)
        if order.cost == "1":
            count = len(order.phones)
            return answer(fmt, {"cost": str(_PRICE * count), "cnt": count}, f"{_PRICE * count} ({count} SMS)")
        accepted = self._outbox.accept(
            order.phones,
            order.text,
            order.message_id,
            now,
            sender=order.sender,
            time=order.time,
            valid=order.valid,
            undeliverable=undeliverable,
        )
        for message in accepted:
            self._callbacks.report(message)
        count = sum(message.segments for message in accepted)
        body: dict[str, Any] = {"id": shown_id(order.message_id), "cnt": count}
        if order.cost in ("2", "3"):
            body["cost"] = str(_PRICE * count)
        if order.cost == "3":
            body["balance"] = self._balance
        plain = f"{order.message_id},{count}" if fmt == "1" else f"OK - {count} SMS, ID - {order.message_id}"
        return answer(fmt, body, plain)

    def _status(self, given: Parameters, fmt: str) -> Response:
        if not given.get("phone") or not given.get("id"):
            raise SmscError(1)
        phone, message_id = e164(given["phone"]), own_id(given["id"])
        now = self.clock.now()
        if self._outbox.polled_too_often(phone, message_id, now):
            raise SmscError(9)
        status, since = self._outbox.status(phone, message_id, now)
        body = {
            "status": status,
            "last_date": _date(since) if since else "",
            "last_timestamp": int(since.timestamp()) if since else 0,
        }
        plain = f"{status},{body['last_timestamp']},0" if fmt == "1" else f"Status = {status}, check_time = {now:%X}"
        return answer(fmt, body, plain)

    # --- control calls ---

    async def _reset(self, _: Any) -> Any:
        self._outbox.clear()
        self._faults.active.clear()
        self._callback_faults.active.clear()
        self._callbacks.clear()
        self._balance = _BALANCE
        self.log.clear()
        self.clock.reset()
        return {"status": "ok"}

    async def _fault(self, body: Any) -> Any:
        tables = (self._faults, self._callback_faults)
        if body.get("mode") in CALLBACK_MODES:
            self._callback_faults.switch(body)
        else:
            self._faults.switch(body)
        if body.get("mode", "none") == "none":
            self._callback_faults.active.clear()
        return {"faults": [fault.as_json() for table in tables for fault in table.active]}

    async def _clock(self, body: Any) -> Any:
        self.clock.apply(body)
        return {"now": self.clock.now().isoformat()}

    async def _set_callbacks(self, body: Any) -> Any:
        self._callbacks.url, self._callbacks.secret = str(body["url"]), str(body["secret"])
        return {"url": self._callbacks.url}

    async def _made_callbacks(self, _: Any) -> Any:
        return self._callbacks.made

    async def _set_balance(self, body: Any) -> Any:
        self._balance = f"{Decimal(str(body['balance'])):.2f}"
        return {"balance": self._balance}

    async def _messages(self, _: Any) -> Any:
        now = self.clock.now()
        return [
            {**message.as_json(), "status": self._outbox.status(message.to, message.id, now)[0]}
            for message in self._outbox.messages
        ]


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())


def _date(moment: datetime) -> str:
    return moment.astimezone(_MOSCOW).strftime("%d.%m.%Y %H:%M:%S")
