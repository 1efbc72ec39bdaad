"""What the 1C administrator and the partner manager ask the gateway: tables to read, `--json` for machines."""

import asyncio
import json
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

import typer

from chassis.clock import Clock
from chassis.commands.console import print_rows, query
from chassis.commands.decide import decide_once
from chassis.decision import Cause
from chassis.service import Input, Row
from chassis.settings import load
from services.onec_gateway.app import NAME, build, connect
from services.onec_gateway.domain import Ruled, SaleSeen
from services.onec_gateway.exchanges import ExchangeJournal
from services.onec_gateway.facts import Ruling, Sale
from services.onec_gateway.onec import mapping
from services.onec_gateway.onec.compare import Problem
from services.onec_gateway.onec.errors import OneCError
from services.onec_gateway.onec.gate import Gate
from services.onec_gateway.onec.throttle import Throttle
from services.onec_gateway.onec.verify import verify
from services.onec_gateway.settings import Settings

FOLLOW_EVERY_S: Final = 1.0
_AGO: Final = re.compile(r"(\d+)([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}

_EXCHANGES: Final = """
    SELECT id, at, operation, leads::text AS leads, set, method, status, code, text, ms, attempt, outcome, next_at,
           correlation
    FROM exchanges
    WHERE id > $1 AND at >= $2 AND ($3::text IS NULL OR leads @> to_jsonb($3::text))
      AND (NOT $4 OR outcome NOT IN ('ok', 'exists', 'not-found'))
    ORDER BY id DESC LIMIT $5
"""
_PARKED: Final = """
    SELECT id, kind, COALESCE(payload->>'lead_id', ref) AS lead, state, note AS reason, attempts, created_at,
           CASE WHEN state = 'waiting' THEN due_at ELSE finished_at END AS at
    FROM work WHERE state = 'parked' OR (state = 'waiting' AND note IS NOT NULL)
    ORDER BY state, id LIMIT $1
"""
_UNDECIDED: Final = """
    SELECT lead_id, partner_id, received_at, checked_at, jsonb_array_length(enquiries) AS enquiries
    FROM leads WHERE decided_at IS NULL AND checked_at IS NOT NULL ORDER BY received_at LIMIT $1
"""
_RETRY: Final = """
    UPDATE work SET state = 'waiting', due_at = now(), finished_at = NULL
    WHERE state = 'parked' AND ($1::bigint[] IS NULL OR id = ANY($1::bigint[])) AND ($2::text IS NULL OR kind = $2)
    RETURNING id
"""
_SALES: Final = """
    SELECT ref, number, amount, currency, contract_number, sold_on, cancelled, seen_at, lead_id
    FROM sales WHERE $1 OR lead_id IS NULL ORDER BY seen_at DESC LIMIT $2
"""
_SALE: Final = "SELECT * FROM sales WHERE ref = $1"
_KEY: Final = "SELECT client_key FROM leads WHERE lead_id = $1"
_TIE: Final = "UPDATE sales SET lead_id = $2, client_key = $3 WHERE ref = $1 RETURNING ref"

Json = Annotated[bool, typer.Option("--json", help="по объекту JSON в строке вместо таблицы")]
Limit = Annotated[int, typer.Option(help="не больше стольких строк")]
Who = Annotated[str, typer.Option(help="кто решил")]
Why = Annotated[str, typer.Option(help="почему")]


def add_commands(app: typer.Typer) -> None:
    """The operator's commands, beside `run` and `migrate`."""
    app.command(name="exchanges")(_exchanges)
    app.command(name="parked")(_parked)
    app.command(name="retry")(_retry)
    app.command(name="release")(_release)
    app.command(name="verify")(_verify)
    deals = typer.Typer(help="Продажи, найденные в 1С")
    deals.callback(invoke_without_command=True)(_deals)
    deals.command(name="link")(_link)
    app.add_typer(deals, name="deals")


def _exchanges(
    lead: Annotated[str | None, typer.Option(help="только об этом лиде")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="только неудачные")] = False,
    since: Annotated[str, typer.Option(help="за сколько времени: 30m, 2h, 7d")] = "1d",
    follow: Annotated[bool, typer.Option("--follow", help="и дальше, по мере появления")] = False,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """Что отправлено в 1С, что пришло в ответ, и когда следующая попытка."""
    columns = ("время", "операция", "лид", "набор", "метод", "HTTP", "код", "мс", "попытка", "итог", "следующая", "1С")
    start = datetime.now(UTC) - _ago(since)
    last = 0
    while True:
        found = _ask(_EXCHANGES, last, start, lead, failed, limit)[::-1]
        last = max([last, *(row.id for row in found)])
        if found or not follow:
            _show(
                columns,
                [_dict(row) | {"leads": json.loads(row.leads)} for row in found],
                lambda row: (
                    _clock(row["at"]),
                    row["operation"],
                    _leads(row["leads"]),
                    row["set"],
                    row["method"],
                    row["status"],
                    row["code"],
                    row["ms"],
                    row["attempt"],
                    row["outcome"],
                    _clock(row["next_at"]),
                    row["text"],
                ),
                as_json,
            )
        if not follow:
            return
        time.sleep(FOLLOW_EVERY_S)


def _parked(limit: Limit = 100, as_json: Json = False) -> None:
    """Что отложено до решения человека, что ждёт повтора и до каких пор, и какие лиды решает менеджер."""
    work = [_dict(row) for row in _ask(_PARKED, limit)]
    leads = [_dict(row) | {"state": "review"} for row in _ask(_UNDECIDED, limit)]
    if as_json:
        _show((), [*work, *leads], None, as_json)
        return
    _show(
        ("№", "операция", "лид", "состояние", "причина", "попыток", "с", "повтор / отложено"),
        work,
        lambda row: (
            row["id"],
            row["kind"],
            row["lead"],
            "отложено" if row["state"] == "parked" else "ждёт",
            row["reason"],
            row["attempts"],
            _clock(row["created_at"]),
            _clock(row["at"]),
        ),
        as_json,
    )
    if leads:
        _show(
            ("лид на рассмотрении", "партнёр", "получен", "проверен", "обращений в 1С"),
            leads,
            lambda row: (
                row["lead_id"],
                row["partner_id"],
                _clock(row["received_at"]),
                _clock(row["checked_at"]),
                row["enquiries"],
            ),
            as_json,
        )


def _retry(
    numbers: Annotated[list[int] | None, typer.Argument(help="номера из parked")] = None,
    everything: Annotated[bool, typer.Option("--all", help="всё отложенное")] = False,
    kind: Annotated[str | None, typer.Option(help="только эта операция")] = None,
) -> None:
    """Повторить отложенное: администратор исправил причину."""
    if not numbers and not everything:
        raise typer.BadParameter("нужны номера из parked или --all")
    again = _ask(_RETRY, None if everything else numbers, kind)
    typer.echo(f"будет повторено: {len(again)}")
    if numbers and len(again) < len(set(numbers)):
        typer.echo("остальные не отложены: см. parked", err=True)
        raise typer.Exit(1)


def _release(
    lead: Annotated[UUID, typer.Argument(help="лид на рассмотрении")],
    who: Who,
    why: Why,
    confirm: Annotated[bool, typer.Option("--confirm/--reject", help="за партнёром или за отделом продаж")],
) -> None:
    """Решить лид, который по часам 1С и нашим решить нельзя."""
    key = _key_of(lead)
    _decide(Input(key, Ruled(lead, Ruling(confirm, who, why)), _cause("ruling", str(lead))))
    typer.echo(f"лид {lead}: {'подтверждён' if confirm else 'отклонён'}, решил {who}")


def _deals(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="и уже связанные с лидами")] = False,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """Продажи, которые не связаны ни с одним лидом (или все)."""
    if context.invoked_subcommand is not None:
        return
    _show(
        ("ссылка", "номер", "сумма", "валюта", "договор", "дата", "отменена", "лид"),
        [_dict(row) for row in _ask(_SALES, everything, limit)],
        lambda row: (
            row["ref"],
            row["number"],
            row["amount"],
            row["currency"],
            row["contract_number"],
            row["sold_on"],
            "да" if row["cancelled"] else "",
            row["lead_id"],
        ),
        as_json,
    )


