"""Killed at each named place, at the first, a middle and the last message of a batch: nothing is lost or repeated."""

import signal
import subprocess
from typing import Any

import pytest

from chassis import crash_points
from tests.chassis.conftest import Sample
from tests.process import until

pytestmark = pytest.mark.infra

NAMES, EACH = 6, 5
ALL = NAMES * EACH
LONG = pytest.mark.long
# The last message of a batch each time; the first and a middle one for long.
PLACES = [pytest.param(1, marks=LONG), pytest.param(ALL // 2, marks=LONG), ALL]


def messages(wish: str) -> list[dict[str, Any]]:
    return [{"name": f"name-{name}", "n": n, "wish": wish} for n in range(EACH) for name in range(NAMES)]


async def until_killed(process: "subprocess.Popen[bytes]") -> None:
    async def gone() -> bool | None:
        return True if process.poll() is not None else None

    await until(gone, "it is killed at the crash point")
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("number", PLACES)
@pytest.mark.parametrize("point", [crash_points.COMMITTED, crash_points.PUBLISHED, crash_points.HANDLED])
async def test_each_message_counts_once_and_in_order_wherever_it_was_killed(
    sample: Sample, point: str, number: int
) -> None:
    # All of it waits on the topic, so that it comes as one batch.
    await sample.say(*messages("count"))
    process = await sample.start(CRASH_AT=f"{point}:{number}", wait=False)
    await until_killed(process)
    await sample.start()

    stories = await sample.stories(ALL)
    assert set(stories) == {f"name-{name}" for name in range(NAMES)}
    for told in stories.values():
        assert [event["n"] for event in told] == list(range(EACH))
        assert [event["sequence"] for event in told] == list(range(1, EACH + 1))
    assert (await sample.query("SELECT sum(count) FROM tallies"))[0][0] == ALL
    await sample.until("SELECT count(*) FROM outbox", 0)


@pytest.mark.parametrize("number", PLACES)
async def test_a_call_that_was_answered_before_the_kill_is_made_again_in_doubt_and_told_once(
    sample: Sample, number: int
) -> None:
    await sample.say(*messages("call"))
    process = await sample.start(CRASH_AT=f"{crash_points.CALLED}:{number}", SAMPLE_CALL_S="0", wait=False)
    await until_killed(process)
    await sample.start()

    stories = await sample.stories(2 * ALL)
    for told in stories.values():
        calls = [event["n"] for event in told if event["called"]]
        assert calls == list(range(EACH))
    await sample.until("SELECT count(*) FROM work WHERE state = 'done'", ALL)
    calls = await sample.query("SELECT name, n, array_agg(in_doubt ORDER BY id) AS doubts FROM calls GROUP BY name, n")
    assert len(calls) == ALL
    again = [call for call in calls if len(call["doubts"]) > 1]
    assert again
    assert all(call["doubts"] == [False, True] for call in again)


@pytest.mark.parametrize("number", [pytest.param(1, marks=LONG), ALL // 2, pytest.param(ALL + 1, marks=LONG)])
async def test_killed_between_the_single_tries_of_a_batch_that_failed(sample: Sample, number: int) -> None:
    """One that fails stands in the middle, so the batch is tried one by one."""
    said = messages("count")
    said.insert(ALL // 2, {"name": "bad", "n": 0, "wish": "fail"})
    await sample.say(*said)
    process = await sample.start(CRASH_AT=f"{crash_points.SINGLE}:{number}", wait=False)
    await until_killed(process)
    await sample.start()

    for told in (await sample.stories(ALL)).values():
        assert [event["n"] for event in told] == list(range(EACH))
    assert (await sample.query("SELECT sum(count) FROM tallies"))[0][0] == ALL
    assert {letter["reason"] for letter in await sample.dead(1)} == {"failed"}
    assert (await sample.query("SELECT count(*) FROM parked"))[0][0] == 1


@LONG
async def test_two_of_a_kind_take_over_from_one_another_at_every_point(sample: Sample) -> None:
    """Each instance dies at another place; the last one finishes what all of them left."""
    await sample.say(*messages("call"))
    for point in (crash_points.HANDLED, crash_points.COMMITTED, crash_points.PUBLISHED, crash_points.CALLED):
        process = await sample.start(CRASH_AT=f"{point}:1", SAMPLE_CALL_S="0", wait=False)
        await until_killed(process)
    await sample.start()

    for told in (await sample.stories(2 * ALL)).values():
        assert [event["n"] for event in told if not event["called"]] == list(range(EACH))
        assert [event["n"] for event in told if event["called"]] == list(range(EACH))
