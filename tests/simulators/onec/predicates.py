"""Turns a `$filter` tree into a function on rows, after checking it against the fields of the set."""

import operator
import re
from collections.abc import Callable
from typing import Any

from tests.simulators.onec.config import SETS, EntitySet, Kind
from tests.simulators.onec.errors import FUNCTION, OneCError, bad_option, unlimited_comparison
from tests.simulators.onec.filters import Binary, Call, Literal, Name, Node, Not
from tests.simulators.onec.values import ZERO_GUID, Row

Value = Callable[[Row], Any]

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}
_TEXT: dict[str, Callable[[str, str], bool]] = {
    "startswith": str.startswith,
    "endswith": str.endswith,
}
_SPECIAL = frozenset("_[")
_NUMBERS = (Kind.INT64, Kind.DOUBLE)
_STRINGS = (Kind.STRING, Kind.ENUM)


def predicate(node: Node, entity: EntitySet) -> Callable[[Row], bool]:
    """A function that tests a row of this set. Raises OneCError for a field or a type that 1C refuses."""
    test = _boolean(node, entity)
    names = tuple(sorted(name for name in _names(node) if entity.by_name[name].kind in _STRINGS))

    # The databases of 1C ignore case in comparisons, so a client must not rely on case. Each row is folded once, so
    # that a filter with 100 phones over 10,000 rows stays fast.
    def folded(row: Row) -> bool:
        return bool(test({**row, **{name: row[name].casefold() for name in names}}))

    return folded


def _names(node: Node) -> set[str]:
    match node:
        case Name(name):
            return {name}
        case Call(_, arguments):
            return set().union(*map(_names, arguments))
        case Not(operand):
            return _names(operand)
        case Binary(operator_, _, _):
            return set().union(*(_names(operand) for operand in _chain(node, operator_)))
    return set()


def _chain(node: Node, operator_: str) -> list[Node]:
    """The operands of `a or b or c …`; the parser builds a tree with one level for each operand."""
    operands: list[Node] = []
    while isinstance(node, Binary) and node.operator == operator_:
        operands.append(node.right)
        node = node.left
    return [node, *reversed(operands)]


def _compiled(node: Node, entity: EntitySet) -> tuple[Kind, Value]:
    match node:
        case Name(name):
            return _field(name, entity)
        case Literal(kind, text):
            constant = _constant(kind, text)
            return kind, lambda _: constant
        case Not(operand):
            inner = _boolean(operand, entity)
            return Kind.BOOLEAN, lambda row: not inner(row)
        case Binary("and" | "or" as operator_, _, _):
            tests = [_boolean(operand, entity) for operand in _chain(node, operator_)]
            # A loop that ends at the first decisive test; a generator for each row costs more than the tests.
            return Kind.BOOLEAN, _first_decisive(tests, decisive=operator_ == "or")
        case Binary(name, left, right):
            return Kind.BOOLEAN, _comparison(name, left, right, entity)
        case Call("cast", arguments):
            return _cast(arguments, entity)
        case Call(function, arguments):
            return Kind.BOOLEAN, _call(function, arguments, entity)


def _field(name: str, entity: EntitySet) -> tuple[Kind, Value]:
    field = entity.by_name.get(name)
    if field is None:
        raise bad_option("$filter", f"поле «{name}» не найдено в {entity.name}")
    if field.kind is Kind.ROWS:
        raise bad_option("$filter", f"поле «{name}» является табличной частью")
    if field.kind in _STRINGS:
        return field.kind, operator.itemgetter(name)
    if field.kind is Kind.INT64:
        return field.kind, lambda row: int(row[name])
    return field.kind, operator.itemgetter(name)


def _constant(kind: Kind, text: str) -> Any:
    match kind:
        case Kind.STRING:
            return text.casefold()
        case Kind.INT64:
            return int(text)
        case Kind.DOUBLE:
            return float(text)
        case Kind.BOOLEAN:
            return text == "true"
        case _:
            return text


def _boolean(node: Node, entity: EntitySet) -> Value:
    kind, value = _compiled(node, entity)
    if kind is not Kind.BOOLEAN:
        raise bad_option("$filter", "условие не является логическим")
    return value


