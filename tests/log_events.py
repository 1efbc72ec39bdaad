"""Reads log events from the code (by AST) and from the tables of docs/logs.md, so that a test can compare them."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

LEVELS: Final = {
    "debug": "debug",
    "info": "info",
    "warning": "warning",
    "error": "error",
    "critical": "critical",
    "exception": "error",
}
COLUMNS: Final = ["event", "level", "fields", "meaning and what to do"]
_EVENT: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Call:
    """One call `log.<level>(event, field=…, …)`. `fields` are in the order of the code, without exc_info."""

    event: str
    level: str
    fields: tuple[str, ...]
    where: str


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table. `optional` are the fields that some calls of the event do not have."""

    event: str
    levels: frozenset[str]
    fields: tuple[str, ...]
    optional: frozenset[str]


def read_calls(source: str, where: str) -> tuple[list[Call], list[str]]:
    """The log calls of a Python file, and a line for every call that cannot be documented in a table."""
    tree = ast.parse(source)
    loggers = {"log", *_logger_names(tree)}
    calls: list[Call] = []
    problems: list[str] = []
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        if _last_name(node.func.value) not in loggers:
            continue
        place = f"{where}:{node.lineno}"
        level = LEVELS.get(node.func.attr)
        if level is None:
            if node.func.attr in ("bind", "new", "log", "msg", "fatal", "warn"):
                problems.append(f"{place}: log.{node.func.attr}() hides the level or the fields; use log.<level>()")
            continue
        event = node.args[0].value if len(node.args) == 1 and isinstance(node.args[0], ast.Constant) else None
        if not (isinstance(event, str) and _EVENT.fullmatch(event)):
            problems.append(f"{place}: the event is not one constant snake_case name: {_shown(node.args)}")
            continue
        fields = _fields(node, tree)
        if fields is None:
            problems.append(f"{place}: `**` hides the fields of {event}; name each field")
            continue
        calls.append(Call(event, level, fields, place))
    problems.extend(
        f"{where}:{line}: a log method is used without a call; use log.<level>()" for line in _indirect(tree, loggers)
    )
    return calls, problems


def read_tables(text: str) -> dict[str, list[Row]]:
    """The rows of a document, by section. Raises ValueError for a table of another form."""
    sections: dict[str, list[Row]] = {}
    rows: list[Row] | None = None
    for line in text.splitlines():
        if line.startswith("## "):
            rows = sections.setdefault(line[3:].strip(), [])
        elif line.startswith("|"):
            if rows is None:
                raise ValueError(f"a table outside of a section: {line}")
            cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]
            if cells == COLUMNS or set("".join(cells)) <= set("-:"):
                continue
            rows.append(_row(cells, line))
    return sections


def differences(section: str, calls: Sequence[Call], rows: Sequence[Row]) -> Iterator[str]:
    """A line for every difference between the calls of a section and the rows of its table."""
    by_event: dict[str, list[Call]] = defaultdict(list)
    for call in calls:
        by_event[call.event].append(call)
    documented: Mapping[str, Row] = {row.event: row for row in rows}
    if len(documented) < len(rows):
        yield f"{section}: an event has two rows"
    for event, of_event in by_event.items():
        if event not in documented:
            yield f"{section}: {event} has no row ({_places(of_event)})"
    for event, row in documented.items():
        if event not in by_event:
            yield f"{section}: {event} has a row and no call"
        else:
            yield from _row_differences(section, row, by_event[event])


def _row_differences(section: str, row: Row, calls: Sequence[Call]) -> Iterator[str]:
    levels = {call.level for call in calls}
    if levels != row.levels:
        yield f"{section}: {row.event} is {_list(levels)} in the code, {_list(row.levels)} in the table"
    for call in calls:
        expected = tuple(name for name in row.fields if name in call.fields or name not in row.optional)
        if call.fields != expected:
            yield f"{section}: {row.event} has the fields {call.fields} at {call.where}, {row.fields} in the table"
    for name in row.optional:
        having = sum(name in call.fields for call in calls)
        if having in (0, len(calls)):
            yield f"{section}: {row.event}: ({name}) is in {having} of {len(calls)} calls, so it is not optional"


def _row(cells: Sequence[str], line: str) -> Row:
    if len(cells) != len(COLUMNS) or not cells[3]:
        raise ValueError(f"a row needs the columns {', '.join(COLUMNS)}: {line}")
    event, levels, fields = (cell.replace("`", "") for cell in cells[:3])
    names = [name.strip() for name in fields.split(",")] if fields.strip("-— ") else []
    optional = frozenset(name.strip("()") for name in names if name.startswith("("))
    known = frozenset(level.strip() for level in levels.split(","))
    if not _EVENT.fullmatch(event) or not known <= set(LEVELS.values()):
        raise ValueError(f"not an event with its level: {line}")
    return Row(event, known, tuple(name.strip("()") for name in names), optional)


def _indirect(tree: ast.Module, loggers: set[str]) -> list[int]:
    """The lines that use a logger in a way that hides an event: `say = log.error`, `getattr(log, level)`, an alias."""
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    lines: list[int] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in LEVELS:
            on_logger = _last_name(node.value) in loggers or _is_factory(getattr(node.value, "func", node.value))
            if on_logger and (id(node) not in called or isinstance(node.value, ast.Call)):
                lines.append(node.lineno)
        elif isinstance(node, ast.Call) and _last_name(node.func) == "getattr" and _last_name(node.args[0]) in loggers:
            lines.append(node.lineno)
    return lines


def _logger_names(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Assign, ast.AnnAssign)) or not isinstance(node.value, ast.Call):
            continue
        if _is_factory(node.value.func):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {name for target in targets if (name := _last_name(target)) is not None}
    return names


def _is_factory(function: ast.expr) -> bool:
    return _last_name(function) in ("get_logger", "getLogger")


def _last_name(node: ast.expr) -> str | None:
    """`log` for `log`, `_log` for `self._log`."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None


def _fields(call: ast.Call, tree: ast.Module) -> tuple[str, ...] | None:
    """The keyword names of a call, without exc_info; None if they are not constant.

    `**function(…)` is resolved if the function is in the same file and returns a dict with constant keys.
    """
    names: list[str] = []
    for keyword in call.keywords:
        if keyword.arg is not None:
            names.append(keyword.arg)
        elif (keys := _returned_keys(keyword.value, tree)) is not None:
            names.extend(keys)
        else:
            return None
    return tuple(name for name in names if name != "exc_info")


def _returned_keys(value: ast.expr, tree: ast.Module) -> list[str] | None:
    if not isinstance(value, ast.Call) or (name := _last_name(value.func)) is None:
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            match [one.value for one in ast.walk(node) if isinstance(one, ast.Return)]:
                case [ast.Dict(keys=keys)] if all(isinstance(key, ast.Constant) for key in keys):
                    return [str(key.value) for key in keys if isinstance(key, ast.Constant)]
    return None


def _shown(arguments: Iterable[ast.expr]) -> str:
    return ", ".join(ast.unparse(argument) for argument in arguments) or "nothing"


def _places(calls: Iterable[Call]) -> str:
    return ", ".join(call.where for call in calls)


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
