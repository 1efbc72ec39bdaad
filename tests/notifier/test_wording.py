"""The wordings of SMS, and how many segments each takes."""

from datetime import date
from pathlib import Path
from uuid import UUID

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

import services.notifier
from contracts.person import MAX_NAME_LENGTH
from services.notifier.domain import wording
from services.notifier.domain.wording import render, segments, short_name
from tests.simulators.sms.segments import segments as billed

LEAD = UUID("11111111-1111-1111-1111-1111111104f2")
DAY = date(2027, 5, 24)


FACTS = {"through": wording.day(DAY), "days": "7", "contract": "ДДУ-17/3", "amount": "1500.00", "currency": "EUR"}
FACTS["reason"] = "сделка без партнёра"
LONGEST = {
    "through": "24.05.2027",
    "days": "365",
    "contract": wording.short("Щ" * 200),
    "amount": "-9999999999999999.99",
    "currency": "EUR",
    "reason": wording.short("Щ" * 1000),
}


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        (wording.CONFIRMED, "Клиент Иванов И. закреплён за вами до 24.05.2027 включительно. Заявка 04F2."),
        (wording.REJECTED, "Клиент Иванов И.: отказ, клиент уже в работе. Заявка 04F2."),
        (wording.ALREADY_YOURS, "Клиент Иванов И. уже закреплён за вами. Заявка 04F2."),
        (
            wording.DELAYED,
            "Клиент Иванов И.: проверка занимает больше времени, ответ придёт в SMS. Заявка 04F2.",
        ),
        (
            wording.EXPIRING,
            "Клиент Иванов И.: закрепление до 24.05.2027 включительно, осталось дней: 7. Заявка 04F2.",
        ),
        (
            wording.EXPIRED,
            "Клиент Иванов И.: срок закрепления истёк, клиент передан застройщику. Заявка 04F2.",
        ),
        (wording.EXTENDED, "Клиент Иванов И.: закрепление продлено до 24.05.2027 включительно. Заявка 04F2."),
        (wording.REINSTATED, "Клиент Иванов И. снова закреплён за вами до 24.05.2027 включительно. Заявка 04F2."),
        (
            wording.REOPENED,
            "Клиент Иванов И.: сделка отменена, закрепление до 24.05.2027 включительно. Заявка 04F2.",
        ),
        (wording.WITHDRAWN, "Клиент Иванов И.: закрепление снято. Заявка 04F2."),
        (wording.WON, "Клиент Иванов И.: сделка заключена. Вы можете запросить вознаграждение. Заявка 04F2."),
        (wording.CLAIM_ACCEPTED, "Запрос вознаграждения принят, договор ДДУ-17/3. Заявка 04F2."),
        (wording.ACCRUED, "Вознаграждение начислено: 1500.00 EUR, договор ДДУ-17/3. Заявка 04F2."),
        (wording.CORRECTED, "Вознаграждение исправлено на 1500.00 EUR, договор ДДУ-17/3. Заявка 04F2."),
        (wording.DECLINED, "В вознаграждении отказано: сделка без партнёра, договор ДДУ-17/3. Заявка 04F2."),
    ],
)
def test_the_wordings_of_version_1_never_change(text: wording.Text, rendered: str) -> None:
    assert render(str(text), "Иванов Иван Иванович", LEAD, FACTS) == rendered


def test_every_text_has_its_file_and_every_file_its_text() -> None:
    files = (Path(services.notifier.__file__).parent / "templates").iterdir()

    assert {file.name.removesuffix(".txt") for file in files} == set(wording.TEXTS)


@pytest.mark.parametrize(
    ("full_name", "short"),
    [
        ("Иванов Иван Иванович", "Иванов И."),
        ("Салтыков-Щедрин михаил", "Салтыков-Щедрин М."),
        ("Шер", "Шер"),
        ("Smith «John»", "Smith J."),
        ("Ли 88", "Ли"),
        ("Straße ßeta", "Straße S."),
        ("я" * 40, "я" * 40),
        ("я" * 41, "я" * 39 + "…"),
        ("😀" * 21, "😀" * 19 + "…"),
    ],
)
def test_a_name_is_the_surname_and_one_initial(full_name: str, short: str) -> None:
    assert short_name(full_name) == short


@pytest.mark.parametrize("template", wording.TEXTS)
@pytest.mark.parametrize("letter", ["я", "w", "😀", "𠜎"])
def test_every_text_fits_into_two_segments_with_the_longest_values(template: str, letter: str) -> None:
    for surname in range(1, MAX_NAME_LENGTH - 1):
        name = f"{letter * surname} {'я' * (MAX_NAME_LENGTH - surname - 1)}"

        assert segments(render(template, name, LEAD, LONGEST)) <= wording.MAX_SEGMENTS


@pytest.mark.parametrize("template", wording.TEXTS)
def test_the_texts_about_two_leads_of_one_client_differ(template: str) -> None:
    first, second = (render(template, "Иванов Иван", UUID(int=n), FACTS) for n in (1, 2))

    assert first != second


def test_a_text_without_its_date_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        render(str(wording.CONFIRMED), "Иванов Иван", LEAD, {})


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("€" * 152, 2),
        ("€" * 153, 3),
        ("я" * 70, 1),
        ("я" * 71, 2),
        ("я" * 134, 2),
        ("я" * 135, 3),
        ("😀" * 35, 1),
        ("😀" * 66, 2),
        ("😀" * 67, 3),
        ("", 1),
    ],
)
def test_a_text_is_split_into_segments_as_the_standard_says(text: str, count: int) -> None:
    assert segments(text) == count


@given(st.text(alphabet=st.sampled_from("aЯ€^😀[ё 1"), max_size=400))
def test_segments_are_counted_as_the_provider_bills_them(text: str) -> None:
    assert segments(text) == billed(text)
