"""Phones, names and the client key: when two submissions are about the same client."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.person import (
    MAX_NAME_LENGTH,
    InvalidName,
    InvalidPhone,
    Person,
    client_key,
    fold_name,
    parse_phone,
    tidy_name,
)
from tests.contracts.keys import CLIENT_KEY_SECRET

national = (
    st.integers(min_value=900_000_00_00, max_value=999_999_99_99)
    .map(str)
    .filter(lambda digits: _is_phone("+7" + digits))
)
russian = st.text("абвгдеёжзийклмнопрстуфхцчшщъыьэюяАБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ- ", min_size=1, max_size=150)


def _is_phone(text: str) -> bool:
    try:
        return bool(parse_phone(text))
    except InvalidPhone:
        return False


def _is_name(text: str) -> bool:
    try:
        return bool(tidy_name(text))
    except InvalidName:
        return False


names = st.one_of(russian, st.text(max_size=200)).filter(_is_name)


class TestPhone:
    """Phones are parsed with region RU and stored as E.164."""

    @given(national)
    def test_all_spellings_of_a_russian_number_are_one_number(self, digits: str) -> None:
        a, b, c, d = digits[:3], digits[3:6], digits[6:8], digits[8:]
        spellings = [
            f"8{digits}",
            f"7{digits}",
            digits,
            f"8 ({a}) {b}-{c}-{d}",
            f"+7 {a} {b} {c} {d}",
            f"  +7({a}){b}-{c}-{d} ",
            f"8-{a}-{b}-{c}-{d}",
        ]

        assert {parse_phone(spelling) for spelling in spellings} == {f"+7{digits}"}

    @given(national)
    def test_a_parsed_number_parses_to_itself(self, digits: str) -> None:
        assert parse_phone(parse_phone(f"8{digits}")) == f"+7{digits}"

    @pytest.mark.parametrize("text", ["+7 701 000 00 01", "8 701 000 00 01", "7010000001"])
    def test_a_kazakh_number_is_valid(self, text: str) -> None:
        assert parse_phone(text) == "+77010000001"

    def test_a_foreign_number_needs_its_country_code(self) -> None:
        assert parse_phone("+375 29 200-00-01") == "+375292000001"
        with pytest.raises(InvalidPhone):
            parse_phone("375292000001")

    def test_an_extension_is_not_part_of_the_number(self) -> None:
        assert parse_phone("+7 495 000-00-01 доб. 12") == "+74950000001"

    @pytest.mark.parametrize(
        "text",
        [
            "",
            " ",
            "+",
            "нет",
            "112",
            "8 999 000-00",
            "8 999 000-00-011",
            "+7 100 000 00 01",
            "89990000001, 89990000002",
        ],
    )
    def test_a_text_that_is_no_number_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidPhone):
            parse_phone(text)

    @given(st.text(max_size=300))
    def test_any_text_is_a_number_or_is_refused_without_quoting_it(self, text: str) -> None:
        marked = f"@@{text}@@"
        if not _is_phone(marked):
            with pytest.raises(InvalidPhone) as refused:
                parse_phone(marked)
            assert "@@" not in str(refused.value)
            assert refused.value.__cause__ is None


class TestName:
    """Names are stored with single spaces, and compared without case and ё."""

    @given(names)
    def test_tidying_twice_changes_nothing(self, name: str) -> None:
        assert tidy_name(tidy_name(name)) == tidy_name(name)

    @given(names)
    def test_folding_twice_changes_nothing(self, name: str) -> None:
        assert fold_name(fold_name(name)) == fold_name(name)

    @given(names)
    def test_a_tidied_name_folds_like_the_name(self, name: str) -> None:
        assert fold_name(tidy_name(name)) == fold_name(name)

    @given(russian.filter(_is_name))
    def test_case_does_not_matter(self, name: str) -> None:
        assert fold_name(name.upper()) == fold_name(name.lower()) == fold_name(name)

    @given(russian.filter(_is_name))
    def test_the_letter_yo_equals_ye(self, name: str) -> None:
        assert fold_name(name.replace("ё", "е").replace("Ё", "Е")) == fold_name(name)
        assert "ё" not in fold_name(name)

    @given(names, st.sampled_from(["NFC", "NFD"]))
    def test_the_unicode_form_of_accents_does_not_matter(self, name: str, form: str) -> None:
        assert fold_name(unicodedata.normalize(form, name)) == fold_name(name)  # type: ignore[arg-type]  # one of the two

    @given(russian.filter(_is_name), st.sampled_from([" ", "  ", "\t", "\u00a0", "\n"]))
    def test_spaces_do_not_matter(self, name: str, space: str) -> None:
        assert fold_name(space + name.replace(" ", space) + space) == fold_name(name)

    @pytest.mark.parametrize(
        "text", ["", " ", "-", "12", "Анна\u200b", "Анна\x00", "\ud800Анна", "а" * (MAX_NAME_LENGTH + 1)]
    )
    def test_a_text_that_is_no_name_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidName):
            tidy_name(text)

    @given(st.text())
    def test_a_refusal_does_not_quote_the_name(self, text: str) -> None:
        marked = f"{text}\x00@@"
        with pytest.raises(InvalidName) as refused:
            tidy_name(marked + "А")
        assert "@@" not in str(refused.value)


class TestClientKey:
    """The client key is equal for equal phones, and does not show the phone."""

    def test_the_key_of_a_phone_never_changes(self) -> None:
        expected = "k1:da9bab0472a3af433e5fcf36e22ff50a4a26a6a2183401ac2427568f759151a1"

        assert client_key(CLIENT_KEY_SECRET, "+79990000001") == expected

    @given(national)
    def test_all_spellings_of_a_phone_have_one_key(self, digits: str) -> None:
        spellings = (f"8{digits}", f"+7 {digits}", digits)
        keys = {client_key(CLIENT_KEY_SECRET, Person.parse("Анна", phone).phone) for phone in spellings}

        assert len(keys) == 1

    @given(national, national)
    def test_different_phones_have_different_keys_that_show_no_digits(self, one: str, other: str) -> None:
        key = client_key(CLIENT_KEY_SECRET, f"+7{one}")

        assert (key == client_key(CLIENT_KEY_SECRET, f"+7{other}")) == (one == other)
        assert one not in key

    def test_another_secret_gives_another_key(self) -> None:
        assert client_key(b"one", "+79990000001") != client_key(b"other", "+79990000001")


def test_a_person_keeps_the_phone_as_it_was_typed() -> None:
    client = Person.parse("  Анна   Образцова ", "8 (999) 000-00-01")

    assert client == Person(full_name="Анна Образцова", phone="+79990000001", phone_raw="8 (999) 000-00-01")
