"""Buyers' cards: a card without an enquiry blocks a lead, within limits, and several clients may be on one card."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import isodate
import pytest

from contracts.verdicts import CollisionDetected, LeadConfirmed, LeadRejected
from services.onec_gateway.domain.cards import Card
from services.onec_gateway.domain.inputs import NotApplied, Ruled, WaitIsOver
from services.onec_gateway.domain.model import ClientState, Policy, Ruling
from tests.onec_gateway.driver import DomainDriver, kinds
from tests.onec_gateway.samples import DAY, MINUTE, NOON, SECOND, answered, lead_id, submitted

HUSBAND, WIFE = "k1:" + "a" * 64, "k1:" + "b" * 64
CARD = "card-1"
LOOK = timedelta(minutes=5)
CONFIRMED = f"confirmed at {NOON + MINUTE}"


def seen(at: datetime, **facts: Any) -> Card:
    """The client's card, whose number the gateway first read at `at`."""
    return Card(CARD, at, **facts)


def checked(*cards: Card, policy: Policy | None = None, insider: str | None = None) -> DomainDriver:
    """A lead received at noon; a minute later its check finds these cards and no enquiry."""
    driver = DomainDriver(policy or Policy()).submit(1)
    driver.client = replace(driver.client, insider=insider)
    return driver.apply(replace(answered(1), cards=cards), NOON + MINUTE)


def waits_for(driver: DomainDriver, number: int = 1) -> str | None:
    return driver.client.leads[lead_id(number)].waits_for


def rule(driver: DomainDriver, confirmed: bool = True, number: int = 1) -> DomainDriver:
    return driver.apply(Ruled(lead_id(number), Ruling(confirmed, "Менеджер", "видел карточку")), NOON + DAY)


# --- a card without an enquiry


@pytest.mark.parametrize("before", [timedelta(0), SECOND, 400 * DAY])
def test_card_first_seen_at_or_before_the_receipt_rejects(before: timedelta) -> None:
    driver = checked(seen(NOON - before))

    assert driver.verdicts == {1: f"known-to-builder ({CARD})"}
    assert driver.published(LeadRejected)[0].rule == "card"


@pytest.mark.parametrize(
    ("before", "verdicts"),
    [(timedelta(0), {1: CONFIRMED}), (LOOK, {1: CONFIRMED}), (LOOK + SECOND, {}), (-MINUTE, {1: CONFIRMED})],
)
def test_card_missing_from_a_recent_look_does_not_block(before: timedelta, verdicts: Mapping[int, str]) -> None:
    driver = checked(seen(NOON + MINUTE, not_there_at=NOON - before))

    assert driver.verdicts == verdicts
    assert kinds(driver) == ["card"] * len(verdicts)
    assert waits_for(driver) == (None if verdicts else "people")


def test_collision_with_a_later_card_names_the_card_and_its_evidence() -> None:
    driver = checked(seen(NOON + SECOND, not_there_at=NOON - MINUTE))

    (collision,) = driver.published(CollisionDetected)
    assert (collision.card, collision.enquiry, collision.lead_id) == (CARD, CARD, lead_id(1))
    assert (collision.evidence.first, collision.not_there_at) == ("lead", NOON - MINUTE)
    assert driver.client.collided_with(lead_id(1)) == set()


def test_people_decide_about_a_card_that_no_look_dates() -> None:
    assert rule(checked(seen(NOON + SECOND)), True).published(LeadConfirmed)[0].rule == "ruling"
    rejected = rule(checked(seen(NOON + SECOND)), False)

    assert rejected.verdicts == {1: f"known-to-builder ({CARD})"}
    assert rejected.published(LeadRejected)[0].ruled_by == "Менеджер"


def test_lead_that_meets_an_unseen_card_waits_for_the_baseline() -> None:
    driver = checked(seen(NOON + SECOND, in_baseline=True))
    assert (driver.verdicts, waits_for(driver)) == ({}, "baseline")

    driver.apply(WaitIsOver(lead_id(1), NOON - DAY), NOON + DAY)

    assert driver.verdicts == {1: f"known-to-builder ({CARD})"}


