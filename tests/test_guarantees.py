"""`docs/guarantees.md`: every promise is held by tests that exist, and long tests are called long."""

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[1]
PROMISE: Final = re.compile(r"\bG(\d+)\.")
TEST: Final = re.compile(r"`(test_\w+)`( \(long\))?")
DEFINED: Final = re.compile(r"^((?: *@[^\n]+\n)*) *(?:async )?def (test_\w+)\(", re.MULTILINE)


def promises() -> dict[int, list[tuple[str, bool]]]:
    """Number of the promise → its tests, and whether the page calls them long."""
    promised = (ROOT / "docs" / "guarantees.md").read_text().partition("## What is not promised")[0]
    parts = PROMISE.split(promised)[1:]
    return {
        int(number): [(name, bool(long)) for name, long in TEST.findall(text)]
        for number, text in zip(parts[::2], parts[1::2], strict=True)
    }


def defined_tests() -> dict[str, bool]:
    """Name of each test → whether some of its cases run without `-m long`."""
    found: dict[str, bool] = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        source = path.read_text()
        whole_file_is_long = re.search(r"^pytestmark = [^\n]*mark\.long", source, re.MULTILINE) is not None
        for decorators, name in DEFINED.findall(source):
            is_long = whole_file_is_long or re.search(r"^ *@pytest\.mark\.long", decorators, re.MULTILINE) is not None
            found[name] = not is_long
    return found


def test_promises_are_numbered_in_order() -> None:
    assert list(promises()) == list(range(1, len(promises()) + 1))


@pytest.mark.parametrize("number", promises())
def test_every_promise_is_held_by_tests_that_exist(number: int) -> None:
    named, defined = promises()[number], defined_tests()

    assert named
    assert [name for name, _ in named if name not in defined] == []
    assert [name for name, called_long in named if called_long == defined[name]] == []
