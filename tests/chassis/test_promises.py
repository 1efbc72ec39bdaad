"""The guarantees of the chassis, tested with real processes, real Kafka and real PostgreSQL."""

import asyncio
import signal
from itertools import pairwise

import asyncpg
import pytest

from chassis.database import presence
from tests.chassis.harness import Harness, assert_in_order, headers_for, requests

pytestmark = pytest.mark.infra


async def test_a_message_that_is_published_twice_counts_once_and_in_order(sample: Harness) -> None:
    await sample.start()
    published = requests(names=5, each=40)

    await sample.publish(*published)
    await sample.publish(*published)

    assert_in_order(await sample.results(200), names=5, each=40)
    await sample.wait_for("SELECT count(*) FROM outbox", 0)
    assert (await sample.query("SELECT sum(count) FROM tallies"))[0][0] == 200


async def test_two_instances_share_the_partitions_and_keep_the_order_of_each_key(sample: Harness) -> None:
    await sample.start()
    await sample.start(KAFKA_GROUP_INSTANCE_ID="two")

    await sample.publish(*requests(names=12, each=50))

    assert_in_order(await sample.results(600), names=12, each=50)


async def test_a_service_killed_three_times_loses_no_message_and_repeats_none(sample: Harness) -> None:
    published = requests(names=7, each=60)
    for part in range(3):
        process = await sample.start()
        await sample.publish(*published[part * 140 : (part + 1) * 140])
        await asyncio.sleep(0.03 * part)  # each kill comes at another moment
        process.kill()
        process.wait()
    await sample.start()

    assert_in_order(await sample.results(420), names=7, each=60)
    assert (await sample.query("SELECT sum(count) FROM tallies"))[0][0] == 420


async def test_an_unpublished_event_of_a_live_process_is_not_overtaken(sample: Harness) -> None:
    other = await asyncpg.connect(sample.url)
    await other.fetch(f"SELECT pg_advisory_lock({presence.LOCK_CLASS}, 7)")  # the other process lives, and hangs
    await sample.query(
        "INSERT INTO outbox (event_id, owner, topic, key, headers, value) VALUES"
        f" (gen_random_uuid(), 7, '{sample.results_topic}', 'name-0', '"
        '[["ce_id", "hangs"], ["ce_sequence", "0"]]'
        '\', \'{"name": "name-0", "n": -1, "count": 0}\')'
    )
    await sample.start()
    await sample.publish(*requests(names=2, each=10))

    # Every event that may be published was; the ten others wait behind the event of the other process.
    assert set(await sample.results(10)) == {"name-1"}
    await sample.wait_for("SELECT count(*) FROM outbox WHERE key = 'name-0'", 11)
    await other.close()
    results = await sample.results(21)
    assert [event["n"] for event in results["name-0"]] == list(range(-1, 10))


async def test_an_event_left_by_a_dead_process_is_published_before_later_events_of_its_key(sample: Harness) -> None:
    """No connection holds the identity 7, so its rows are freed."""
    await sample.query(
        "INSERT INTO outbox (event_id, owner, topic, key, headers, value) VALUES"
        f" (gen_random_uuid(), 7, '{sample.results_topic}', 'name-0', '"
        '[["ce_id", "left-behind"], ["ce_sequence", "0"]]'
        '\', \'{"name": "name-0", "n": -1, "count": 0}\')'
    )
    await sample.start()

    await sample.publish(*requests(names=1, each=20))

    results = await sample.results(21)
    assert [event["n"] for event in results["name-0"]] == list(range(-1, 20))


async def test_unreadable_records_become_dead_letters_and_do_not_stop_their_key(sample: Harness) -> None:
    await sample.start()
    good = {"name": "name-0", "n": 0}
    envelope = headers_for(good)
    odd = b"\xff\xfe"

    await sample.publish_raw(
        [
            (b"name-0", envelope, b"not json"),
            (b"name-0", envelope, b'{"name": "name-0", "n": "many"}'),
            (b"name-0", envelope, None),
            (b"name-0", [], b"{}"),
            (odd, [("ce_type", odd), ("odd", odd)], odd),
            (b"name-0", envelope, b'"' + "длинно".encode() * 25_000 + b'"'),
        ]
    )
    await sample.publish(good)

    letters = await sample.dead_letters(6)
    assert sorted(letter["reason"] for letter in letters) == ["invalid"] * 4 + ["no-envelope"] * 2
    assert {letter["original"]["value"] for letter in letters} >= {"bm90IGpzb24=", None, "//4="}
    assert [event["n"] for event in (await sample.results(1))["name-0"]] == [0]


