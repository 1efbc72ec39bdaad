"""The lists of live reservations, by which other services compare what they know."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from chassis.clock import advance
from chassis.decision import Cause, Decision
from chassis.limits import MAX_EVENT_BYTES
from contracts.leads import WithdrawalRequested
from contracts.reservations import LISTED_ON_A_PAGE, LISTS_KEY, MOST_ON_A_PAGE, ListedReservation, ReservationsListed
from services.reservations.domain.lists import ListDue, Listing, Lists, list_due
from tests.reservations.harness import MOSCOW, Harness
from tests.reservations.samples import confirmed, request_fields

NOW = datetime(2026, 3, 14, 9, tzinfo=UTC)
LIST = UUID(int=9)


def listed(number: int) -> ListedReservation:
    return ListedReservation(
        lead_id=UUID(int=number), client_key=f"k1:{number:064x}", reserved_through=date(2026, 9, 2)
    )


def decided(listing: Listing, page: int = 1) -> Decision[Lists]:
    return list_due(Lists({LIST: listing}), ListDue(LIST, page), Cause("c", "c"), NOW)


def pages(decision: Decision[Lists]) -> list[ReservationsListed]:
    return [event.message for event in decision.events if isinstance(event.message, ReservationsListed)]


def test_a_list_is_published_by_pages_of_one_time() -> None:
    bounds = [str(UUID(int=number)) for number in (1, 2)]
    first = decided(Listing(LIST, bounds=bounds, upcoming=[[listed(1)], [listed(2)]]))
    rest = replace(first.state.listings[LIST], upcoming=[[listed(3)]])
    second = list_due(Lists({LIST: rest}), ListDue(LIST, 3), Cause("c", "c"), NOW + timedelta(seconds=1))

    published = pages(first) + pages(second)

    assert [(page.page, page.pages) for page in published] == [(1, 3), (2, 3), (3, 3)]
    assert [one.lead_id.int for page in published for one in page.reservations] == [1, 2, 3]
    assert {(page.list_id, page.taken_at, page.key) for page in published} == {(LIST, NOW, LISTS_KEY)}


def test_the_largest_page_fits_into_an_event() -> None:
    (page,) = pages(decided(Listing(LIST, upcoming=[[listed(number) for number in range(MOST_ON_A_PAGE)]])))

    assert len(page.model_dump_json()) < MAX_EVENT_BYTES * 3 / 4


def test_a_list_without_reservations_has_one_page() -> None:
    (page,) = pages(decided(Listing(LIST, upcoming=[[]])))

    assert (page.page, page.pages, page.reservations) == (1, 1, ())


def test_pages_that_were_published_are_not_published_again() -> None:
    after = decided(Listing(LIST, upcoming=[[listed(1)]])).state.listings[LIST]

    assert pages(decided(after)) == []
    assert pages(decided(replace(after, upcoming=[[listed(1)]]))) == []
    assert list_due(Lists(), ListDue(LIST), Cause("c", "c"), NOW).events == ()


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
    both = await reservations.published("reservations-listed", 2)
    (page,) = [page for page in both if page["list_id"] == list_id]
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
    found = await reservations.published("reservations-listed", 3)

    assert len({page["list_id"] for page in found}) == len(found) == 3
    days = await reservations.fetch("SELECT day FROM reservation_lists")
    assert len({row["day"] for row in days}) == len(days) == 3


@pytest.mark.infra
async def test_a_long_list_is_published_in_several_transactions_and_is_whole(reservations: Harness) -> None:
    count = 12 * LISTED_ON_A_PAGE
    await reservations.fetch(_MANY, count)
    await asyncio.gather(reservations.start(), reservations.start())

    found = await reservations.published("reservations-listed", 12)

    assert sorted(page["page"] for page in found) == list(range(1, 13))
    assert {(page["pages"], page["taken_at"], len(page["reservations"])) for page in found} == {
        (12, found[0]["taken_at"], LISTED_ON_A_PAGE)
    }
    assert len({one["lead_id"] for page in found for one in page["reservations"]}) == count


_MANY = """
    INSERT INTO reservations (reservation_id, lead_id, client_key, partner_id, client, opened_at, confirmed_at,
                              reserved_through, reserved_until, term, zone, term_set_on, next_due, next_step, status,
                              extensions, returns, earlier_terms, cause)
    SELECT gen_random_uuid(), gen_random_uuid(), 'k1:' || lpad(n::text, 64, '0'), 'p1', 'sealed', now(), now(),
           '2030-01-01', '2030-01-01 21:00Z', 'P6M', 'Europe/Moscow', '2026-01-01', '2030-01-01 21:00Z', 0, 'live',
           0, 0, '[]', '{"id": "c", "correlation": "c"}'
    FROM generate_series(1, $1::int) AS n
"""
