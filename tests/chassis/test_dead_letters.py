"""Dead letters: the operators' commands, parked queues and replays."""

import json
from typing import Any

import asyncpg
import pytest

from contracts.catalogue import MESSAGES
from contracts.dead_letters import DeadLetterResolved
from contracts.topics import DEAD_LETTERS
from tests.chassis.harness import Harness, RawRecord, Request, headers_for
from tests.process import until

pytestmark = pytest.mark.infra


async def dead_letters(sample: Harness, *arguments: str, code: int = 0) -> str:
    """Run `python -m services.ops dead-letters …` and return what it prints."""
    return await sample.command("services.ops", "dead-letters", *arguments, code=code)


async def open_letters(sample: Harness) -> list[dict[str, Any]]:
    """The open letters of this test's service."""
    printed = await dead_letters(sample, "list", "--json", "--service", sample.service)
    return [json.loads(line) for line in printed.splitlines()]


async def replay_all(sample: Harness, *arguments: str) -> str:
    """Replay all open letters of this test's service."""
    return await dead_letters(sample, "replay", "--all", "--service", sample.service, *arguments)


async def wait_until_parked(sample: Harness, count: int) -> None:
    await sample.wait_for("SELECT count(*) FROM parked", count)


def replay_of(sample: Harness, record: Request, letter: dict[str, Any]) -> RawRecord:
    """The record of a replay of `letter`, as the operators' command publishes it."""
    mark = ("replay", f"{sample.service} {letter['original']['token']}".encode())
    return b"a", [*headers_for(record), mark], json.dumps(record).encode()


async def test_after_a_repair_a_parked_queue_is_replayed_in_order_and_its_key_continues(sample: Harness) -> None:
    broken = await sample.start(SAMPLE_BROKEN="yes")
    first = {"name": "a", "n": 0, "action": "fail-while-broken"}
    await sample.publish(first, {"name": "a", "n": 1}, {"name": "a", "n": 2})
    await wait_until_parked(sample, 3)
    assert [letter["reason"] for letter in await open_letters(sample)] == ["failed", "behind-parked", "behind-parked"]
    broken.kill()
    broken.wait()
    await sample.start()

    assert "would be replayed" in await replay_all(sample, "--dry-run")
    assert (await sample.query("SELECT count(*) FROM parked"))[0][0] == 3
    await replay_all(sample)
    await wait_until_parked(sample, 0)
    await sample.publish({"name": "a", "n": 3})

    assert [event["n"] for event in (await sample.results(4))["a"]] == [0, 1, 2, 3]
    assert await open_letters(sample) == []


async def test_a_replay_that_fails_again_becomes_a_new_letter_and_is_not_overtaken(sample: Harness) -> None:
    await sample.start()
    await sample.publish({"name": "a", "n": 0, "action": "fail"}, {"name": "a", "n": 1})
    await wait_until_parked(sample, 2)
    before = {letter["id"] for letter in await open_letters(sample)}

    await replay_all(sample)

    async def new_letters() -> list[dict[str, Any]] | None:
        letters = await open_letters(sample)
        return letters if len(letters) == 2 and before.isdisjoint(letter["id"] for letter in letters) else None

    letters = await until(new_letters, "both records have new letters")
    assert sorted((letter["reason"], letter["attempts"]) for letter in letters) == [("behind-parked", 2), ("failed", 2)]
    assert (await sample.query("SELECT count(*) FROM parked"))[0][0] == 2
    assert (await sample.query("SELECT count(*) FROM tallies"))[0][0] == 0


async def test_after_a_discard_the_records_parked_behind_it_can_be_replayed(sample: Harness) -> None:
    await sample.start()
    await sample.publish({"name": "a", "n": 0, "action": "fail"}, {"name": "a", "n": 1})
    await wait_until_parked(sample, 2)
    (failed,) = [letter for letter in await open_letters(sample) if letter["reason"] == "failed"]

    discard = ("discard", failed["id"], "--because", "a test")

    assert "would be discarded" in await dead_letters(sample, *discard, "--dry-run")
    await dead_letters(sample, *discard, "--by", "olga")
    await wait_until_parked(sample, 1)
    await replay_all(sample)
    await wait_until_parked(sample, 0)
    await sample.publish({"name": "a", "n": 2})

    assert [event["n"] for event in (await sample.results(2))["a"]] == [1, 2]


async def test_a_record_parked_during_a_discard_keeps_the_queue_closed(sample: Harness) -> None:
    """The discard waits for the lock of the key. When it gets the lock it must see the record parked meanwhile."""
    await sample.start()
    await sample.publish({"name": "a", "n": 0, "action": "fail"})
    await wait_until_parked(sample, 1)
    (failed,) = await open_letters(sample)
    connection = await asyncpg.connect(sample.url)
    async with connection.transaction():
        await connection.execute("SELECT 1 FROM streams WHERE key = 'a' FOR UPDATE")
        await dead_letters(sample, "discard", failed["id"], "--because", "a test")
        await sample.wait_for("SELECT count(*) > 0 FROM pg_locks WHERE NOT granted", True)
        await connection.execute(
            "INSERT INTO parked (key, token, record) VALUES ('a', gen_random_uuid(), gen_random_uuid())"
        )
    await connection.close()

    await wait_until_parked(sample, 1)
    await sample.wait_for("SELECT count(*) FROM pg_locks WHERE NOT granted", 0)
    assert (await sample.query("SELECT parked_at IS NOT NULL FROM streams WHERE key = 'a'"))[0][0]


