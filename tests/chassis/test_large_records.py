"""A record that is too large for a dead letter: what its letter keeps, and what operators can do with it."""

import json

import pytest

from contracts.dead_letters import BEGINNING_BYTES, record_digest
from tests.chassis.harness import Harness, headers_for

pytestmark = pytest.mark.infra

LARGE = "длинно".encode() * 125_000
GOOD = {"name": "a", "n": 1}


async def dead_letters(sample: Harness, *arguments: str, code: int = 0) -> str:
    """Run `python -m services.ops dead-letters …` and return what it prints."""
    return await sample.command("services.ops", "dead-letters", *arguments, code=code)


async def test_a_record_too_large_for_its_letter_stops_no_other_and_is_shown_in_part(sample: Harness) -> None:
    await sample.start()
    await sample.publish_raw([(b"key", headers_for({"name": "a", "n": 0}), LARGE)])
    await sample.publish(GOOD)

    assert [event["n"] for event in (await sample.results(1))["a"]] == [1]
    (found,) = await sample.dead_letters(1)
    shown = json.loads(await dead_letters(sample, "show", await _id(sample)))
    records = await sample.read(sample.requests_topic, lambda found: any(one.value == LARGE for one in found))
    (record,) = [one for one in records if one.value == LARGE]
    assert (found["whole"], shown["whole"], shown["reason"]) == (False, False, "invalid")
    assert (shown["sha256"], shown["key"]) == (record_digest(record), "key")
    assert shown["size"] == len(LARGE) + sum(len(name) + len(value) for name, value in record.headers) + len(record.key)
    assert shown["value"] == LARGE[:BEGINNING_BYTES].decode(errors="ignore")
    assert "invalid, not whole" in await dead_letters(sample, "list", "--service", sample.service)


async def test_a_letter_without_the_whole_record_is_not_replayed_and_the_others_are(sample: Harness) -> None:
    broken = await sample.start(SAMPLE_BROKEN="yes")
    await sample.publish_raw([(b"key", headers_for({"name": "a", "n": 0}), LARGE)])
    await sample.publish({**GOOD, "action": "fail-while-broken"})
    await sample.dead_letters(2)
    broken.kill()
    broken.wait()
    await sample.start()

    printed = await dead_letters(sample, "replay", "--all", "--service", sample.service, code=1)

    assert "Its producer must send a smaller record" in printed
    assert [event["n"] for event in (await sample.results(1))["a"]] == [1]
    large = await _id(sample)
    await dead_letters(sample, "discard", large, "--because", "sent again, smaller")
    assert await dead_letters(sample, "list", "--json", "--service", sample.service) == ""


async def _id(sample: Harness) -> str:
    """The id of the only open letter of this test's service."""
    (line,) = (await dead_letters(sample, "list", "--json", "--service", sample.service)).splitlines()
    return str(json.loads(line)["id"])
