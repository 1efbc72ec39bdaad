"""Marks on enquiries of the sales office: they are written in front of people's text and taken off without a trace."""

import pytest

from services.onec_gateway.onec.journals import Journals
from tests.onec_gateway.office import CALL, ENTRY, enquiry
from tests.simulators.tests.names import ENQUIRIES
from tests.simulators.tests.processes import OneCSim


@pytest.mark.parametrize("typed", ["", "Звонил, просил ждать. "])
async def test_mark_of_a_withdrawn_lead_is_removed_and_nothing_else(
    sim: OneCSim, journals: Journals, typed: str
) -> None:
    known = enquiry(sim)
    address = f"{ENQUIRIES}(guid'{known['enquiry_ref']}')"
    sim.call("PATCH", address, {"Комментарий": "[срочно] перезвонить"})
    await journals.mark(CALL, known["enquiry_ref"], ENTRY.lead_id, "Закреплён за партнёром А по 15.09.2026", look=False)
    (row,) = sim.get("general-journal")
    sim.call("PATCH", address, {"Комментарий": typed + row["comment"]})

    for _ in range(2):
        await journals.unmark(CALL, known["enquiry_ref"], ENTRY.lead_id)

    (row,) = sim.get("general-journal")
    assert row["comment"] == f"{typed}[срочно] перезвонить"


async def test_mark_of_another_lead_stays(sim: OneCSim, journals: Journals) -> None:
    known = enquiry(sim)
    other = "00000000-0000-0000-0000-000000000002"
    await journals.mark(CALL, known["enquiry_ref"], other, "Закреплён за партнёром Б по 15.09.2026", look=False)

    await journals.unmark(CALL, known["enquiry_ref"], ENTRY.lead_id)
    await journals.unmark(CALL, "00000000-0000-0000-0000-00000000dead", ENTRY.lead_id)

    (row,) = sim.get("general-journal")
    assert other in row["comment"]


async def test_mark_precedes_the_managers_text_and_is_replaced_not_doubled(sim: OneCSim, journals: Journals) -> None:
    known = enquiry(sim)
    sim.call("PATCH", f"{ENQUIRIES}(guid'{known['enquiry_ref']}')", {"Комментарий": "[срочно] перезвонить в пять"})

    for words in ("Закреплён за партнёром А по 15.09.2026", "Закреплён за партнёром А по 15.03.2027"):
        await journals.mark(CALL, known["enquiry_ref"], ENTRY.lead_id, words, look=False)

    (row,) = sim.get("general-journal")
    mark = f"[Закреплён за партнёром А по 15.03.2027; truce:{ENTRY.lead_id}]"
    assert row["comment"] == f"{mark} [срочно] перезвонить в пять"


@pytest.mark.parametrize("typed", ["[срочно] ", "Звонил, просил ждать. "])
async def test_text_that_a_manager_wrote_before_the_mark_is_kept(sim: OneCSim, journals: Journals, typed: str) -> None:
    known = enquiry(sim)
    address = f"{ENQUIRIES}(guid'{known['enquiry_ref']}')"
    sim.call("PATCH", address, {"Комментарий": "перезвонить"})
    await journals.mark(CALL, known["enquiry_ref"], ENTRY.lead_id, "Закреплён за партнёром А по 15.09.2026", look=False)
    (row,) = sim.get("general-journal")
    sim.call("PATCH", address, {"Комментарий": typed + row["comment"]})

    await journals.mark(CALL, known["enquiry_ref"], ENTRY.lead_id, "Закреплён за партнёром А по 15.03.2027", look=False)

    (row,) = sim.get("general-journal")
    mark = f"[Закреплён за партнёром А по 15.03.2027; truce:{ENTRY.lead_id}]"
    assert row["comment"] == f"{mark} {typed}перезвонить"


async def test_brackets_in_a_partners_name_do_not_break_the_mark(sim: OneCSim, journals: Journals) -> None:
    known = enquiry(sim)

    for through in ("15.09.2026", "15.03.2027"):
        words = f"Закреплён за партнёром ООО [Дом] по {through}"
        await journals.mark(CALL, known["enquiry_ref"], ENTRY.lead_id, words, look=False)

    (row,) = sim.get("general-journal")
    assert row["comment"] == f"[Закреплён за партнёром ООО (Дом) по 15.03.2027; truce:{ENTRY.lead_id}] "
