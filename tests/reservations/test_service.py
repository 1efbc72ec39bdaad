"""Reservations as a real process, between its two topics."""

import pytest

from chassis.clock import advance
from tests.reservations.conftest import MOSCOW, Reservations, confirmed
from tests.topics import published

pytestmark = pytest.mark.infra


async def test_every_confirmed_lead_is_reserved_once_however_often_it_is_told(reservations: Reservations) -> None:
    await reservations.start()
    leads = [confirmed(client) for client in range(50)]

    await reservations.confirm(*leads, times=3)

    opened = await reservations.opened(50)
    assert sorted(event["lead_id"] for event in opened) == sorted(str(lead.lead_id) for lead in leads)
    assert await reservations.count("live") == 50


async def test_a_day_before_the_end_nothing_has_expired(reservations: Reservations) -> None:
    await reservations.start()
    await reservations.confirm(confirmed(1))
    await reservations.opened(1)

    advance(reservations.clock, "P5M27D", MOSCOW)
    await reservations.confirm(confirmed(2))
    await reservations.opened(2)

    assert await reservations.count("live") == 2


async def test_second_live_reservation_is_parked_for_a_person_and_not_dropped(reservations: Reservations) -> None:
    await reservations.start()
    await reservations.confirm(confirmed(1))
    await reservations.opened(1)

    await reservations.confirm(confirmed(1, "boris"), confirmed(2))

    (letter,) = await published(reservations.bootstrap, "dead-letters", "dead-letter.v1", 1)
    assert (letter["service"], letter["reason"]) == ("reservations", "failed")
    await reservations.opened(2)
    assert await reservations.count("live") == 2


# The last one: Kafka remembers the dead member for ten seconds.


async def test_six_months_later_each_reservation_expires_once_restarted_or_not(reservations: Reservations) -> None:
    first = await reservations.start()
    await reservations.confirm(*(confirmed(client) for client in range(20)))
    await reservations.opened(20)
    first.kill()

    advance(reservations.clock, "P6M1D", MOSCOW)
    # Nobody waits until they are ready: what has expired needs no group, in which Kafka waits for the dead member.
    await reservations.start(wait=False)
    await reservations.start(wait=False)

    expired = await reservations.expired(20)
    assert len({event["reservation_id"] for event in expired}) == 20
    assert all(event["expired_at"] == event["reserved_until"] for event in expired)
    assert await reservations.count("expired") == 20
