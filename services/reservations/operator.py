"""What the builder and its partner managers ask: the story of a lead, the proof of histories, accounts and reports."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, time
from typing import Annotated, Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import typer

from chassis.commands.console import Form, print_rows, query
from chassis.service import Database, Row, rows
from chassis.settings import load
from services.reservations.history import Entry, Head, flaws
from services.reservations.settings import Settings
from services.reservations.story import told

NAME: Final = "reservations"
CLIENTS_AT_ONCE: Final = 1000

_KEY: Final = """
    SELECT client_key FROM reservations WHERE lead_id = $1::uuid
    UNION SELECT client_key FROM facts WHERE kind = 'rejected' AND ref = $1::uuid::text
"""
_HISTORY: Final = "SELECT number, entry FROM history WHERE client_key = $1 ORDER BY number"
# Every client there is anything of, portion by portion.
_CLIENTS: Final = """
    SELECT k.client_key, h.count, h.hash, h.seal FROM (
        SELECT client_key FROM heads WHERE client_key > $1
        UNION SELECT client_key FROM history WHERE client_key > $1
        UNION SELECT client_key FROM reservations WHERE client_key > $1
        ORDER BY client_key LIMIT $2
    ) k LEFT JOIN heads h USING (client_key) ORDER BY k.client_key
"""
_ENTRIES: Final = """
    SELECT client_key, number, entry, hash FROM history WHERE client_key = ANY($1) ORDER BY client_key, number
"""
_LEDGER: Final = """
    SELECT number, at, partner_id, kind, amount, currency, balance, contract_number, lead_id, claim_id, deal,
           decided_by, reason
    FROM ledger_balances WHERE $1::text IS NULL OR partner_id = $1 ORDER BY number DESC LIMIT $2
"""
# A partner's leads that were decided in the period, and what has become of them until now.
_EFFECTIVENESS: Final = """
    WITH confirmed AS (
        SELECT r.partner_id, r.lead_id, r.status, r.opened_at, d.sold_on
        FROM reservations r LEFT JOIN LATERAL (
            SELECT min((value->>'sold_on')::date) AS sold_on FROM facts f
            WHERE f.client_key = r.client_key AND f.kind = 'deal' AND f.value->>'lead_id' = r.lead_id::text
              AND (f.value->>'inside')::boolean AND NOT (f.value->>'cancelled')::boolean
        ) d ON true
        WHERE r.opened_at >= $1 AND r.opened_at < $2
    ), rejected AS (
        SELECT value->>'partner_id' AS partner_id, count(*) AS leads FROM facts
        WHERE kind = 'rejected' AND (value->>'received_at')::timestamptz >= $1
          AND (value->>'received_at')::timestamptz < $2
        GROUP BY 1
    ), reserved AS (
        SELECT partner_id, count(*) AS confirmed, count(*) FILTER (WHERE status = 'live') AS live,
               count(*) FILTER (WHERE status = 'expired') AS expired,
               count(*) FILTER (WHERE status = 'withdrawn') AS withdrawn, count(sold_on) AS sold,
               percentile_cont(0.5) WITHIN GROUP (ORDER BY sold_on - (opened_at AT TIME ZONE $3)::date) AS median_days
        FROM confirmed GROUP BY partner_id
    ), rewards AS (
        SELECT l.partner_id, l.currency, sum(l.amount) AS amount FROM ledger l JOIN confirmed c USING (lead_id)
        GROUP BY 1, 2
    )
    SELECT partner_id, coalesce(r.confirmed, 0) + coalesce(x.leads, 0) AS leads, coalesce(r.confirmed, 0) AS confirmed,
           coalesce(x.leads, 0) AS rejected, coalesce(r.live, 0) AS live, coalesce(r.expired, 0) AS expired,
           coalesce(r.withdrawn, 0) AS withdrawn, coalesce(r.sold, 0) AS sold,
           round(100.0 * coalesce(r.sold, 0) / nullif(r.confirmed, 0), 1) AS conversion, r.median_days,
           (SELECT jsonb_object_agg(currency, amount::text) FROM rewards w WHERE w.partner_id = p.partner_id) AS rewards
    FROM (SELECT partner_id FROM reserved UNION SELECT partner_id FROM rejected) p
    LEFT JOIN reserved r USING (partner_id) LEFT JOIN rejected x USING (partner_id) ORDER BY partner_id
