"""Personal data that 1C repeats in its error messages is cut out."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.onec_gateway.onec.scrub import scrubbed

SURNAMES = ("Иванов", "Щукарёв", "Кузнецова-Белая", "Ли", "Достоевский")
NAMES = ("Пётр", "Анна", "Ия", "Святослав")
FORMS = (
    "Элемент {who} {phone} уже существует",
    "Ошибка при выполнении обработчика - 'ПриЗаписи':\n{who}: телефон {phone} занят",
    "Не удалось записать: «{who}»!",
    "{who} не найден по ключу {phone}",
    'Значение "{phone}" поля «{who}» неверно',
)


@given(
    st.sampled_from(SURNAMES),
    st.sampled_from(NAMES),
    st.integers(min_value=9000000000, max_value=9999999999),
    st.sampled_from(FORMS),
    st.sampled_from(["{d}", "+7{d}", "8 ({a}) {b}-{c}-{e}", "{a}.{b}.{c}{e}"]),
    st.sampled_from([str, str.upper, str.lower, lambda text: text.replace("ё", "е")]),
    st.booleans(),
)
def test_neither_name_nor_phone_remains_in_any_form(
    surname: str, name: str, digits: int, form: str, written: str, fold: object, ours: bool
) -> None:
    text = str(digits)
    phone = written.format(d=text, a=text[:3], b=text[3:6], c=text[6:8], e=text[8:])
    # A name that is not in the request is recognised only by its capital letter.
    who = f"{surname} {name}" if not ours else fold(f"{surname} {name}")  # type: ignore[operator]

    left = scrubbed(form.format(who=who, phone=phone), (f"{surname} {name}",) if ours else ())

    assert not re.search(r"\d{5}", re.sub(r"\D", "", left))
    for word in (*surname.split("-"), name):
        assert word.casefold().replace("ё", "е") not in left.casefold().replace("ё", "е").split()


@pytest.mark.parametrize(
    "kept",
    [
        "Ошибка при выполнении обработчика - 'ПриЗаписи'",
        "Конфликт блокировок при выполнении транзакции",
        "Нарушение прав доступа!",
        "Непредвиденный символ при чтении JSON",
    ],
)
def test_words_of_the_platform_remain(kept: str) -> None:
    assert scrubbed(kept, ("Иванов Пётр",)) == kept


def test_declined_name_is_cut_out_too() -> None:
    assert scrubbed("нельзя изменить карточку Ивановой Петре", ("Иванов Пётр",)) == "нельзя изменить карточку …"
