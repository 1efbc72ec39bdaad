"""The commands `parked` and `retry` of a service that has work."""

import json

import pytest

from tests.chassis.harness import Harness

pytestmark = pytest.mark.infra

SAMPLE = "tests.chassis.sample"


async def park_calls(sample: Harness, *names: str) -> None:
    """Calls of these names are parked by their first attempt."""
    await sample.start()
    await sample.publish(*({"name": name, "n": 0, "action": "call-park-once"} for name in names))
    await sample.wait_for("SELECT count(*) FROM work WHERE state = 'parked'", len(names))


async def test_a_parked_call_is_listed_with_its_reason_and_retried_by_its_id(sample: Harness) -> None:
    await park_calls(sample, "a", "b")

    # The keys lie in different partitions, so their rows may have either order.
    listed = [json.loads(line) for line in (await sample.command(SAMPLE, "parked", "--json")).splitlines()]
    listed.sort(key=lambda row: str(row["ref"]))

    assert [(row["kind"], row["ref"], row["key"], row["state"], row["reason"]) for row in listed] == [
        ("call", "a/0", "a", "parked", "refused"),
        ("call", "b/0", "b", "parked", "refused"),
    ]
    assert [(row["attempts"], row["in_doubt"]) for row in listed] == [(1, False), (1, False)]

    printed = await sample.command(SAMPLE, "retry", str(listed[0]["id"]))

    assert "1 calls will be retried" in printed
    await sample.wait_for("SELECT state FROM work WHERE ref = 'a/0'", "done")
    assert [event["called"] for event in (await sample.results(3))["a"]] == [False, True]
    assert (await sample.query("SELECT state FROM work WHERE ref = 'b/0'"))[0][0] == "parked"


async def test_parked_calls_are_listed_as_a_table_with_the_year(sample: Harness) -> None:
    await park_calls(sample, "a")
    (year,) = (await sample.query("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY')"))[0]

    printed = await sample.command(SAMPLE, "parked")

    (line,) = [line for line in printed.splitlines() if "a/0" in line]
    assert "refused" in line
    assert line.count(f"{year}-") == 2  # created, and parked
    assert line.count(" UTC") == 2


async def test_all_parked_calls_of_one_kind_are_retried_at_once(sample: Harness) -> None:
    await park_calls(sample, "a", "b")

    assert "0 calls" in await sample.command(SAMPLE, "retry", "--all", "--kind", "other")
    assert "2 calls" in await sample.command(SAMPLE, "retry", "--all", "--kind", "call")

    await sample.wait_for("SELECT count(*) FROM work WHERE state = 'done'", 2)
    assert "nothing is parked" in await sample.command(SAMPLE, "parked")


async def test_a_call_that_is_not_parked_is_not_retried(sample: Harness) -> None:
    await park_calls(sample, "a")

    assert "not parked" in await sample.command(SAMPLE, "retry", "4711", code=1)
    assert "--all" in await sample.command(SAMPLE, "retry", code=2)
