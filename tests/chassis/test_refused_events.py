"""An event that Kafka refuses for good is set aside: other events go on, and later events of its key wait for a person.

The topic of the results takes batches of 20 KiB here, and the events that are too large have 30 KB.
"""

import json
from typing import Any

import pytest

from tests.chassis.harness import Harness, assert_in_order, requests

pytestmark = pytest.mark.infra

SAMPLE = "tests.chassis.sample"
LIMIT = 20 * 1024
TOO_LARGE = 30_000
DECISION = ("--who", "Ann", "--why", "the limit was raised")


async def start_with_a_refused_event(sample: Harness) -> None:
    """The second event of `big` is refused; one event follows it. `small` has two events."""
    await sample.limit_result_bytes(LIMIT)
    await sample.start()
    await sample.publish(
        {"name": "big", "n": 0},
        {"name": "small", "n": 0},
        {"name": "big", "n": 1, "padding": TOO_LARGE},
        {"name": "big", "n": 2},
        {"name": "small", "n": 1},
    )
    await sample.wait_for("SELECT count(*) FROM refused_events", 1)


async def refused(sample: Harness) -> list[dict[str, Any]]:
    """What the command `refused` lists."""
    return [json.loads(line) for line in (await sample.command(SAMPLE, "refused", "--json")).splitlines()]


async def test_a_refused_event_stops_later_events_of_its_key_and_nothing_else(sample: Harness) -> None:
    await start_with_a_refused_event(sample)

    results = await sample.results(3)
    assert [event["n"] for event in results["small"]] == [0, 1]
    assert [event["n"] for event in results["big"]] == [0]
    await sample.wait_for("SELECT count(*) FROM outbox", 2)
    await sample.publish({"name": "big", "n": 3}, {"name": "small", "n": 2})
    assert [event["n"] for event in (await sample.results(4))["small"]] == [0, 1, 2]
    await sample.wait_for("SELECT count(*) FROM outbox WHERE key = 'big'", 3)


async def test_a_refused_event_is_reported_and_leaves_the_service_ready(sample: Harness) -> None:
    await start_with_a_refused_event(sample)
    await sample.wait_for("SELECT count(*) FROM outbox", 2)

    (row,) = await refused(sample)
    assert (row["topic"], row["key"], row["type"]) == (sample.results_topic, "big", "counted.v1")
    assert (row["reason"], row["waiting_behind"]) == ("MESSAGE_SIZE_TOO_LARGE", 1)
    assert row["bytes"] > TOO_LARGE
    waits = json.loads((await sample.command(SAMPLE, "waiting", "--json")).splitlines()[0])
    assert (waits["kind"], waits["key"], waits["waiting_behind"]) == ("refused-event", "big", 1)
    assert f"retry-refused {row['id']} --who" in waits["command"]
    (line,) = [line for line in sample.log(0) if line["event"] == "event_refused"]
    assert (line["level"], line["key"], line["reason"]) == ("critical", "big", "MESSAGE_SIZE_TOO_LARGE")
    await sample.wait_for_metric("truce_outbox_refused_events", 1)
    await sample.wait_for_readiness(200)
    assert "refused" in (await sample.health())["reasons"]["publishing"]
    # The age of the oldest event tells of events that Kafka does not take now; this event waits for a person.
    await sample.query("UPDATE outbox SET created_at = now() - interval '1 hour'")
    await sample.publish({"name": "small", "n": 2})
    await sample.results(4)
    await sample.wait_for_metric("truce_outbox_oldest_event_age_seconds", 0)


async def test_a_retried_event_is_published_before_the_events_that_waited_behind_it(sample: Harness) -> None:
    await start_with_a_refused_event(sample)
    await sample.limit_result_bytes(2**20)
    (row,) = await refused(sample)

    printed = await sample.command(SAMPLE, "retry-refused", str(row["id"]), *DECISION)

    assert "1 events" in printed
    await sample.publish({"name": "big", "n": 3})
    assert [event["n"] for event in (await sample.results(6))["big"]] == [0, 1, 2, 3]
    await sample.wait_for("SELECT count(*) FROM outbox", 0)
    assert await refused(sample) == []
    (decided,) = await sample.query("SELECT decision, decided_by, decided_why FROM refused_events")
    assert tuple(decided) == ("retried", "Ann", "the limit was raised")


