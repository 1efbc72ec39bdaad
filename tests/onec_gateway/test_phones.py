"""The forms in which 1C may hold a phone, compared with a number in E.164."""

import pytest

from services.onec_gateway.onec import phones

OURS = "+79161234567"


@pytest.mark.parametrize(
    "columns",
    [
        ("79161234567",),
        ("89161234567",),
        ("9161234567",),
        ("+7 (916) 123-45-67", "1234567"),
        ("8-916-123-45-67",),
        ("", "", "1234567"),
        ("123-45-67",),
        ("+7 495 765-43-21, 8 (916) 123 45 67",),
        ("84957654321; 89161234567",),
        ("84957654321 89161234567",),
        ("8 916 123-45-67 доб. 12",),
    ],
)
def test_number_is_recognised_in_every_form(columns: tuple[str, ...]) -> None:
    assert phones.same(OURS, columns)


@pytest.mark.parametrize(
    ("columns", "phone"),
    [
        (("84951234567#12",), "+74951234567"),
        (("8(495)1234567*12",), "+74951234567"),
        (("+7 495 123-45-67 x12",), "+74951234567"),
        (("8 495 123-45-67 (12)",), "+74951234567"),
        (("8 916 123-45-67 доб 3", ""), OURS),
    ],
)
def test_extension_behind_a_number_does_not_hide_the_number(columns: tuple[str, ...], phone: str) -> None:
    assert phones.same(phone, columns)


def test_what_the_watching_reads_of_a_contact_is_what_the_check_compares() -> None:
    for columns in (
        ("84951234567#12",),
        ("123-45-67",),
        ("+7 (495) 123-45-67", "1234567"),
        ("84957654321; 89161234567",),
    ):
        numbers = phones.read(columns)
        for phone in (OURS, "+74951234567", "+74957654321"):
            assert phones.same(phone, columns) == numbers.hold(phone)


@pytest.mark.parametrize(
    "columns",
    [
        (),
        ("", ""),
        ("+7 (495) 123-45-67", "1234567"),
        ("4951234567", "1234567"),
        ("+375 29 123-45-67", "1234567"),
        ("7654321",),
        ("791612345678",),
    ],
)
def test_another_number_with_the_same_last_digits_is_a_different_number(columns: tuple[str, ...]) -> None:
    assert not phones.same(OURS, columns)


def test_foreign_number_is_compared_with_all_its_digits() -> None:
    assert phones.same("+375291234567", ("+375 (29) 123-45-67",))
    assert phones.same("+375291234567", ("810375291234567",))
    assert not phones.same("+375291234567", ("80291234567",))


def test_pattern_matches_the_last_digits_with_anything_between_them() -> None:
    assert phones.loose_pattern(OURS) == "%1%2%3%4%5%6%7%"
