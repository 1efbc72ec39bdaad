"""Kannel's HTTP interface: a road to any operator that speaks SMPP. It takes no id of ours and cannot be asked about a
message; what became of one it tells by calling the address given with it."""

from typing import Final
from uuid import UUID

import httpx

from services.notifier.answers import (
    Accepted,
    Barred,
    CannotTell,
    Health,
    InDoubt,
    LookAnswer,
    NoWord,
    Outcome,
    Refused,
    SendAnswer,
    Unreached,
    Well,
)
from services.notifier.providers.http import CONNECT_TIMEOUT_S, NEVER_LEFT, READ_TIMEOUT_S, client
from services.notifier.signatures import Signer

OUTCOMES: Final[dict[int, Outcome]] = {1: "delivered", 2: "failed", 4: "sent", 8: "sent", 16: "failed"}
"""What its reports say: delivered, not delivered, kept by the operator, taken by the operator, turned down by it."""
_ALL_REPORTS: Final = "31"
_UCS2: Final = "2"
_GATEWAY: Final = "/cgi-bin/sendsms"


class Kannel:
    """One user of one smsbox. `reports_url`: where our own reports are served as Kannel sees them."""

    name = "kannel"

    def __init__(
        self,
        url: str,
        user: str,
        password: str,
        sender: str,
        reports_url: str,
        signer: Signer,
        *,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        self._account = {"username": user, "password": password}
        self._sender = sender
        self._reports_url = reports_url
        self._signer = signer
        self._http = client(url, connect_timeout_s, read_timeout_s)

    async def send(self, message_id: UUID, phone: str, text: str) -> SendAnswer:
        """One message, once. Kannel keeps it on disk before it answers 202."""
        order = {
            **self._account,
            "from": self._sender,
            "to": phone,
            "text": text,
            "charset": "UTF-8",
            "coding": _UCS2,
            "dlr-mask": _ALL_REPORTS,
            "dlr-url": self._report_to(message_id),
        }
        try:
            response = await self._http.get(_GATEWAY, params=order)
        except NEVER_LEFT as error:
            return Unreached(type(error).__name__)
        except httpx.RequestError as error:
            return InDoubt(type(error).__name__)
        match response.status_code:
            case 202:
                return Accepted()
            case 403:
                return Barred("403")
            case 400 | 413 | 414:
                return Refused(str(response.status_code))
            case 404:
                return Barred("404")
            case 503:
                # "Temporal failure": nothing was queued.
                return Unreached("503")
            case status:
                return InDoubt(f"http-{status}")

    async def look(self, message_id: UUID, phone: str) -> LookAnswer:  # noqa: ARG002  # there is nobody to ask
        """Kannel keeps no book of what it took."""
        return CannotTell()

    async def check(self) -> Health:
        """Whether it takes our password: a message to nobody is turned down for other reasons."""
        try:
            response = await self._http.get(_GATEWAY, params=self._account)
        except httpx.RequestError as error:
            return NoWord(type(error).__name__)
        match response.status_code:
            case 400:
                return Well()
            case 403 | 404:
                return Barred(str(response.status_code))
            case status:
                return NoWord(f"http-{status}")

    async def close(self) -> None:
        """Let go of connections."""
        await self._http.aclose()

    def _report_to(self, message_id: UUID) -> str:
        # %d is Kannel's place for the status.
        return f"{self._reports_url}/v1/reports/kannel?id={message_id}&sig={self._signer.sign(message_id)}&status=%d"
