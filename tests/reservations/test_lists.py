"""The lists of live reservations, by which other services compare what they know."""

import json
from datetime import UTC, date, datetime
from uuid import UUID

import pytest

from chassis.clock import advance
from chassis.decision import Cause
from chassis.limits import MAX_EVENT_BYTES
from contracts.leads import WithdrawalRequested
from contracts.reservations import LISTED_ON_A_PAGE, LISTS_KEY, ListedReservation, ReservationsListed
from services.reservations.domain.lists import ListDue, Lists, list_due
from tests.reservations.harness import MOSCOW, Harness
from tests.reservations.samples import confirmed, request_fields

NOW = datetime(2026, 3, 14, 9, tzinfo=UTC)
LIST = UUID(int=9)


def listed(number: int) -> ListedReservation:
    return ListedReservation(
        lead_id=UUID(int=number), client_key=f"k1:{number:064x}", reserved_through=date(2026, 9, 2)
    )


def taken(lists: Lists) -> list[ReservationsListed]:
    decision = list_due(lists, ListDue(LIST), Cause("c", "c"), NOW)
    return [event.message for event in decision.events if isinstance(event.message, ReservationsListed)]


def test_a_list_is_published_by_pages_that_fit_into_an_event() -> None:
    live = [listed(number) for number in range(2 * LISTED_ON_A_PAGE + 1)]

    pages = taken(Lists(live))

    assert [(page.page, page.pages, len(page.reservations)) for page in pages] == [
        (1, 3, 1000),
        (2, 3, 1000),
        (3, 3, 1),
    ]
    assert [one for page in pages for one in page.reservations] == live
    assert {(page.list_id, page.taken_at, page.key) for page in pages} == {(LIST, NOW, LISTS_KEY)}
    assert max(len(page.model_dump_json()) for page in pages) < MAX_EVENT_BYTES * 3 / 4


def test_a_list_without_reservations_has_one_page() -> None:
    (page,) = taken(Lists())

    assert (page.page, page.pages, page.reservations) == (1, 1, ())


def test_a_list_that_was_taken_is_not_taken_again() -> None:
    after = list_due(Lists([listed(1)]), ListDue(LIST), Cause("c", "c"), NOW).state

    assert taken(after) == []
    assert taken(Lists(taken=frozenset({LIST}))) == []


@pytest.mark.infra
async def test_a_person_orders_a_list_and_it_holds_what_is_live(reservations: Harness) -> None:
    reservations.settings["RESERVATIONS_LIST_AT"] = "00:00"
    first, second = confirmed(1), confirmed(2)
    await reservations.start()
    await reservations.confirm(first, second)
    opened = await reservations.published("reservation-opened", 2)
    await reservations.publish(WithdrawalRequested(**request_fields(second), reason="ошибка в номере"))
    await reservations.published("reservation-closed")

    done = await reservations.command("list-reservations", "--who", "Ольга", "--why", "сверка", "--json")

    assert done.returncode == 0, done.stderr
    list_id = json.loads(done.stdout)["result"]
    pages = await reservations.published("reservations-listed", 2)
    (page,) = [page for page in pages if page["list_id"] == list_id]
    (one,) = page["reservations"]
    (through,) = [event["reserved_through"] for event in opened if event["lead_id"] == str(first.lead_id)]
    assert one == {"lead_id": str(first.lead_id), "client_key": first.client_key, "reserved_through": through}
    assert (page["page"], page["pages"], page["_key"]) == (1, 1, LISTS_KEY.encode())


@pytest.mark.infra
async def test_every_day_has_one_list(reservations: Harness) -> None:
    await reservations.start()
    await reservations.published("reservations-listed", 1)

    advance(reservations.clock, "P1D", MOSCOW)
    await reservations.published("reservations-listed", 2)
    advance(reservations.clock, "P7M", MOSCOW)
    pages = await reservations.published("reservations-listed", 3)

    assert len({page["list_id"] for page in pages}) == len(pages) == 3
    days = await reservations.fetch("SELECT day FROM reservation_lists")
    assert len({row["day"] for row in days}) == len(days) == 3