async def test_a_message_with_a_header_that_is_not_utf8_is_handled(sample: Harness) -> None:
    await sample.start()
    good = {"name": "name-0", "n": 0}

    await sample.publish_raw([(b"name-0", [*headers_for(good), ("x-odd", b"\xff")], b'{"name": "name-0", "n": 0}')])

    assert len((await sample.results(1))["name-0"]) == 1


async def test_messages_of_an_unknown_kind_or_version_are_skipped(sample: Harness) -> None:
    await sample.start()
    newer = [
        (name, b"count-requested.v2" if name == "ce_type" else value)
        for name, value in headers_for({"name": "a", "n": 9})
    ]

    await sample.publish_raw([(b"name-0", newer, b"{}")])
    await sample.publish({"name": "name-0", "n": 0})

    assert len((await sample.results(1))["name-0"]) == 1
    assert (await sample.query("SELECT count(*) FROM inbox"))[0][0] == 1


async def test_a_failed_message_stops_only_later_messages_of_its_key(sample: Harness) -> None:
    await sample.start()

    await sample.publish(
        {"name": "good", "n": 0},
        {"name": "bad", "n": 0},
        {"name": "bad", "n": 1, "action": "fail"},
        {"name": "bad", "n": 2},
        {"name": "good", "n": 1},
    )

    # The dead letters are in several partitions, which are read in no particular order.
    letters = sorted(await sample.dead_letters(2), key=lambda letter: letter["offset"])
    assert [letter["reason"] for letter in letters] == ["failed", "behind-parked"]
    results = await sample.results(3)
    assert [event["n"] for event in results["good"]] == [0, 1]
    assert [event["n"] for event in results["bad"]] == [0]


async def test_a_key_that_postgresql_cannot_store_stops_no_other_key(sample: Harness) -> None:
    await sample.start()

    await sample.publish({"name": "nul\0", "n": 0}, {"name": "good", "n": 0})

    (letter,) = await sample.dead_letters(1)
    assert letter["reason"] == "failed"
    assert len((await sample.results(1))["good"]) == 1


async def test_calls_of_one_key_are_made_one_at_a_time_and_in_order(sample: Harness) -> None:
    await sample.start()

    await sample.publish(*requests(names=4, each=10, action="call"))

    await sample.wait_for("SELECT count(*) FROM work WHERE state = 'done'", 40)
    calls = await sample.query("SELECT * FROM calls ORDER BY began")
    for name in range(4):
        of_name = [call for call in calls if call["name"] == f"name-{name}"]
        assert [call["n"] for call in of_name] == list(range(10))
        assert all(call["ended"] <= following["began"] for call, following in pairwise(of_name))


async def test_a_parked_call_that_is_retried_waits_for_the_call_of_its_key_in_flight(sample: Harness) -> None:
    await sample.start(SAMPLE_CALL_S="2")
    await sample.query(
        "INSERT INTO work (kind, ref, key, payload, cause, state) VALUES"
        """ ('call', 'early', 'name-0', '{"n": -1, "action": "call"}', '{"id": "i", "correlation": "c"}', 'parked')"""
    )
    await sample.publish({"name": "name-0", "n": 0, "action": "call"})
    await sample.wait_for("SELECT count(*) FROM calls", 1)

    await sample.query("UPDATE work SET state = 'waiting'")

    await sample.wait_for("SELECT count(*) FROM work WHERE state = 'done'", 2)
    first, second = await sample.query("SELECT * FROM calls ORDER BY began")
    assert (first["n"], second["n"]) == (0, -1)
    assert first["ended"] <= second["began"]


async def test_messages_and_answers_of_one_key_are_decided_one_after_the_other(sample: Harness) -> None:
    """Answers arrive on other connections, while more messages of the key are read."""
    await sample.start()
    for first in range(0, 200, 4):
        await sample.publish(*({"name": "name-0", "n": first + n, "action": "call"} for n in range(4)))

    events = (await sample.results(400))["name-0"]
    assert [event["sequence"] for event in events] == list(range(1, 401))
    assert [event["n"] for event in events if event["called"]] == list(range(200))


