"""Operators' commands: a record that stands in the way is skipped; each command is carried out once and answered."""

import asyncio
import uuid
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from contracts.topics import OPERATIONS
from tests.chassis.harness import Harness
from tests.chassis.operator import (
    BY,
    SAMPLE,
    answers,
    log_of_operations,
    order,
    publish_bad,
    publish_operation,
    readiness,
    until_health,
    until_healthy,
)
from tests.chassis.test_unreadable import publish_to
from tests.topics import publish_undecodable, undecodable_batch

pytestmark = pytest.mark.infra


async def letters_at(sample: Harness, *places: tuple[int, int]) -> list[dict[str, Any]]:
    """The dead letters of the records at these places (partition, offset), as soon as each has one."""
    found = await sample.dead_letters(len(places))
    by_place = {(letter["partition"], letter["offset"]): letter for letter in found}
    return [by_place[place] for place in places]


async def test_a_partition_flows_again_when_its_undecodable_record_is_skipped(sample: Harness) -> None:
    await sample.start()
    await publish_to(sample, 1, "one", range(3))
    await publish_undecodable(sample.bootstrap, sample.requests_topic, 1)
    await publish_to(sample, 1, "one", range(3, 5))
    said = await until_health(sample, "cannot be read")
    assert f"run `python -m {SAMPLE} skip {sample.requests_topic} 1 3 --who" in said

    answer = await order(sample, "skip", sample.requests_topic, "1", "3")

    assert answer["outcome"] == "done"
    assert [event["n"] for event in (await sample.results(5))["one"]] == list(range(5))
    await until_healthy(sample)
    (letter,) = await letters_at(sample, (1, 3))
    assert letter["reason"] == "skipped-unread"
    assert letter["original"].pop("token")
    assert letter["original"] == {"key": None, "headers": [], "value": None}
    (row,) = await sample.query("SELECT reason, topic, partition, record_offset FROM parked")
    assert tuple(row) == ("skipped-unread", sample.requests_topic, 1, 3), "the letter is open until it is discarded"
    assert [tuple(row) for row in await log_of_operations(sample)] == [("skip-record.v1", BY[1], BY[3], "done", "")]


async def test_a_record_that_is_skipped_is_passed_over_whatever_crashed_in_between(sample: Harness) -> None:
    skip = "INSERT INTO skipped_records VALUES ('{}', {}, {})"
    await publish_undecodable(sample.bootstrap, sample.requests_topic, 1)
    await publish_to(sample, 1, "one", range(2))
    await publish_to(sample, 2, "two", range(3))
    await sample.query(skip.format(sample.requests_topic, 2, 1))
    await sample.start()
    await until_health(sample, "cannot be read")

    await sample.query(skip.format(sample.requests_topic, 1, 0))

    results = await sample.results(4)
    assert {name: [event["n"] for event in events] for name, events in results.items()} == {
        "one": [0, 1],
        "two": [0, 2],
    }
    await until_healthy(sample)


async def test_of_a_batch_that_cannot_be_decoded_each_record_is_skipped_by_itself(sample: Harness) -> None:
    await publish_undecodable(sample.bootstrap, sample.requests_topic, 1, records=2)
    await publish_to(sample, 1, "one", range(1))
    await sample.start()

    for offset in ("0", "1"):
        await until_health(sample, f"cannot be read at offset {offset}")
        await order(sample, "skip", sample.requests_topic, "1", offset)

    assert [event["n"] for event in (await sample.results(1))["one"]] == [0]
    await letters_at(sample, (1, 0), (1, 1))


async def test_undecodable_records_of_every_instance_are_skipped(sample: Harness) -> None:
    await sample.start(KAFKA_GROUP_INSTANCE_ID="one")
    await sample.start(KAFKA_GROUP_INSTANCE_ID="two")
    for partition in range(3):
        await publish_undecodable(sample.bootstrap, sample.requests_topic, partition)
        await publish_to(sample, partition, f"p{partition}", range(2))
    await sample.wait_for_log(0, "partition_unreadable")
    await sample.wait_for_log(1, "partition_unreadable")

    for partition in range(3):
        assert (await order(sample, "skip", sample.requests_topic, str(partition), "0"))["outcome"] == "done"

    assert {name: len(events) for name, events in (await sample.results(6)).items()} == {"p0": 2, "p1": 2, "p2": 2}
    for instance in (0, 1):
        await until_healthy(sample, instance)


