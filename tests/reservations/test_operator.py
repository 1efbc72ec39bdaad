"""What the builder asks of reservations at the command line: stories, proof, accounts, reports."""

import csv
import io
import json
import random
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from chassis.clock import advance
from contracts.base import Message
from contracts.leads import ReturnRequested, RewardClaimed, RewardSettlementRequested, WithdrawalRequested
from contracts.verdicts import DealCancelled, DealClosed, LeadConfirmed, LeadRejected
from services.reservations.history import Entry, Head, appended, flaws
from tests.reservations.conftest import HISTORY_KEY, MOSCOW, Reservations, confirmed

pytestmark = pytest.mark.infra

KEY = bytes.fromhex(HISTORY_KEY)
YEAR = timedelta(days=365)
PERIOD = ("--from", str(datetime.now(UTC).date() - YEAR), "--to", str(datetime.now(UTC).date() + YEAR))


def asking(lead: LeadConfirmed) -> dict[str, Any]:
    return {
        "lead_id": lead.lead_id,
        "client_key": lead.client_key,
        "partner_id": lead.partner_id,
        "request_id": uuid.uuid4(),
        "portal": "demo",
        "portal_request_id": "r-1",
        "requested_at": datetime.now(UTC),
    }


def sale(lead: LeadConfirmed, deal: str, amount: str = "12450000.00") -> DealClosed:
    return DealClosed(
        lead_id=lead.lead_id,
        client_key=lead.client_key,
        partner_id=lead.partner_id,
        deal=deal,
        amount=Decimal(amount),
        currency="RUB",
        contract_number=f"ДДУ-{deal}",
        sold_on=datetime.now(MOSCOW).date(),
        noticed_at=datetime.now(UTC),
    )


def cancelled(closed: DealClosed) -> DealCancelled:
    return DealCancelled(**closed.model_dump(exclude={"noticed_at", "linked_by"}), cancelled_at=datetime.now(UTC))


def settlement(lead: LeadConfirmed, claim: uuid.UUID, amount: str) -> RewardSettlementRequested:
    return RewardSettlementRequested(
        **asking(lead),
        claim_id=claim,
        decision="accrue",
        amount=Decimal(amount),
        currency="RUB",
        reason="2 % по договору",
        decided_by="accountant-1",
    )


def rejected(client: int, partner: str = "anna") -> LeadRejected:
    now = datetime.now(UTC)
    return LeadRejected(
        lead_id=uuid.uuid4(),
        client_key=f"k1:{client:064x}",
        partner_id=partner,
        client="sealed",
        received_at=now,
        rejected_at=now,
        reason="known-to-builder",
    )


async def lived(reservations: Reservations) -> tuple[LeadConfirmed, uuid.UUID]:
    """A client that was returned and bought, whose reward was accrued, corrected and taken back; and some others."""
    sold, plain, claim = confirmed(1), confirmed(2, "boris"), uuid.uuid4()
    await reservations.start()
    await reservations.confirm(sold, plain)
    await reservations.tell(rejected(3), rejected(4, "boris"), source="/truce/onec_gateway")
    await reservations.opened(2)
    await reservations.tell(ReturnRequested(**asking(sold), manager="manager-3", reason="ждёт ипотеку"))
    await reservations.heard("reservation-extended")
    closed = sale(sold, "d1")
    await reservations.tell(closed, source="/truce/onec_gateway")
    await reservations.heard("reservation-closed")
    await reservations.tell(RewardClaimed(**asking(sold), claim_id=claim))
    await reservations.heard("reward-claim-accepted")
    await reservations.tell(settlement(sold, claim, "249000.00"), settlement(sold, claim, "200000.00"))
    await reservations.heard("reward-accrued", 2)
    return sold, claim


async def rows(reservations: Reservations, *command: str) -> list[dict[str, Any]]:
    done = await reservations.command(*command)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


