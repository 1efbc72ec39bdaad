"""`exchanges`: the journal of requests to 1C."""

import json
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import typer

from services.onec_gateway.operator.common import Json, Limit, read_as_dicts, show, time_format

FOLLOW_EVERY_S: Final = 1.0
_PERIOD: Final = re.compile(r"(\d+)([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_COLUMNS: Final = (
    "время",
    "операция",
    "лид",
    "набор",
    "метод",
    "HTTP",
    "код",
    "мс",
    "попытка",
    "итог",
    "следующая попытка",
    "текст 1С",
)
_EXCHANGES: Final = """
    SELECT id, at, operation, leads::text AS leads, set, method, status, code, text, ms, attempt, outcome, next_at,
           correlation
    FROM exchanges
    WHERE id > $1 AND at >= $2 AND ($3::text IS NULL OR leads @> to_jsonb($3::text))
      AND (NOT $4 OR outcome NOT IN ('ok', 'exists', 'not-found'))
    ORDER BY id DESC LIMIT $5
"""


def exchanges(
    lead: Annotated[str | None, typer.Option(help="только об этом лиде")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="только неудачные")] = False,
    since: Annotated[str, typer.Option(help="за последнее время: 30m, 2h, 7d")] = "1d",
    follow: Annotated[
        bool, typer.Option("--follow", help="не завершаться и показывать новые по мере появления")
    ] = False,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """Показать запросы к 1С: что отправлено, что пришло в ответ, когда следующая попытка."""
    start = datetime.now(UTC) - _period(since)
    local = time_format()
    last = 0

    def cells(row: dict[str, Any]) -> tuple[Any, ...]:
        return (
            local(row["at"]),
            row["operation"],
            _leads(row["leads"]),
            row["set"],
            row["method"],
            row["status"],
            row["code"],
            row["ms"],
            row["attempt"],
            row["outcome"],
            local(row["next_at"]),
            row["text"],
        )

    while True:
        found = read_as_dicts(_EXCHANGES, last, start, lead, failed, limit)[::-1]
        last = max([last, *(row["id"] for row in found)])
        if found or not follow:
            rows = [row | {"leads": json.loads(row["leads"])} for row in found]
            show(_COLUMNS, rows, cells, as_json, empty="таких запросов к 1С за это время нет")
        if not follow:
            return
        time.sleep(FOLLOW_EVERY_S)


def _leads(leads: Sequence[str]) -> str:
    return leads[0] if len(leads) == 1 else f"лидов: {len(leads)}" if leads else ""


def _period(text: str) -> timedelta:
    found = _PERIOD.fullmatch(text)
    if found is None:
        raise typer.BadParameter(f"{text!r}: укажите, например, 30m, 2h или 7d")
    return timedelta(seconds=int(found[1]) * _SECONDS[found[2]])
