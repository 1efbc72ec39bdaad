"""What an operator does about dead letters, with the command; and the guard that keeps a topic out of them."""

import asyncio
import json
import os
from typing import Any

import asyncpg
import pytest

from contracts.catalogue import MESSAGES
from contracts.dead_letters import DeadLetterResolved
from contracts.topics import DEAD_LETTERS
from tests.chassis.conftest import Sample, headers_for
from tests.process import run_warm, until

pytestmark = pytest.mark.infra


async def operator(sample: Sample, *arguments: str, code: int = 0) -> str:
    """`python -m services.ops dead-letters …`; what it printed."""
    environment = {
        **os.environ,
        "COLUMNS": "200",
        "KAFKA_BOOTSTRAP_SERVERS": sample.bootstrap,
        "DEAD_LETTERS_PRIVATE_KEY": json.dumps(sample.operator_key.as_dict(private=True)),
    }
    done = await asyncio.to_thread(run_warm, "services.ops", "dead-letters", *arguments, environment=environment)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


async def listed(sample: Sample, *arguments: str) -> list[dict[str, Any]]:
    lines = (await operator(sample, "list", "--json", "--service", f"sample{sample.suffix}", *arguments)).splitlines()
    return [json.loads(line) for line in lines]


async def all_of(sample: Sample, command: str, *arguments: str) -> str:
    return await operator(sample, command, "--all", "--service", f"sample{sample.suffix}", *arguments)


async def until_parked(sample: Sample, count: int) -> None:
    await sample.until("SELECT count(*) FROM parked", count)


async def test_after_a_repair_a_parked_client_is_replayed_in_order_and_then_goes_on(sample: Sample) -> None:
    broken = await sample.start(SAMPLE_BROKEN="yes")
    await sample.say({"name": "a", "n": 0, "wish": "fail-if-broken"}, {"name": "a", "n": 1}, {"name": "a", "n": 2})
    await until_parked(sample, 3)
    assert [letter["reason"] for letter in await listed(sample)] == ["failed", "behind-parked", "behind-parked"]
    broken.kill()
    broken.wait()
    await sample.start()

    assert "would be replayed" in await all_of(sample, "replay", "--dry-run")
    assert (await sample.query("SELECT count(*) FROM parked"))[0][0] == 3
    await all_of(sample, "replay")
    await until_parked(sample, 0)
    await sample.say({"name": "a", "n": 3})

    assert [event["n"] for event in (await sample.stories(4))["a"]] == [0, 1, 2, 3]
    assert await listed(sample) == []


async def test_what_fails_again_comes_back_as_another_letter_and_nothing_overtakes_it(sample: Sample) -> None:
    await sample.start()
    await sample.say({"name": "a", "n": 0, "wish": "fail"}, {"name": "a", "n": 1})
    await until_parked(sample, 2)
    before = {letter["id"] for letter in await listed(sample)}

    await all_of(sample, "replay")

    async def again() -> list[dict[str, Any]] | None:
        letters = await listed(sample)
        return letters if len(letters) == 2 and before.isdisjoint(letter["id"] for letter in letters) else None

    letters = await until(again, "both are back")
    assert sorted((letter["reason"], letter["attempts"]) for letter in letters) == [("behind-parked", 2), ("failed", 2)]
    assert (await sample.query("SELECT count(*) FROM parked"))[0][0] == 2
    assert (await sample.query("SELECT count(*) FROM tallies"))[0][0] == 0


async def test_one_that_is_given_up_lets_what_waits_behind_it_go_on(sample: Sample) -> None:
    await sample.start()
    await sample.say({"name": "a", "n": 0, "wish": "fail"}, {"name": "a", "n": 1})
    await until_parked(sample, 2)
    (failed,) = [letter for letter in await listed(sample) if letter["reason"] == "failed"]

    assert "would be discarded" in await operator(sample, "discard", failed["id"], "--because", "a test", "--dry-run")
    await operator(sample, "discard", failed["id"], "--because", "a test", "--by", "olga")
    await until_parked(sample, 1)
    await all_of(sample, "replay")
    await until_parked(sample, 0)
    await sample.say({"name": "a", "n": 2})

    assert [event["n"] for event in (await sample.stories(2))["a"]] == [1, 2]


async def test_what_is_parked_while_another_is_given_up_keeps_the_queue_closed(sample: Sample) -> None:
    """The two meet at the client's row: whoever waits for it must see what was parked meanwhile."""
    await sample.start()
    await sample.say({"name": "a", "n": 0, "wish": "fail"})
    await until_parked(sample, 1)
    (failed,) = await listed(sample)
    connection = await asyncpg.connect(sample.url)
    async with connection.transaction():
        await connection.execute("SELECT 1 FROM streams WHERE key = 'a' FOR UPDATE")
        await operator(sample, "discard", failed["id"], "--because", "a test")
        await sample.until("SELECT count(*) > 0 FROM pg_locks WHERE NOT granted", True)
        await connection.execute(
            "INSERT INTO parked (key, token, record) VALUES ('a', gen_random_uuid(), gen_random_uuid())"
        )
    await connection.close()

    await until_parked(sample, 1)
    await sample.until("SELECT count(*) FROM pg_locks WHERE NOT granted", 0)
    assert (await sample.query("SELECT parked_at IS NOT NULL FROM streams WHERE key = 'a'"))[0][0]