async def test_the_next_record_of_a_paused_topic_is_skipped_with_its_bytes(sample: Harness) -> None:
    await sample.start()
    await publish_bad(sample, range(60), partition=0)
    await publish_to(sample, 0, "good", range(1))
    await until_health(sample, "offset 50")
    topic = sample.requests_topic

    refused = await order(sample, "skip", topic, "0", "52", code=1)
    for offset in (50, 51):
        assert (await order(sample, "skip", topic, "0", str(offset)))["outcome"] == "done"

    assert refused["reason"] == "not-stuck"
    letters = await letters_at(sample, *((0, offset) for offset in range(52)))
    assert [letter["reason"] for letter in letters] == ["invalid"] * 50 + ["skipped"] * 2
    assert letters[50]["original"]["value"] == "bm90IGpzb24="  # not json
    assert await sample.query("SELECT * FROM tallies") == [], "the topic is still paused"
    await order(sample, "resume", topic)
    assert [event["n"] for event in (await sample.results(1))["good"]] == [0]


async def test_a_record_of_a_batch_that_fails_again_and_again_is_skipped(sample: Harness) -> None:
    await sample.start()
    await sample.query("ALTER TABLE tallies RENAME TO hidden")
    await publish_to(sample, 2, "a", range(3))
    await sample.wait_for_log(0, "reading_stopped")

    assert (await order(sample, "skip", sample.requests_topic, "2", "1"))["outcome"] == "done"
    await sample.query("ALTER TABLE hidden RENAME TO tallies")

    assert [event["n"] for event in (await sample.results(2))["a"]] == [0, 2]
    (letter,) = await letters_at(sample, (2, 1))
    assert letter["reason"] == "skipped"


async def test_a_record_that_stops_nothing_is_not_skipped(sample: Harness) -> None:
    await sample.start()
    await publish_to(sample, 1, "one", range(3))
    await publish_undecodable(sample.bootstrap, sample.requests_topic, 1)
    await publish_to(sample, 1, "one", range(3, 5))
    await until_health(sample, "cannot be read")
    topic = sample.requests_topic

    by = {"service": sample.service, "who": "olga", "why": "проба"}
    places = [(topic, 1, 2), (topic, 1, 4), (topic, 1, 6), (topic, 0, 0), (topic, 7, 0), ("verdicts", 0, 0)]
    orders = [
        await publish_operation(sample, "skip-record.v1", {**by, "topic": name, "partition": number, "offset": offset})
        for name, number, offset in [*places, (OPERATIONS, 0, 0)]
    ]

    assert [(await answers(sample, one))[0]["reason"] for one in orders] == [
        "already-handled",
        "not-stuck",
        "beyond-the-end",
        "beyond-the-end",
        "unknown-partition",
        "not-read",
        "not-read",
    ]
    assert await sample.query("SELECT * FROM skipped_records") == []
    assert "truce_dead_letters_total{" not in await sample.metrics()
    assert (await order(sample, "skip", topic, "1", "3"))["outcome"] == "done"
    assert (await order(sample, "skip", topic, "1", "3", code=1))["reason"] == "already-handled"


@pytest.mark.parametrize("by", [("--who", " ", "--why", "x"), ("--who", "olga", "--why", ""), ()])
async def test_an_order_without_who_and_why_is_refused(sample: Harness, by: tuple[str, ...]) -> None:
    printed = await sample.command(SAMPLE, "resume", "t", *by, code=1, SAMPLE_SUFFIX=sample.suffix)

    assert "отказано" in printed


async def test_the_texts_of_an_answer_are_for_people(sample: Harness) -> None:
    await sample.start()
    await publish_undecodable(sample.bootstrap, sample.requests_topic, 1)
    await until_health(sample, "cannot be read")
    topic = sample.requests_topic

    done = await sample.command(SAMPLE, "skip", topic, "1", "0", *BY, SAMPLE_SUFFIX=sample.suffix)
    refused = await sample.command(SAMPLE, "resume", topic, *BY, code=1, SAMPLE_SUFFIX=sample.suffix)

    assert f"выполнено: запись {topic}/1/0 пропущена" in done
    assert "отказано: топик не приостановлен" in refused


