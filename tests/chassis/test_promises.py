"""What the chassis promises, held against real processes, real Kafka and real PostgreSQL."""

import asyncio
import signal
from itertools import pairwise

import asyncpg
import pytest

from chassis.database import presence
from tests.chassis.conftest import Sample, assert_in_order, headers_for, messages

pytestmark = pytest.mark.infra


async def test_each_message_is_told_once_and_in_order_however_often_it_is_repeated(sample: Sample) -> None:
    await sample.start()
    said = messages(names=5, each=40)

    await sample.say(*said)
    await sample.say(*said)

    assert_in_order(await sample.stories(200), names=5, each=40)
    await sample.until("SELECT count(*) FROM outbox", 0)
    assert (await sample.query("SELECT sum(count) FROM tallies"))[0][0] == 200


async def test_two_instances_share_the_work_and_keep_the_order(sample: Sample) -> None:
    await sample.start()
    await sample.start(KAFKA_GROUP_INSTANCE_ID="two")

    await sample.say(*messages(names=12, each=50))

    assert_in_order(await sample.stories(600), names=12, each=50)


async def test_killed_again_and_again_it_loses_nothing_and_repeats_nothing(sample: Sample) -> None:
    said = messages(names=7, each=60)
    for part in range(3):
        process = await sample.start()
        await sample.say(*said[part * 140 : (part + 1) * 140])
        await asyncio.sleep(0.03 * part)  # a kill at another moment each time
        process.kill()
        process.wait()
    await sample.start()

    assert_in_order(await sample.stories(420), names=7, each=60)
    assert (await sample.query("SELECT sum(count) FROM tallies"))[0][0] == 420


async def test_what_another_live_process_has_not_told_yet_is_not_overtaken(sample: Sample) -> None:
    other = await asyncpg.connect(sample.url)
    await other.fetch(f"SELECT pg_advisory_lock({presence._LOCK_CLASS}, 7)")  # it lives, and hangs
    await sample.query(
        "INSERT INTO outbox (event_id, owner, topic, key, headers, value) VALUES"
        f" (gen_random_uuid(), 7, '{sample.told}', 'name-0', '"
        '[["ce_id", "hangs"], ["ce_sequence", "0"]]'
        '\', \'{"name": "name-0", "n": -1, "count": 0}\')'
    )
    await sample.start()
    await sample.say(*messages(names=2, each=10))

    # All that may leave has left; the other ten wait.
    assert set(await sample.stories(10)) == {"name-1"}
    await sample.until("SELECT count(*) FROM outbox WHERE key = 'name-0'", 11)
    await other.close()
    stories = await sample.stories(21)
    assert [event["n"] for event in stories["name-0"]] == list(range(-1, 10))


async def test_what_a_dead_process_left_in_the_outbox_leaves_before_what_follows_it(sample: Sample) -> None:
    """The dead one's identity is gone with its connection, so its rows are anybody's."""
    await sample.query(
        "INSERT INTO outbox (event_id, owner, topic, key, headers, value) VALUES"
        f" (gen_random_uuid(), 7, '{sample.told}', 'name-0', '"
        '[["ce_id", "left-behind"], ["ce_sequence", "0"]]'
        '\', \'{"name": "name-0", "n": -1, "count": 0}\')'
    )
    await sample.start()

    await sample.say(*messages(names=1, each=20))

    stories = await sample.stories(21)
    assert [event["n"] for event in stories["name-0"]] == list(range(-1, 20))


async def test_unreadable_records_go_to_the_dead_letters_whole_and_the_next_passes(sample: Sample) -> None:
    await sample.start()
    good = {"name": "name-0", "n": 0}
    envelope = headers_for(good)
    odd = b"\xff\xfe"

    await sample.send(
        [
            (b"name-0", envelope, b"not json"),
            (b"name-0", envelope, b'{"name": "name-0", "n": "many"}'),
            (b"name-0", envelope, None),
            (b"name-0", [], b"{}"),
            (odd, [("ce_type", odd), ("odd", odd)], odd),
            (b"name-0", envelope, b'"' + "длинно".encode() * 25_000 + b'"'),
        ]
    )
    await sample.say(good)

    letters = await sample.dead(6)
    assert sorted(letter["reason"] for letter in letters) == ["invalid"] * 4 + ["no-envelope"] * 2
    assert {letter["original"]["value"] for letter in letters} >= {"bm90IGpzb24=", None, "//4="}
    assert [event["n"] for event in (await sample.stories(1))["name-0"]] == [0]


