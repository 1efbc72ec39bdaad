"""Work rows that this version cannot read, as in a rolling upgrade, are parked; all other rows go on."""

import json

import asyncpg
import pytest

from chassis.database.presence import LOCK_CLASS
from tests.chassis.harness import Harness

pytestmark = pytest.mark.infra

SAMPLE = "tests.chassis.sample"
CAUSE = '{"id": "c", "correlation": "c"}'
ARGUMENTS = '{"action": "call", "n": 0}'
INSERT = """
    INSERT INTO work (kind, ref, key, payload, cause, due_at)
    VALUES ('{}', '{}', '{}', '{}', '{}', now() - interval '1 h')
"""


async def add(sample: Harness, ref: str, *, kind: str = "call", payload: str = ARGUMENTS, cause: str = CAUSE) -> None:
    """Insert a due work row; the part of `ref` before the slash is its key."""
    await sample.query(INSERT.format(kind, ref, ref.partition("/")[0], payload, cause))


UNREADABLE_CAUSES = [
    "{}",
    "[]",
    "null",
    "7",
    '{"id": "c", "correlation": "c", "span": "s"}',
    '{"id": 5, "correlation": "c"}',
]
UNREADABLE_ARGUMENTS = ["{}", "[]", "null", '"call"', '{"action": "call"}', '{"action": "call", "n": "many"}']


async def test_rows_that_cannot_be_read_are_parked_with_the_reason_and_others_are_called(sample: Harness) -> None:
    for number, cause in enumerate(UNREADABLE_CAUSES):
        await add(sample, f"cause-{number}/0", cause=cause)
    for number, payload in enumerate(UNREADABLE_ARGUMENTS):
        await add(sample, f"arguments-{number}/0", payload=payload)
    await add(sample, "cause-0/1")  # behind a parked row of its key
    await add(sample, "good/0")
    process = await sample.start()

    await sample.wait_for(
        "SELECT count(*) FROM work WHERE state = 'parked'", len(UNREADABLE_CAUSES) + len(UNREADABLE_ARGUMENTS)
    )
    await sample.wait_for("SELECT count(*) FROM work WHERE state = 'done'", 2)
    parked = await sample.query("SELECT ref, note, in_doubt FROM work WHERE state = 'parked'")
    assert {(row["ref"].partition("-")[0], row["note"]) for row in parked} == {
        ("cause", "unreadable-cause"),
        ("arguments", "unreadable-arguments"),
    }
    assert not any(row["in_doubt"] for row in parked), "no call was made"
    assert process.poll() is None
    await sample.wait_for_readiness(200)


async def test_a_parked_row_is_called_by_the_version_that_can_read_it(sample: Harness) -> None:
    await add(sample, "a/0", cause='{"id": "c", "correlation": "c", "span": "s"}')
    await sample.start()
    await sample.wait_for("SELECT state FROM work WHERE ref = 'a/0'", "parked")
    (row,) = [json.loads(line) for line in (await sample.command(SAMPLE, "parked", "--json")).splitlines()]
    assert (row["ref"], row["reason"], row["state"]) == ("a/0", "unreadable-cause", "parked")

    # Not to be read yet: it is parked again. Then as after the upgrade.
    await sample.command(SAMPLE, "retry", str(row["id"]))
    await sample.wait_for("SELECT CASE state WHEN 'parked' THEN attempts END FROM work", 2)
    await sample.query(f"UPDATE work SET cause = '{CAUSE}'")
    await sample.command(SAMPLE, "retry", str(row["id"]))

    await sample.wait_for("SELECT state FROM work WHERE ref = 'a/0'", "done")


async def test_work_of_an_unknown_kind_is_parked_and_later_work_of_its_key_goes_on(sample: Harness) -> None:
    await add(sample, "a/0", kind="letter")
    await add(sample, "a/1")
    await sample.start()

    await sample.wait_for("SELECT state FROM work WHERE ref = 'a/1'", "done")

    assert tuple((await sample.query("SELECT state, note FROM work WHERE ref = 'a/0'"))[0]) == (
        "parked",
        "unknown-kind",
    )
    (row,) = [json.loads(line) for line in (await sample.command(SAMPLE, "parked", "--json")).splitlines()]
    assert (row["kind"], row["reason"]) == ("letter", "unknown-kind")
    await sample.query("UPDATE work SET kind = 'call' WHERE kind = 'letter'")
    await sample.command(SAMPLE, "retry", "--all")
    await sample.wait_for("SELECT state FROM work WHERE ref = 'a/0'", "done")


async def test_work_of_a_kind_that_another_process_performs_is_left_to_it(sample: Harness) -> None:
    newer = await asyncpg.connect(sample.url)
    try:
        await newer.execute(f"SELECT pg_advisory_lock({LOCK_CLASS}, 77)")
        await add(sample, "a/0", kind="letter")
        await sample.query("UPDATE work SET owner = 77")
        await add(sample, "b/0", kind="letter")
        await add(sample, "c/0", kind="forgotten")
        await sample.start()

        await sample.wait_for("SELECT state FROM work WHERE ref = 'c/0'", "parked")

        assert (await sample.query("SELECT state FROM work WHERE ref = 'b/0'"))[0][0] == "waiting"
    finally:
        await newer.close()
