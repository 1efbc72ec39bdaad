"""Named statements in one round trip. Real PostgreSQL."""

import asyncpg
import pytest

from chassis.database.pool import Database
from chassis.database.writing import Rows, Statement, execute_together, write
from tests.chassis.sample import TallyRow

pytestmark = pytest.mark.infra

INSERT_CALL = "INSERT INTO calls (name, n) VALUES ($1, $2) RETURNING name, n"
RAISE_COUNT = "UPDATE tallies SET count = count + $2 WHERE name = ANY($1::text[]) RETURNING name, count"


async def stored(url: str, sql: str) -> list[tuple[object, ...]]:
    connection = await asyncpg.connect(url)
    rows = await connection.fetch(sql)
    await connection.close()
    return [tuple(row) for row in rows]


async def test_each_statement_returns_its_rows_by_its_name(sample_database: str) -> None:
    database = Database(sample_database, name="test")
    async with database.transaction() as tx:
        await execute_together(
            tx, {"tallies": write(Rows(TallyRow, [{"name": "a", "count": 1}, {"name": "b", "count": 2}]))}
        )
        returned = await execute_together(
            tx,
            {
                "call": Statement(INSERT_CALL, ("a", 7), ("name", "n")),
                # A statement without `returning` returns no rows.
                "silent": write(Rows(TallyRow, [{"name": "c", "count": 9}])),
                # The name of a statement hides no table of the same name.
                "tallies": Statement(RAISE_COUNT, (["a", "b"], 10), ("name", "count")),
                "none": Statement(RAISE_COUNT, (["nobody"], 1), ("name", "count")),
            },
        )
    await database.close()

    assert [tuple(row) for row in returned["call"]] == [("a", 7)]
    assert returned["silent"] == ()
    assert sorted(tuple(row) for row in returned["tallies"]) == [("a", 11), ("b", 12)]
    assert returned["none"] == ()
    assert await stored(sample_database, "SELECT name, count FROM tallies ORDER BY name") == [
        ("a", 11),
        ("b", 12),
        ("c", 9),
    ]
    assert await stored(sample_database, "SELECT name, n FROM calls") == [("a", 7)]


async def test_statements_that_run_together_fail_together(sample_database: str) -> None:
    database = Database(sample_database, name="test")
    with pytest.raises(asyncpg.DivisionByZeroError):
        async with database.single() as tx:
            await execute_together(
                tx,
                {
                    "call": Statement(INSERT_CALL, ("a", 7), ("name", "n")),
                    "fails": Statement("INSERT INTO calls (n) VALUES (1 / $1::integer)", (0,)),
                },
            )
    await database.close()

    assert await stored(sample_database, "SELECT FROM calls") == []


async def test_no_statement_makes_no_round_trip(sample_database: str) -> None:
    database = Database(sample_database, name="test")
    async with database.single() as tx:
        # A connection in a failed transaction refuses every statement.
        await tx.execute("BEGIN")
        with pytest.raises(asyncpg.DivisionByZeroError):
            await tx.execute("SELECT 1 / 0")
        assert await execute_together(tx, {}) == {}
        await tx.execute("ROLLBACK")
    await database.close()
