"""Writes to 1C happen once and in full, also after any request was cut off, in both kinds of partner journal."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.onec_gateway.onec.errors import NoAnswer, OneCError, Refused
from services.onec_gateway.onec.journals import Journals
from services.onec_gateway.onec.partner_journal import Entry
from services.onec_gateway.onec.search import Search
from tests.onec_gateway.office import CALL, ENTRY, EXPIRED_AT, PHONE, enquiry
from tests.simulators.tests.names import CARDS, ENQUIRIES, REGISTER
from tests.simulators.tests.processes import OneCSim, until

Move = Callable[[Journals, bool], Awaitable[Any]]


async def test_entry_holds_the_client_the_partner_and_the_last_day(sim: OneCSim, journals: Journals) -> None:
    await journals.enter(CALL, ENTRY, look=False)

    (row,) = sim.get("journal")
    del row["record"], row["comment"]
    assert row == {
        "lead_id": ENTRY.lead_id,
        "full_name": ENTRY.full_name,
        "phone": PHONE,
        "partner": "Агентова Анна",
        "partner_id": "p-1",
        "agreement": "А-17/26",
        "registered_at": "2026-03-15T00:30:00+03:00",
        "reserved_through": "2026-09-15",
        "state": "Активен",
    }


async def test_new_entry_costs_one_request(sim: OneCSim, journals: Journals) -> None:
    before = len(sim.get("calls"))

    await journals.enter(CALL, ENTRY, look=False)

    assert len(sim.get("calls")) - before == 1


async def test_foreign_record_under_a_lead_id_is_not_taken_for_the_entry(sim: OneCSim, journals: Journals) -> None:
    if not journals.refuses_repeats:
        pytest.skip("documents are not keyed by the lead id")
    sim.call("POST", REGISTER, {"ИдентификаторЛида": ENTRY.lead_id, "ИдентификаторПартнера": "another"})

    with pytest.raises(Refused, match="foreign-entry"):
        await journals.enter(CALL, ENTRY, look=False)


@pytest.mark.parametrize("look", [False, True])
async def test_entry_of_another_client_is_not_taken_for_the_leads_entry(
    sim: OneCSim, journals: Journals, look: bool
) -> None:
    if not (look or journals.refuses_repeats):
        pytest.skip("documents are not keyed by the lead id")
    await journals.enter(CALL, replace(ENTRY, phone="+79990000000"), look=False)

    with pytest.raises(Refused, match="foreign-entry"):
        await journals.enter(CALL, ENTRY, look=look)
    assert len(sim.get("journal")) == 1


async def test_extension_moves_the_date_and_nothing_else(sim: OneCSim, journals: Journals) -> None:
    await journals.enter(CALL, ENTRY, look=False)

    later = replace(ENTRY, reserved_through=ENTRY.reserved_through + timedelta(days=181))
    await journals.update(CALL, later, "active", look=False)

    (row,) = sim.get("journal")
    assert (row["reserved_through"], row["state"], row["full_name"]) == ("2027-03-15", "Активен", ENTRY.full_name)


async def test_missing_entry_is_written_with_its_later_state(sim: OneCSim, journals: Journals) -> None:
    await journals.update(CALL, ENTRY, "withdrawn", look=False)

    (row,) = sim.get("journal")
    assert (row["state"], row["full_name"]) == ("Отозван", ENTRY.full_name)


async def test_hand_over_puts_the_client_into_the_general_journal(sim: OneCSim, journals: Journals) -> None:
    await journals.enter(CALL, ENTRY, look=False)

    ref = await journals.hand_over(CALL, ENTRY, EXPIRED_AT, look=False)

    (row,) = sim.get("general-journal")
    assert (row["ref"], row["full_name"], row["phones"]) == (ref, ENTRY.full_name, ["79161234567"])
    assert row["subject"] == "Передан из журнала партнёров"
    assert row["date"] == "2026-09-16T00:00:00+03:00"
    for part in ("Агентова Анна", "А-17/26", "15.03.2026", "15.09.2026", f"truce:{ENTRY.lead_id}"):
        assert part in row["comment"]
    assert [entry["state"] for entry in sim.get("journal")] == ["Истек"]


async def test_hand_over_uses_a_card_that_the_sales_office_created(sim: OneCSim, journals: Journals) -> None:
    known = enquiry(sim)
    await journals.enter(CALL, ENTRY, look=False)

    ref = await journals.hand_over(CALL, ENTRY, EXPIRED_AT, look=False)

    ours = next(row for row in sim.get("general-journal") if row["ref"] == ref)
    assert ours["client_ref"] == known["client_ref"]
    assert len(sim.rows(CARDS)) == 1


async def test_handed_over_client_is_found_by_a_search(journals: Journals, search: Search) -> None:
    ref = await journals.hand_over(CALL, ENTRY, EXPIRED_AT, look=False)

    (one,) = (await search.clients(CALL, [PHONE]))[PHONE].enquiries

    assert (one.ref, one.date, one.ours) == (ref, EXPIRED_AT, True)


async def test_returned_client_leaves_the_general_journal_and_is_active_again(sim: OneCSim, journals: Journals) -> None:
    await journals.enter(CALL, ENTRY, look=False)
    await journals.hand_over(CALL, ENTRY, EXPIRED_AT, look=False)

    await journals.take_back(
        CALL, replace(ENTRY, reserved_through=ENTRY.reserved_through.replace(year=2027)), look=False
    )

    assert [row["deletion_mark"] for row in sim.get("general-journal")] == [True]
    assert [(row["state"], row["reserved_through"]) for row in sim.get("journal")] == [("Активен", "2027-09-15")]


@pytest.mark.parametrize("look", [False, True])
async def test_each_expiry_has_its_own_enquiry_and_only_the_last_is_valid(
    sim: OneCSim, journals: Journals, look: bool
) -> None:
    await journals.enter(CALL, ENTRY, look=False)
    valid = []
    # References are random: with six rounds no accidental order hides a mistake.
    for year in range(2026, 2032):
        ended_at = EXPIRED_AT.replace(year=year)
        valid.append(await journals.hand_over(CALL, ENTRY, ended_at, look=look))
        _assert_active_once(sim)
        (row,) = (row for row in sim.get("general-journal") if not row["deletion_mark"])
        assert (row["ref"], row["date"][:4]) == (valid[-1], str(year))
        await journals.take_back(CALL, ENTRY, look=look)
        _assert_active_once(sim)

    assert len(set(valid)) == len(valid)
    assert len(sim.rows(CARDS)) == 1


async def test_returned_client_leaves_the_general_journal_despite_an_edited_comment(
    sim: OneCSim, journals: Journals
) -> None:
    ref = await journals.hand_over(CALL, ENTRY, EXPIRED_AT, look=False)
    (row,) = sim.get("general-journal")
    sim.call("PATCH", f"{ENQUIRIES}(guid'{ref}')", {"Комментарий": f"Перезвонил. {row['comment']}"})

    await journals.take_back(CALL, ENTRY, look=False)

    _assert_active_once(sim)


@pytest.mark.parametrize("knows_its_reference", [True, False])
async def test_return_does_not_delete_a_copy_of_our_enquiry(
    sim: OneCSim, journals: Journals, knows_its_reference: bool
) -> None:
    ours = await journals.hand_over(CALL, ENTRY, EXPIRED_AT, look=False)
    copy = sim.post("office", {"action": "copy", "enquiry_ref": ours})["enquiry_ref"]

    await journals.take_back(CALL, ENTRY, enquiry=ours if knows_its_reference else None, look=False)

    marked = {row["ref"]: row["deletion_mark"] for row in sim.get("general-journal")}
    assert (marked[ours], marked[copy]) == (True, False)


async def test_return_does_not_delete_a_marked_enquiry_of_the_sales_office(sim: OneCSim, journals: Journals) -> None:
    known = enquiry(sim)
    await journals.mark(CALL, known["enquiry_ref"], ENTRY.lead_id, "Закреплён за партнёром А по 15.09.2026", look=False)

    await journals.take_back(CALL, ENTRY, look=True)

    assert [row["deletion_mark"] for row in sim.get("general-journal")] == [False]


async def test_sale_or_withdrawal_after_the_expiry_empties_the_general_journal(
    sim: OneCSim, journals: Journals
) -> None:
    await journals.enter(CALL, ENTRY, look=False)
    await journals.hand_over(CALL, ENTRY, EXPIRED_AT, look=False)

    await journals.take_back(CALL, ENTRY, "won", look=False)
    assert [row["deletion_mark"] for row in sim.get("general-journal")] == [True]
    assert [row["state"] for row in sim.get("journal")] == ["Продан"]

    await journals.update(CALL, ENTRY, "active", look=False)
    await journals.hand_over(CALL, ENTRY, EXPIRED_AT, look=False)
    _assert_active_once(sim)


@pytest.mark.parametrize("mode", ["html_page", "lock_conflict", "handler_error", "commit_then_drop", "late_commit"])
@pytest.mark.parametrize("number", range(2))
async def test_mark_interrupted_at_any_request_is_written_once(
    sim: OneCSim, journals: Journals, mode: str, number: int
) -> None:
    known = enquiry(sim)
    sim.call("PATCH", f"{ENQUIRIES}(guid'{known['enquiry_ref']}')", {"Комментарий": "перезвонить"})
    _interrupt(sim, mode, number)

    for attempt in range(3):
        try:
            await journals.mark(CALL, known["enquiry_ref"], ENTRY.lead_id, "Закреплён", look=attempt > 0)
            break
        except OneCError:
            _wait_until_1c_is_done(sim)

    (row,) = sim.get("general-journal")
    assert row["comment"] == f"[Закреплён; truce:{ENTRY.lead_id}] перезвонить"


async def test_name_that_is_too_long_is_kept_in_full_in_the_comment(sim: OneCSim, journals: Journals) -> None:
    name = "Очень-Длинное Имя " * 10 + "Конец"

    await journals.enter(CALL, replace(ENTRY, full_name=name), look=False)

    (row,) = sim.get("journal")
    assert row["full_name"] == name[:149] + "…"
    assert row["comment"].startswith(name)


async def test_agreement_number_that_is_too_long_is_not_written(sim: OneCSim, journals: Journals) -> None:
    with pytest.raises(Refused, match="too-long"):
        await journals.enter(CALL, replace(ENTRY, agreement="А" * 51), look=False)
    assert sim.get("journal") == []


async def _prepared(journals: Journals, move: str) -> None:
    if move != "enter":
        await journals.enter(CALL, ENTRY, look=False)
    if move in ("take_back", "hand_over_again", "take_back_again"):
        await journals.hand_over(CALL, ENTRY, EXPIRED_AT, look=False)
    if move in ("hand_over_again", "take_back_again"):
        await journals.take_back(CALL, ENTRY, look=False)
    if move == "take_back_again":
        await journals.hand_over(CALL, ENTRY, EXPIRED_AT, look=False)


MOVES: dict[str, Move] = {
    "enter": lambda journals, look: journals.enter(CALL, ENTRY, look=look),
    "update": lambda journals, look: journals.update(CALL, ENTRY, "withdrawn", look=look),
    "hand_over": lambda journals, look: journals.hand_over(CALL, ENTRY, EXPIRED_AT, look=look),
    "take_back": lambda journals, look: journals.take_back(CALL, ENTRY, look=look),
    "hand_over_again": lambda journals, look: journals.hand_over(CALL, ENTRY, EXPIRED_AT, look=look),
    "take_back_again": lambda journals, look: journals.take_back(CALL, ENTRY, look=look),
}
ENDS = {
    "enter": (["Активен"], []),
    "update": (["Отозван"], []),
    "hand_over": (["Истек"], [False]),
    "take_back": (["Активен"], [True]),
    "hand_over_again": (["Истек"], [False, True]),
    "take_back_again": (["Активен"], [True, True]),
}


def _interrupt(sim: OneCSim, mode: str, number: int) -> None:
    writes = {"write": "yes"} if mode in ("commit_then_drop", "late_commit") else {}
    sim.post("fault", {"mode": mode, "match": writes, "skip": number, "count": 1, "seconds": 0.3, "status": 500})


def _assert_client_is_kept(sim: OneCSim) -> None:
    """The client is in at least one journal, and active in at most one."""
    partner = [row["state"] == "Активен" for row in sim.get("journal")]
    general = [not row["deletion_mark"] for row in sim.get("general-journal")]
    assert partner or general
    assert sum(partner) + sum(general) <= 1


def _assert_active_once(sim: OneCSim) -> None:
    partner = [row["state"] == "Активен" for row in sim.get("journal")]
    general = [not row["deletion_mark"] for row in sim.get("general-journal")]
    assert sum(partner) + sum(general) == 1


@pytest.mark.parametrize("mode", ["html_page", "lock_conflict", "handler_error", "commit_then_drop", "late_commit"])
@pytest.mark.parametrize("move", MOVES)
async def test_move_interrupted_at_any_request_ends_right_when_repeated(
    sim: OneCSim, journals: Journals, move: str, mode: str
) -> None:
    for number in range(12):
        sim.post("reset")
        await _prepared(journals, move)
        before = len(sim.get("calls"))
        _interrupt(sim, mode, number)
        failed = False
        for attempt in range(5):
            try:
                await MOVES[move](journals, attempt > 0)
                break
            except OneCError as error:
                failed = True
                if attempt or move != "enter":
                    _assert_client_is_kept(sim)
                if isinstance(error, NoAnswer):
                    _wait_until_1c_is_done(sim)
        else:
            raise AssertionError("the move never succeeded")
        sim.post("fault", {"mode": "none"})

        partner = [row["state"] for row in sim.get("journal")]
        assert (partner, sorted(row["deletion_mark"] for row in sim.get("general-journal"))) == ENDS[move]
        assert len(sim.rows(CARDS)) == (1 if ENDS[move][1] else 0)
        _assert_nothing_created_twice(sim, before)
        if not failed:
            return
    raise AssertionError("a move has more than twelve requests")


def _wait_until_1c_is_done(sim: OneCSim) -> None:
    # The gateway waits for the longest time that a call may take; the test waits for the simulator's late write.
    def is_done() -> bool:
        return all(call["committed"] for call in sim.get("calls") if call["fault"] == "late_commit")

    until(is_done, "the late write")


def _assert_nothing_created_twice(sim: OneCSim, since: int) -> None:
    committed = [(call["method"], call["path"], call["lead"]) for call in sim.get("calls")[since:] if call["committed"]]
    created = [write for write in committed if write[0] == "POST"]
    assert len(created) == len(set(created))


async def test_entry_of_another_lead_is_another_entry(sim: OneCSim, journals: Journals) -> None:
    other: Entry = replace(ENTRY, lead_id="00000000-0000-0000-0000-000000000002")

    await journals.enter(CALL, ENTRY, look=False)
    await journals.enter(CALL, other, look=True)

    assert len(sim.get("journal")) == 2