async def test_headers_that_are_not_utf8_do_not_stop_a_good_message(sample: Sample) -> None:
    await sample.start()
    good = {"name": "name-0", "n": 0}

    await sample.send([(b"name-0", [*headers_for(good), ("x-odd", b"\xff")], b'{"name": "name-0", "n": 0}')])

    assert len((await sample.stories(1))["name-0"]) == 1


async def test_kinds_and_versions_it_does_not_know_are_passed_over(sample: Sample) -> None:
    await sample.start()
    newer = [(name, b"heard.v2" if name == "ce_type" else value) for name, value in headers_for({"name": "a", "n": 9})]

    await sample.send([(b"name-0", newer, b"{}")])
    await sample.say({"name": "name-0", "n": 0})

    assert len((await sample.stories(1))["name-0"]) == 1
    assert (await sample.query("SELECT count(*) FROM inbox"))[0][0] == 1


async def test_one_that_fails_costs_only_itself_and_nothing_of_its_key_overtakes_it(sample: Sample) -> None:
    await sample.start()

    await sample.say(
        {"name": "good", "n": 0},
        {"name": "bad", "n": 0},
        {"name": "bad", "n": 1, "wish": "fail"},
        {"name": "bad", "n": 2},
        {"name": "good", "n": 1},
    )

    # Dead letters lie in several partitions, which are read in no order.
    letters = sorted(await sample.dead(2), key=lambda letter: letter["offset"])
    assert [letter["reason"] for letter in letters] == ["failed", "behind-parked"]
    stories = await sample.stories(3)
    assert [event["n"] for event in stories["good"]] == [0, 1]
    assert [event["n"] for event in stories["bad"]] == [0]


async def test_a_key_that_no_database_can_hold_stops_nobody_else(sample: Sample) -> None:
    await sample.start()

    await sample.say({"name": "nul\0", "n": 0}, {"name": "good", "n": 0})

    (letter,) = await sample.dead(1)
    assert letter["reason"] == "failed"
    assert len((await sample.stories(1))["good"]) == 1


async def test_calls_of_one_key_are_made_one_at_a_time_and_in_order(sample: Sample) -> None:
    await sample.start()

    await sample.say(*messages(names=4, each=10, wish="call"))

    await sample.until("SELECT count(*) FROM work WHERE state = 'done'", 40)
    calls = await sample.query("SELECT * FROM calls ORDER BY began")
    for name in range(4):
        of_name = [call for call in calls if call["name"] == f"name-{name}"]
        assert [call["n"] for call in of_name] == list(range(10))
        assert all(one["ended"] <= following["began"] for one, following in pairwise(of_name))


async def test_one_that_is_retried_by_hand_waits_for_the_call_of_its_key_that_is_in_flight(sample: Sample) -> None:
    await sample.start(SAMPLE_CALL_S="2")
    await sample.query(
        "INSERT INTO work (kind, ref, key, payload, cause, state) VALUES"
        """ ('call', 'early', 'name-0', '{"n": -1, "again": false}', '{"id": "i", "correlation": "c"}', 'parked')"""
    )
    await sample.say({"name": "name-0", "n": 0, "wish": "call"})
    await sample.until("SELECT count(*) FROM calls", 1)

    await sample.query("UPDATE work SET state = 'waiting'")

    await sample.until("SELECT count(*) FROM work WHERE state = 'done'", 2)
    first, second = await sample.query("SELECT * FROM calls ORDER BY began")
    assert (first["n"], second["n"]) == (0, -1)
    assert first["ended"] <= second["began"]


async def test_what_is_heard_and_what_came_of_a_call_are_decided_one_after_the_other(sample: Sample) -> None:
    """Answers come back while more is heard of the same key, on other connections."""
    await sample.start()
    for first in range(0, 200, 4):
        await sample.say(*({"name": "name-0", "n": first + n, "wish": "call"} for n in range(4)))

    told = (await sample.stories(400))["name-0"]
    assert [event["sequence"] for event in told] == list(range(1, 401))
    assert [event["n"] for event in told if event["called"]] == list(range(200))