async def test_an_order_to_a_stopped_service_waits_for_it(sample: Harness) -> None:
    answer = await order(sample, "resume", sample.requests_topic, "--wait", "1", code=2)
    assert answer["outcome"] == "unanswered"

    await sample.start()

    (answered,) = await answers(sample, uuid.UUID(answer["operation"]))
    assert (answered["ce_type"], answered["reason"]) == ("operation-refused.v1", "not-paused")


async def test_an_operation_that_is_published_again_is_carried_out_once(sample: Harness) -> None:
    await sample.start()
    await sample.query("INSERT INTO tallies VALUES ('a', 7)")
    body = {"service": sample.service, "who": "olga", "why": "проба", "name": "a"}

    operation = await publish_operation(sample, "forget-tally.v1", body)
    await answers(sample, operation)
    await publish_operation(sample, "forget-tally.v1", body, operation)
    other = await publish_operation(sample, "forget-tally.v1", body)

    assert [one["reason"] for one in await answers(sample, other)] == ["no-tally"]
    (answer,) = await answers(sample, operation)
    assert (answer["ce_type"], answer["result"]) == ("operation-done.v1", "7")
    assert (answer["kind"], answer["service"]) == ("forget-tally.v1", sample.service)
    assert len(await log_of_operations(sample)) == 2


async def test_an_operation_that_cannot_be_carried_out_is_refused_with_a_reason(sample: Harness) -> None:
    await sample.start()
    good = {"service": sample.service, "who": "olga", "why": "проба"}
    topic = {"topic": sample.requests_topic}
    cases = {
        "blank who": ("resume-topic.v1", {**good, **topic, "who": " "}),
        "no why": ("resume-topic.v1", {"service": sample.service, "who": "olga", **topic}),
        "NUL": ("resume-topic.v1", {**good, **topic, "why": "a\0b"}),
        "no topic": ("resume-topic.v1", good),
        "wrong type": ("skip-record.v1", {**good, **topic, "partition": "x", "offset": 0}),
        "negative": ("skip-record.v1", {**good, **topic, "partition": 0, "offset": -1}),
        "unknown kind": ("make-tea.v1", good),
        "the handler raises": ("forget-tally.v1", {**good, "name": "broken"}),
    }

    published = {case: await publish_operation(sample, *operation) for case, operation in cases.items()}

    reasons = {case: (await answers(sample, operation))[0]["reason"] for case, operation in published.items()}
    assert reasons == {
        **dict.fromkeys(cases, "invalid"),
        "unknown kind": "unknown-operation",
        "the handler raises": "failed",
    }


async def test_bad_records_on_the_topic_of_operations_stop_nothing(sample: Harness) -> None:
    await sample.start()
    good = {"service": sample.service, "who": "olga", "why": "проба", "topic": "t"}
    for bad in (b"not json", b"", b"[]", b'"text"', b"\xff", b'{"service": 5}', b"null"):
        await publish_operation(sample, "resume-topic.v1", bad)
    producer = AIOKafkaProducer(bootstrap_servers=sample.bootstrap)
    await producer.start()
    for n in range(60):
        await producer.send(
            OPERATIONS, b"{" if n % 2 else None, key=b"x", headers=[("ce_id", b"\xff")] if n % 3 else []
        )
    await (await producer.send_batch(undecodable_batch(producer), OPERATIONS, partition=0))
    await producer.stop()
    await publish_operation(sample, "resume-topic.v1", {**good, "service": "another"})

    operation = await publish_operation(sample, "resume-topic.v1", good)

    (answer,) = await answers(sample, operation)
    assert answer["reason"] == "not-paused"
    assert (await readiness(sample)).json() == {"status": "ok"}
    assert "truce_dead_letters_total{" not in await sample.metrics()
    assert len(await log_of_operations(sample)) == 1
    log = await asyncio.to_thread(lambda: (sample.folder / "0.log").read_text())
    assert "record_stepped_over" in log
    assert "olga" not in log
    assert "проба" not in log
