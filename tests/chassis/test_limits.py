"""The relations between the chassis' limits are asserted when `chassis.limits` is imported."""

import re
import runpy
from pathlib import Path

import pytest

from chassis import limits
from deploy import topics

SOURCE = Path(limits.__file__)

# A constant, and a value that breaks one relation.
BREAKING = [
    ("HEARTBEAT_EVERY_S", "10.0"),
    ("IDENTITY_CERTAIN_FOR_S", "15.0"),
    ("CONNECT_TIMEOUT_S", "15"),
    ("IDLE_IN_TRANSACTION_S", "16"),
    ("MAX_EVENT_BYTES", "256 * 1024 + 1"),
    ("UNWRITABLE_AFTER_S", "60.0"),
    ("PROBE_KAFKA_EVERY_S", "10.0"),
    ("CLAIM_EVENTS", "1001"),
    ("QUEUE_EVENTS", "1000"),
    ("BUSY_RECORDS", "500"),
    ("SLOW_BATCH_S", "20.0"),
    ("STUCK_CONSUMER_S", "20.0"),
    ("SUSPECT_POLL_MS", "499"),
    ("UNKNOWN_KIND_AFTER_S", "1.0"),
    ("HTTP_GRACE_S", "20"),
    ("STOP_AT_MOST_S", "30.0"),
]


def import_with(folder: Path, name: str, value: str) -> None:
    """Import a copy of the module in which one constant has another value."""
    text, replaced = re.subn(rf"(?m)^({name}: Final) = .*$", rf"\g<1> = {value}", SOURCE.read_text("utf-8"))
    assert replaced == 1
    copy = folder / "limits.py"
    copy.write_text(text, "utf-8")
    runpy.run_path(str(copy))


@pytest.mark.parametrize(("name", "value"), BREAKING)
def test_a_limit_that_breaks_a_relation_fails_the_import(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(AssertionError):
        import_with(tmp_path, name, value)


def test_a_limit_that_keeps_the_relations_can_be_changed(tmp_path: Path) -> None:
    import_with(tmp_path, "HEARTBEAT_EVERY_S", "3.0")


def test_every_relation_is_broken_by_a_case(tmp_path: Path) -> None:
    failed = set()
    for name, value in BREAKING:
        with pytest.raises(AssertionError) as failure:
            import_with(tmp_path, name, value)
        failed.add(failure.traceback[-1].lineno + 1)

    relations = {
        number for number, line in enumerate(SOURCE.read_text("utf-8").splitlines(), 1) if line.startswith("assert ")
    }
    assert failed == relations


def test_a_producer_with_batches_above_a_topics_limit_stops_the_provisioning(monkeypatch: pytest.MonkeyPatch) -> None:
    smallest = min(int(spec.config["max.message.bytes"]) for spec in topics.topic_specs(["demo"]))
    monkeypatch.setattr(limits, "MAX_BATCH_BYTES", smallest + 1)

    with pytest.raises(AssertionError, match="batches of our own producer"):
        runpy.run_path(topics.__file__)