async def test_story_of_a_lead_is_told_in_order_with_the_rule_of_each_step(reservations: Reservations) -> None:
    sold, _ = await lived(reservations)

    done = await reservations.command("explain", "--lead", str(sold.lead_id))

    told = done.stdout.splitlines()
    wanted = ["Закреплён за партнёром anna", "Продлён по", "Продан в срок", "принята к рассмотрению"]
    wanted += ["249000.00 RUB", "200000.00 RUB"]
    assert [word for word, line in zip(wanted, told, strict=True) if word not in line] == []
    assert "P6M от подтверждения, пояс Europe/Moscow" in told[0]
    assert "manager-3: ждёт ипотеку" in told[1]
    assert (await reservations.command("explain", "--lead", str(uuid.uuid4()))).returncode == 1


async def test_ledger_shows_a_running_balance_and_a_cancelled_sale_takes_it_to_nothing(
    reservations: Reservations,
) -> None:
    sold, _ = await lived(reservations)
    await reservations.tell(cancelled(sale(sold, "d1")), source="/truce/onec_gateway")
    await reservations.heard("reservation-reopened")

    lines = (await rows(reservations, "ledger", "--form", "json"))[::-1]

    assert [(line["kind"], line["amount"], line["balance"]) for line in lines] == [
        ("accrual", "249000.00", "249000.00"),
        ("correction", "-49000.00", "200000.00"),
        ("reversal", "-200000.00", "0.00"),
    ]


async def test_reports_are_the_same_for_people_spreadsheets_and_machines(reservations: Reservations) -> None:
    await lived(reservations)

    anna, boris = await rows(reservations, "effectiveness", *PERIOD, "--form", "json")
    table = await reservations.command("effectiveness", *PERIOD)
    sheet = await reservations.command("effectiveness", *PERIOD, "--form", "csv")
    (account,) = await rows(reservations, "accounts", *PERIOD, "--form", "json")

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


async def test_period_without_anything_is_empty_and_says_so(reservations: Reservations) -> None:
    await lived(reservations)

    done = await reservations.command("accounts", "--from", "2001-01-01", "--to", "2001-02-01")

    assert done.stdout.strip() == "ничего нет"


async def test_history_and_ledger_can_only_be_added_to(reservations: Reservations) -> None:
    await lived(reservations)
    connection = await asyncpg.connect(reservations.url)
    try:
        for table in ("history", "ledger"):
            for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET client_key = ''", f"TRUNCATE {table}"):
                with pytest.raises(asyncpg.RaiseError, match="append-only"):
                    await connection.execute(statement)
    finally:
        await connection.close()


async def test_untouched_histories_are_proved_and_the_command_finds_one_edited_entry(
    reservations: Reservations,
) -> None:
    sold, _ = await lived(reservations)
    good = await reservations.command("verify-history")
    await _as_owner(reservations, "UPDATE history SET entry = replace(entry, 'anna', 'boris') WHERE number = 1")

    bad = await reservations.command("verify-history")

    assert (good.returncode, bad.returncode) == (0, 1)
    assert "историй проверено: 4, с нарушениями: 0" in good.stdout
    assert sold.client_key in bad.stdout
    assert "entry 1 is not what was written" in bad.stdout


async def test_every_corruption_of_histories_by_sql_is_found(reservations: Reservations) -> None:
    """Two hundred of them, each alone: edited, removed, cut, reordered, inserted, the chain computed anew."""
    await reservations.start()
    leads = [confirmed(client) for client in range(12)]
    await reservations.confirm(*leads)
    await reservations.opened(12)
    for _ in range(3):
        await reservations.tell(*(ReturnRequested(**asking(lead), manager="manager-3", reason="ещё") for lead in leads))
    await reservations.heard("reservation-extended", 36)
    rng = random.Random(20261125)
    connection = await asyncpg.connect(reservations.url)
    try:
        await connection.execute("ALTER TABLE history DISABLE TRIGGER USER")
        assert await found_in(connection) == []
        for n in range(200):
            corrupt = CORRUPTIONS[n % len(CORRUPTIONS)]
            whole = connection.transaction()
            await whole.start()
            await corrupt(connection, rng.choice(leads).client_key, rng)
            assert await found_in(connection), f"{corrupt.__name__} was not found"
            await whole.rollback()
    finally:
        await connection.close()