def test_people_decide_if_the_baseline_began_after_the_receipt() -> None:
    driver = checked(seen(NOON + MINUTE, in_baseline=True)).apply(WaitIsOver(lead_id(1), NOON + SECOND), NOON + DAY)

    assert (driver.verdicts, waits_for(driver)) == ({}, "people")


@pytest.mark.parametrize("off", [-SECOND, timedelta(0)])
def test_card_created_at_or_before_the_receipt_rejects(off: timedelta) -> None:
    driver = checked(seen(NOON + MINUTE, not_there_at=NOON - MINUTE - SECOND, created=NOON + off))

    assert driver.verdicts == {1: f"known-to-builder ({CARD})"}


def test_card_created_after_the_receipt_does_not_block() -> None:
    assert checked(seen(NOON + MINUTE, created=NOON + SECOND)).verdicts == {1: CONFIRMED}


def test_card_created_within_the_clock_skew_is_decided_by_a_person() -> None:
    card = seen(NOON + MINUTE, created=NOON - SECOND)

    assert waits_for(checked(card, policy=Policy(clock_skew=MINUTE))) == "people"


def test_number_added_to_an_old_card_after_the_receipt_does_not_block() -> None:
    driver = checked(seen(NOON + 2 * MINUTE, not_there_at=NOON + MINUTE, created=NOON - 400 * DAY))

    assert driver.verdicts == {1: CONFIRMED}
    assert kinds(driver) == ["card"]


def test_number_added_to_an_old_card_at_an_unknown_time_is_decided_by_people() -> None:
    driver = checked(seen(NOON + MINUTE, not_there_at=NOON - DAY, created=NOON - 400 * DAY))

    assert waits_for(driver) == "people"


DAY_BEGINS, DAY_ENDS = NOON.replace(hour=0), NOON.replace(hour=0) + DAY


@pytest.mark.parametrize(
    ("card", "verdicts"),
    [
        (seen(NOON + MINUTE, created=DAY_BEGINS - DAY, created_before=DAY_BEGINS), {1: f"known-to-builder ({CARD})"}),
        (seen(NOON + MINUTE, created=DAY_ENDS, created_before=DAY_ENDS + DAY), {1: CONFIRMED}),
        (seen(NOON - MINUTE, created=DAY_BEGINS, created_before=DAY_ENDS), {1: f"known-to-builder ({CARD})"}),
        (seen(NOON + MINUTE, created=DAY_BEGINS, created_before=DAY_ENDS, not_there_at=NOON), {1: CONFIRMED}),
        (seen(NOON + MINUTE, created=DAY_BEGINS, created_before=DAY_ENDS, not_there_at=NOON - DAY), {}),
        (seen(NOON + MINUTE, created=DAY_BEGINS, created_before=DAY_ENDS), {}),
    ],
)
def test_bare_date_on_the_day_of_receipt_is_decided_by_first_sight(card: Card, verdicts: Mapping[int, str]) -> None:
    assert checked(card).verdicts == verdicts


@pytest.mark.parametrize(
    "card",
    [
        seen(NOON - DAY, ours=True),
        seen(NOON - DAY, enquired_at=NOON),
        seen(NOON - 400 * DAY),
    ],
)
def test_cards_outside_the_limits_block_no_lead(card: Card) -> None:
    driver = checked(card, policy=Policy(max_enquiry_age=isodate.parse_duration("P12M")))

    assert driver.verdicts == {1: CONFIRMED}
    assert kinds(driver) == []


def test_card_with_only_a_later_enquiry_blocks() -> None:
    assert checked(seen(NOON - DAY, enquired_at=NOON + MINUTE)).verdicts == {1: f"known-to-builder ({CARD})"}


def test_card_blocks_no_lead_if_the_setting_is_off() -> None:
    assert checked(seen(NOON - DAY), policy=Policy(card_blocks=False)).verdicts == {1: CONFIRMED}


# --- several clients on one card


