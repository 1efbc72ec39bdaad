"""Kannel's HTTP interface, a gateway to any telephone operator with an SMPP interface.

Kannel stores no id of ours and has no call that returns the status of an SMS. It reports the status by calling the
address that was given with the SMS.
"""

from typing import Final
from uuid import UUID

import httpx

from services.notifier.domain.answers import (
    Accepted,
    Disabled,
    Health,
    Healthy,
    InDoubt,
    LookupAnswer,
    NoAnswer,
    NoLookup,
    ProviderOutcome,
    Refused,
    SendAnswer,
    Unreachable,
)
from services.notifier.providers.http import CONNECT_TIMEOUT_S, NEVER_SENT, READ_TIMEOUT_S, client
from services.notifier.signatures import Signer

OUTCOMES: Final[dict[int, ProviderOutcome]] = {1: "delivered", 2: "failed", 4: "sent", 8: "sent", 16: "failed"}
"""Status in a report → outcome: 1 delivered, 2 not delivered, 4 queued at the operator, 8 accepted by the operator,
16 rejected by the operator."""
_ALL_REPORTS: Final = "31"
_UCS2: Final = "2"
_GATEWAY: Final = "/cgi-bin/sendsms"


class Kannel:
    """One user of one smsbox. `url` is the root of smsbox, `reports_url` the root of our report addresses as Kannel
    reaches them."""

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
        """Make one call. Kannel writes the SMS to disk before it answers 202."""
        parameters = {
            **self._account,
            "from": self._sender,
            "to": phone,
            "text": text,
            "charset": "UTF-8",
            "coding": _UCS2,
            "dlr-mask": _ALL_REPORTS,
            "dlr-url": self._report_url(message_id),
        }
        try:
            response = await self._http.get(_GATEWAY, params=parameters)
        except NEVER_SENT as error:
            return Unreachable(type(error).__name__)
        except httpx.RequestError as error:
            return InDoubt(type(error).__name__)
        match response.status_code:
            case 202:
                return Accepted()
            case 403:
                return Disabled("403")
            case 400 | 413 | 414:
                return Refused(str(response.status_code))
            case 404:
                return Disabled("404")
            case 503:
                # Kannel's "Temporal failure": the SMS was not queued.
                return Unreachable("503")
            case status:
                return InDoubt(f"http-{status}")

    async def lookup(self, message_id: UUID, phone: str) -> LookupAnswer:  # noqa: ARG002  # Kannel has no such call
        """Always NoLookup: Kannel has no call that returns the status of an SMS."""
        return NoLookup()

    async def check(self) -> Health:
        """Whether Kannel accepts our password: a request without a recipient passes that check, then gets 400."""
        try:
            response = await self._http.get(_GATEWAY, params=self._account)
        except httpx.RequestError as error:
            return NoAnswer(type(error).__name__)
        match response.status_code:
            case 400:
                return Healthy()
            case 403 | 404:
                return Disabled(str(response.status_code))
            case status:
                return NoAnswer(f"http-{status}")

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def _report_url(self, message_id: UUID) -> str:
        # Kannel replaces %d by the status.
        return f"{self._reports_url}/v1/reports/kannel?id={message_id}&sig={self._signer.sign(message_id)}&status=%d"
