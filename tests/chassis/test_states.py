"""States on a compacted topic: replays and discards leave them whole, and an older state replaces no newer one."""

import asyncio
import base64
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chassis.migrations import upgrade
from tests.chassis.harness import MIGRATIONS, Harness, RawRecord
from tests.chassis.test_dead_letters import dead_letters, open_letters, replay_all, wait_until_parked

pytestmark = [pytest.mark.infra, pytest.mark.timeout(180)]

COMPACTED_WITHIN_S = 90.0


def described(name: str, text: str, sequence: int | None, action: str = "") -> RawRecord:
    """A message with the state of `name`, as its owner publishes it."""
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", str(uuid.uuid4()).encode()),
        ("ce_type", b"described.v1"),
        ("ce_source", b"/test"),
    ]
    if sequence is not None:
        headers.append(("ce_sequence", str(sequence).encode()))
    return name.encode(), headers, json.dumps({"name": name, "text": text, "action": action}).encode()


async def describe(sample: Harness, *records: RawRecord) -> None:
    await sample.publish_raw(records, sample.states_topic)


async def wait_for_text(sample: Harness, name: str, text: str) -> None:
    await sample.wait_for(f"SELECT max(text) FROM descriptions WHERE name = '{name}'", text)


async def replay_and_wait(sample: Harness) -> str:
    """Replay all open letters, and return what the command prints once the service has read every replay."""
    return await replay_all(sample, "--wait", "60")


async def restart_repaired(sample: Harness) -> None:
    """The instance that cannot handle some messages is replaced by one that can."""
    # A clean stop commits the offsets: a record that was not parked would be read again, and handled before its replay.
    sample.instances[-1].terminate()
    await sample.start()


async def compacted(sample: Harness, *names: str) -> list[Any]:
    """All records of the topic once Kafka has removed every older record of `names`."""
    deadline = time.monotonic() + COMPACTED_WITHIN_S
    while True:
        # Kafka compacts a segment only after a later record has closed it.
        await describe(sample, *(described(f"filler-{n}", "", None) for n in range(20)))
        records = await sample.read(
            sample.states_topic, lambda found: {f"filler-{n}".encode() for n in range(20)} <= {one.key for one in found}
        )
        keys = [record.key for record in records]
        if all(keys.count(name.encode()) <= 1 for name in names):
            return records
        assert time.monotonic() < deadline, f"not compacted: {[key for key in keys if not key.startswith(b'filler')]}"
        await asyncio.sleep(0.5)


async def test_after_compaction_a_new_group_finds_the_last_state_of_every_key(
    sample: Harness, database_factory: Callable[..., str]
) -> None:
    await sample.start(SAMPLE_BROKEN="yes")
    await describe(
        sample,
        described("discarded", "older", 1),
        described("discarded", "last", 2, "fail-while-broken"),
        described("replayed", "older", 1, "fail-while-broken"),
        described("replayed", "last", 2),
        described("overtaken", "older", 1, "unreadable-while-broken"),
        described("overtaken", "last", 2),
    )
    await wait_until_parked(sample, 4)
    await wait_for_text(sample, "overtaken", "last")
    (discarded,) = [one for one in await sample.dead_letters(4) if _name(one) == "discarded"]
    place = (discarded["partition"], discarded["offset"])
    (letter,) = [one["id"] for one in await open_letters(sample) if (one["partition"], one["offset"]) == place]
    await dead_letters(sample, "discard", letter, "--because", "a test")
    await wait_until_parked(sample, 3)
    await restart_repaired(sample)
    printed = await replay_and_wait(sample)
    await wait_until_parked(sample, 0)
    assert printed.count(" handled\n") == 2
    assert printed.count("no effect: the service has a newer state") == 1

    records = await compacted(sample, "discarded", "replayed", "overtaken")

    last = {record.key: record.value for record in records}
    for name in ("discarded", "replayed", "overtaken"):
        assert json.loads(last[name.encode()])["text"] == "last"
        await wait_for_text(sample, name, "last" if name != "discarded" else "older")
    # A group that reads the topic for the first time, with a database of its own.
    url = await asyncio.to_thread(database_factory, "chassis-sample", lambda url: upgrade(url, MIGRATIONS))
    reader = replace(sample, url=url)
    await reader.start(SAMPLE_NAME=f"new{sample.suffix}")
    for name in ("discarded", "replayed", "overtaken"):
        await wait_for_text(reader, name, "last")


async def test_replays_and_discards_have_own_keys_on_the_partition_of_the_original(sample: Harness) -> None:
    await sample.start(SAMPLE_BROKEN="yes")
    names = [f"name-{n}" for n in range(6)]
    await describe(sample, *(described(name, "text", 1, "fail-while-broken") for name in names))
    await sample.dead_letters(6)
    letters = await open_letters(sample)
    await dead_letters(sample, "discard", *(one["id"] for one in letters[:3]), "--because", "a test")
    await wait_until_parked(sample, 3)
    await restart_repaired(sample)
    await replay_and_wait(sample)
    await wait_until_parked(sample, 0)

    records = await sample.read(sample.states_topic, lambda found: len(found) >= 12)

    originals = {record.key: record for record in records if b"/" not in record.key}
    assert sorted(originals) == sorted(name.encode() for name in names)
    marks = [record for record in records if b"/" in record.key]
    assert {mark.key.decode() for mark in marks} == {
        *(f"discard/{one['id']}" for one in letters[:3]),
        *(f"replay/{one['id']}" for one in letters[3:]),
    }
    for mark in marks:
        original = originals[dict(mark.headers)["replay-key"]]
        assert mark.partition == original.partition
        assert mark.value
        if mark.key.startswith(b"replay/"):
            assert mark.value == original.value


