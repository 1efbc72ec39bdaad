"""The batch statements go by the key, also when their plans were made on empty tables that nobody has analysed."""

import re
from collections.abc import Callable

import asyncpg
import pytest

from chassis.migrations import upgrade
from chassis.outbox import statements as outbox
from chassis.processor import admission, ledger
from chassis.work import statements as work
from tests.chassis.conftest import MIGRATIONS

pytestmark = pytest.mark.infra

STATEMENTS = {
    "claim work": (work.CLAIM, "'call', 500, 7"),
    "ask for work": (
        ledger._INSERT_WORK,
        """'[{"kind": "call", "ref": "new", "key": "k1", "payload": {}, "cause": {}, "delay": 0, "mine": true}]', 7""",
    ),
    "admit": (
        admission._ADMIT,
        "array['k1', 'k2', 'new'], array[gen_random_uuid()], array[20001::bigint, 20002], 5",
    ),
    "put events out": (
        outbox._INSERT,
        "json_build_array(json_build_object('event_id', gen_random_uuid(), 'topic', 't', 'key', 'k1', 'headers', 'h',"
        " 'value', '')), 7",
    ),
    "count events": (outbox._ADVANCE_SEQUENCES, "array['k1'], array[1]"),
    "claim events": (outbox.CLAIM, "7, 500"),
}
TYPES = {"claim work": "(text, bigint, integer)", "claim events": "(integer, bigint)"}


def most_read(plan: list[str]) -> int:
    """The most rows that any step gave on or looked at in vain."""
    return max(int(count) for count in re.findall(r"(?:rows=|Removed by (?:Join )?Filter: )(\d+)", "\n".join(plan)))


@pytest.mark.parametrize("name", STATEMENTS)
async def test_a_batch_statement_looks_at_its_own_rows_alone(name: str, database_factory: Callable[..., str]) -> None:
    url = database_factory("chassis-sample", lambda url: upgrade(url, MIGRATIONS))
    connection = await asyncpg.connect(
        url, server_settings={"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off", "jit": "off"}
    )
    sql, arguments = STATEMENTS[name]
    await connection.execute(f"PREPARE one {TYPES.get(name, '')} AS {sql}")
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute(f"EXECUTE one({arguments})")
    await transaction.rollback()
    await connection.execute(
        "INSERT INTO work (kind, ref, key, payload, cause, state, owner) SELECT 'call', n::text, 'k' || n, '{}', '{}',"
        " CASE WHEN n > 20000 THEN 'waiting' ELSE 'done' END, CASE WHEN n > 20000 THEN 5 END"
        " FROM generate_series(1, 22000) AS n"
    )
    await connection.execute(
        "INSERT INTO outbox (event_id, owner, topic, key, headers, value)"
        " SELECT gen_random_uuid(), 5, 't', 'other' || n, '[]', '' FROM generate_series(1, 5000) AS n"
    )
    await connection.execute("INSERT INTO streams (key) SELECT 'k' || n FROM generate_series(1, 5000) AS n")

    plan = [
        row[0] for row in await connection.fetch(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) EXECUTE one({arguments})")
    ]
    await connection.close()
    assert most_read(plan) < 100, "\n".join(plan)
