"""A process is killed at each crash point, at the first, a middle and the last message of a batch.

No message is lost, and none takes effect twice.
"""

import signal
import subprocess

import pytest

from chassis import crash_points
from tests.chassis.harness import Harness, requests
from tests.process import until

pytestmark = pytest.mark.infra

NAMES, EACH = 6, 5
ALL = NAMES * EACH
LONG = pytest.mark.long
# The last message of a batch in each run; the first and a middle message in the long tests only.
NUMBERS = [pytest.param(1, marks=LONG), pytest.param(ALL // 2, marks=LONG), ALL]


async def wait_until_killed(process: "subprocess.Popen[bytes]") -> None:
    async def gone() -> bool | None:
        return True if process.poll() is not None else None

    await until(gone, "the process is killed at its crash point")
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("point", [crash_points.COMMITTED, crash_points.PUBLISHED, crash_points.HANDLED])
async def test_a_message_counts_once_and_in_order_after_a_kill(sample: Harness, point: str, number: int) -> None:
    # All requests are on the topic before the start, so that they are read as one batch.
    await sample.publish(*requests(NAMES, EACH))
    process = await sample.start(CRASH_AT=f"{point}:{number}", wait=False)
    await wait_until_killed(process)
    await sample.start()

    results = await sample.results(ALL)
    assert set(results) == {f"name-{name}" for name in range(NAMES)}
    for events in results.values():
        assert [event["n"] for event in events] == list(range(EACH))
        assert [event["sequence"] for event in events] == list(range(1, EACH + 1))
    assert (await sample.query("SELECT sum(count) FROM tallies"))[0][0] == ALL
    await sample.wait_for("SELECT count(*) FROM outbox", 0)


@pytest.mark.parametrize("number", NUMBERS)
async def test_a_call_answered_before_a_kill_is_repeated_in_doubt_and_recorded_once(
    sample: Harness, number: int
) -> None:
    await sample.publish(*requests(NAMES, EACH, "call"))
    process = await sample.start(CRASH_AT=f"{crash_points.CALLED}:{number}", SAMPLE_CALL_S="0", wait=False)
    await wait_until_killed(process)
    await sample.start()

    results = await sample.results(2 * ALL)
    for events in results.values():
        calls = [event["n"] for event in events if event["called"]]
        assert calls == list(range(EACH))
    await sample.wait_for("SELECT count(*) FROM work WHERE state = 'done'", ALL)
    calls = await sample.query("SELECT name, n, array_agg(in_doubt ORDER BY id) AS doubts FROM calls GROUP BY name, n")
    assert len(calls) == ALL
    repeated = [call for call in calls if len(call["doubts"]) > 1]
    assert repeated
    assert all(call["doubts"] == [False, True] for call in repeated)


@pytest.mark.parametrize("number", [pytest.param(1, marks=LONG), ALL // 2, pytest.param(ALL + 1, marks=LONG)])
async def test_a_kill_while_a_failed_batch_is_retried_one_by_one_loses_nothing(sample: Harness, number: int) -> None:
    published = requests(NAMES, EACH)
    published.insert(ALL // 2, {"name": "bad", "n": 0, "action": "fail"})
    await sample.publish(*published)
    process = await sample.start(CRASH_AT=f"{crash_points.SINGLE}:{number}", wait=False)
    await wait_until_killed(process)
    await sample.start()

    for events in (await sample.results(ALL)).values():
        assert [event["n"] for event in events] == list(range(EACH))
    assert (await sample.query("SELECT sum(count) FROM tallies"))[0][0] == ALL
    assert {letter["reason"] for letter in await sample.dead_letters(1)} == {"failed"}
    assert (await sample.query("SELECT count(*) FROM parked"))[0][0] == 1


@LONG
async def test_an_instance_finishes_the_work_of_four_that_were_killed(sample: Harness) -> None:
    """Each of the four is killed at another crash point."""
    await sample.publish(*requests(NAMES, EACH, "call"))
    for point in (crash_points.HANDLED, crash_points.COMMITTED, crash_points.PUBLISHED, crash_points.CALLED):
        process = await sample.start(CRASH_AT=f"{point}:1", SAMPLE_CALL_S="0", wait=False)
        await wait_until_killed(process)
    await sample.start()

    for events in (await sample.results(2 * ALL)).values():
        assert [event["n"] for event in events if not event["called"]] == list(range(EACH))
        assert [event["n"] for event in events if event["called"]] == list(range(EACH))
