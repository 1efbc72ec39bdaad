"""SMSC.ru over HTTP.

SMSC stores our id with an SMS but does not deduplicate by it, so a repeated call would send a second SMS: whether the
first call had an effect is found out by looking up the status of the id.
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from uuid import UUID

import httpx
import orjson

from services.notifier.domain.answers import (
    Accepted,
    Disabled,
    Found,
    Health,
    Healthy,
    InDoubt,
    LookupAnswer,
    Missing,
    NoAnswer,
    ProviderOutcome,
    Refused,
    Repeated,
    SendAnswer,
    Unreachable,
)
from services.notifier.providers.http import CONNECT_TIMEOUT_S, NEVER_SENT, READ_TIMEOUT_S, client

_FINAL: Final = frozenset({1, 5, 6, 7, 8})  # parameters, date, forbidden, number, undeliverable
_ELSEWHERE: Final = frozenset({6, 8})  # forbidden or undeliverable here, but perhaps not at another provider
_DISABLED: Final = frozenset({2, 3, 4})  # password, money, address blocked
_REPEATED: Final = 9
_NOT_FOUND: Final = -3
OUTCOMES: Final[dict[int, ProviderOutcome]] = {
    **dict.fromkeys((-1, 0), "sent"),  # waiting, at the operator
    **dict.fromkeys((1, 2), "delivered"),  # and read
    **dict.fromkeys((3, 20, 22, 23, 24, 25), "failed"),
}
"""Status of an SMS, in answers and in delivery reports → outcome."""


class Smsc:
    """One account at SMSC. `url` is the root, https://smsc.ru; `sender` the agreed name, "" for SMSC's default."""

    name = "smsc"

    def __init__(
        self,
        url: str,
        login: str,
        password: str,
        sender: str = "",
        *,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        self._account = {"login": login, "psw": password}
        self._sender = {"sender": sender} if sender else {}
        self._http = client(url, connect_timeout_s, read_timeout_s)

    async def send(self, message_id: UUID, phone: str, text: str) -> SendAnswer:
        """Make one call. Any answer that is not in SMSC's documentation leaves the SMS in doubt."""
        request = {
            **self._account,
            **self._sender,
            "phones": phone,
            "mes": text,
            "id": _sms_id(message_id),
            "charset": "utf-8",
            "fmt": 3,
        }
        try:
            response = await self._http.post("/rest/send/", json=request)
        except NEVER_SENT as error:
            return Unreachable(type(error).__name__)
        except httpx.RequestError as error:
            return InDoubt(type(error).__name__)
        answer = _read(response)
        if isinstance(answer, str):
            return InDoubt(answer)
        if "error_code" in answer:
            return _refusal(_number(answer["error_code"]))
        if answer.get("id") == _sms_id(message_id) and "cnt" in answer:
            return Accepted()
        return InDoubt("broken-answer")

    async def lookup(self, message_id: UUID, phone: str) -> LookupAnswer:
        """SMSC's status of the SMS. SMSC answers at most five such calls a minute for one SMS."""
        answer = await self._query("status", {"phone": phone, "id": _sms_id(message_id), "charset": "utf-8"})
        return _state(_number(answer.get("status"))) if isinstance(answer, dict) else answer

    async def check(self) -> Health:
        """Whether SMSC accepts our password, and the money left. An account without money is `Disabled`."""
        answer = await self._query("balance", {})
        if not isinstance(answer, dict):
            return answer
        balance = _money(answer.get("balance"))
        if balance is None:
            return NoAnswer("broken-answer")
        return Healthy(balance) if balance > 0 else Disabled("3")

    async def _query(self, call: str, parameters: Mapping[str, str]) -> dict[str, Any] | Disabled | NoAnswer:
        """The fields of the answer to a call that has no effect and may be repeated."""
        try:
            response = await self._http.post(f"/sys/{call}.php", data={**self._account, **parameters, "fmt": "3"})
        except httpx.RequestError as error:
            return NoAnswer(type(error).__name__)
        answer = _read(response)
        if isinstance(answer, str):
            return NoAnswer(answer)
        if "error_code" in answer:
            code = _number(answer["error_code"])
            return Disabled(str(code)) if code in _DISABLED else NoAnswer(f"code-{code}")
        return answer

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def _sms_id(message_id: UUID) -> str:
    # With its dashes: SMSC limits an id of digits only to 2147483647, and a UUID without dashes may be digits only.
    return str(message_id)


def _read(response: httpx.Response) -> dict[str, Any] | str:
    """The fields of the answer, or the reason why it cannot be trusted."""
    if response.status_code != 200:
        return f"http-{response.status_code}"
    try:
        answer = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return "broken-answer"
    return answer if isinstance(answer, dict) else "broken-answer"


def _number(value: Any) -> int | None:
    return value if type(value) is int else None


def _money(value: Any) -> Decimal | None:
    try:
        balance = Decimal(value) if isinstance(value, str) else None
    except InvalidOperation:
        return None
    return balance if balance is not None and balance.is_finite() else None


def _refusal(code: int | None) -> SendAnswer:
    if code is None:
        return InDoubt("broken-answer")
    if code in _FINAL:
        return Refused(str(code), elsewhere=code in _ELSEWHERE)
    if code in _DISABLED:
        return Disabled(str(code))
    if code == _REPEATED:
        return Repeated(str(code))
    # An undocumented code may be a warning about an SMS that was accepted.
    return InDoubt(f"code-{code}")


def _state(status: int | None) -> LookupAnswer:
    if status == _NOT_FOUND:
        return Missing()
    if status in OUTCOMES:
        return Found(f"status {status}", OUTCOMES[status])
    return NoAnswer("broken-answer" if status is None else f"status {status}")
