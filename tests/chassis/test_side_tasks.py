"""A fault of one row or one task beside the messages costs only itself: the process lives, and health says why."""

import asyncio
import contextlib

import pytest

from chassis.runtime.side_tasks import SideTasks
from tests.chassis.harness import Harness
from tests.process import until

INFRA = pytest.mark.infra


# --- starting a failed task again


async def run_until(tasks: SideTasks, name: str, failing: list[BaseException | None], starts: int) -> list[str]:
    """Run a task that does what `failing` lists, at each start the next; return the reasons seen at each start."""
    reasons: list[str] = []

    async def task() -> None:
        reasons.append(tasks.degraded_reason() or "")
        if len(reasons) > len(failing):
            await asyncio.Event().wait()
        if (error := failing[len(reasons) - 1]) is not None:
            raise error

    running = asyncio.create_task(tasks.run(name, task))

    async def started() -> bool | None:
        return True if len(reasons) == starts else None

    await until(started, f"{starts} starts")
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    return reasons


async def test_a_task_that_fails_or_ends_is_started_again_and_named() -> None:
    reasons = await run_until(SideTasks(), "sweep", [ValueError("Иванов"), None], starts=3)

    assert reasons[0] == ""
    assert reasons[1].startswith("sweep has failed 1 times since ")
    assert reasons[1].endswith(" UTC: ValueError")
    assert reasons[2].endswith(" UTC: it ended")
    assert "failed 2 times" in reasons[2]


async def test_the_errors_of_a_group_are_named_by_their_types() -> None:
    group = ExceptionGroup("two", [KeyError("a"), ExceptionGroup("inner", [ValueError("b"), KeyError("c")])])

    reasons = await run_until(SideTasks(), "sweep", [group], starts=2)

    assert reasons[1].endswith(": KeyError, ValueError")


async def test_a_cancelled_task_is_not_started_again() -> None:
    tasks = SideTasks()
    started = asyncio.Event()

    async def task() -> None:
        started.set()
        await asyncio.Event().wait()

    running = asyncio.create_task(tasks.run("sweep", task))
    await started.wait()
    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running
    assert tasks.degraded_reason() is None


# --- in a running service


@INFRA
async def test_a_timer_whose_due_rows_cannot_be_read_is_started_again(sample: Harness) -> None:
    process = await sample.start()
    await sample.query("INSERT INTO faults VALUES ('a', 'due')")

    await sample.wait_for_health("degraded", "tasks", "timer-name-due has failed")
    assert "ValueError" in (await sample.health())["reasons"]["tasks"]
    await sample.publish({"name": "other", "n": 0})
    assert "other" in await sample.results(1)

    await sample.query("UPDATE faults SET fault = 'none'")
    assert "a" in await sample.results(2)
    await sample.wait_for_health("ok")
    assert process.poll() is None


@INFRA
async def test_an_input_of_a_timer_that_fails_holds_up_no_other_input(sample: Harness) -> None:
    await sample.query("INSERT INTO faults SELECT 'bad-' || n, 'rule' FROM generate_series(1, 20) AS n")
    await sample.start()
    await sample.wait_for_health("degraded", "timer-name-due", "20 inputs of the timer name-due have failed since ")

    await sample.query("INSERT INTO faults VALUES ('good', 'none')")

    assert set(await sample.results(1)) == {"good"}
    # Each is decided again after a pause that doubles, not at each firing of the timer.
    failures = [line for line in sample.log(0) if line["event"] == "input_failed"]
    assert len(failures) < 200
    await sample.query("UPDATE faults SET fault = 'none'")
    await sample.results(21)
    await sample.wait_for_health("ok")


@INFRA
async def test_a_background_task_that_fails_is_started_again(sample: Harness) -> None:
    process = await sample.start()
    await sample.query("INSERT INTO faults VALUES ('w', 'watch')")
    await sample.wait_for_health("degraded", "tasks", "watch has failed")
    assert (await sample.health())["reasons"]["tasks"].endswith("LookupError")

    await sample.query("DELETE FROM faults")

    await sample.wait_for_health("ok")
    assert process.poll() is None


REFUSE = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'as the test demands'; END $$;
"""


@INFRA
@pytest.mark.parametrize(
    ("task", "table", "operation", "provoke"),
    [
        ("outbox-delete", "outbox", "DELETE", ""),
        (
            "outbox-claim",
            "outbox",
            "UPDATE",
            "INSERT INTO outbox (event_id, topic, key, headers, value)"
            " VALUES (gen_random_uuid(), (SELECT topic FROM outbox LIMIT 1), 'k', '[]', '{}')",
        ),
        (
            "dead-owners",
            "work",
            "UPDATE",
            "INSERT INTO work (kind, ref, key, payload, cause, owner) VALUES ('call', 'x', 'x', '{}', '{}', 1)",
        ),
        (
            "unknown-work",
            "work",
            "UPDATE",
            "INSERT INTO work (kind, ref, key, payload, cause, due_at)"
            " VALUES ('other', 'x', 'x', '{}', '{}', now() - interval '1 hour')",
        ),
    ],
)
async def test_a_task_of_the_chassis_that_fails_leaves_the_process_running(
    sample: Harness, task: str, table: str, operation: str, provoke: str
) -> None:
    process = await sample.start()
    await sample.query(REFUSE)
    await sample.query(f"CREATE TRIGGER refuse BEFORE {operation} ON {table} FOR EACH ROW EXECUTE FUNCTION refuse()")
    await sample.query(provoke.replace("(SELECT topic FROM outbox LIMIT 1)", f"'{sample.results_topic}'") or "SELECT 1")
    await sample.publish({"name": "a", "n": 0})

    await sample.wait_for_health("degraded", "tasks", f"{task} has failed")
    assert process.poll() is None
    assert "a" in await sample.results(1)

    await sample.query(f"DROP TRIGGER refuse ON {table}")
    await sample.query("DELETE FROM outbox WHERE key = 'k'")

    async def recovered() -> bool | None:
        return True if "tasks" not in (await sample.health()).get("reasons", {}) else None

    await until(recovered, "health names no task")


@INFRA
async def test_work_that_cannot_be_claimed_leaves_the_process_running(sample: Harness) -> None:
    process = await sample.start()
    await sample.query(REFUSE)
    await sample.query(
        "CREATE TRIGGER refuse BEFORE UPDATE ON work FOR EACH ROW WHEN (NEW.owner IS NOT NULL)"
        " EXECUTE FUNCTION refuse()"
    )
    await sample.query(
        "INSERT INTO work (kind, ref, key, payload, cause) VALUES"
        """ ('call', 'a/0', 'a', '{"action": "call", "n": 0}', '{"id": "c", "correlation": "c"}')"""
    )
    await sample.wait_for_health("degraded", "work-call", "work of kind call is not claimed since ")
    assert process.poll() is None

    await sample.query("DROP TRIGGER refuse ON work")

    await sample.wait_for("SELECT state FROM work WHERE ref = 'a/0'", "done")
    await sample.wait_for_health("ok")