async def test_replaying_what_was_handled_after_all_changes_nothing(sample: Sample) -> None:
    """The same letter replayed twice, as after an operator's command that was cut off."""
    broken = await sample.start(SAMPLE_BROKEN="yes")
    await sample.say({"name": "a", "n": 0, "wish": "fail-if-broken"})
    (letter,) = await sample.dead(1)
    broken.kill()
    broken.wait()
    await sample.start()
    mark = [("replay", f"sample{sample.suffix} {letter['original']['token']}".encode())]
    record = {"name": "a", "n": 0, "wish": "fail-if-broken"}
    again = (b"a", [*headers_for(record), *mark], json.dumps(record).encode())

    await sample.send([again, again])
    await sample.say({"name": "a", "n": 1})

    assert [event["n"] for event in (await sample.stories(2))["a"]] == [0, 1]
    assert (await sample.query("SELECT count(*) FROM parked"))[0][0] == 0


async def test_a_message_that_comes_again_in_one_batch_with_its_replay_is_not_taken_for_handled(sample: Sample) -> None:
    """Its offset was not committed when the service died, and the operator was quick."""
    broken = await sample.start(SAMPLE_BROKEN="yes")
    record = {"name": "a", "n": 0, "wish": "fail-if-broken"}
    await sample.say(record)
    (letter,) = await sample.dead(1)
    broken.kill()
    broken.wait()
    mark = [("replay", f"sample{sample.suffix} {letter['original']['token']}".encode())]
    again = (b"a", [*headers_for(record), *mark], json.dumps(record).encode())

    await sample.say(record)
    await sample.send([again, again])
    await sample.say({"name": "a", "n": 1})
    await sample.start()

    assert [event["n"] for event in (await sample.stories(2))["a"]] == [0, 1]
    assert (await sample.query("SELECT count(*) FROM parked"))[0][0] == 0


async def test_a_replay_that_nobody_gave_a_place_does_not_jump_the_queue(sample: Sample) -> None:
    await sample.start()
    await sample.say({"name": "a", "n": 0, "wish": "fail"})
    await until_parked(sample, 1)
    forged = [("replay", f"sample{sample.suffix} 00000000-0000-4000-8000-000000000000".encode())]
    record = {"name": "a", "n": 1}

    await sample.send([(b"a", [*headers_for(record), *forged], json.dumps(record).encode())])
    await until_parked(sample, 2)

    assert (await sample.query("SELECT count(*) FROM tallies"))[0][0] == 0


async def test_a_replay_meant_for_another_service_is_passed_over(sample: Sample) -> None:
    await sample.start()
    record = {"name": "a", "n": 0}
    await sample.send([(b"a", [*headers_for(record), ("replay", b"somebody")], json.dumps(record).encode())])
    await sample.say({"name": "a", "n": 1})

    assert [event["n"] for event in (await sample.stories(1))["a"]] == [1]


async def test_an_unreadable_record_is_shown_whole_and_resolved_on_the_topic(sample: Sample) -> None:
    await sample.start()
    await sample.send([(b"a", [*headers_for({"name": "a", "n": 0}), ("odd", b"\xff")], "не JSON".encode())])
    await sample.dead(1)
    (letter,) = await listed(sample)

    shown = json.loads(await operator(sample, "show", letter["id"][:13]))
    assert (shown["value"], shown["key"], shown["reason"]) == ("не JSON", "a", "invalid")
    assert ["odd", "base64:/w=="] in shown["headers"]
    await operator(sample, "discard", letter["id"], "--because", "nobody's", "--by", "olga")
    assert await listed(sample) == []

    records = await sample.read(DEAD_LETTERS, lambda so_far: any(_resolves(one, letter["id"]) for one in so_far))
    resolved = next(one for one in records if _resolves(one, letter["id"]))
    content = DeadLetterResolved.model_validate_json(resolved.value)
    assert (content.action, content.by, content.reason) == ("discarded", "olga", "nobody's")
    assert DeadLetterResolved in MESSAGES


async def test_an_unknown_letter_is_refused_in_words(sample: Sample) -> None:
    assert "no open letter" in await operator(sample, "show", "nothing", code=1)
    assert "--all" in await operator(sample, "replay", code=1)


async def test_a_topic_that_is_mostly_poison_is_not_drained_and_health_goes_red(sample: Sample) -> None:
    await sample.start()
    good = {"name": "a", "n": 0}
    await sample.send([(b"a", headers_for({"name": "a", "n": n}), b"not json") for n in range(1, 200)])
    await sample.say(good)

    await sample.until_health(503)
    assert "reading_halted" in (sample.folder / "0.log").read_text()
    assert len(await listed(sample)) <= 50

    # Nothing is lost: a version that can live with so much of it takes up where the other stopped.
    sample.instances[-1].kill()
    await sample.start(SAMPLE_POISON_SHARE="1")
    assert [event["n"] for event in (await sample.stories(1))["a"]] == [0]
    assert len({letter["offset"] for letter in await sample.dead(199)}) == 199


def _resolves(record: Any, letter: str) -> bool:
    headers = dict(record.headers)
    return bool(headers["ce_type"] == b"dead-letter-resolved.v1" and json.loads(record.value)["letter"] == letter)
