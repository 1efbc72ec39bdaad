"""Limits that keep the code readable: lines of a file, and the length of a test's name."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
FILE_LINES: Final = 400
DOMAIN_LINES: Final = 300
TEST_NAME_CHARACTERS: Final = 80

# Path of a larger file → why it may be larger.
LARGER_FILES: Final[dict[str, str]] = {}


def test_no_file_is_longer_than_its_limit() -> None:
    too_long = [
        f"{name}: {lines} lines, at most {limit_of(name)}"
        for name in python_files()
        if (lines := count_lines(name)) > limit_of(name) and name not in LARGER_FILES
    ]

    assert not too_long, "split these files by subject:\n" + "\n".join(too_long)


def test_every_exception_from_the_limit_is_still_needed() -> None:
    needed = {name for name in python_files() if count_lines(name) > limit_of(name)}

    assert LARGER_FILES.keys() - needed == set()


def test_no_test_name_is_longer_than_eighty_characters() -> None:
    too_long = [f"{name}: {test}" for name, test in names_of_tests() if len(test) > TEST_NAME_CHARACTERS]

    assert not too_long, "\n".join(too_long)


def python_files() -> list[str]:
    """The tracked Python files of the project, relative to its root."""
    tracked = subprocess.run(["git", "ls-files", "-z", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    # A file that was removed is listed until the removal is staged.
    files = [name for name in tracked.stdout.split("\0") if name and (ROOT / name).is_file()]
    assert files
    return files


def limit_of(name: str) -> int:
    """The most lines that a file may have."""
    service, _, path = name.removeprefix("services/").partition("/")
    in_domain = name == f"services/{service}/{path}" and path.startswith(("domain/", "domain.py"))
    return DOMAIN_LINES if in_domain else FILE_LINES


def count_lines(name: str) -> int:
    return len((ROOT / name).read_text().splitlines())


def names_of_tests() -> Iterator[tuple[str, str]]:
    """File and name of every test function and method."""
    for name in python_files():
        if name.startswith("tests/") and Path(name).name.startswith("test_"):
            for node in ast.walk(ast.parse((ROOT / name).read_text())):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                    yield name, node.name