async def found_in(connection: Any) -> list[str]:
    """The flaws of all histories, as the command looks for them, within a transaction."""
    flawed: list[str] = []
    for row in await connection.fetch(
        "SELECT client_key, count, hash, seal FROM reservations LEFT JOIN heads USING (client_key)"
    ):
        entries = [
            Entry(entry["number"], entry["entry"], bytes.fromhex(entry["hash"]))
            for entry in await connection.fetch(
                "SELECT * FROM history WHERE client_key = $1 ORDER BY number", row["client_key"]
            )
        ]
        head = Head(row["count"], bytes.fromhex(row["hash"])) if row["hash"] is not None else None
        seal = bytes.fromhex(row["seal"]) if row["seal"] is not None else None
        flawed.extend(flaws(KEY, row["client_key"], entries, head, seal))
    return flawed


async def edited(connection: Any, key: str, rng: random.Random) -> None:
    sql = "UPDATE history SET entry = entry || ' ' WHERE client_key = $1 AND number = $2"
    await connection.execute(sql, key, rng.randint(1, 4))


async def removed(connection: Any, key: str, rng: random.Random) -> None:
    await connection.execute("DELETE FROM history WHERE client_key = $1 AND number = $2", key, rng.randint(1, 4))


async def removed_and_renumbered(connection: Any, key: str, rng: random.Random) -> None:
    number = rng.randint(1, 3)
    await connection.execute("DELETE FROM history WHERE client_key = $1 AND number = $2", key, number)
    for later in range(number + 1, 5):
        sql = "UPDATE history SET number = number - 1 WHERE client_key = $1 AND number = $2"
        await connection.execute(sql, key, later)


async def tail_cut(connection: Any, key: str, rng: random.Random) -> None:
    await connection.execute("DELETE FROM history WHERE client_key = $1 AND number > $2", key, rng.randint(0, 3))


async def tail_cut_with_the_head(connection: Any, key: str, rng: random.Random) -> None:
    last = rng.randint(1, 3)
    await connection.execute("DELETE FROM history WHERE client_key = $1 AND number > $2", key, last)
    await connection.execute(
        "UPDATE heads SET count = $2, hash = (SELECT hash FROM history h WHERE h.client_key = $1 AND number = $2)"
        " WHERE client_key = $1",
        key,
        last,
    )


async def reordered(connection: Any, key: str, rng: random.Random) -> None:
    first, second = rng.sample(range(1, 5), 2)
    for old, new in ((first, 100), (second, first), (100, second)):
        sql = "UPDATE history SET number = $3 WHERE client_key = $1 AND number = $2"
        await connection.execute(sql, key, old, new)


async def forgotten(connection: Any, key: str, _: random.Random) -> None:
    await connection.execute("DELETE FROM history WHERE client_key = $1", key)
    await connection.execute("DELETE FROM heads WHERE client_key = $1", key)


async def written_anew_without_the_key(connection: Any, key: str, rng: random.Random) -> None:
    other, head = rng.randbytes(32), Head()
    changed = rng.randint(1, 4)
    for row in await connection.fetch("SELECT * FROM history WHERE client_key = $1 ORDER BY number", key):
        facts = json.loads(row["entry"])
        if row["number"] == changed:
            facts["at"] = "2020-01-01T00:00:00+00:00"
        head, entry = appended(head, other, key, facts)
        sql = "UPDATE history SET entry = $3, hash = $4 WHERE client_key = $1 AND number = $2"
        await connection.execute(sql, key, entry.number, entry.text, entry.hash.hex())
    sql = "UPDATE heads SET hash = $2, seal = $3 WHERE client_key = $1"
    await connection.execute(sql, key, head.hash.hex(), head.seal(other, key).hex())


