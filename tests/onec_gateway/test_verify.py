"""A mistake in the mapping is found before anything is written, with a message that the administrator can act on."""

from pathlib import Path

import pytest

from services.onec_gateway.onec import mapping
from services.onec_gateway.onec.client import OneC
from services.onec_gateway.onec.compare import Problem
from services.onec_gateway.onec.mapping import MappingError
from services.onec_gateway.onec.verify import verify
from tests.onec_gateway.conftest import MAPPINGS
from tests.simulators.tests.processes import ROOT, OneCSim

DEFAULT = (ROOT / "services/onec_gateway/onec/mapping.toml").read_text(encoding="utf-8")


async def problems(onec: OneC, text: str, folder: Path) -> list[Problem]:
    file = folder / "mapping.toml"
    file.write_text(text, encoding="utf-8")
    return list((await verify(onec, mapping.load(file))).problems)


@pytest.mark.parametrize("file", [None, MAPPINGS / "document.toml"])
async def test_correct_mapping_has_no_problems_and_nothing_is_written(
    sim: OneCSim, onec: OneC, file: Path | None
) -> None:
    verified = await verify(onec, mapping.load(file))

    assert verified.problems == ()
    assert not any(call["committed"] for call in sim.get("calls"))


@pytest.mark.parametrize(
    ("right", "wrong", "place", "words"),
    [
        (
            'set = "Document_CRM_Интерес"',
            'set = "Document_CRM_Интересы"',
            "[general_journal] set",
            ["Document_CRM_Интересы не опубликован", "похожи: Document_CRM_Интерес", "УстановитьСостав"],
        ),
        (
            'state = "Состояние"',
            'state = "Состояниа"',
            "[partner_journal] state",
            ["в InformationRegister_ЖурналПартнеров нет поля Состояниа", "похожи: Состояние"],
        ),
        (
            'date = "Date"\nnumber = "Number"\nsubject',
            'date = "Тема"\nnumber = "Number"\nsubject',
            "[general_journal] date",
            ["поле Тема в Document_CRM_Интерес: это строка, а нужна дата"],
        ),
        (
            'lead_id = "ИдентификаторЛида"',
            'lead_id = "Телефон"',
            "[partner_journal] lead_id",
            ["хранит 20 знаков, а нужно не меньше 36", "ключ регистра", "не откажет во второй записи"],
        ),
        (
            'state_active = "Активен"',
            'state_active = "Закреплён за партнёром сейчас"',
            "[partner_journal] state_active",
            ["длиннее поля Состояние: 1С оставит от него 20 знаков"],
        ),
        (
            'client_phone = "ТелефонПотенциальногоКлиента"',
            'client_phone = "ТелефонКлиента"',
            "[phone_kinds] client_phone",
            ["нет вида «ТелефонКлиента»", "похожи: ТелефонПотенциальногоКлиента"],
        ),
    ],
)
async def test_mistake_is_reported_with_its_place_and_similar_names(
    onec: OneC, tmp_path: Path, right: str, wrong: str, place: str, words: list[str]
) -> None:
    assert right in DEFAULT

    found = await problems(onec, DEFAULT.replace(right, wrong, 1), tmp_path)

    here = " ".join(problem.message for problem in found if problem.place == place and problem.severity == "error")
    for part in words:
        assert part in here


async def test_missing_right_is_reported_with_its_object(sim: OneCSim, onec: OneC, tmp_path: Path) -> None:
    sim.post("fault", {"mode": "rights", "match": {"set": "Document_CRM_Интерес"}})

    (problem,) = await problems(onec, DEFAULT, tmp_path)

    assert problem.place == "[general_journal] set"
    assert "нет права чтения Document_CRM_Интерес" in problem.message


async def test_field_too_short_for_the_history_is_a_warning(onec: OneC, tmp_path: Path) -> None:
    found = await problems(onec, DEFAULT.replace('mark = "Комментарий"', 'mark = "Тема"', 1), tmp_path)

    assert [(one.severity, one.place) for one in found] == [("warning", "[general_journal] mark")]


async def test_short_name_field_is_a_warning_only(onec: OneC, tmp_path: Path) -> None:
    text = DEFAULT.replace('full_name = "ФИО"', 'full_name = "НомерДоговора"', 1)

    found = await problems(onec, text, tmp_path)

    assert ("warning", "[partner_journal] full_name") in {(one.severity, one.place) for one in found}


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ('state_won = "Продан"\n', "", "[partner_journal] state_won: не задано"),
        ('state_won = "Продан"\n', 'state_won = "Продан"\nstate_one = "?"\n', "[partner_journal] state_one: лишнее"),
        ('kind = "register"', 'kind = "table"', "[partner_journal] kind: register или document"),
        ('state_won = "Продан"', "state_won = 7", "[partner_journal] state_won: нужна строка"),
        ("[phone_kinds]", "[phone_kind]", "[phone_kinds]: не задано"),
        ('state_won = "Продан"', "state_won = Продан", "не TOML"),
    ],
)
def test_mistake_in_the_file_is_reported_in_russian(tmp_path: Path, right: str, wrong: str, message: str) -> None:
    file = tmp_path / "mapping.toml"
    file.write_text(DEFAULT.replace(right, wrong, 1), encoding="utf-8")

    with pytest.raises(MappingError) as raised:
        mapping.load(file)

    assert message in str(raised.value)