async def test_an_event_that_is_retried_too_early_is_refused_again_and_still_not_overtaken(sample: Harness) -> None:
    await start_with_a_refused_event(sample)
    (row,) = await refused(sample)

    await sample.command(SAMPLE, "retry-refused", str(row["id"]), *DECISION)

    await sample.wait_for("SELECT count(*) FROM refused_events", 2)
    (again,) = await refused(sample)
    assert (again["event_id"], again["waiting_behind"]) == (row["event_id"], 1)
    assert [event["n"] for event in (await sample.results(3))["big"]] == [0]


async def test_when_a_refused_event_is_dropped_what_waited_behind_it_is_published(sample: Harness) -> None:
    await start_with_a_refused_event(sample)
    (row,) = await refused(sample)

    await sample.command(SAMPLE, "drop-refused", str(row["id"]), "--who", "Ann", "--why", "nobody needs it")

    events = (await sample.results(4))["big"]
    assert [(event["n"], event["sequence"]) for event in events] == [(0, 1), (2, 3)]
    (decided,) = await sample.query("SELECT decision, decided_by, decided_why FROM refused_events")
    assert tuple(decided) == ("dropped", "Ann", "nobody needs it")


async def test_a_decision_about_a_refused_event_names_who_and_why_and_is_made_once(sample: Harness) -> None:
    await start_with_a_refused_event(sample)
    (row,) = await refused(sample)

    assert "--who" in await sample.command(SAMPLE, "drop-refused", str(row["id"]), "--why", "x", code=2)
    assert "--why" in await sample.command(SAMPLE, "retry-refused", str(row["id"]), "--who", "x", code=2)
    await sample.command(SAMPLE, "drop-refused", str(row["id"]), *DECISION)
    assert "do not wait" in await sample.command(SAMPLE, "retry-refused", str(row["id"]), *DECISION, code=1)


async def test_a_refused_event_stays_set_aside_when_its_process_is_killed(sample: Harness) -> None:
    await start_with_a_refused_event(sample)
    await sample.results(3)
    sample.instances[0].kill()
    await sample.start()

    await sample.publish({"name": "small", "n": 2}, {"name": "big", "n": 3})

    assert [event["n"] for event in (await sample.results(4))["small"]] == [0, 1, 2]
    await sample.wait_for("SELECT count(*) FROM outbox WHERE owner IS NULL", 2)
    assert len(await refused(sample)) == 1


async def test_one_refused_event_among_hundreds_costs_only_itself_and_repeats_none(sample: Harness) -> None:
    await sample.start()
    await sample.hold_results()
    published = requests(names=20, each=30)
    published[333]["padding"] = TOO_LARGE  # the last but 13 requests of its name are before it
    await sample.publish(*published)
    await sample.wait_for("SELECT count(*) FROM outbox", 600)
    await sample.pass_results(max_bytes=LIMIT)

    await sample.wait_for("SELECT count(*) FROM refused_events", 1)
    left = published[333]
    expected = 600 - (30 - left["n"])
    results = await sample.results(expected)
    assert [event["n"] for event in results.pop(left["name"])] == list(range(left["n"]))
    assert_in_order(results, names=19, each=30)
    assert len(await sample.read(sample.results_topic, lambda found: len(found) >= expected)) == expected


async def test_events_that_fit_one_by_one_are_not_refused_because_they_come_together(sample: Harness) -> None:
    """A topic for events takes batches of 272 KiB."""
    await sample.limit_result_bytes(272 * 1024)
    await sample.start()

    await sample.publish(*({"name": "name-0", "n": n, "padding": 140 * 1024} for n in range(4)))

    assert_in_order(await sample.results(4), names=1, each=4)
    assert await sample.query("SELECT FROM refused_events") == []
    assert not [line for line in sample.log(0) if line["event"] == "publishing_failed"]
