"""Logs: one JSON object a line, for our own events and for libraries. Never a phone, never a name.

Three defences: the code logs no content; a field named like content is withheld; whatever looks like a telephone
number is cut out of every text. Of an exception the log shows the types and the places in the code. It shows the
message only of errors that a server or a socket raised, because other exceptions quote their input.
"""

import logging
import re
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any, Final

import asyncpg
import orjson
import structlog
from aiokafka.errors import KafkaError

from chassis import kafka_quirks

_WITHHELD: Final = frozenset(
    (
        "full_name",
        "name",
        "phone",
        "phone_raw",
        "client",
        "person",
        "text",
        "body",
        "value",
        "password",
        "secret",
    )
)
_NUMBER: Final = re.compile(
    r"(?<![\w.-])(?:\+\d[\d\s()\-]{8,16}\d"
    r"|[78][\s(\-]*\d{3}[\s)\-]*\d{3}[\s\-]*\d{2}[\s\-]*\d{2}"
    r"|\(?9\d{2}\)?[\s\-]*\d{3}[\s\-]*\d{2}[\s\-]*\d{2})(?![\w-])"
)
# httpx logs whole URLs at INFO.
_QUIET_LOGGERS: Final = ("httpx", "httpcore", "asyncio", "uvicorn", "alembic", "sqlalchemy")
_SAFE_MESSAGES: Final = (OSError, KafkaError, TimeoutError)
_MAX_EXCEPTION_LINES: Final = 40


def configure(service: str, level: str = "INFO") -> None:
    """Send structlog's and the standard library's log records to standard output as JSON lines."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_service(service),
        _show_exception,
        _scrub_event,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(serializer=_to_json)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.BytesLoggerFactory(sys.stdout.buffer),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=lambda event, **kw: _to_json(event, **kw).decode()),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for name in _QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    kafka_quirks.quiet_loggers()


def scrub(text: str) -> str:
    """The text, with `[number]` in place of everything that looks like a telephone number."""
    return _NUMBER.sub("[number]", text)


def describe(error: BaseException) -> list[str]:
    """An exception and its causes as lines: type, message where it is safe, and the places in the code."""
    lines: list[str] = []
    current: BaseException | None = error
    while current is not None and len(lines) < _MAX_EXCEPTION_LINES:
        lines.append(f"{type(current).__qualname__}{_safe_message(current)}")
        lines.extend(
            f"  {frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(current.__traceback__)
        )
        if isinstance(current, BaseExceptionGroup):
            for inner in current.exceptions:
                lines.extend(describe(inner))
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return lines


def _to_json(event: Any, **_: Any) -> bytes:
    return orjson.dumps(event, default=str)


def _add_service(service: str) -> Any:
    def add(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["service"] = service
        return event

    return add


def _show_exception(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    elif isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["exception"] = describe(error)
    return event


def _safe_message(error: BaseException) -> str:
    if isinstance(error, asyncpg.PostgresError):
        # The server's first line only: its DETAIL line quotes the row. Errors of the driver itself have no severity,
        # and their message quotes the parameters.
        return f" {error.sqlstate}" + (f": {error.message}" if error.severity else "")
    return f": {error}" if isinstance(error, _SAFE_MESSAGES) else ""


def _scrub_event(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    texts: list[str] = []
    for key, value in event.items():
        if key in _WITHHELD:
            event[key] = "[withheld]"
        elif isinstance(value, str):
            texts.append(value)
        elif isinstance(value, list):
            texts.extend(item for item in value if isinstance(item, str))
    # Nearly every line holds no number, and one search over all its texts shows that.
    if _NUMBER.search("\n".join(texts)):
        for key, value in event.items():
            if isinstance(value, str) and key != "timestamp":
                event[key] = scrub(value)
            elif isinstance(value, list):
                event[key] = [scrub(item) if isinstance(item, str) else item for item in value]
    return event