async def test_a_replay_that_fails_again_keeps_the_original_key_in_its_new_letter(sample: Harness) -> None:
    await sample.start(SAMPLE_BROKEN="yes")
    await describe(sample, described("a", "first", 1, "fail-while-broken"), described("a", "second", 2))
    await sample.dead_letters(2)

    assert (await replay_and_wait(sample)).count("not handled: it is a dead letter again") == 2
    await sample.dead_letters(4)
    for letter in await open_letters(sample):
        shown = json.loads(await dead_letters(sample, "show", letter["id"]))
        assert (shown["key"], shown["attempts"]) == ("a", 2)
        assert {"replay-key", "replay-letter"}.isdisjoint(name for name, _ in shown["headers"])
    await restart_repaired(sample)

    assert (await replay_and_wait(sample)).count(" handled\n") == 2
    await wait_for_text(sample, "a", "second")
    assert await open_letters(sample) == []


async def test_an_older_state_never_replaces_a_newer_one(sample: Harness) -> None:
    await sample.start()
    await describe(sample, described("a", "third", 3), described("b", "first", 1))
    await wait_for_text(sample, "b", "first")

    await describe(sample, described("a", "second", 2), described("b", "second", 2), described("c", "marker", 1))
    await wait_for_text(sample, "c", "marker")
    await wait_for_text(sample, "b", "second")

    assert (await sample.query("SELECT text FROM descriptions WHERE name = 'a'"))[0][0] == "third"
    assert 'truce_states_superseded_total{kind="described",service=' in await sample.metrics()
    await sample.wait_for_log(-1 + len(sample.instances), "state_superseded")
    await describe(sample, described("a", "fourth", 4))
    await wait_for_text(sample, "a", "fourth")


async def test_within_one_batch_an_older_state_does_not_replace_a_newer_one(sample: Harness) -> None:
    await describe(sample, described("a", "second", 2), described("a", "first", 1), described("a", "second", 2))
    await describe(sample, described("b", "no number", None), described("b", "no number, later", None))
    await sample.start()

    await wait_for_text(sample, "b", "no number, later")
    await wait_for_text(sample, "a", "second")


async def test_a_replay_of_a_state_that_was_not_parked_is_older_than_the_states_after_it(sample: Harness) -> None:
    await sample.start(SAMPLE_BROKEN="yes")
    await describe(sample, *(described(name, "first", 1, "unreadable-while-broken") for name in ("a", "b")))
    await sample.dead_letters(2)
    await describe(sample, described("a", "second", 2))
    await wait_for_text(sample, "a", "second")
    await restart_repaired(sample)

    printed = await replay_and_wait(sample)

    counts = [printed.count(outcome) for outcome in (" handled\n", " no effect: the service has a newer state\n")]
    assert counts == [1, 1], printed
    await wait_for_text(sample, "b", "first")
    assert (await sample.query("SELECT text FROM descriptions WHERE name = 'a'"))[0][0] == "second"
    assert await open_letters(sample) == []


async def test_a_replay_command_names_the_service_that_has_not_read_the_replay(sample: Harness) -> None:
    await sample.start(SAMPLE_BROKEN="yes")
    await describe(sample, described("a", "first", 1, "fail-while-broken"))
    await sample.dead_letters(1)
    sample.instances[-1].kill()

    assert f"{sample.service} has not read it yet" in await replay_all(sample, "--wait", "0.5")
    await sample.start()

    await wait_for_text(sample, "a", "first")


async def test_replays_and_discards_of_an_earlier_version_are_understood(sample: Harness) -> None:
    """They have the key of the original record, and a discard has an empty value."""
    await sample.start(SAMPLE_BROKEN="yes")
    (key, headers, value) = described("a", "first", 1, "fail-while-broken")
    await describe(sample, (key, headers, value), described("b", "first", 1, "fail-while-broken"))
    await wait_until_parked(sample, 2)
    tokens = {_name(one): one["original"]["token"] for one in await sample.dead_letters(2)}
    await restart_repaired(sample)

    await describe(
        sample,
        (key, [*headers, ("replay", f"{sample.service} {tokens['a']}".encode())], value),
        (b"b", [("replay", f"{sample.service} {tokens['b']} discard".encode())], b""),
        described("b", "second", 2),
    )

    await wait_for_text(sample, "a", "first")
    await wait_for_text(sample, "b", "second")
    await wait_until_parked(sample, 0)


def _name(letter: dict[str, Any]) -> str:
    """The name in the original record of a decrypted letter."""
    return str(json.loads(base64.b64decode(letter["original"]["value"]))["name"])
