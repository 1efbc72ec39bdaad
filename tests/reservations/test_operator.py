"""Operators' commands: the history of a lead, the ledger, and reports on partners."""

import csv
import io
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from tests.reservations.harness import Harness
from tests.reservations.samples import cancelled, sale, sold_client

pytestmark = pytest.mark.infra

YEAR = timedelta(days=365)
PERIOD = ("--from", str(datetime.now(UTC).date() - YEAR), "--to", str(datetime.now(UTC).date() + YEAR))


async def test_explain_shows_the_steps_of_a_lead_in_order_with_their_terms(reservations: Harness) -> None:
    sold = await sold_client(reservations)

    done = await reservations.command("explain", "--lead", str(sold.lead_id))

    lines = done.stdout.splitlines()
    wanted = ["Закреплён за партнёром anna", "Продлён по", "Продан в срок", "принята к рассмотрению"]
    wanted += ["249000.00 RUB", "200000.00 RUB"]
    assert [word for word, line in zip(wanted, lines, strict=True) if word not in line] == []
    assert "6 месяцев от подтверждения, пояс Europe/Moscow" in lines[0]
    assert "manager-3: ждёт ипотеку" in lines[1]
    assert (await reservations.command("explain", "--lead", str(uuid.uuid4()))).returncode == 1


async def test_cancelled_sale_brings_the_running_balance_of_the_ledger_to_zero(reservations: Harness) -> None:
    sold = await sold_client(reservations)
    await reservations.publish(cancelled(sale(sold, "d1")), source="/truce/onec_gateway")
    await reservations.published("reservation-reopened")

    lines = (await reservations.json_lines("ledger", "--form", "json"))[::-1]

    assert [(line["kind"], line["amount"], line["balance"]) for line in lines] == [
        ("accrual", "249000.00", "249000.00"),
        ("correction", "-49000.00", "200000.00"),
        ("reversal", "-200000.00", "0.00"),
    ]


async def test_reports_have_a_table_a_spreadsheet_and_json_with_the_same_rows(reservations: Harness) -> None:
    await sold_client(reservations)

    anna, boris = await reservations.json_lines("effectiveness", *PERIOD, "--json")
    table = await reservations.command("effectiveness", *PERIOD)
    sheet = await reservations.command("effectiveness", *PERIOD, "--form", "csv")
    (account,) = await reservations.json_lines("accounts", *PERIOD, "--json")

    assert {name: anna[name] for name in ("leads", "confirmed", "rejected", "sold", "conversion", "median_days")} == {
        "leads": 2,
        "confirmed": 1,
        "rejected": 1,
        "sold": 1,
        "conversion": "100.0",
        "median_days": 0.0,
    }
    assert anna["rewards"] == {"RUB": "200000.00"}
    assert (boris["partner_id"], boris["live"], boris["sold"]) == ("boris", 1, 0)
    assert "anna" in table.stdout
    assert next(csv.DictReader(io.StringIO(sheet.stdout)))["вознаграждение"] == "200000.00 RUB"
    assert (account["sales"], account["sold_for"], account["accrued"], account["balance"]) == (
        1,
        "12450000.00",
        "200000.00",
        "200000.00",
    )


async def test_report_on_an_empty_period_is_an_explicit_nothing(reservations: Harness) -> None:
    await sold_client(reservations)

    done = await reservations.command("accounts", "--from", "2001-01-01", "--to", "2001-02-01")

    assert done.stdout.strip() == "ничего нет"
