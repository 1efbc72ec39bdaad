"""Delivery reports: SMSC.ru's signed HTTP calls to its customer, and the faults of such calls."""

import asyncio
from collections.abc import Callable
from hashlib import md5, sha1
from typing import Any

import httpx

from tests.simulators.kit.faults import Fault
from tests.simulators.sms.outbox import AT_OPERATOR, DELIVERED, UNDELIVERABLE, Message

MODES = frozenset({"callback_late", "callback_doubled", "callback_swapped", "callback_forged", "callback_lost"})
_AT_ONCE = 8
_TRIES = 3
_PAUSE_S = 1.0
_TIMEOUT_S = 10.0


class Callbacks:
    """Sends reports to `url`, signed with `secret`; without a URL it sends none.

    `take_fault` returns the fault that applies to the reports of the next message, or None. `made` are the reports sent
    so far, each with the HTTP status of the answer (0 without an answer).
    """

    def __init__(
        self, url: str, secret: str, dispatch_s: float, delivery_s: float, take_fault: Callable[[], Fault | None]
    ):
        self.url = url
        self.secret = secret
        self._dispatch_s = dispatch_s
        self._delivery_s = delivery_s
        self._take_fault = take_fault
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._http: httpx.AsyncClient | None = None
        self.made: list[dict[str, Any]] = []

    def clear(self) -> None:
        """Cancel the reports that are due, and delete the list of those sent."""
        for task in self._tasks:
            task.cancel()
        self.made.clear()

    def report(self, message: Message) -> None:
        """Send two reports of a message that was just accepted, status 0 and its last status, when they are due."""
        if self.url:
            task = asyncio.create_task(self._report_both(message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _report_both(self, message: Message) -> None:
        fault = self._take_fault()
        mode = fault.mode if fault is not None else ""
        last = UNDELIVERABLE if message.undeliverable else DELIVERED
        first, second = (last, AT_OPERATOR) if mode == "callback_swapped" else (AT_OPERATOR, last)
        await asyncio.sleep(self._dispatch_s + (fault.number("seconds", 5) if fault and mode == "callback_late" else 0))
        await self._report_status(message, first, mode)
        await asyncio.sleep(self._delivery_s)
        await self._report_status(message, second, mode)

    async def _report_status(self, message: Message, status: int, mode: str) -> None:
        if mode == "callback_lost":
            return
        signed_text = f"{message.id}:{message.to.lstrip('+')}:{status}"
        signed = f"{signed_text}:{'a guess' if mode == 'callback_forged' else self.secret}".encode()
        form = {
            "id": message.id,
            "phone": message.to.lstrip("+"),
            "status": str(status),
            "time": message.at,
            "err": "0",
            "sha1": sha1(signed, usedforsecurity=False).hexdigest(),
            "md5": md5(signed, usedforsecurity=False).hexdigest(),
        }
        for _ in range(2 if mode == "callback_doubled" else 1):
            await self._post(form)

    async def _post(self, form: dict[str, str]) -> None:
        if self._http is None:
            self._http = httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False)
        for _ in range(_TRIES):
            async with self._gate:
                try:
                    status = (await self._http.post(self.url, data=form)).status_code
                except httpx.RequestError:
                    status = 0
            self.made.append({"id": form["id"], "status": int(form["status"]), "http": status})
            if status not in (0, 503):
                return
            await asyncio.sleep(_PAUSE_S)