"""
# What was sold through each partner in the period, by the sales' own dates, and what it was accrued meanwhile.
_ACCOUNTS: Final = """
    WITH sales AS (
        SELECT r.partner_id, f.value->>'currency' AS currency, count(*) AS sales,
               sum((f.value->>'amount')::numeric) AS sold_for
        FROM facts f JOIN reservations r ON r.lead_id = (f.value->>'lead_id')::uuid
        WHERE f.kind = 'deal' AND (f.value->>'inside')::boolean AND NOT (f.value->>'cancelled')::boolean
          AND (f.value->>'sold_on')::date >= $1 AND (f.value->>'sold_on')::date < $2
        GROUP BY 1, 2
    ), accrued AS (
        SELECT partner_id, currency, sum(amount) AS accrued FROM ledger WHERE at >= $3 AND at < $4 GROUP BY 1, 2
    ), balances AS (
        SELECT partner_id, currency, sum(amount) AS balance FROM ledger WHERE at < $4 GROUP BY 1, 2
    )
    SELECT partner_id, currency, coalesce(sales, 0) AS sales, coalesce(sold_for, 0)::numeric(18, 2) AS sold_for,
           coalesce(accrued, 0)::numeric(18, 2) AS accrued, coalesce(balance, 0)::numeric(18, 2) AS balance
    FROM sales FULL JOIN accrued USING (partner_id, currency) FULL JOIN balances USING (partner_id, currency)
    ORDER BY partner_id, currency
"""

Json = Annotated[bool, typer.Option("--json", help="по объекту JSON в строке вместо таблицы")]
FormOption = Annotated[Form, typer.Option("--form", help="table, csv или json")]
Since = Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="первый день периода")]
Until = Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="первый день после периода")]


def add_commands(app: typer.Typer) -> None:
    """The operator's commands, beside `run` and `migrate`."""
    app.command(name="explain")(_explain)
    app.command(name="verify-history")(_verify_history)
    app.command(name="ledger")(_ledger)
    app.command(name="accounts")(_accounts)
    app.command(name="effectiveness")(_effectiveness)


def _explain(lead: Annotated[UUID, typer.Option(help="номер лида")], as_json: Json = False) -> None:
    """Что было с лидом: по порядку, с правилом, по которому решён каждый шаг."""
    keys = _ask(_KEY, lead)
    if not keys:
        typer.echo(f"лида {lead} здесь не знают: он ещё не решён или подан не в эту систему", err=True)
        raise typer.Exit(1)
    zone = ZoneInfo(load(Settings).time_zone)
    # The client's whole history tells why: another lead of the same client may be the reason.
    entries = [json.loads(row.entry) for row in _ask(_HISTORY, keys[0].client_key)]
    if as_json:
        print_rows((), entries, list, "json")
        return
    for entry in entries:
        mine = entry["lead"] == str(lead)
        at = datetime.fromisoformat(entry["at"]).astimezone(zone)
        whose = "" if mine else f" (лид {entry['lead']})"
        typer.echo(f"{at:%d.%m.%Y %H:%M:%S}  {told(entry)}{whose}")


def _verify_history(as_json: Json = False) -> None:
    """Проверить, что историю никто не правил: ни одна запись не изменена, не удалена и не переставлена."""
    settings = load(Settings)

    async def look() -> tuple[int, list[dict[str, Any]]]:
        database = Database(settings.database_url.get_secret_value(), name=f"{NAME}-operator", pool_size=1)
        count, found = 0, []
        try:
            async for portion in _clients(database):
                count += len(portion)
                found.extend(await _flaws_of(database, settings.history_secret, portion))
        finally:
            await database.close()
        return count, found

    count, found = asyncio.run(look())
    if found or as_json:
        form: Form = "json" if as_json else "table"
        print_rows(("ключ клиента", "что не так"), found, lambda row: (row["client_key"], row["flaw"]), form)
    if not as_json:
        typer.echo(f"историй проверено: {count}, с нарушениями: {len({row['client_key'] for row in found})}")
    if found:
        raise typer.Exit(1)


