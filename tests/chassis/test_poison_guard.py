"""A topic of which too many records fail is paused, until a person resumes it."""

from dataclasses import dataclass

import pytest

from chassis.consumer.poison_guard import PoisonGuard, Tripped
from tests.chassis.harness import Harness
from tests.chassis.operator import BY, SAMPLE, log_of_operations, order, publish_bad, until_health, until_healthy
from tests.chassis.test_unreadable import publish_to


@dataclass(frozen=True)
class Read:
    """A record as far as the guard looks at it."""

    offset: int
    topic: str = "t"
    partition: int = 0
    key: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    value: bytes | None = None


def count(guard: PoisonGuard, offsets: range, *, failing: range) -> None:
    for offset in offsets:
        guard.count(Read(offset))
        if offset in failing:
            guard.count_failure(Read(offset))


def test_the_fifty_first_failure_trips_the_guard() -> None:
    guard = PoisonGuard(0.2)
    count(guard, range(50), failing=range(50))

    guard.count(Read(50))
    with pytest.raises(Tripped, match="51 of the last 51 records failed, the last at partition 0, offset 50"):
        guard.count_failure(Read(50))


def test_a_batch_that_is_tried_again_does_not_count_its_failures_twice() -> None:
    guard = PoisonGuard(0.2)
    count(guard, range(51), failing=range(50))

    for _ in range(3):
        with pytest.raises(Tripped, match="51 of the last 51"):
            guard.count_failure(Read(50))
    guard.count_failure(Read(49))


def test_a_share_of_a_thousand_records_may_fail() -> None:
    guard = PoisonGuard(0.2)
    count(guard, range(1000), failing=range(4, 1000, 5))

    with pytest.raises(Tripped, match="201 of the last 1000"):
        guard.count_failure(Read(3))


def test_failures_before_the_last_thousand_records_are_forgotten() -> None:
    guard = PoisonGuard(0.2)
    count(guard, range(50), failing=range(50))
    count(guard, range(50, 1050), failing=range(0))

    count(guard, range(1050, 1100), failing=range(1050, 1100))


@pytest.mark.infra
async def test_a_paused_topic_flows_again_after_the_operators_command(sample: Harness) -> None:
    await sample.start()
    await publish_bad(sample, range(60), partition=0)
    await publish_to(sample, 0, "good", range(1))

    said = await until_health(sample, "is paused since")
    topic = sample.requests_topic
    assert f"{topic} is paused since 20" in said
    assert "51 of the last" in said
    assert f"run `python -m {SAMPLE} resume {topic} --who" in said
    assert f'truce_topic_paused{{service="{sample.service}",topic="{topic}"}} 1.0' in await sample.metrics()
    assert len({letter["offset"] for letter in await sample.dead_letters(50)}) == 50

    answer = await order(sample, "resume", topic)

    assert answer["outcome"] == "done"
    assert answer["result"].startswith("20")
    assert [event["n"] for event in (await sample.results(1))["good"]] == [0]
    assert len({letter["offset"] for letter in await sample.dead_letters(60)}) == 60
    await until_healthy(sample)
    assert [tuple(row) for row in await log_of_operations(sample)] == [
        ("resume-topic.v1", BY[1], BY[3], "done", answer["result"])
    ]
    assert f'truce_topic_paused{{service="{sample.service}",topic="{topic}"}} 0.0' in await sample.metrics()


@pytest.mark.infra
async def test_records_before_the_one_that_trips_the_guard_are_handled(sample: Harness) -> None:
    await publish_to(sample, 1, "before", range(5))
    await publish_bad(sample, range(60), partition=1)
    await publish_to(sample, 1, "behind", range(1))
    await sample.start()

    await until_health(sample, "is paused since")

    results = await sample.results(5)
    assert {name: [event["n"] for event in events] for name, events in results.items()} == {"before": list(range(5))}
    assert len({letter["offset"] for letter in await sample.dead_letters(50)}) == 50


@pytest.mark.infra
async def test_a_pause_survives_a_restart_and_costs_no_more_dead_letters(sample: Harness) -> None:
    await sample.start()
    await publish_bad(sample, range(300), partition=0)
    before = await until_health(sample, "is paused since")
    await sample.dead_letters(50)
    await sample.wait_for("SELECT count(*) FROM paused_topics", 1)
    sample.instances[-1].kill()

    await sample.start()
    after = await until_health(sample, "is paused since")
    await publish_to(sample, 1, "other", range(1))  # another partition of the same topic waits, too

    assert after.partition(" UTC")[0] == before.partition(" UTC")[0]
    assert len({letter["offset"] for letter in await sample.dead_letters(50)}) == 50
    assert await sample.query("SELECT * FROM tallies") == []


@pytest.mark.infra
async def test_after_a_resume_the_guard_counts_anew(sample: Harness) -> None:
    await sample.start()
    await publish_bad(sample, range(120), partition=0)
    await until_health(sample, "is paused since")

    await order(sample, "resume", sample.requests_topic)
    await sample.dead_letters(100)
    await until_health(sample, "is paused since")
    await order(sample, "resume", sample.requests_topic)

    assert len({letter["offset"] for letter in await sample.dead_letters(120)}) == 120
    await until_healthy(sample)


@pytest.mark.infra
async def test_a_topic_pauses_and_resumes_in_every_process_of_the_service(sample: Harness) -> None:
    await sample.start(KAFKA_GROUP_INSTANCE_ID="one")
    await sample.start(KAFKA_GROUP_INSTANCE_ID="two")
    for partition in range(3):
        await publish_to(sample, partition, f"before-{partition}", range(1))
    await sample.results(3)
    await publish_bad(sample, range(60), partition=0)
    for instance in (0, 1):
        await until_health(sample, "is paused since", instance)
    for partition in range(3):
        await publish_to(sample, partition, f"after-{partition}", range(1))

    await order(sample, "resume", sample.requests_topic)

    assert len(await sample.results(6)) == 6
    for instance in (0, 1):
        await until_healthy(sample, instance)


@pytest.mark.infra
async def test_a_topic_that_is_not_paused_is_not_resumed(sample: Harness) -> None:
    await sample.start()

    answer = await order(sample, "resume", sample.requests_topic, code=1)

    assert (answer["outcome"], answer["reason"]) == ("refused", "not-paused")
