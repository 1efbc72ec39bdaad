"""Parser of 1C's `$filter` language: text to a syntax tree and back. `predicates` evaluates the tree.

Precedence by the vendor's guide, strongest first: parentheses, `not`, `gt ge lt le`, `eq ne`, `and`, `or`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from tests.simulators.onec.config import Kind
from tests.simulators.onec.errors import FUNCTION, UNSUPPORTED, OneCError, bad_option
from tests.simulators.onec.values import parse_datetime, parse_guid


@dataclass(frozen=True, slots=True)
class Name:
    """A field of the set."""

    name: str


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant. Numbers are kept as text."""

    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments."""

    function: str
    arguments: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Negation."""

    operand: "Node"


@dataclass(frozen=True, slots=True)
class Binary:
    """A comparison, `and` or `or`."""

    operator: str
    left: "Node"
    right: "Node"


Node = Name | Literal | Call | Not | Binary

# Number of arguments by name.
FUNCTIONS = {"substringof": 2, "startswith": 2, "endswith": 2, "like": 2, "cast": 2}
# 1C has these functions, the simulator does not: its error (501) differs from 1C's error for unknown functions.
_NOT_SIMULATED = frozenset(
    (
        *("concat", "substring", "dateadd", "datedifference", "day", "dayofweek", "dayofyear", "hour", "minute"),
        *("month", "quarter", "second", "year", "isof", "round"),
    )
)
_LEVELS: tuple[tuple[str, ...], ...] = (("or",), ("and",), ("eq", "ne"), ("gt", "ge", "lt", "le"))
_OPERATORS = frozenset(operator for level in _LEVELS for operator in level)
_MAX_DEPTH = 100


class _Token(StrEnum):
    SPACE = "space"
    TYPED = "typed"
    STRING = "string"
    NUMBER = "number"
    WORD = "word"
    MARK = "mark"
    END = "end"


_TOKENS = re.compile(
    r"(?P<space> +)"
    r"|(?P<typed>(?:guid|datetime)'[^']*')"
    r"|(?P<string>'(?:[^']|'')*')"
    r"|(?P<number>-?\d+(?:\.\d+)?)"
    r"|(?P<word>[^\W\d]\w*)"
    r"|(?P<mark>[(),])"
)


def _tokens(text: str) -> Iterator[tuple[_Token, str]]:
    position = 0
    while position < len(text):
        match = _TOKENS.match(text, position)
        if match is None:
            raise bad_option("$filter", f"неизвестный символ в позиции {position + 1}")
        position = match.end()
        token = _Token(str(match.lastgroup))
        if token is not _Token.SPACE:
            yield token, match.group()
    yield _Token.END, ""


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._position = 0
        self._depth = 0

    def whole(self) -> Node:
        node = self._level(0)
        token, text = self._peek()
        if token is not _Token.END:
            raise bad_option("$filter", f"лишнее «{text}»")
        return node

    def _peek(self) -> tuple[_Token, str]:
        return self._tokens[self._position]

    def _take(self) -> tuple[_Token, str]:
        taken = self._tokens[self._position]
        self._position += 1
        return taken

    def _expect(self, mark: str) -> None:
        token, text = self._peek()
        if token is not _Token.MARK or text != mark:
            raise bad_option("$filter", f"ожидается «{mark}»")
        self._take()

    def _level(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self._unary()
        node = self._level(level + 1)
        while self._peek()[0] is _Token.WORD and self._peek()[1] in _LEVELS[level]:
            operator = self._take()[1]
            node = Binary(operator, node, self._level(level + 1))
        return node

    def _unary(self) -> Node:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise bad_option("$filter", "слишком сложное выражение")
        try:
            if self._peek() == (_Token.WORD, "not"):
                self._take()
                return Not(self._unary())
            return self._primary()
        finally:
            self._depth -= 1

    def _primary(self) -> Node:
        token, text = self._take()
        match token:
            case _Token.MARK if text == "(":
                node = self._level(0)
                self._expect(")")
                return node
            case _Token.STRING:
                return Literal(Kind.STRING, text[1:-1].replace("''", "'"))
            case _Token.TYPED if text.startswith("guid"):
                return Literal(Kind.GUID, parse_guid(text[5:-1]))
            case _Token.TYPED:
                return Literal(Kind.DATETIME, parse_datetime(text[9:-1]))
            case _Token.NUMBER:
                return Literal(Kind.DOUBLE if "." in text else Kind.INT64, text)
            case _Token.WORD if text in ("true", "false"):
                return Literal(Kind.BOOLEAN, text)
            case _Token.WORD if self._peek() == (_Token.MARK, "("):
                return self._call(text)
            case _Token.WORD if text not in _OPERATORS and text != "not":
                return Name(text)
        raise bad_option("$filter", f"не ожидается «{text}»" if text else "выражение оборвано")

    def _call(self, function: str) -> Node:
        self._take()
        if function in _NOT_SIMULATED:
            raise OneCError(501, UNSUPPORTED, f"Функция {function} есть в 1С, но не в этом симуляторе")
        if function not in FUNCTIONS:
            raise OneCError(400, FUNCTION, f"Вызов нереализованной функции {function}")
        arguments = [self._level(0)]
        while self._peek() == (_Token.MARK, ","):
            self._take()
            arguments.append(self._level(0))
        self._expect(")")
        if len(arguments) != FUNCTIONS[function]:
            raise OneCError(400, FUNCTION, f"Неверное количество аргументов функции {function}")
        return Call(function, tuple(arguments))


def parse(text: str) -> Node:
    """The syntax tree of a `$filter`. Raises OneCError for a text that 1C refuses."""
    return _Parser(text).whole()


def to_text(node: Node) -> str:
    """A `$filter` that parses to this tree. Every operand has parentheses."""
    match node:
        case Name(name):
            return name
        case Literal(Kind.STRING, text):
            return "'" + text.replace("'", "''") + "'"
        case Literal(Kind.GUID, text):
            return f"guid'{text}'"
        case Literal(Kind.DATETIME, text):
            return f"datetime'{text}'"
        case Literal(_, text):
            return text
        case Call(function, arguments):
            return f"{function}({', '.join(map(to_text, arguments))})"
        case Not(operand):
            return f"not ({to_text(operand)})"
        case Binary(operator, left, right):
            return f"({to_text(left)}) {operator} ({to_text(right)})"
