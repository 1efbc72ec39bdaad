"""The running service between its topics."""

import uuid

import pytest

from chassis.clock import advance
from contracts.base import Message
from contracts.leads import RewardClaimed, WithdrawalRequested
from tests.reservations.harness import MOSCOW, Harness
from tests.reservations.samples import confirmed, request_fields
from tests.topics import published

pytestmark = pytest.mark.infra


async def test_every_confirmed_lead_is_reserved_once_however_often_it_arrives(reservations: Harness) -> None:
    await reservations.start()
    leads = [confirmed(client) for client in range(50)]

    await reservations.confirm(*leads, times=3)

    opened = await reservations.published("reservation-opened", 50)
    assert sorted(event["lead_id"] for event in opened) == sorted(str(lead.lead_id) for lead in leads)
    assert await reservations.count("live") == 50


async def test_nothing_expires_before_the_end_of_its_term(reservations: Harness) -> None:
    await reservations.start()
    await reservations.confirm(confirmed(1))
    await reservations.published("reservation-opened", 1)

    advance(reservations.clock, "P5M27D", MOSCOW)
    await reservations.confirm(confirmed(2))
    await reservations.published("reservation-opened", 2)

    assert await reservations.count("live") == 2


async def test_second_live_reservation_of_a_client_is_parked_not_dropped(reservations: Harness) -> None:
    await reservations.start()
    await reservations.confirm(confirmed(1))
    await reservations.published("reservation-opened", 1)

    await reservations.confirm(confirmed(1, "boris"), confirmed(2))

    (letter,) = await published(reservations.bootstrap, "dead-letters", "dead-letter.v1", 1)
    assert (letter["service"], letter["reason"]) == ("reservations", "failed")
    await reservations.published("reservation-opened", 2)
    assert await reservations.count("live") == 2


async def test_lead_is_withdrawn_and_a_waiting_claim_is_refused_after_its_wait(reservations: Harness) -> None:
    first, second = confirmed(1), confirmed(2)
    await reservations.start()
    await reservations.confirm(first, second)
    await reservations.published("reservation-opened", 2)
    messages: list[Message] = [
        WithdrawalRequested(**request_fields(first), reason="ошибка в номере"),
        RewardClaimed(**request_fields(second), claim_id=uuid.uuid4()),
    ]
    await reservations.publish(*messages)
    (closed,) = await reservations.published("reservation-closed")

    advance(reservations.clock, "P14D", MOSCOW)
    (refused,) = await reservations.published("request-refused")

    assert closed["outcome"] == "withdrawn"
    assert (refused["reason"], refused["request_type"]) == ("no-sale", "claim-reward.v1")


# This test is the last: Kafka keeps the killed member in the group for ten seconds.


async def test_after_six_months_each_reservation_expires_once_despite_a_restart(reservations: Harness) -> None:
    first = await reservations.start()
    await reservations.confirm(*(confirmed(client) for client in range(20)))
    await reservations.published("reservation-opened", 20)
    first.kill()

    advance(reservations.clock, "P6M1D", MOSCOW)
    # Without waiting for readiness: the clock needs no consumer group, and Kafka waits for the killed member there.
    await reservations.start(wait=False)
    await reservations.start(wait=False)

    expired = await reservations.published("reservation-expired", 20)
    assert len({event["reservation_id"] for event in expired}) == 20
    assert all(event["expired_at"] == event["reserved_until"] for event in expired)
    assert await reservations.count("expired") == 20