class Family:
    """Clients whose numbers are on one card, each with its own queue. Decisions see each other's facts."""

    def __init__(self, *keys: str, policy: Policy | None = None) -> None:
        policy = policy or Policy(card_blocks=False)
        self.of = {key: DomainDriver(policy, ClientState(key)) for key in keys}

    def related(self, key: str) -> dict[str, ClientState]:
        return {other: driver.client for other, driver in self.of.items() if other != key}

    def submit(self, key: str, number: int, partner: str, at: datetime) -> None:
        self.of[key].apply(submitted(number, partner, at), at)

    def check(self, key: str, number: int, at: datetime) -> DomainDriver:
        """The check of a lead finds the card with the numbers of the whole family, entered a minute after noon."""
        card = Card(CARD, NOON + MINUTE, NOON, phones=tuple(sorted(self.of.keys() - {key})))
        return self.decide(key, replace(answered(number, at=at), cards=(card,)), at)

    def decide(self, key: str, message: Any, at: datetime) -> DomainDriver:
        return self.of[key].apply(message, at, related=self.related(key))


def couple(second: str = "p2", policy: Policy | None = None) -> Family:
    """The husband is held by `p1`; the wife's lead, of the partner `second`, was checked."""
    family = Family(HUSBAND, WIFE, policy=policy)
    family.submit(HUSBAND, 1, "p1", NOON)
    family.check(HUSBAND, 1, NOON + MINUTE)
    family.submit(WIFE, 2, second, NOON + DAY)
    family.check(WIFE, 2, NOON + DAY + MINUTE)
    return family


def test_second_phone_of_a_card_is_already_the_same_partners() -> None:
    wife = couple("p1").of[WIFE]

    assert wife.verdicts == {2: f"already-yours ({lead_id(1)})"}
    assert wife.published(LeadRejected)[0].rule == "own-card"


def test_second_phone_of_a_card_of_another_partner_waits_for_people() -> None:
    wife = couple("p2").of[WIFE]

    assert (wife.verdicts, waits_for(wife, 2)) == ({}, "same-card")
    (collision,) = wife.published(CollisionDetected)
    assert (collision.kind, collision.card) == ("same-card", CARD)
    assert (collision.other_lead_id, collision.other_partner_id) == (lead_id(1), "p1")


def test_same_card_is_asked_about_also_where_the_card_alone_would_block() -> None:
    wife = couple("p2", Policy()).of[WIFE]

    assert waits_for(wife, 2) == "same-card"


def test_ruling_about_a_shared_card_confirms_the_second_client() -> None:
    family = couple("p2", Policy())
    wife = family.decide(WIFE, Ruled(lead_id(2), Ruling(True, "Менеджер", "разные люди")), NOON + 2 * DAY)

    assert wife.verdicts == {2: f"confirmed at {NOON + 2 * DAY}"}
    assert wife.published(LeadConfirmed)[0].rule == "ruling"
    assert kinds(wife).count("same-card") == 1


def test_ruling_about_a_shared_card_rejects_the_second_client() -> None:
    family = couple("p2")
    wife = family.decide(WIFE, Ruled(lead_id(2), Ruling(False, "Менеджер", "одна семья")), NOON + 2 * DAY)

    assert wife.verdicts == {2: f"held-by-partner ({lead_id(1)})"}


def test_ruling_without_the_facts_of_the_card_decides_when_they_come() -> None:
    family = couple("p2")
    wife = family.of[WIFE].apply(Ruled(lead_id(2), Ruling(True, "Менеджер", "разные люди")), NOON + 2 * DAY)
    assert (wife.verdicts, waits_for(wife, 2)) == ({}, "related")

    family.decide(WIFE, WaitIsOver(lead_id(2)), NOON + 2 * DAY)

    assert wife.verdicts == {2: f"confirmed at {NOON + 2 * DAY}"}


