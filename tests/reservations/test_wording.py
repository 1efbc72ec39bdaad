"""The texts of history entries, those of former versions included."""

import json
from typing import Any

import pytest

from services.reservations.domain import verdicts
from services.reservations.domain.history import Entry, Head, appended, flaws
from services.reservations.domain.recorder import recorder_of
from services.reservations.domain.wording import describe, renamed
from tests.reservations.driver import KEY, LEAD, NOON, SECRET, DomainDriver, confirmed, expired, reserved, sold

# Entries as the version before the database's revision 0004 wrote them.
FORMER: list[tuple[dict[str, Any], str]] = [
    (
        {"what": "opened", "partner": "p1", "through": "2026-09-14", "rule": "P6M", "zone": "Europe/Moscow"},
        "Закреплён за партнёром p1 по 14.09.2026: срок 6 месяцев от подтверждения, пояс Europe/Moscow",
    ),
    (
        {"what": "extended", "who": "manager-3", "why": "ипотека", "through": "2027-03-14", "rule": "P6M"},
        "Продлён по 14.03.2027: ещё 6 месяцев от того же начала; решил manager-3: ипотека",
    ),
    (
        {"what": "return-asked", "who": "manager-3", "why": "ипотека"},
        "Запрошен возврат после истечения: manager-3: ипотека",
    ),
    (
        {"what": "reinstated", "through": "2027-03-14", "rule": "P6M"},
        "Возвращён партнёру по 14.03.2027: новый срок 6 месяцев с этого дня",
    ),
    (
        {"what": "refused", "asked": "return-lead.v1", "reason": "not-yours"},
        "Отказано (вернуть клиента): заявка другого партнёра",
    ),
]


def texts(driver: DomainDriver) -> list[str]:
    return [describe(json.loads(entry.text)) for entry in driver.entries]


@pytest.mark.parametrize(("entry", "text"), FORMER, ids=[str(entry["what"]) for entry, _ in FORMER])
def test_entry_of_the_former_version_is_described(entry: dict[str, Any], text: str) -> None:
    assert describe(entry) == text


def test_entries_of_today_are_described_in_the_same_words() -> None:
    driver = reserved()
    driver.return_client()
    driver.return_client(partner="p2")
    late = expired()
    late.return_client()
    late.confirm_reinstatement()

    assert texts(driver) == [
        "Закреплён за партнёром p1 по 14.09.2026: срок 6 месяцев от подтверждения, пояс Europe/Moscow",
        "Продлён по 14.03.2027: ещё 6 месяцев от того же начала; решил manager-3: ипотека на рассмотрении",
        "Отказано (вернуть клиента): заявка другого партнёра",
    ]
    assert texts(late)[2:] == [
        "Запрошен возврат после истечения: manager-3: ипотека на рассмотрении",
        "Возвращён партнёру по 15.03.2027: новый срок 6 месяцев с этого дня",
    ]


def test_every_entry_of_a_whole_life_has_a_text_of_its_own() -> None:
    driver = sold()
    driver.sell(deal="d2")
    driver.claim()
    driver.settle()
    driver.cancel_sale()
    driver.cancel_sale("d2")
    driver.withdraw(manager="manager-3")

    assert [text for text in texts(driver) if "what: " in text] == []


def test_entry_of_an_unknown_kind_is_listed_key_by_key() -> None:
    assert describe({"what": "moved", "rule": "P6M"}) == "what: moved, term: P6M"


def test_history_that_the_former_version_began_stays_proved_when_it_goes_on() -> None:
    head, entries = Head(), list[Entry]()
    for former, _ in FORMER:
        head, entry = appended(head, SECRET, KEY, {"at": NOON.isoformat(), "lead": str(LEAD), **former})
        entries.append(entry)
    driver = DomainDriver()
    client = recorder_of(NOON, SECRET).record(driver.client._replace(head=head), "expired", LEAD, through="2026-09-14")

    entries += client.new_history

    assert list(flaws(SECRET, KEY, entries, client.head, client.head.seal(SECRET, KEY))) == []
    assert {key for entry in entries for key in renamed(json.loads(entry.text))}.isdisjoint({"rule", "asked"})


@pytest.mark.parametrize(
    ("grounds", "text"),
    [
        ({"rule": "free"}, "в 1С клиента нет, и никто его не держит"),
        ({"rule": "others-hold", "evidence": "lead-7"}, "держит лид lead-7"),
        ({"rule": "enquiry", "evidence": "ref-1"}, "обращение ref-1 в 1С"),
        ({"rule": "card", "evidence": "ref-1"}, "карточка ref-1 в 1С"),
        ({"rule": "own-card", "evidence": "lead-7"}, "та же карточка в 1С, держит лид lead-7"),
        ({"rule": "insider", "evidence": "partner:p9"}, "телефон партнёра p9"),
        ({"rule": "insider", "evidence": "staff"}, "телефон сотрудника"),
        ({"rule": "another", "evidence": "ref-2"}, "правило another, ref-2"),
        (
            {"rule": "ruling", "evidence": "ref-1", "ruled_by": "Менеджер", "ruled_why": "видел журнал"},
            "обращение ref-1 в 1С рядом по времени; решил Менеджер: видел журнал",
        ),
    ],
)
def test_verdict_is_explained_with_its_grounds(grounds: dict[str, Any], text: str) -> None:
    granted, refused = DomainDriver(), DomainDriver()
    granted.decide(verdicts.lead_confirmed, confirmed().model_copy(update=grounds))
    refused.reject(LEAD, **grounds)

    (opening,), (rejection,) = texts(granted), texts(refused)
    assert opening.endswith(f"пояс Europe/Moscow; основание: {text}")
    assert rejection.endswith(f"клиент закреплён за другим партнёром; основание: {text}")


def test_sale_that_a_person_linked_is_explained_with_who_and_why() -> None:
    driver = reserved()
    driver.sell(linked_by="Менеджер", linked_why="договор на супругу")

    assert texts(driver)[-1].endswith("; связал Менеджер: договор на супругу")


@pytest.mark.parametrize(
    ("term", "text"),
    [("P6M", "6 месяцев"), ("P1Y", "1 год"), ("P2Y3M", "2 года 3 месяца"), ("P21D", "21 день"), ("PT12M", "12 минут")],
)
def test_term_is_written_in_words(term: str, text: str) -> None:
    entry = {"what": "reinstated", "through": "2027-03-14", "term": term}

    assert describe(entry) == f"Возвращён партнёру по 14.03.2027: новый срок {text} с этого дня"