async def _clients(database: Database) -> AsyncIterator[Sequence[Row]]:
    last = ""
    while True:
        async with database.single() as tx:
            portion = await rows(tx, _CLIENTS, last, CLIENTS_AT_ONCE)
        if not portion:
            return
        yield portion
        last = portion[-1].client_key


async def _flaws_of(database: Database, key: bytes, clients: Sequence[Row]) -> list[dict[str, Any]]:
    async with database.single() as tx:
        entries: dict[str, list[Entry]] = {}
        for row in await rows(tx, _ENTRIES, [client.client_key for client in clients]):
            entries.setdefault(row.client_key, []).append(Entry(row.number, row.entry, _bytes(row.hash)))
    return [
        {"client_key": client.client_key, "flaw": flaw}
        for client in clients
        for flaw in flaws(
            key,
            client.client_key,
            entries.get(client.client_key, ()),
            Head(client.count, _bytes(client.hash)) if client.hash is not None else None,
            _bytes(client.seal) if client.seal is not None else None,
        )
    ]


def _bytes(text: str) -> bytes:
    """Of a hash; whatever else somebody wrote there is no hash."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return text.encode()


def _ledger(
    partner: Annotated[str | None, typer.Option(help="только этот партнёр")] = None,
    limit: Annotated[int, typer.Option(help="не больше стольких строк, новые сначала")] = 100,
    form: FormOption = "table",
) -> None:
    """Счёт вознаграждений: каждая запись и остаток после неё."""
    print_rows(
        ("№", "когда", "партнёр", "запись", "сумма", "валюта", "остаток", "договор", "решил", "почему"),
        [dict(row) for row in _ask(_LEDGER, partner, limit)],
        lambda row: (
            row["number"],
            row["at"].astimezone().strftime("%d.%m.%Y %H:%M"),
            row["partner_id"],
            {"accrual": "начислено", "correction": "исправление", "reversal": "снято"}[row["kind"]],
            row["amount"],
            row["currency"],
            row["balance"],
            row["contract_number"],
            row["decided_by"],
            row["reason"],
        ),
        form,
    )


def _accounts(since: Since, until: Until, form: FormOption = "table") -> None:
    """Продажи через партнёров и начисления им за период, и остаток на его конец."""
    first, last = since.date(), until.date()
    print_rows(
        ("партнёр", "валюта", "продаж", "на сумму", "начислено", "остаток"),
        [dict(row) for row in _ask(_ACCOUNTS, first, last, _start(first), _start(last))],
        lambda row: (row["partner_id"], row["currency"], row["sales"], row["sold_for"], row["accrued"], row["balance"]),
        form,
    )


def _effectiveness(since: Since, until: Until, form: FormOption = "table") -> None:
    """Лиды партнёров, решённые за период, и что с ними стало к этому часу."""
    zone = load(Settings).time_zone
    found = [dict(row) for row in _ask(_EFFECTIVENESS, _start(since.date()), _start(until.date()), zone)]
    print_rows(
        (
            *("партнёр", "лидов", "подтверждено", "отклонено", "закреплено", "истекло", "отозвано", "продано"),
            *("конверсия, %", "дней до сделки (медиана)", "вознаграждение"),
        ),
        found,
        lambda row: (
            *(row[name] for name in ("partner_id", "leads", "confirmed", "rejected", "live", "expired", "withdrawn")),
            row["sold"],
            row["conversion"],
            row["median_days"],
            "; ".join(f"{amount} {currency}" for currency, amount in sorted((row["rewards"] or {}).items())),
        ),
        form,
    )


def _start(day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=ZoneInfo(load(Settings).time_zone)).astimezone(UTC)


def _ask(sql: str, *args: Any) -> Sequence[Row]:
    return query(load(Settings).database_url.get_secret_value(), NAME, sql, *args)