async def test_a_call_cut_off_by_a_kill_is_repeated_in_doubt_and_recorded_once(sample: Harness) -> None:
    process = await sample.start(SAMPLE_CALL_S="30")
    await sample.publish({"name": "name-0", "n": 0, "action": "call"})
    await sample.wait_for("SELECT count(*) FROM calls", 1)
    process.kill()
    process.wait()
    await sample.start()

    await sample.wait_for("SELECT count(*) FROM work WHERE state = 'done'", 1)
    calls = await sample.query("SELECT in_doubt FROM calls ORDER BY id")
    assert [call["in_doubt"] for call in calls] == [False, True]
    events = (await sample.results(2))["name-0"]
    assert [event["called"] for event in events] == [False, True]


async def test_sigterm_finishes_the_calls_in_flight_and_starts_no_other(sample: Harness) -> None:
    process = await sample.start(SAMPLE_CALL_S="1", SAMPLE_CALLS_AT_ONCE="1")
    await sample.publish(*requests(names=3, each=1, action="call"))
    await sample.wait_for("SELECT count(*) FROM work WHERE owner IS NOT NULL", 3)

    process.send_signal(signal.SIGTERM)

    assert await asyncio.to_thread(process.wait, 20) == 0
    # The call in flight is finished. The two others were not started, so they are not in doubt.
    assert len(await sample.query("SELECT FROM calls")) == 1
    work = await sample.query("SELECT state, owner, in_doubt FROM work ORDER BY state")
    assert [tuple(row) for row in work] == [("done", None, False), *[("waiting", None, False)] * 2]
    assert len(await sample.query("SELECT FROM outbox")) == 0
    assert sum(map(len, (await sample.results(4)).values())) == 4
    assert [line["event"] for line in sample.log(0)][-1] == "service_stopped"


async def test_a_service_is_not_ready_while_a_batch_hangs_and_is_ready_after_it(sample: Harness) -> None:
    """All connections are open; the batch waits for a lock."""
    await sample.start()
    connection = await asyncpg.connect(sample.url)
    async with connection.transaction():
        await connection.execute("LOCK TABLE tallies IN ACCESS EXCLUSIVE MODE")
        await sample.publish({"name": "name-0", "n": 0})
        await sample.wait_for_readiness(503)
    await connection.close()

    assert len((await sample.results(1))["name-0"]) == 1
    await sample.wait_for_readiness(200)


async def test_the_log_names_the_type_and_the_correlation_of_each_event(sample: Harness) -> None:
    await sample.start()
    await sample.publish({"name": "name-0", "n": 0})
    await sample.results(1)

    (recorded,) = [line for line in sample.log(0) if line["event"] == "events_recorded"]
    (event,) = recorded["events"]
    assert event["type"] == "counted.v1"
    assert event["correlation_id"]


async def test_logs_hold_no_content_of_messages(sample: Harness) -> None:
    await sample.start()
    await sample.publish(
        {"name": "Ferdinand", "n": 0}, {"name": "Ferdinand", "n": 1, "action": "fail"}, {"name": "b", "n": 0}
    )
    await sample.dead_letters(1)

    text = (sample.folder / "0.log").read_text()
    assert "input_failed" in text
    assert "Ferdinand" not in text


async def test_old_inbox_ids_and_finished_work_are_deleted_and_parked_work_is_kept(sample: Harness) -> None:
    await sample.start(SAMPLE_INBOX_KEPT_FOR="PT1S", SAMPLE_WORK_KEPT_FOR="PT1S")
    await sample.publish(*requests(names=3, each=5, action="call"))
    await sample.results(30)
    await sample.query(
        "INSERT INTO work (kind, ref, key, payload, cause, state, finished_at)"
        " VALUES ('call', 'kept', 'k', '{}', '{}', 'parked', now() - interval '1 day')"
    )

    await sample.wait_for("SELECT count(*) FROM inbox", 0)
    await sample.wait_for("SELECT count(*) FROM work WHERE state <> 'parked'", 0)
    await sample.wait_for("SELECT count(*) FROM outbox", 0)
    assert [row["ref"] for row in await sample.query("SELECT ref FROM work")] == ["kept"]
