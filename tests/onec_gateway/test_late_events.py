"""Events of one reservation that come out of order, as replays of dead letters do: the newest event decides."""

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from contracts.reservations import (
    AnyReservation,
    ReservationClosed,
    ReservationExpired,
    ReservationExtended,
    ReservationOpened,
    ReservationReinstated,
    ReservationReopened,
)
from services.onec_gateway.domain.inputs import HandedOver
from services.onec_gateway.domain.model import ClientState
from services.onec_gateway.domain.reservation_events import Contradiction
from tests.onec_gateway.driver import DomainDriver
from tests.onec_gateway.samples import DAY, LATER, NOON, REQUEST, UNTIL, lead_id, opened

LIVES = [
    ("opened", "extended", "withdrawn"),
    ("opened", "won", "reopened", "won"),
    ("opened", "extended", "won", "reopened", "expired"),
    ("opened", "extended", "expired", "won", "reopened", "expired"),
    ("opened", "expired", "reinstated", "extended", "expired"),
    ("opened", "expired", "reinstated", "won"),
]


def events_of(life: tuple[str, ...]) -> list[AnyReservation]:
    """The events of a life as reservations publishes them: each with the count of the client's history."""
    events: list[AnyReservation] = []
    fields: dict[str, Any] = opened(1).model_dump()
    for count, name in enumerate(life, start=1):
        at = NOON + count * DAY
        if name == "extended":
            fields |= {"reserved_until": LATER, "reserved_through": date(2027, 3, 14)}
        if name == "reinstated":
            fields |= {"confirmed_at": at, "reserved_until": LATER - DAY, "reserved_through": date(2027, 3, 13)}
        fields["history_count"] = count
        match name:
            case "opened":
                events.append(ReservationOpened(**fields))
            case "extended":
                events.append(ReservationExtended(**fields, request_id=REQUEST, extended_at=at))
            case "expired":
                events.append(ReservationExpired(**fields, expired_at=fields["reserved_until"]))
            case "reinstated":
                events.append(ReservationReinstated(**fields, request_id=REQUEST, reinstated_at=at))
            case "reopened":
                events.append(ReservationReopened(**fields, reopened_at=at))
            case _:
                events.append(ReservationClosed(**fields, closed_at=at, outcome=name))
    return events


def played(events: list[AnyReservation]) -> DomainDriver:
    driver = DomainDriver().confirm()
    for number, event in enumerate(events):
        driver.apply(event, LATER + number * timedelta(minutes=1))
    return driver


def last_written(driver: DomainDriver) -> tuple[str, str]:
    """The state and the last day that 1C's partner journal gets last."""
    task = driver.tasks[-1]
    states = {"partner-journal": "active", "hand-over": "expired"}
    return states.get(task.kind) or task.payload["state"], task.payload["reserved_through"]


def state(client: ClientState) -> tuple[Any, ...]:
    known = client.reservations[lead_id(1)]
    dates = (known.confirmed_at, known.reserved_until, known.reserved_through)
    return client.hold, dates, known.ended_at, known.ended_as, known.history_count


@pytest.mark.parametrize("life", LIVES, ids=" ".join)
@given(data=st.data())
def test_in_any_order_of_its_events_a_reservation_ends_as_it_ended(life: tuple[str, ...], data: st.DataObject) -> None:
    events = events_of(life)
    in_order = played(events)

    late = played(data.draw(st.permutations(events)))

    assert state(late.client) == state(in_order.client)
    assert last_written(late) == last_written(in_order)


def test_late_extension_leaves_a_withdrawn_client_free_in_1c_too() -> None:
    first, extension, withdrawal = events_of(("opened", "extended", "withdrawn"))

    driver = played([first, withdrawal, extension])

    assert driver.client.hold is None
    assert driver.tasks[-1].payload["state"] == "withdrawn"


def test_late_reinstatement_still_moves_the_client_back_in_1c() -> None:
    first, expiry, reinstatement, extension, _ = events_of(("opened", "expired", "reinstated", "extended", "expired"))

    driver = played([first, expiry, extension, reinstatement])

    assert [kind for kind, _ in driver.calls][-3:] == ["hand-over", "partner-journal-update", "take-back"]
    assert driver.tasks[-1].payload["reserved_through"] == extension.reserved_through.isoformat()


def test_events_without_a_count_are_ordered_by_their_dates_as_before() -> None:
    driver = DomainDriver().confirm().open().expire()
    without = ReservationExpired(**opened(1).model_dump(), expired_at=UNTIL)

    assert driver.apply(without, UNTIL + DAY).calls.count(("hand-over", "1")) == 1


@given(st.data())
def test_older_event_is_recorded_as_superseded_and_changes_nothing(data: st.DataObject) -> None:
    events = events_of(data.draw(st.sampled_from(LIVES)))
    newest = data.draw(st.integers(1, len(events) - 1))
    driver = played([events[newest]])
    before = driver.client
    late = data.draw(st.sampled_from(events[:newest]))
    assume(not (isinstance(late, ReservationReinstated) and before.reservations[lead_id(1)].ended_at is None))

    driver.apply(late, LATER + DAY)

    assert driver.superseded
    assert driver.client is before


def test_newer_event_that_follows_directly_from_no_such_state_is_parked() -> None:
    first, sale, _, second = events_of(("opened", "won", "reopened", "won"))

    with pytest.raises(Contradiction):
        played([first, sale, second.model_copy(update={"history_count": 3})])
    assert played([first, sale, second]).client.reservations[lead_id(1)].ended_as == "won"


def test_no_newer_event_can_follow_a_withdrawal() -> None:
    first, withdrawal = events_of(("opened", "withdrawn"))
    extension = events_of(("opened", "extended"))[1]

    with pytest.raises(Contradiction):
        played([first, withdrawal, extension.model_copy(update={"history_count": 9})])


def test_event_of_an_earlier_version_has_no_effect_after_one_that_is_counted() -> None:
    first, expiry = events_of(("opened", "expired"))
    extension = events_of(("opened", "extended"))[1]

    driver = played([first, expiry, extension.model_copy(update={"history_count": None})])

    assert driver.client.reservations[lead_id(1)].ended_as == "expired"
    assert driver.superseded


def test_missing_sale_does_not_leave_the_reopened_client_in_the_general_journal() -> None:
    first, expiry, sale, reopening = events_of(("opened", "expired", "won", "reopened"))
    driver = played([first, expiry]).apply(HandedOver(lead_id(1), UNTIL, "ours"), UNTIL)

    driver.apply(reopening, LATER).apply(sale, LATER + DAY)

    assert [kind for kind, _ in driver.calls][-2:] == ["hand-over", "take-back"]
    assert (driver.tasks[-1].payload["enquiry"], driver.tasks[-1].payload["state"]) == ("ours", "active")


def test_second_expiry_without_the_events_between_makes_no_second_enquiry() -> None:
    first, expiry, _, _, second = events_of(("opened", "expired", "won", "reopened", "expired"))

    driver = played([first, expiry, second])

    assert [kind for kind, _ in driver.calls].count("hand-over") == 1
    assert driver.tasks[-1].payload["state"] == "expired"
