"""The limits of topics fit one another; the relations are asserted when `contracts.topics` is imported."""

import re
import runpy
from pathlib import Path

import pytest

from contracts import topics

SOURCE = Path(topics.__file__)

# A constant, and a value that breaks one relation.
BREAKING = [
    ("MAX_PORTAL_BATCH_BYTES", "2 * 1024 * 1024"),
    ("MAX_WHOLE_RECORD_BYTES", "MAX_PORTAL_BATCH_BYTES"),
    ("MAX_REQUEST_RECORD_BYTES", "MAX_WHOLE_RECORD_BYTES"),
    ("MAX_MESSAGE_BYTES", "1024 * 1024"),
]


def import_with(folder: Path, name: str, value: str) -> None:
    """Import a copy of the module in which one constant has another value."""
    text, replaced = re.subn(rf"(?m)^({name}: Final) = .*$", rf"\g<1> = {value}", SOURCE.read_text("utf-8"))
    assert replaced == 1
    copy = folder / "topics.py"
    copy.write_text(text, "utf-8")
    runpy.run_path(str(copy))


def test_every_relation_of_sizes_fails_the_import_when_a_limit_breaks_it(tmp_path: Path) -> None:
    failed = set()
    for name, value in BREAKING:
        with pytest.raises(AssertionError) as failure:
            import_with(tmp_path, name, value)
        failed.add(failure.traceback[-1].lineno + 1)

    lines = SOURCE.read_text("utf-8").splitlines()
    assert failed == {number for number, line in enumerate(lines, 1) if line.startswith("assert ")}


def test_kafka_unpacks_the_batches_of_portals_before_it_measures_them() -> None:
    assert topics.portal_requests("demo").config["compression.type"] == "uncompressed"
