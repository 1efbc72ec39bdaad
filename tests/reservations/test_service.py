"""Reservations as a real process, between its two topics."""

import json
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from chassis.clock import advance
from chassis.migrations import upgrade
from contracts.verdicts import LeadConfirmed
from services.reservations.app import build
from tests.contracts.keys import OPERATOR_JWK, private
from tests.process import ServiceProcess
from tests.topics import publish, published

pytestmark = pytest.mark.infra

MIGRATIONS = Path(build.__code__.co_filename).parent / "migrations"
MOSCOW = ZoneInfo("Europe/Moscow")


@dataclass
class Reservations:
    """What a test does to the service, and what it sees of it."""

    bootstrap: str
    url: str
    folder: Path
    instances: list[ServiceProcess] = field(default_factory=list)

    async def start(self, *, wait: bool = True) -> ServiceProcess:
        environment = {
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
            "RESERVATIONS_DATABASE_URL": self.url,
            "RESERVATIONS_HISTORY_KEY": "6a" * 32,
            "DEAD_LETTERS_PUBLIC_KEY": json.dumps(private(OPERATOR_JWK).as_dict(private=False)),
            "ALLOW_CLOCK_SHIFT": "true",
            "CLOCK_FILE": str(self.clock),
        }
        log = self.folder / "reservations.log"
        self.instances.append(
            await ServiceProcess.start("services.reservations", "RESERVATIONS_", environment, log, wait=wait, warm=True)
        )
        return self.instances[-1]

    @property
    def clock(self) -> Path:
        return self.folder / "clock.json"

    async def confirm(self, *leads: LeadConfirmed, times: int = 1) -> None:
        await publish(self.bootstrap, leads, source="/truce/onec-gateway", times=times)

    async def opened(self, count: int) -> list[dict[str, Any]]:
        return await published(self.bootstrap, "reservations", "reservation-opened.v1", count)

    async def expired(self, count: int) -> list[dict[str, Any]]:
        return await published(self.bootstrap, "reservations", "reservation-expired.v1", count)

    async def count(self, status: str) -> int:
        connection = await asyncpg.connect(self.url)
        try:
            count: int = await connection.fetchval("SELECT count(*) FROM reservations WHERE status = $1", status)
            return count
        finally:
            await connection.close()


@pytest.fixture
async def reservations(
    fresh_topics: str, database_factory: Callable[..., str], tmp_path: Path
) -> AsyncIterator[Reservations]:
    made = Reservations(fresh_topics, database_factory("reservations", lambda url: upgrade(url, MIGRATIONS)), tmp_path)
    made.clock.write_text('{"shift_seconds": 0}')
    yield made
    for instance in made.instances:
        instance.end()


def confirmed(client: int, partner: str = "anna") -> LeadConfirmed:
    now = datetime.now(UTC)
    return LeadConfirmed(
        lead_id=uuid.uuid4(),
        client_key=f"k1:{client:064x}",
        partner_id=partner,
        client="sealed",
        received_at=now,
        checked_at=now,
        confirmed_at=now,
    )


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