def _link(
    deal: Annotated[str, typer.Argument(help="ссылка продажи из deals")],
    lead: Annotated[UUID, typer.Option(help="лид, по которому она состоялась")],
    who: Who,
    why: Why,
) -> None:
    """Связать продажу с лидом вручную: договор на другого члена семьи."""
    found = _ask(_SALE, deal)
    if not found:
        typer.echo(f"продажи {deal} нет: см. deals --all", err=True)
        raise typer.Exit(1)
    if found[0].lead_id is not None:
        typer.echo(f"продажа уже связана с лидом {found[0].lead_id}", err=True)
        raise typer.Exit(1)
    key, row = _key_of(lead), found[0]
    sale = Sale(row.ref, row.amount, row.currency, row.contract_number, row.sold_on, row.cancelled)
    tied = _decide(Input(key, SaleSeen(sale, Clock().now(), lead, who, why), _cause("sale", deal)))
    if tied is None:
        typer.echo("продажа отменена, связывать нечего", err=True)
        raise typer.Exit(1)
    _ask(_TIE, deal, lead, key)
    typer.echo(f"продажа {deal} связана с лидом {lead}, решил {who}")


def _verify(as_json: Json = False) -> None:
    """Сверить соответствие имён с 1С и права: только чтение, ничего не пишет."""
    settings = load(Settings)

    async def look() -> tuple[Problem, ...]:
        names = mapping.load(settings.mapping_file)
        gate = Gate(Throttle(1, settings.per_second))
        onec = connect(settings, names, gate, ExchangeJournal(settings.exchanges_kept_for))
        try:
            return (await verify(onec, names)).problems
        finally:
            await onec.close()

    try:
        problems = asyncio.run(look())
    except mapping.MappingError as error:
        problems = tuple(Problem("error", "", line) for line in str(error).splitlines())
    except OneCError as error:
        problems = (Problem("error", "", f"1С не ответила так, чтобы её можно было проверить: {error.reason}"),)
    _show(
        ("", "место", "что не так"),
        [{"severity": one.severity, "place": one.place, "message": one.message} for one in problems],
        lambda row: ("ошибка" if row["severity"] == "error" else "к сведению", row["place"], row["message"]),
        as_json,
    )
    if any(problem.severity == "error" for problem in problems):
        raise typer.Exit(1)
    if not as_json:
        typer.echo("Соответствие проверено: ошибок нет")


