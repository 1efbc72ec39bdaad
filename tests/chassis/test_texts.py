"""A text that PostgreSQL cannot store fails the message that causes the event, not the services that read the event."""

import json

import pytest

from tests.chassis.harness import Harness, headers_for

pytestmark = pytest.mark.infra


async def test_an_event_that_no_reader_can_store_fails_its_own_cause_alone(sample: Harness) -> None:
    await sample.start()

    await sample.publish(
        {"name": "a", "n": 0, "note": "x\0y"}, {"name": "b", "n": 0, "note": "\\u0000"}, {"name": "c", "n": 0}
    )

    results = await sample.results(2)
    assert {name: [event["note"] for event in events] for name, events in results.items()} == {
        "b": ["\\u0000"],
        "c": [""],
    }
    (letter,) = await sample.dead_letters(1)
    assert letter["reason"] == "failed"
    (failed,) = [line for line in sample.log(0) if line["event"] == "input_failed"]
    assert failed["exception"][0].startswith("UnstorableEvent")
    await sample.wait_for("SELECT count(*) FROM outbox", 0)
    await sample.wait_for_readiness(200)


async def test_nul_in_a_header_of_a_record_does_not_park_its_key(sample: Harness) -> None:
    await sample.start()
    request = {"name": "a", "n": 0, "action": "call"}
    headers = [*headers_for(request), ("ce_correlationid", b"order\x0017"), ("traceparent", b"\0")]

    await sample.publish_raw([(b"a", headers, json.dumps(request).encode())])

    assert [event["called"] for event in (await sample.results(2))["a"]] == [False, True]
    assert (await sample.query("SELECT count(*) FROM parked"))[0][0] == 0
