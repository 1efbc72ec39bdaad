"""Reports for the builder: `ledger`, `accounts` and `effectiveness` of partners."""

from datetime import UTC, date, datetime, time
from typing import Annotated, Any, Final

import typer

from chassis.commands.console import Form, print_rows
from services.reservations.operator.shared import AsJson, builder_zone, format_moment, select

_LEDGER: Final = """
    SELECT number, at, partner_id, kind, amount, currency, balance, contract_number, lead_id, claim_id, deal,
           decided_by, reason
    FROM ledger_balances WHERE $1::text IS NULL OR partner_id = $1 ORDER BY number DESC LIMIT $2
"""
# $1, $2: the first instant of the period and after it; $3: the builder's time zone. The leads that were decided in the
# period, and what has become of them up to now.
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
# $1, $2: the first day of the period and after it; $3, $4: the first instants of these days. Sales count by their own
# dates, accruals by the time of the ledger entry; the balance is that at the end of the period.
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

FormOption = Annotated[Form, typer.Option("--form", help="table (таблица), csv или json")]
Since = Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="первый день периода")]
Until = Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="первый день после периода")]


def add_commands(app: typer.Typer) -> None:
    """Add the reports to the service's command line."""
    app.command(name="ledger")(_ledger)
    app.command(name="accounts")(_accounts)
    app.command(name="effectiveness")(_effectiveness)


def _ledger(
    partner: Annotated[str | None, typer.Option(help="только этот партнёр")] = None,
    limit: Annotated[int, typer.Option(help="не больше стольких строк, новые сначала")] = 100,
    form: FormOption = "table",
    as_json: AsJson = False,
) -> None:
    """Счёт вознаграждений: каждая запись и остаток после неё."""
    zone = builder_zone()

    def cells(row: dict[str, Any]) -> tuple[Any, ...]:
        return (
            row["number"],
            format_moment(row["at"], zone),
            row["partner_id"],
            {"accrual": "начислено", "correction": "исправление", "reversal": "снято"}[row["kind"]],
            row["amount"],
            row["currency"],
            row["balance"],
            row["contract_number"],
            row["decided_by"],
            row["reason"],
        )

    columns = ("№", "когда", "партнёр", "запись", "сумма", "валюта", "остаток", "договор", "решил", "почему")
    found = [dict(row) for row in select(_LEDGER, partner, limit)]
    print_rows(columns, found, cells, "json" if as_json else form)


def _accounts(since: Since, until: Until, form: FormOption = "table", as_json: AsJson = False) -> None:
    """Продажи через партнёров и начисления им за период, и остаток на его конец."""
    first, last = since.date(), until.date()
    columns = ("партнёр", "валюта", "продаж", "на сумму", "начислено", "остаток")
    fields = ("partner_id", "currency", "sales", "sold_for", "accrued", "balance")
    found = [dict(row) for row in select(_ACCOUNTS, first, last, _start(first), _start(last))]
    print_rows(columns, found, lambda row: [row[name] for name in fields], "json" if as_json else form)


def _effectiveness(since: Since, until: Until, form: FormOption = "table", as_json: AsJson = False) -> None:
    """Лиды партнёров, решённые за период, и что с ними стало к этому часу."""
    columns = (
        *("партнёр", "лидов", "подтверждено", "отклонено", "закреплено", "истекло", "отозвано", "продано"),
        *("конверсия, %", "дней до сделки (медиана)", "вознаграждение"),
    )
    fields = (
        *("partner_id", "leads", "confirmed", "rejected", "live", "expired", "withdrawn", "sold"),
        *("conversion", "median_days"),
    )

    def cells(row: dict[str, Any]) -> list[Any]:
        rewards = sorted((row["rewards"] or {}).items())
        return [*(row[name] for name in fields), "; ".join(f"{amount} {currency}" for currency, amount in rewards)]

    period = _start(since.date()), _start(until.date())
    found = [dict(row) for row in select(_EFFECTIVENESS, *period, builder_zone().key)]
    print_rows(columns, found, cells, "json" if as_json else form)


def _start(day: date) -> datetime:
    """Return the first instant of a day in the builder's time zone."""
    return datetime.combine(day, time.min, tzinfo=builder_zone()).astimezone(UTC)