async def test_a_second_replay_of_a_letter_changes_nothing(sample: Harness) -> None:
    """As after a command that ended between the replay and its resolution."""
    broken = await sample.start(SAMPLE_BROKEN="yes")
    record = {"name": "a", "n": 0, "action": "fail-while-broken"}
    await sample.publish(record)
    (letter,) = await sample.dead_letters(1)
    broken.kill()
    broken.wait()
    await sample.start()
    replay = replay_of(sample, record, letter)

    await sample.publish_raw([replay, replay])
    await sample.publish({"name": "a", "n": 1})

    assert [event["n"] for event in (await sample.results(2))["a"]] == [0, 1]
    assert (await sample.query("SELECT count(*) FROM parked"))[0][0] == 0


async def test_a_parked_record_read_again_in_one_batch_with_its_replay_is_handled_once(
    sample: Harness,
) -> None:
    """The service died before it committed the record's offset, and the operator replayed before the restart."""
    broken = await sample.start(SAMPLE_BROKEN="yes")
    record = {"name": "a", "n": 0, "action": "fail-while-broken"}
    await sample.publish(record)
    (letter,) = await sample.dead_letters(1)
    broken.kill()
    broken.wait()
    replay = replay_of(sample, record, letter)

    await sample.publish(record)
    await sample.publish_raw([replay, replay])
    await sample.publish({"name": "a", "n": 1})
    await sample.start()

    assert [event["n"] for event in (await sample.results(2))["a"]] == [0, 1]
    assert (await sample.query("SELECT count(*) FROM parked"))[0][0] == 0


async def test_a_forged_replay_token_does_not_pass_the_parked_queue(sample: Harness) -> None:
    await sample.start()
    await sample.publish({"name": "a", "n": 0, "action": "fail"})
    await wait_until_parked(sample, 1)
    forged = {"original": {"token": "00000000-0000-4000-8000-000000000000"}}

    await sample.publish_raw([replay_of(sample, {"name": "a", "n": 1}, forged)])
    await wait_until_parked(sample, 2)

    assert (await sample.query("SELECT count(*) FROM tallies"))[0][0] == 0


async def test_a_service_skips_a_replay_for_another_service(sample: Harness) -> None:
    await sample.start()
    record = {"name": "a", "n": 0}
    await sample.publish_raw([(b"a", [*headers_for(record), ("replay", b"somebody")], json.dumps(record).encode())])
    await sample.publish({"name": "a", "n": 1})

    assert [event["n"] for event in (await sample.results(1))["a"]] == [1]


async def test_an_unreadable_record_is_shown_whole_and_its_discard_is_published(sample: Harness) -> None:
    await sample.start()
    await sample.publish_raw([(b"a", [*headers_for({"name": "a", "n": 0}), ("odd", b"\xff")], "не JSON".encode())])
    await sample.dead_letters(1)
    (letter,) = await open_letters(sample)

    shown = json.loads(await dead_letters(sample, "show", letter["id"][:13]))
    assert (shown["value"], shown["key"], shown["reason"]) == ("не JSON", "a", "invalid")
    assert ["odd", "base64:/w=="] in shown["headers"]
    table = await dead_letters(sample, "list", "--service", sample.service)
    assert f"│ {letter['id'][:8]} │" in table
    assert f"{letter['since'][:10]} {letter['since'][11:19]} UTC" in table
    assert "1 open" in table
    await dead_letters(sample, "discard", letter["id"], "--because", "nobody's", "--by", "olga")
    assert await open_letters(sample) == []

    records = await sample.read(DEAD_LETTERS, lambda found: any(_resolves(record, letter["id"]) for record in found))
    resolved = next(record for record in records if _resolves(record, letter["id"]))
    content = DeadLetterResolved.model_validate_json(resolved.value)
    assert (content.action, content.by, content.reason) == ("discarded", "olga", "nobody's")
    assert DeadLetterResolved in MESSAGES


async def test_an_unknown_letter_and_a_replay_without_letters_are_refused(sample: Harness) -> None:
    assert "no open letter" in await dead_letters(sample, "show", "nothing", code=1)
    assert "--all" in await dead_letters(sample, "replay", code=1)


def _resolves(record: Any, letter: str) -> bool:
    headers = dict(record.headers)
    return bool(headers["ce_type"] == b"dead-letter-resolved.v1" and json.loads(record.value)["letter"] == letter)
