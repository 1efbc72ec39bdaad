"""The `$filter` language without HTTP."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.simulators.onec.config import CLIENTS, ENQUIRIES, Kind
from tests.simulators.onec.errors import OneCError
from tests.simulators.onec.filters import FUNCTIONS, Binary, Call, Literal, Name, Node, Not, parse, to_text
from tests.simulators.onec.predicates import like_pattern, predicate

_RESERVED = {"and", "or", "not", "eq", "ne", "gt", "ge", "lt", "le", "true", "false"}
_names = st.from_regex(r"[A-Za-zА-Яа-яЁё_][A-Za-zА-Яа-яЁё0-9_]{0,12}", fullmatch=True).filter(
    lambda name: name not in _RESERVED
)
_leaves: st.SearchStrategy[Node] = st.one_of(
    st.builds(Name, _names),
    st.builds(Literal, st.just(Kind.STRING), st.text(max_size=20)),
    st.builds(Literal, st.just(Kind.GUID), st.uuids().map(str)),
    st.builds(
        Literal,
        st.just(Kind.DATETIME),
        st.datetimes().map(lambda moment: moment.replace(microsecond=0).isoformat()),
    ),
    st.builds(Literal, st.just(Kind.INT64), st.integers().map(str)),
    st.builds(Literal, st.just(Kind.BOOLEAN), st.sampled_from(["true", "false"])),
)
_trees: st.SearchStrategy[Node] = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(Binary, st.sampled_from(sorted(_RESERVED - {"not", "true", "false"})), inner, inner),
        st.builds(Call, st.sampled_from(sorted(FUNCTIONS)), st.tuples(inner, inner)),
    ),
    max_leaves=12,
)


@given(_trees)
def test_every_tree_is_the_same_after_printing_and_parsing(tree: Node) -> None:
    assert parse(to_text(tree)) == tree


@given(st.text(alphabet="abТ'(), 1eqnotgudi=-.", max_size=30))
def test_any_text_is_parsed_or_refused_with_an_error_of_1c(text: str) -> None:
    with suppress(OneCError):
        assert parse(text) == parse(to_text(parse(text)))


def test_and_binds_stronger_than_or() -> None:
    assert parse("Posted or Posted and DeletionMark") == Binary(
        "or", Name("Posted"), Binary("and", Name("Posted"), Name("DeletionMark"))
    )


def test_not_binds_stronger_than_a_comparison() -> None:
    with pytest.raises(OneCError):
        predicate(parse("not Тема eq 'Сайт'"), ENQUIRIES)
    assert predicate(parse("not (Тема eq 'Сайт')"), ENQUIRIES)({"Тема": "Звонок"})


def test_doubled_quote_in_a_string_is_one_quote() -> None:
    assert parse("'Д''Артаньян'") == Literal(Kind.STRING, "Д'Артаньян")


@pytest.mark.parametrize("function", ["length", "indexof", "tolower", "toupper", "trim", "contains", "replace"])
def test_function_that_1c_lacks_is_refused(function: str) -> None:
    with pytest.raises(OneCError) as refusal:
        parse(f"{function}(Description,'а')")
    assert (refusal.value.status, refusal.value.code) == (400, "21")


@pytest.mark.parametrize(
    "text", ["", "Code eq", "(Code eq '1'", "Code eq '1", "Code eq '1')", "Code = '1'", "Code\teq '1'", "and"]
)
def test_broken_filter_is_refused(text: str) -> None:
    with pytest.raises(OneCError) as refusal:
        predicate(parse(text), CLIENTS)
    assert (refusal.value.status, refusal.value.code) == (400, "14")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Ref_Key eq 'abc'", "14"),
        ("Ref_Key eq guid'abc'", "1"),
        ("Date gt datetime'2026-11-01'", "1"),
        ("Date gt datetime'2026-11-01T00:00:00Z'", "1"),
        ("Posted", None),
        ("Тема", "14"),
        ("Нет eq 'а'", "14"),
        ("substringof('а', Date)", "21"),
    ],
)
def test_types_of_a_comparison_are_checked(text: str, code: str | None) -> None:
    if code is None:
        predicate(parse(text), ENQUIRIES)
        return
    with pytest.raises(OneCError) as refusal:
        predicate(parse(text), ENQUIRIES)
    assert (refusal.value.status, refusal.value.code) == (400, code)


def test_like_reads_the_template_language_of_1c() -> None:
    assert like_pattern("+7%_[0-9][^а]") == r"\+7.*.[0-9][^а]"


def test_filter_with_5000_conditions_is_evaluated() -> None:
    test = predicate(parse(" or ".join(f"Number eq '{n}'" for n in range(5000))), ENQUIRIES)
    assert test({"Number": "4999"})
    assert not test({"Number": "5000"})
