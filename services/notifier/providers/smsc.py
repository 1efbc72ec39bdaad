"""SMSC.ru over HTTP. It takes an id of ours, but does not deduplicate by it: only its status answers who has what."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from uuid import UUID

import httpx
import orjson

from services.notifier.answers import (
    Accepted,
    Barred,
    Found,
    Health,
    InDoubt,
    LookAnswer,
    Missing,
    NoWord,
    Outcome,
    Refused,
    Repeated,
    SendAnswer,
    Unreached,
    Well,
)
from services.notifier.providers.http import CONNECT_TIMEOUT_S, NEVER_LEFT, READ_TIMEOUT_S, client

_FINAL: Final = frozenset({1, 5, 6, 7, 8})  # parameters, date, forbidden, number, undeliverable
_ELSEWHERE: Final = frozenset({6, 8})  # what this provider's operators do not let through, another's may
_BARRED: Final = frozenset({2, 3, 4})  # password, money, address blocked
_REPEATED: Final = 9
_NOT_FOUND: Final = -3
OUTCOMES: Final[dict[int, Outcome]] = {
    **dict.fromkeys((-1, 0), "sent"),  # waiting, at the operator
    **dict.fromkeys((1, 2), "delivered"),  # and read
    **dict.fromkeys((3, 20, 22, 23, 24, 25), "failed"),
}
"""What its statuses say, in answers and in reports."""


class Smsc:
    """One customer's account."""

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
        """One message, once. Anything but SMSC's own clear word is doubt."""
        order = {
            **self._account,
            **self._sender,
            "phones": phone,
            "mes": text,
            "id": _own(message_id),
            "charset": "utf-8",
            "fmt": 3,
        }
        try:
            response = await self._http.post("/rest/send/", json=order)
        except NEVER_LEFT as error:
            return Unreached(type(error).__name__)
        except httpx.RequestError as error:
            return InDoubt(type(error).__name__)
        answer = _read(response)
        if isinstance(answer, str):
            return InDoubt(answer)
        if "error_code" in answer:
            return _refusal(_number(answer["error_code"]))
        if answer.get("id") == _own(message_id) and "cnt" in answer:
            return Accepted()
        return InDoubt("broken-answer")

    async def look(self, message_id: UUID, phone: str) -> LookAnswer:
        """The state of our message, by phone and id."""
        answer = await self._ask("status", {"phone": phone, "id": _own(message_id), "charset": "utf-8"})
        return _state(_number(answer.get("status"))) if isinstance(answer, dict) else answer

    async def check(self) -> Health:
        """Whether the account opens, and what is left on it."""
        answer = await self._ask("balance", {})
        if not isinstance(answer, dict):
            return answer
        balance = _money(answer.get("balance"))
        if balance is None:
            return NoWord("broken-answer")
        return Well(balance) if balance > 0 else Barred("3")

    async def _ask(self, call: str, question: Mapping[str, str]) -> dict[str, Any] | Barred | NoWord:
        """The fields of the answer to a question, which may be asked again."""
        try:
            response = await self._http.post(f"/sys/{call}.php", data={**self._account, **question, "fmt": "3"})
        except httpx.RequestError as error:
            return NoWord(type(error).__name__)
        answer = _read(response)
        if isinstance(answer, str):
            return NoWord(answer)
        if "error_code" in answer:
            code = _number(answer["error_code"])
            return Barred(str(code)) if code in _BARRED else NoWord(f"code-{code}")
        return answer

    async def close(self) -> None:
        """Let go of connections."""
        await self._http.aclose()


def _own(message_id: UUID) -> str:
    # With its dashes: of an id that is all digits SMSC takes no more than 2147483647, and a hex may be all digits.
    return str(message_id)


def _read(response: httpx.Response) -> dict[str, Any] | str:
    """The answer's fields, or why it cannot be trusted."""
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
    if code in _BARRED:
        return Barred(str(code))
    if code == _REPEATED:
        return Repeated(str(code))
    # A code that no table names may be a warning about a message that was taken.
    return InDoubt(f"code-{code}")


def _state(status: int | None) -> LookAnswer:
    if status == _NOT_FOUND:
        return Missing()
    if status in OUTCOMES:
        return Found(f"status {status}", OUTCOMES[status])
    return NoWord("broken-answer" if status is None else f"status {status}")