async def inserted(connection: Any, key: str, rng: random.Random) -> None:
    sql = "INSERT INTO history (client_key, number, entry, hash) VALUES ($1, 5, '{}', $2)"
    await connection.execute(sql, key, rng.randbytes(32).hex())


async def taken_from_another_client(connection: Any, key: str, rng: random.Random) -> None:
    await connection.execute(
        "UPDATE history h SET entry = o.entry, hash = o.hash FROM history o"
        " WHERE h.client_key = $1 AND o.client_key <> $1 AND h.number = $2 AND o.number = $2",
        key,
        rng.randint(1, 4),
    )


CORRUPTIONS: tuple[Callable[[Any, str, random.Random], Any], ...] = (
    edited,
    removed,
    removed_and_renumbered,
    tail_cut,
    tail_cut_with_the_head,
    reordered,
    forgotten,
    written_anew_without_the_key,
    inserted,
    taken_from_another_client,
)


async def _as_owner(reservations: Reservations, sql: str) -> None:
    connection = await asyncpg.connect(reservations.url)
    try:
        await connection.execute("ALTER TABLE history DISABLE TRIGGER USER")
        await connection.execute(sql)
        await connection.execute("ALTER TABLE history ENABLE TRIGGER USER")
    finally:
        await connection.close()


async def test_withdrawal_and_waiting_claim_end_as_they_should_in_the_real_service(reservations: Reservations) -> None:
    first, second = confirmed(1), confirmed(2)
    await reservations.start()
    await reservations.confirm(first, second)
    await reservations.opened(2)
    messages: list[Message] = [
        WithdrawalRequested(**asking(first), reason="ошибка в номере"),
        RewardClaimed(**asking(second), claim_id=uuid.uuid4()),
    ]
    await reservations.tell(*messages)
    (closed,) = await reservations.heard("reservation-closed")

    advance(reservations.clock, "P14D", MOSCOW)
    (refused,) = await reservations.heard("request-refused")

    assert closed["outcome"] == "withdrawn"
    assert (refused["reason"], refused["request_type"]) == ("no-sale", "claim-reward.v1")


async def test_erasure_leaves_histories_and_accounts_readable_and_begins_nothing_anew(
    reservations: Reservations,
) -> None:
    sold, _ = await lived(reservations)
    (live,) = [row for row in await _clients(reservations) if row["partner_id"] == "boris"]

    refused = await reservations.command("erase", str(live["lead_id"]), "--who", "dpo", "--why", "запрос 7")
    done = await reservations.command("erase", str(sold.lead_id), "--who", "dpo", "--why", "запрос 7")
    await reservations.tell(ReturnRequested(**asking(sold), manager="manager-3", reason="передумал"))
    (answer,) = await reservations.heard("request-refused")

    assert (refused.returncode, done.returncode) == (1, 0), done.stderr
    assert {row["client"] for row in await _clients(reservations)} == {"", "sealed"}
    assert answer["reason"] == "unknown-lead"
    assert (await reservations.command("verify-history")).returncode == 0
    assert "Продан в срок" in (await reservations.command("explain", "--lead", str(sold.lead_id))).stdout
    assert len(await rows(reservations, "ledger", "--form", "json")) == 2


async def test_retention_erases_only_what_ended_long_ago(reservations: Reservations) -> None:
    await lived(reservations)
    early = await reservations.command("retention")
    # The clock of business moves on for three years and a bit; the live one runs out meanwhile.
    advance(reservations.clock, "P3Y7M", MOSCOW)
    await reservations.heard("reservation-expired")

    dry = await reservations.command("retention", "--dry-run")
    late = await reservations.command("retention")

    assert "назад: 0" in early.stdout
    assert "назад: 2" in dry.stdout
    assert "это проба" in dry.stdout
    assert "назад: 2" in late.stdout
    assert {row["client"] for row in await _clients(reservations)} == {""}


async def _clients(reservations: Reservations) -> list[Any]:
    connection = await asyncpg.connect(reservations.url)
    try:
        return list(await connection.fetch("SELECT lead_id, partner_id, client FROM reservations"))
    finally:
        await connection.close()