async def test_a_call_cut_off_by_a_kill_comes_back_in_doubt_and_is_told_once(sample: Sample) -> None:
    process = await sample.start(SAMPLE_CALL_S="30")
    await sample.say({"name": "name-0", "n": 0, "wish": "call"})
    await sample.until("SELECT count(*) FROM calls", 1)
    process.kill()
    process.wait()
    await sample.start()

    await sample.until("SELECT count(*) FROM work WHERE state = 'done'", 1)
    calls = await sample.query("SELECT in_doubt FROM calls ORDER BY id")
    assert [call["in_doubt"] for call in calls] == [False, True]
    told = (await sample.stories(2))["name-0"]
    assert [event["called"] for event in told] == [False, True]


async def test_sigterm_finishes_what_is_in_hand(sample: Sample) -> None:
    process = await sample.start(SAMPLE_CALL_S="1", SAMPLE_CALLS_AT_ONCE="1")
    await sample.say(*messages(names=3, each=1, wish="call"))
    await sample.until("SELECT count(*) FROM work WHERE owner IS NOT NULL", 3)

    process.send_signal(signal.SIGTERM)

    assert await asyncio.to_thread(process.wait, 20) == 0
    # A call that has begun is finished, another is not begun, and there is no doubt about it.
    assert len(await sample.query("SELECT FROM calls")) == 1
    work = await sample.query("SELECT state, owner, in_doubt FROM work ORDER BY state")
    assert [tuple(row) for row in work] == [("done", None, False), *[("waiting", None, False)] * 2]
    assert len(await sample.query("SELECT FROM outbox")) == 0
    assert sum(map(len, (await sample.stories(4)).values())) == 4
    assert [line["event"] for line in sample.log(0)][-1] == "service_stopped"


async def test_health_goes_red_while_a_consumer_is_stuck_and_green_again(sample: Sample) -> None:
    """Its sockets are all open; it only gets nowhere."""
    await sample.start()
    connection = await asyncpg.connect(sample.url)
    async with connection.transaction():
        await connection.execute("LOCK TABLE tallies IN ACCESS EXCLUSIVE MODE")
        await sample.say({"name": "name-0", "n": 0})
        await sample.until_health(503)
    await connection.close()

    assert len((await sample.stories(1))["name-0"]) == 1
    await sample.until_health(200)


async def test_a_story_can_be_followed_through_the_log(sample: Sample) -> None:
    await sample.start()
    await sample.say({"name": "name-0", "n": 0})
    await sample.stories(1)

    (told,) = [line for line in sample.log(0) if line["event"] == "events_recorded"]
    (event,) = told["events"]
    assert event["type"] == "told.v1"
    assert event["correlation"]


async def test_logs_carry_no_content(sample: Sample) -> None:
    await sample.start()
    await sample.say(
        {"name": "Ferdinand", "n": 0}, {"name": "Ferdinand", "n": 1, "wish": "fail"}, {"name": "b", "n": 0}
    )
    await sample.dead(1)

    text = (sample.folder / "0.log").read_text()
    assert "input_failed" in text
    assert "Ferdinand" not in text


async def test_what_was_remembered_long_enough_is_forgotten_and_parked_work_is_not(sample: Sample) -> None:
    await sample.start(SAMPLE_INBOX_KEPT_FOR="PT1S", SAMPLE_WORK_KEPT_FOR="PT1S")
    await sample.say(*messages(names=3, each=5, wish="call"))
    await sample.stories(30)
    await sample.query(
        "INSERT INTO work (kind, ref, key, payload, cause, state, finished_at)"
        " VALUES ('call', 'kept', 'k', '{}', '{}', 'parked', now() - interval '1 day')"
    )

    await sample.until("SELECT count(*) FROM inbox", 0)
    await sample.until("SELECT count(*) FROM work WHERE state <> 'parked'", 0)
    await sample.until("SELECT count(*) FROM outbox", 0)
    assert [row["ref"] for row in await sample.query("SELECT ref FROM work")] == ["kept"]
