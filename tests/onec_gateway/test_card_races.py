"""Leads on several phones of one card that race in the database: no two partners hold clients of one card."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from chassis.clock import Clock
from chassis.database.presence import Presence
from chassis.decision import Cause
from chassis.migrations import upgrade
from chassis.outbox.outbox import Outbox
from chassis.processor.processor import Processor
from chassis.service import Database, Input, Rule, rows
from contracts.leads import LeadSubmitted
from contracts.topics import LEADS, VERDICTS
from contracts.verdicts import CollisionDetected, LeadConfirmed, LeadRejected
from services.onec_gateway.domain import arbiter
from services.onec_gateway.domain.cards import Card, phones_on
from services.onec_gateway.domain.inputs import CheckAnswered, WaitIsOver
from services.onec_gateway.domain.model import Policy
from services.onec_gateway.store.clients import ClientStore
from services.onec_gateway.store.mirror import CARDS, Mirror, Sight
from services.onec_gateway.timers import ended_waits
from tests.infra import DatabaseFactory
from tests.onec_gateway.conftest import MOSCOW
from tests.onec_gateway.samples import DAY, MINUTE, NOON, SECOND, answered, lead_id, submitted
from tests.simulators.tests.processes import ROOT

pytestmark = pytest.mark.infra

SCRIPTS = ROOT / "services" / "onec_gateway" / "migrations"
CAUSE = Cause("test", "test")


class Gateway:
    """The rules about leads and cards on a database, without Kafka and without 1C."""

    def __init__(self, url: str) -> None:
        self.database = Database(url, name="test", pool_size=8)
        store, presence, policy = ClientStore(), Presence(url, "onec-gateway"), Policy(card_blocks=False)
        self.processor = Processor(
            self.database,
            Outbox(self.database, presence, {}),
            presence,
            Clock(),
            source="/test",
            rules=(
                Rule(LeadSubmitted, store, partial(arbiter.lead_submitted, policy=policy), LEADS),
                Rule(CheckAnswered, store, partial(arbiter.check_answered, policy=policy), None, True),
                Rule(WaitIsOver, store, partial(arbiter.wait_is_over, policy=policy), None, True),
            ),
            produces={VERDICTS: (LeadConfirmed, LeadRejected, CollisionDetected)},
        )

    async def submit(self, key: str, number: int, partner: str) -> None:
        lead = submitted(number, partner, NOON + number * SECOND).model_copy(update={"client_key": key})
        await self.process([Input(key, lead, Cause(f"lead-{number}", "test"))])

    async def process(self, inputs: list[Input]) -> None:
        for outcome in await self.processor.process(inputs):
            assert outcome.error is None

    async def settle(self) -> int:
        """Decide the leads whose wait is over, until there are none; how many inputs that took."""
        for decided in range(20):
            async with self.database.single() as tx:
                if not (due := await ended_waits(tx, NOON, 100)):
                    return decided
            await self.process(due)
        raise AssertionError("the timer finds the same leads again and again")

    async def leads(self) -> list[tuple[str, str, str | None]]:
        """Partner, status and what the lead waits for, in the order of receipt."""
        async with self.database.single() as tx:
            found = await rows(tx, "SELECT partner_id, status, waits_for FROM leads ORDER BY number")
        return [(row.partner_id, row.status, row.waits_for) for row in found]


@pytest.fixture
async def gateway(database_factory: DatabaseFactory) -> AsyncIterator[Gateway]:
    gateway = Gateway(database_factory("onec_gateway", lambda url: upgrade(url, SCRIPTS)))
    yield gateway
    await gateway.database.close()


def check(key: str, number: int, family: list[str]) -> Input:
    """The result of a check that finds the card with the numbers of the whole family."""
    card = Card(f"card-{family[0]}", NOON + MINUTE, NOON, phones=tuple(sorted({*family} - {key})))
    body = replace(answered(number), cards=(card,))
    return Input(key, body, CAUSE, step=f"check/{number}/", related=phones_on(body.cards))


def families(count: int, size: int) -> list[list[str]]:
    return [[f"k1:{family:032x}{n:032x}" for n in range(size)] for family in range(count)]


@pytest.mark.parametrize("seed", range(5))
async def test_of_racing_leads_on_phones_of_one_card_one_is_confirmed(gateway: Gateway, seed: int) -> None:
    shuffled = random.Random(seed)
    groups = families(6, shuffled.randint(2, 4))
    checks: list[Input] = []
    number = 0
    for family in groups:
        for key in family:
            number += 1
            await gateway.submit(key, number, f"p{number}")
            checks.append(check(key, number, family))
    shuffled.shuffle(checks)
    batches: list[list[Input]] = [[] for _ in range(5)]
    for one in checks:
        shuffled.choice(batches).append(one)

    await asyncio.gather(*(gateway.process(batch) for batch in batches if batch), *(gateway.settle() for _ in range(2)))
    await gateway.settle()

    found, size = await gateway.leads(), len(groups[0])
    for first in range(0, len(found), size):
        # The earliest lead wins, whatever the order of the checks. People decide the next one, and the others wait.
        waits = ["same-card", *["earlier-lead"] * (size - 2)]
        expected = [("confirmed", None), *(("under-review", wait) for wait in waits)]
        assert [one[1:] for one in found[first : first + size]] == expected


async def test_lead_that_waits_for_an_earlier_one_does_not_starve(gateway: Gateway) -> None:
    ((husband, wife),) = families(1, 2)
    await gateway.submit(husband, 1, "p1")
    await gateway.submit(wife, 2, "p2")
    await gateway.process([check(wife, 2, [husband, wife])])
    assert [one[1:] for one in await gateway.leads()] == [("under-review", None), ("under-review", "earlier-lead")]
    assert await gateway.settle() == 0

    # The check of the earlier lead finds its enquiry, and not the card.
    await gateway.process([Input(husband, answered(1, NOON), CAUSE, step="check/1/")])
    await gateway.settle()

    assert [one[1:] for one in await gateway.leads()] == [("rejected", None), ("confirmed", None)]


async def test_decided_without_the_other_client_s_facts_a_lead_waits_for_them(gateway: Gateway) -> None:
    ((husband, wife),) = families(1, 2)
    await gateway.submit(wife, 2, "p2")
    await gateway.process([replace(check(wife, 2, [husband, wife]), related=())])
    assert [one[1:] for one in await gateway.leads()] == [("under-review", "related")]

    await gateway.settle()

    assert [one[1:] for one in await gateway.leads()] == [("confirmed", None)]


async def test_lead_under_question_is_decided_when_the_other_hold_is_released(gateway: Gateway) -> None:
    ((husband, wife),) = families(1, 2)
    await gateway.submit(husband, 1, "p1")
    await gateway.submit(wife, 2, "p2")
    await gateway.process([check(husband, 1, [husband, wife]), check(wife, 2, [husband, wife])])
    assert [one[1:] for one in await gateway.leads()] == [("confirmed", None), ("under-review", "same-card")]
    assert await gateway.settle() == 0

    async with gateway.database.single() as tx:
        await tx.execute("UPDATE holds SET released = true")
    await gateway.settle()

    assert [one[1:] for one in await gateway.leads()] == [("confirmed", None), ("confirmed", None)]


# --- first sight


async def test_first_sight_of_a_number_on_a_card_is_kept(gateway: Gateway) -> None:
    mirror, pair = Mirror(gateway.database, MOSCOW), ("whole", "tail")
    await mirror.save_baseline(NOON, "")
    assert await mirror.note_cards([(pair, "old")], NOON + MINUTE) == {
        ("whole", "old"): Sight(NOON + MINUTE, None, in_baseline=True)
    }
    await mirror.save_complete(CARDS, NOON)

    sights = await mirror.note_cards([(pair, "old"), (pair, "new")], NOON + DAY)
    await mirror.save_complete(CARDS, NOON + 2 * DAY)

    # What was found before the end of the first complete read counts as seen at its beginning.
    assert sights == {("whole", "old"): Sight(NOON), ("whole", "new"): Sight(NOON + DAY, NOON)}
    assert await mirror.note_cards([(pair, "new")], NOON + 3 * DAY) == {("whole", "new"): Sight(NOON + DAY, NOON)}


async def test_number_that_a_complete_read_finds_on_a_known_card_has_its_own_first_sight(gateway: Gateway) -> None:
    mirror, pair = Mirror(gateway.database, MOSCOW), ("whole", "tail")
    await mirror.save_cards({"card": "v1"}, {"card": {"other"}}, NOON)
    await mirror.save_complete(CARDS, NOON)
    await mirror.save_cards({"card": "v2"}, {"card": {"other", "whole"}}, NOON + timedelta(minutes=2))

    assert await mirror.note_cards([(pair, "card")], NOON + DAY) == {
        ("whole", "card"): Sight(NOON + timedelta(minutes=2), NOON)
    }


async def test_lead_that_waits_for_the_baseline_is_decided_at_its_end(gateway: Gateway) -> None:
    (key,) = families(1, 1)[0]
    mirror = Mirror(gateway.database, MOSCOW)
    await mirror.save_baseline(NOON - DAY, "")
    await gateway.submit(key, 1, "p1")
    async with gateway.database.single() as tx:
        await tx.execute("UPDATE leads SET checked_at = now(), check_requested = true, waits_for = 'baseline'")
    assert await gateway.settle() == 0

    await mirror.save_complete(CARDS, NOON - DAY)

    async with gateway.database.single() as tx:
        (due,) = await ended_waits(tx, NOON, 10)
    assert due.body == WaitIsOver(lead_id(1), NOON - DAY)
