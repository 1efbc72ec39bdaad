"""What the operators' commands share: options, reading the database, deciding one input, printing rows."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Final, NoReturn
from uuid import UUID
from zoneinfo import ZoneInfo

import typer

from chassis.clock import Clock
from chassis.commands import typed
from chassis.commands.console import print_rows, query
from chassis.commands.decide import decide_once
from chassis.decision import Cause
from chassis.service import Input, Row
from chassis.settings import load
from services.onec_gateway.app import build
from services.onec_gateway.assembly import NAME
from services.onec_gateway.domain.inputs import NotApplied
from services.onec_gateway.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="вместо таблицы: по одному объекту JSON в строке")]
Limit = Annotated[int, typer.Option(help="показать не больше этого числа строк")]
Who = Annotated[str, typer.Option(help="кто решил", parser=typed.who)]
Why = Annotated[str, typer.Option(help="почему", parser=typed.why)]

_REFUSALS: Final = {
    "unknown-lead": "такого лида у клиента нет",
    "confirmed": "решать нечего, лид уже подтверждён; снять его можно отзывом заявки",
    "rejected": "лид отклонён",
    "queue": "раньше решается лид {other}",
    "reservation": "клиента ещё держит лид {other}",
    "check": "проверка в 1С ещё не закончена",
    "earlier-lead": "сначала решается более ранний лид на другой телефон той же карточки 1С",
    "baseline": "шлюз ещё не прочёл все карточки 1С, решится само",
    "deal-cancelled": "продажа отменена в 1С, связать её нельзя",
    "already-linked": "продажа уже связана с лидом {other}",
}

_PHONES: Final = """
    SELECT DISTINCT phone
    FROM leads, jsonb_array_elements(cards) AS card, jsonb_array_elements_text(card->'phones') AS phone
    WHERE lead_id = $1 ORDER BY phone
"""
_CLIENT_KEY: Final = "SELECT client_key FROM leads WHERE lead_id = $1"


def read(sql: str, *args: Any) -> Sequence[Row]:
    """The rows of one statement on the gateway's database."""
    return query(load(Settings).database_url.get_secret_value(), NAME, sql, *args)


def read_as_dicts(sql: str, *args: Any) -> list[dict[str, Any]]:
    """The rows of one statement on the gateway's database, each by column name."""
    return [dict(row.items()) for row in read(sql, *args)]


def decide(item: Input) -> Any:
    """Decide one input in a transaction of its own; a running gateway publishes the events. The result is the rule's
    reply."""

    async def decided() -> Any:
        return await decide_once(build(load(Settings)), item, Clock())

    return asyncio.run(decided())


def clients_of(lead: UUID) -> tuple[str, tuple[str, ...]]:
    """The client key of a lead, and those of the other numbers on its cards; ends the command if there is no lead."""
    key = client_key_of(lead)
    return key, tuple(row.phone for row in read(_PHONES, lead))


def client_key_of(lead: UUID) -> str:
    """The key of the lead's client. Ends the command with exit code 1 if the gateway does not have the lead."""
    found = read(_CLIENT_KEY, lead)
    if not found:
        fail(f"лида {lead} в базе шлюза нет")
    return str(found[0].client_key)


def cause_of(what: str, ref: str) -> Cause:
    """The cause of a person's decision: `operator/<what>/<ref>`."""
    return Cause(f"operator/{what}/{ref}", f"operator/{what}/{ref}")


def fail(text: str) -> NoReturn:
    """Print an error and end the command with exit code 1."""
    typer.echo(text, err=True)
    raise typer.Exit(1)


def print_result(result: Mapping[str, Any], lines: Sequence[str], as_json: bool) -> None:
    """Print what became of a thing: as one JSON object, or as lines of text."""
    text = json.dumps(result, ensure_ascii=False, default=str) if as_json else "\n".join(lines)
    typer.echo(text)


def refuse(refused: NotApplied, lead: UUID, as_json: bool) -> NoReturn:
    """Print why a decision about a lead was refused, and end the command with exit code 1."""
    text = _REFUSALS[refused.because or refused.reason].format(lead=lead, other=refused.lead_id)
    if as_json:
        about = {"reason": refused.reason, "because": refused.because, "because_of_lead": refused.lead_id}
        print_result({"lead_id": lead, "status": "refused", **about, "message": text}, (), True)
        raise typer.Exit(1)
    fail(f"лид {lead}:\n{text}")


def show(
    columns: Sequence[str],
    found: Sequence[dict[str, Any]],
    cells: Callable[[Any], Sequence[Any]],
    as_json: bool,
    *,
    empty: str,
) -> None:
    """Print rows as a table of `cells` under `columns`, or whole as one JSON object a line. Without rows the table is
    replaced by the text `empty`, and JSON prints nothing."""
    print_rows(columns, found, cells, "json" if as_json else "table", empty=empty)


def time_format() -> Callable[[datetime | None], str]:
    """A function that writes a time in the builder's time zone, with the year; an empty text for None."""
    zone = ZoneInfo(load(Settings).time_zone)
    return lambda moment: moment.astimezone(zone).strftime("%d.%m.%Y %H:%M:%S") if moment is not None else ""


def day(value: date) -> str:
    """A date as people write it in Russian."""
    return f"{value:%d.%m.%Y}"