def _first_decisive(tests: list[Value], *, decisive: bool) -> Value:
    def decide(row: Row) -> bool:
        for test in tests:
            if bool(test(row)) is decisive:
                return decisive
        return not decisive

    return decide


def _is_unlimited(node: Node, entity: EntitySet) -> bool:
    return isinstance(node, Name) and node.name in entity.by_name and entity.by_name[node.name].unlimited


def _comparison(name: str, left: Node, right: Node, entity: EntitySet) -> Value:
    (kind, one), (other_kind, other) = _compiled(left, entity), _compiled(right, entity)
    if _is_unlimited(left, entity) or _is_unlimited(right, entity):
        raise unlimited_comparison()
    same = any(kind in group and other_kind in group for group in (_NUMBERS, _STRINGS))
    if kind is not other_kind and not same:
        raise bad_option("$filter", f"нельзя сравнить {kind} и {other_kind}")
    compare = _COMPARE[name]
    return lambda row: compare(one(row), other(row))


def _call(function: str, arguments: tuple[Node, ...], entity: EntitySet) -> Value:
    compiled = [_compiled(argument, entity) for argument in arguments]
    if any(kind is not Kind.STRING for kind, _ in compiled):
        raise OneCError(400, FUNCTION, f"Неверный тип аргумента функции {function}")
    first, second = compiled[0][1], compiled[1][1]
    match function:
        case "substringof" if isinstance(arguments[0], Literal):
            part = arguments[0].text.casefold()
            return lambda row: part in second(row)
        case "substringof":
            return lambda row: first(row) in second(row)
        case "like":
            template = arguments[1]
            if not isinstance(template, Literal):
                raise OneCError(400, FUNCTION, "Шаблон функции like должен быть строкой")
            folded = template.text.casefold()
            if not _SPECIAL & set(folded) and folded.startswith("%") and folded.endswith("%"):
                # The pieces must occur in their order: searching each behind the last needs no backtracking.
                pieces = [piece for piece in folded.split("%") if piece]
                return lambda row: _in_order(pieces, first(row))
            pattern = re.compile(like_pattern(folded), re.DOTALL)
            return lambda row: pattern.fullmatch(first(row)) is not None
        case _:
            test = _TEXT[function]
            return lambda row: test(first(row), second(row))


def _cast(arguments: tuple[Node, ...], entity: EntitySet) -> tuple[Kind, Value]:
    """A reference cast to a set, which 1C needs for fields with references to several sets.

    All reference fields here point to one set: cast to this set the reference stays, cast to another set it is empty.
    """
    value, type_ = arguments
    if not isinstance(type_, Literal) or type_.text not in SETS:
        raise OneCError(400, FUNCTION, "Неизвестный тип в функции cast")
    kind, read = _compiled(value, entity)
    if kind is not Kind.GUID:
        raise OneCError(400, FUNCTION, "Неверный тип аргумента функции cast")
    refers = entity.by_name[value.name].refers if isinstance(value, Name) else type_.text
    return kind, read if refers in ("", type_.text) else lambda _: ZERO_GUID


def _in_order(pieces: list[str], text: str) -> bool:
    position = 0
    for piece in pieces:
        found = text.find(piece, position)
        if found < 0:
            return False
        position = found + len(piece)
    return True


def like_pattern(template: str) -> str:
    """A regular expression for a template of `like`: `%` any text, `_` one character, `[a-z]`, `[^a-z]`."""
    pattern, position = "", 0
    while position < len(template):
        character = template[position]
        end = template.find("]", position + 2)
        if character == "[" and end > 0:
            inside = template[position + 1 : end]
            negated = "^" if inside.startswith("^") else ""
            inside = inside.removeprefix("^").replace("\\", "\\\\").replace("[", "\\[").replace("^", "\\^")
            pattern += f"[{negated}{inside}]"
            position = end
        else:
            pattern += {"%": ".*", "_": "."}.get(character, re.escape(character))
        position += 1
    return pattern
