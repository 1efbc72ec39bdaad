"""The record of each request to 1C: a log line and a row for the administrator. Neither holds URLs or bodies."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog

from services.onec_gateway.onec.errors import Exists, NoRights, OneCError, Refused

log = structlog.get_logger(__name__)

MESSAGES: Final[dict[str, str]] = {
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
    """The purpose of a call to 1C, for its records.

    `leads` are the ids of the leads that the call is about. `personal` are names and phones to cut out of 1C's error
    texts. `retry_after_s`: in how many seconds the caller tries again if the call fails. `ignore_holds`: the request
    is sent although the gate is held; only the verification of the mapping needs this.
    """

    operation: str
    leads: tuple[str, ...] = ()
    attempt: int = 1
    correlation: str | None = None
    personal: tuple[str, ...] = ()
    retry_after_s: float = 1.0
    ignore_holds: bool = False


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request to 1C and its result; the fields are the columns of the table `exchanges`.

    `set` is the OData set, `status` the HTTP status (None without an answer), `code` and `text` 1C's error code and
    its message without personal data, `ms` the duration, `outcome` a key of MESSAGES, `next_at` the time of the next
    attempt if there will be one.
    """

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


def log_exchange(exchange: Exchange, failure: OneCError | None) -> None:
    """Write the log line of an exchange: a warning if the request is repeated, an error if people must act."""
    if failure is None or isinstance(failure, Exists):
        log.info("exchange", **_fields(exchange))
    elif isinstance(failure, (NoRights, Refused)):
        log.error("exchange", **_fields(exchange))
    else:
        log.warning("exchange", **_fields(exchange))


def _fields(exchange: Exchange) -> dict[str, Any]:
    return {
        "operation": exchange.operation,
        "leads": list(exchange.leads),
        "set": exchange.set,
        "method": exchange.method,
        "status": exchange.status,
        "code": exchange.code,
        # The rest of 1C's message; the logger withholds every field named `text`.
        "said": exchange.text,
        "ms": exchange.ms,
        "attempt": exchange.attempt,
        "outcome": exchange.outcome,
        "next_at": exchange.next_at.isoformat() if exchange.next_at is not None else None,
        "correlation_id": exchange.correlation,
        "message": MESSAGES.get(exchange.outcome, exchange.outcome),
    }
