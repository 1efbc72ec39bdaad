"""docs/logs.md lists every log event of the chassis and the services, with its level and its fields."""

from pathlib import Path
from typing import Final

import pytest

from tests.log_events import Call, Row, differences, read_calls, read_tables

ROOT: Final = Path(__file__).resolve().parents[1]
# Section of docs/logs.md → the folder of its code.
SECTIONS: Final = {
    "chassis": "chassis",
    "intake": "services/intake",
    "onec_gateway": "services/onec_gateway",
    "reservations": "services/reservations",
    "notifier": "services/notifier",
    "ops": "services/ops",
}


@pytest.mark.parametrize("section", SECTIONS)
def test_every_log_event_has_a_row_and_every_row_has_a_log_event(section: str) -> None:
    rows = read_tables((ROOT / "docs" / "logs.md").read_text())[section]
    calls: list[Call] = []
    problems: list[str] = []
    for path in sorted((ROOT / SECTIONS[section]).rglob("*.py")):
        found, undocumentable = read_calls(path.read_text(), str(path.relative_to(ROOT)))
        calls += found
        problems += undocumentable

    problems += differences(section, calls, rows)
    assert not problems, "\n".join(problems)


def test_the_document_has_the_sections_of_the_code() -> None:
    services = {path.name for path in (ROOT / "services").iterdir() if (path / "__main__.py").exists()}

    assert list(read_tables((ROOT / "docs" / "logs.md").read_text())) == list(SECTIONS)
    assert set(SECTIONS) == {"chassis", *services}


CODE = """
import structlog
log = structlog.get_logger(__name__)

def failed(job, error):
    log.warning("claim_failed", kind=job.kind, error=error)
    log.error("claim_failed", kind=job.kind, exc_info=error)
    log.info("started")
    log.info("sent", **ids(job), provider="smsc")

def ids(job):
    return {"message_id": job.id, "lead_id": job.lead}
"""


def test_calls_are_read_with_their_level_and_their_fields_in_order() -> None:
    assert read_calls(CODE, "x.py") == (
        [
            Call("claim_failed", "warning", ("kind", "error"), "x.py:6"),
            Call("claim_failed", "error", ("kind",), "x.py:7"),
            Call("started", "info", (), "x.py:8"),
            Call("sent", "info", ("message_id", "lead_id", "provider"), "x.py:9"),
        ],
        [],
    )


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        ('log.info("two words")', "not one constant snake_case name"),
        ('log.info("CamelCase")', "not one constant snake_case name"),
        ('log.info(f"event_{n}")', "not one constant snake_case name"),
        ('log.info("a" if n else "b")', "not one constant snake_case name"),
        ("log.info(event)", "not one constant snake_case name"),
        ('log.info("failed: %s", n)', "not one constant snake_case name"),
        ("log.info()", "not one constant snake_case name"),
        ('self._log.info("a b")', "not one constant snake_case name"),
        ('log.info("event", **fields)', "hides the fields"),
        ('log.bind(lead=n).info("event")', "hides the level or the fields"),
        ('log.log(level, "event")', "hides the level or the fields"),
    ],
)
def test_a_call_without_a_constant_event_and_named_fields_is_a_problem(call: str, problem: str) -> None:
    source = f"import structlog\nself._log = structlog.get_logger()\n{call}\n"

    calls, problems = read_calls(source, "x.py")

    assert calls == []
    assert len(problems) == 1
    assert problem in problems[0]


@pytest.mark.parametrize(
    "line",
    ["say = log.error if grave else log.warning", "getattr(log, level)('x')", "structlog.get_logger().info('x')"],
)
def test_a_log_method_that_is_not_called_on_the_logger_is_a_problem(line: str) -> None:
    _, problems = read_calls(f"import structlog\nlog = structlog.get_logger()\n{line}\n", "x.py")

    assert problems
    assert all("use log.<level>()" in problem for problem in problems)


def test_calls_of_other_objects_are_no_log_events() -> None:
    assert read_calls('console.info("some text")\nlog.append("some text")\nmath.log(2)', "x.py") == ([], [])


DOCUMENT = """
# Log events

## chassis

| event | level | fields | meaning and what to do |
|---|---|---|---|
| `claim_failed` | warning, error | kind, (error) | the database \\| fails |
| started | info | | ready |

---

## intake

| event | level | fields | meaning and what to do |
|---|---|---|---|
"""


def test_tables_are_read_with_levels_and_optional_fields() -> None:
    assert read_tables(DOCUMENT) == {
        "chassis": [
            Row("claim_failed", frozenset({"warning", "error"}), ("kind", "error"), frozenset({"error"})),
            Row("started", frozenset({"info"}), (), frozenset()),
        ],
        "intake": [],
    }


@pytest.mark.parametrize(
    "row", ["| a | info | b |", "| a | loud | b | c |", "| A b | info | | c |", "| a | info | b | |"]
)
def test_a_row_of_another_form_is_refused(row: str) -> None:
    with pytest.raises(ValueError, match=r"\| "):
        read_tables(f"## chassis\n{row}\n")


def test_calls_that_fit_their_rows_have_no_differences() -> None:
    calls = [call for call in read_calls(CODE, "x.py")[0] if call.event != "sent"]

    assert list(differences("chassis", calls, read_tables(DOCUMENT)["chassis"])) == []


CALL = Call("claimed", "info", ("kind", "rows"), "x.py:1")
OTHER_CALL = Call("claimed", "info", ("kind",), "x.py:2")


@pytest.mark.parametrize(
    ("calls", "row", "difference"),
    [
        ([CALL], None, "claimed has no row (x.py:1)"),
        ([], "| claimed | info | kind | m |", "claimed has a row and no call"),
        ([CALL], "| claimed | error | kind, rows | m |", "is info in the code, error in the table"),
        ([CALL], "| claimed | info, error | kind, rows | m |", "is info in the code, error, info in the table"),
        ([CALL], "| claimed | info | kind | m |", "has the fields ('kind', 'rows') at x.py:1"),
        ([CALL], "| claimed | info | rows, kind | m |", "has the fields ('kind', 'rows') at x.py:1"),
        ([CALL], "| claimed | info | kind, rows, error | m |", "has the fields ('kind', 'rows') at x.py:1"),
        ([CALL, OTHER_CALL], "| claimed | info | kind, rows | m |", "has the fields ('kind',) at x.py:2"),
        ([CALL], "| claimed | info | kind, (rows) | m |", "(rows) is in 1 of 1 calls"),
        ([CALL], "| claimed | info | kind, rows, (error) | m |", "(error) is in 0 of 1 calls"),
    ],
)
def test_a_call_that_does_not_fit_its_row_is_a_difference(calls: list[Call], row: str | None, difference: str) -> None:
    rows = [] if row is None else read_tables(f"## chassis\n{row}\n")["chassis"]

    (found,) = differences("chassis", calls, rows)

    assert difference in found


def test_fields_that_only_some_calls_have_are_optional() -> None:
    rows = read_tables("## chassis\n| claimed | info | kind, (rows) | m |\n")["chassis"]

    assert list(differences("chassis", [CALL, OTHER_CALL], rows)) == []