def test_ruling_about_a_card_overrides_no_hold_on_the_same_phone() -> None:
    family = couple("p2")
    family.submit(WIFE, 3, "p3", NOON + DAY + SECOND)
    family.decide(WIFE, Ruled(lead_id(2), Ruling(True, "Менеджер", "разные люди")), NOON + 2 * DAY)
    wife = family.decide(WIFE, Ruled(lead_id(3), Ruling(True, "Менеджер", "тоже")), NOON + 3 * DAY)

    assert wife.verdicts[3] == f"held-by-partner ({lead_id(2)})"


def test_ruling_about_a_card_does_not_override_the_check() -> None:
    family = couple("p2")
    wife = family.of[WIFE]
    lead = wife.client.leads[lead_id(2)]
    sold = replace(lead, ruling=Ruling(True, "Менеджер", "разные люди", (CARD,)), enquiries=())
    wife.client = replace(wife.client.with_lead(sold), insider="staff")

    family.decide(WIFE, WaitIsOver(lead_id(2)), NOON + 2 * DAY)

    assert wife.verdicts == {2: "not-a-client (staff)"}


def test_later_lead_of_a_card_is_decided_after_the_earlier_one() -> None:
    family = Family(HUSBAND, WIFE)
    family.submit(HUSBAND, 1, "p1", NOON)
    family.submit(WIFE, 2, "p2", NOON + SECOND)
    wife = family.check(WIFE, 2, NOON + MINUTE)
    assert (wife.verdicts, waits_for(wife, 2)) == ({}, "earlier-lead")

    husband = family.check(HUSBAND, 1, NOON + 2 * MINUTE)
    family.decide(WIFE, WaitIsOver(lead_id(2)), NOON + 3 * MINUTE)

    assert husband.verdicts == {1: f"confirmed at {NOON + 2 * MINUTE}"}
    assert waits_for(wife, 2) == "same-card"


def test_later_lead_of_a_card_is_confirmed_if_the_earlier_one_is_rejected() -> None:
    family = Family(HUSBAND, WIFE)
    family.submit(HUSBAND, 1, "p1", NOON)
    family.submit(WIFE, 2, "p2", NOON + SECOND)
    family.check(WIFE, 2, NOON + MINUTE)
    family.of[HUSBAND].apply(answered(1, NOON), NOON + 2 * MINUTE)

    wife = family.decide(WIFE, WaitIsOver(lead_id(2)), NOON + 3 * MINUTE)

    assert wife.verdicts == {2: f"confirmed at {NOON + 3 * MINUTE}"}


def test_lead_under_question_is_decided_by_itself_when_the_other_hold_ends() -> None:
    family = couple("p2")
    husband = family.of[HUSBAND]
    husband.client = replace(husband.client, hold=None)

    wife = family.decide(WIFE, WaitIsOver(lead_id(2)), NOON + 2 * DAY)

    assert wife.verdicts == {2: f"confirmed at {NOON + 2 * DAY}"}


def test_card_of_an_insider_blocks_no_lead() -> None:
    family = Family(HUSBAND, WIFE, policy=Policy())
    family.of[HUSBAND].client = replace(family.of[HUSBAND].client, insider="partner:p9")
    family.submit(WIFE, 2, "p2", NOON)

    wife = family.decide(WIFE, replace(answered(2), cards=(seen(NOON - DAY, phones=(HUSBAND,)),)), NOON + MINUTE)

    assert wife.verdicts == {2: CONFIRMED}


def test_lead_without_other_clients_on_its_card_waits_for_none() -> None:
    assert checked(seen(NOON + MINUTE, not_there_at=NOON)).verdicts == {1: CONFIRMED}


def test_ruling_for_a_lead_that_waits_for_an_earlier_one_is_refused() -> None:
    family = Family(HUSBAND, WIFE)
    family.submit(HUSBAND, 1, "p1", NOON)
    family.submit(WIFE, 2, "p2", NOON + SECOND)
    family.check(WIFE, 2, NOON + MINUTE)

    wife = family.decide(WIFE, Ruled(lead_id(2), Ruling(True, "Менеджер", "спешу")), NOON + DAY)

    assert wife.reply == NotApplied("not-waiting", "earlier-lead")
    assert wife.verdicts == {}
