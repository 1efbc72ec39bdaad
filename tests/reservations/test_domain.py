"""The rules of a reservation's life, without any I/O."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.decision import Cause
from contracts.reservations import ReservationExpired, ReservationOpened
from contracts.verdicts import LeadConfirmed
from services.reservations.domain import (
    Client,
    SecondLiveReservation,
    Term,
    TermReached,
    Terms,
    lead_confirmed,
    term_reached,
)

MOSCOW = ZoneInfo("Europe/Moscow")
TERMS = Terms(Term.parse("P6M"), MOSCOW)
CAUSE = Cause("6c1a", "story")
NOON = datetime(2026, 3, 14, 9, tzinfo=UTC)


def confirmed(lead: int = 1, at: datetime = NOON, partner: str = "p1") -> LeadConfirmed:
    return LeadConfirmed(
        lead_id=UUID(int=lead),
        client_key="k1:" + "0" * 64,
        partner_id=partner,
        client="sealed",
        received_at=at,
        checked_at=at,
        confirmed_at=at,
    )


def test_confirmed_lead_is_reserved_through_the_same_day_six_months_on() -> None:
    decision = lead_confirmed(Client(), confirmed(), CAUSE, NOON, terms=TERMS)

    (opened,) = (event.message for event in decision.events)
    assert isinstance(opened, ReservationOpened)
    assert opened.reserved_through == date(2026, 9, 14)
    assert opened.reserved_until == datetime(2026, 9, 15, tzinfo=MOSCOW)


@pytest.mark.parametrize(
    ("confirmed_on", "through"),
    [
        (datetime(2026, 8, 31, 12, tzinfo=MOSCOW), date(2027, 2, 28)),
        (datetime(2027, 8, 31, 12, tzinfo=MOSCOW), date(2028, 2, 29)),
        (datetime(2026, 12, 31, 23, 59, tzinfo=MOSCOW), date(2027, 6, 30)),
        # Half past midnight in Moscow is still the day before in UTC: the builder's day counts.
        (datetime(2026, 3, 14, 21, 30, tzinfo=UTC), date(2026, 9, 15)),
    ],
)
def test_term_ends_on_the_builders_calendar(confirmed_on: datetime, through: date) -> None:
    assert TERMS.term.end(confirmed_on, MOSCOW)[0] == through


@given(st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)), st.integers(1, 60))
def test_reservation_lives_through_the_whole_of_its_last_day(anchor: datetime, months: int) -> None:
    through, until = Term.parse(f"P{months}M").end(anchor, MOSCOW)

    last_moment = (until - timedelta(microseconds=1)).astimezone(MOSCOW)
    assert last_moment.date() == through
    assert until.astimezone(MOSCOW).date() == through + timedelta(days=1)
    local = anchor.astimezone(MOSCOW).date()
    assert (through.year * 12 + through.month) - (local.year * 12 + local.month) == months
    assert through.day <= local.day


def test_a_demonstrations_term_in_minutes_is_not_rounded_to_a_day() -> None:
    assert Term.parse("PT2M").end(NOON, MOSCOW)[1] == NOON + timedelta(minutes=2)


@pytest.mark.parametrize("text", ["", "six months", "P0D", "-P6M", "6"])
def test_a_term_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|longer"):
        Term.parse(text)


def test_a_repeated_confirmation_opens_nothing() -> None:
    first = lead_confirmed(Client(), confirmed(), CAUSE, NOON, terms=TERMS)

    again = lead_confirmed(first.state, confirmed(), CAUSE, NOON, terms=TERMS)

    assert again.events == ()
    assert again.state is first.state


def test_second_live_reservation_of_a_client_is_never_opened() -> None:
    first = lead_confirmed(Client(), confirmed(), CAUSE, NOON, terms=TERMS)

    with pytest.raises(SecondLiveReservation):
        lead_confirmed(first.state, confirmed(lead=2, partner="p2"), CAUSE, NOON, terms=TERMS)


def test_reservation_is_live_until_the_last_instant_and_expires_at_the_first_after() -> None:
    client = lead_confirmed(Client(), confirmed(), CAUSE, NOON, terms=TERMS).state
    (reservation,) = client.reservations
    due, until = TermReached(reservation.reservation_id), reservation.reserved_until

    early = term_reached(client, due, CAUSE, until - timedelta(microseconds=1))
    on_time = term_reached(client, due, CAUSE, until)

    assert early.events == ()
    (expired,) = (event.message for event in on_time.events)
    assert isinstance(expired, ReservationExpired)
    assert expired.expired_at == until


def test_expiry_is_told_once_however_often_the_clock_fires() -> None:
    client = lead_confirmed(Client(), confirmed(), CAUSE, NOON, terms=TERMS).state
    due = TermReached(client.reservations[0].reservation_id)
    long_after = client.reservations[0].reserved_until + timedelta(days=3)

    first = term_reached(client, due, CAUSE, long_after)
    second = term_reached(first.state, due, CAUSE, long_after)

    assert len(first.events) == 1
    assert second.events == ()


def test_a_client_may_be_reserved_again_after_expiry() -> None:
    client = lead_confirmed(Client(), confirmed(), CAUSE, NOON, terms=TERMS).state
    after = Client(tuple(replace(one, status="expired") for one in client.reservations))

    decision = lead_confirmed(after, confirmed(lead=2, partner="p2"), CAUSE, NOON, terms=TERMS)

    assert len(decision.events) == 1


@given(st.lists(st.sampled_from(["confirm", "early", "due"]), max_size=30))
def test_whatever_repeats_and_however_the_clock_fires_one_reservation_opens_and_ends_once(steps: list[str]) -> None:
    client = Client()
    told: list[type] = []
    until = TERMS.term.end(NOON, MOSCOW)[1]
    for step in ["confirm", *steps, "due"]:
        if step == "confirm":
            decision = lead_confirmed(client, confirmed(), CAUSE, NOON, terms=TERMS)
        else:
            now = until if step == "due" else until - timedelta(seconds=1)
            decision = term_reached(client, TermReached(_reservation_id()), CAUSE, now)
        client = decision.state
        told.extend(type(event.message) for event in decision.events)

    assert told == [ReservationOpened, ReservationExpired]


def _reservation_id() -> UUID:
    return lead_confirmed(Client(), confirmed(), CAUSE, NOON, terms=TERMS).state.reservations[0].reservation_id
