"""The proof of histories: nothing can be edited, and every edit made past the database's guard is found."""

import json
import random
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from contracts.leads import ReturnRequested
from services.reservations.domain.history import Entry, Head, appended, flaws
from tests.reservations.harness import HISTORY_KEY, Harness
from tests.reservations.samples import confirmed, request_fields, sold_client

pytestmark = pytest.mark.infra

KEY = bytes.fromhex(HISTORY_KEY)


async def test_history_and_ledger_tables_refuse_every_edit(reservations: Harness) -> None:
    await sold_client(reservations)
    connection = await asyncpg.connect(reservations.url)
    try:
        for table in ("history", "ledger"):
            for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET client_key = ''", f"TRUNCATE {table}"):
                with pytest.raises(asyncpg.RaiseError, match="append-only"):
                    await connection.execute(statement)
    finally:
        await connection.close()


async def test_verify_history_passes_intact_histories_and_finds_an_edited_entry(reservations: Harness) -> None:
    sold = await sold_client(reservations)
    good = await reservations.command("verify-history")
    await _as_owner(reservations, "UPDATE history SET entry = replace(entry, 'anna', 'boris') WHERE number = 1")

    bad = await reservations.command("verify-history")

    assert (good.returncode, bad.returncode) == (0, 1)
    assert "историй проверено: 4, с нарушениями: 0" in good.stdout
    assert sold.client_key in bad.stdout
    assert "запись 1 изменена" in bad.stdout


async def test_every_kind_of_corruption_by_sql_is_found(reservations: Harness) -> None:
    """Two hundred corruptions, each in a transaction of its own: edited, removed, cut, reordered, inserted entries, and
    chains that are computed again with another key."""
    await reservations.start()
    leads = [confirmed(client) for client in range(12)]
    await reservations.confirm(*leads)
    await reservations.published("reservation-opened", 12)
    for _ in range(3):
        await reservations.publish(
            *(ReturnRequested(**request_fields(lead), manager="manager-3", reason="ещё", again=True) for lead in leads)
        )
    await reservations.published("reservation-extended", 36)
    rng = random.Random(20261125)
    connection = await asyncpg.connect(reservations.url)
    try:
        await connection.execute("ALTER TABLE history DISABLE TRIGGER USER")
        assert await flaws_in(connection) == []
        for n in range(200):
            corrupt = CORRUPTIONS[n % len(CORRUPTIONS)]
            whole = connection.transaction()
            await whole.start()
            await corrupt(connection, rng.choice(leads).client_key, rng)
            assert await flaws_in(connection), f"{corrupt.__name__} was not found"
            await whole.rollback()
    finally:
        await connection.close()


async def flaws_in(connection: Any) -> list[str]:
    """Return the flaws of all histories as the current transaction sees them."""
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


async def _as_owner(reservations: Harness, sql: str) -> None:
    connection = await asyncpg.connect(reservations.url)
    try:
        await connection.execute("ALTER TABLE history DISABLE TRIGGER USER")
        await connection.execute(sql)
        await connection.execute("ALTER TABLE history ENABLE TRIGGER USER")
    finally:
        await connection.close()