def _ask(sql: str, *args: Any) -> Sequence[Row]:
    return query(load(Settings).database_url.get_secret_value(), NAME, sql, *args)


def _decide(item: Input) -> Any:
    async def decided() -> Any:
        return await decide_once(build(load(Settings)), item, Clock())

    return asyncio.run(decided())


def _key_of(lead: UUID) -> str:
    found = _ask(_KEY, lead)
    if not found:
        typer.echo(f"лида {lead} шлюз не знает", err=True)
        raise typer.Exit(1)
    return str(found[0].client_key)


def _cause(what: str, ref: str) -> Cause:
    return Cause(f"operator/{what}/{ref}", f"operator/{what}/{ref}")


def _show(columns: Sequence[str], found: Sequence[dict[str, Any]], cells: Any, as_json: bool) -> None:
    print_rows(columns, found, cells, "json" if as_json else "table")


def _dict(row: Row) -> dict[str, Any]:
    return dict(row.items())


def _clock(moment: datetime | None) -> str:
    return moment.astimezone().strftime("%d.%m %H:%M:%S") if moment is not None else ""


def _leads(leads: Sequence[str]) -> str:
    return leads[0] if len(leads) == 1 else f"{len(leads)} лидов" if leads else ""


def _ago(text: str) -> timedelta:
    found = _AGO.fullmatch(text)
    if found is None:
        raise typer.BadParameter(f"{text!r}: нужно, например, 30m, 2h или 7d")
    return timedelta(seconds=int(found[1]) * _SECONDS[found[2]])
