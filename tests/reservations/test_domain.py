"""The rules of a reservation's life, without any I/O."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.decision import Cause
from contracts.reservations import ReservationClosed, ReservationExpired, ReservationOpened
from services.reservations import domain
from services.reservations.domain import SecondLiveReservation
from services.reservations.terms import Term
from tests.reservations.life import DAY, LEAD, MOSCOW, NOON, POLICY, Life, confirmed, names

OTHER = UUID(int=2)
LAST_DAY = date(2026, 9, 14)


def held() -> Life:
    life = Life()
    life.confirm()
    return life


def over() -> Life:
    """A client whose reservation ran out."""
    life = held()
    life.clock(life.reservation().reserved_until)
    return life


def sold() -> Life:
    life = held()
    life.now += 30 * DAY
    life.sell()
    return life


class TestOpening:
    def test_confirmed_lead_is_reserved_through_the_same_day_six_months_on(self) -> None:
        (opened,) = Life().confirm()

        assert isinstance(opened, ReservationOpened)
        assert opened.reserved_through == LAST_DAY
        assert opened.reserved_until == datetime(2026, 9, 15, tzinfo=MOSCOW)

    def test_rule_anchor_and_zone_are_kept_beside_the_instant(self) -> None:
        reservation = held().reservation()

        assert (reservation.rule, reservation.zone, reservation.confirmed_at) == ("P6M", "Europe/Moscow", NOON)

    def test_repeated_confirmation_opens_nothing(self) -> None:
        life = held()

        assert life.decided(domain.lead_confirmed, confirmed()) == []

    def test_second_live_reservation_of_a_client_is_never_opened(self) -> None:
        with pytest.raises(SecondLiveReservation):
            held().confirm(OTHER, "p2")

    def test_client_may_be_reserved_again_after_expiry(self) -> None:
        assert names(over().confirm(OTHER, "p2")) == ["ReservationOpened"]


class TestTheClock:
    def test_reservation_is_live_until_the_last_instant_and_expires_at_the_first_after(self) -> None:
        life = held()
        until = life.reservation().reserved_until

        early = life.clock(until - timedelta(microseconds=1))
        (expired,) = life.clock(until)

        assert not any(isinstance(one, ReservationExpired) for one in early)
        assert expired.expired_at == until

    def test_expiry_is_told_once_however_often_the_clock_fires(self) -> None:
        life = held()
        first = life.clock(life.reservation().reserved_until + 3 * DAY)

        assert names(first) == ["ReservationExpired"]
        assert life.clock(life.now) == []

    def test_partner_is_reminded_thirty_seven_and_one_days_before_once_each_and_then_it_is_over(self) -> None:
        life = held()

        for _ in range(4):
            life.clock()
            assert life.clock(life.now) == []

        left = [getattr(one, "days_left", 0) for one in life.told[1:]]
        assert left == [30, 7, 1, 0]
        assert names(life.told)[-1] == "ReservationExpired"

    def test_reminder_comes_on_its_own_day(self) -> None:
        life = held()

        life.clock()

        assert life.now == datetime(2026, 8, 15, tzinfo=MOSCOW)
        assert life.told[-1].reserved_through - life.now.astimezone(MOSCOW).date() == 30 * DAY

    def test_reminder_whose_day_is_past_is_dropped(self) -> None:
        life = held()
        due = life.reservation().next_due

        assert life.clock(due + DAY) == []
        assert life.reservation().next_step == 7

    def test_of_reminders_missed_in_an_outage_the_one_for_today_is_told(self) -> None:
        life = held()

        dropped = life.clock(datetime(2026, 9, 7, 8, tzinfo=UTC))
        told = life.clock(life.now)

        assert dropped == []
        assert [one.days_left for one in told] == [7]

    def test_reservation_that_was_extended_is_reminded_of_by_its_new_end(self) -> None:
        life = held()
        old = life.reservation().next_due
        life.now = old - timedelta(hours=1)
        life.give_back()

        assert life.clock(old) == []
        assert life.reservation().next_due == datetime(2027, 2, 12, tzinfo=MOSCOW)

    @pytest.mark.parametrize("end", ["withdraw", "sell"])
    def test_reservation_that_is_over_is_not_reminded_of(self, end: str) -> None:
        life = held()
        due = life.reservation().next_due
        getattr(life, end)()

        assert life.clock(due) == []

    def test_short_term_has_no_reminder_on_or_before_the_day_it_begins(self) -> None:
        life = Life(replace(POLICY, term=Term.parse("P7D"), rule="P7D"))
        life.confirm()

        assert life.reservation().next_step == 1

    @given(st.lists(st.integers(0, 400), min_size=1, max_size=30))
    def test_whenever_the_clock_fires_it_is_never_early_and_nothing_comes_twice(self, hours: list[int]) -> None:
        life = held()
        for step in hours:
            life.clock(life.now + timedelta(hours=step * 3))
        life.clock(life.reservation().reserved_until + 2 * DAY)

        told = [(type(one).__name__, getattr(one, "days_left", 0)) for one in life.told]
        assert len(told) == len(set(told))
        assert told[-1] == ("ReservationExpired", 0)


class TestReturn:
    def test_live_reservation_runs_six_months_longer_from_the_same_anchor(self) -> None:
        life = Life(now=datetime(2026, 8, 31, 9, tzinfo=UTC))
        life.confirm()
        assert life.reservation().reserved_through == date(2027, 2, 28)

        (first,) = life.give_back()
        (second,) = life.give_back()

        assert (first.reserved_through, second.reserved_through) == (date(2027, 8, 31), date(2028, 2, 29))
        assert first.confirmed_at == second.confirmed_at == datetime(2026, 8, 31, 9, tzinfo=UTC)

    def test_doubled_request_never_extends_twice(self) -> None:
        life, request = held(), uuid4()

        life.give_back(request=request)

        assert life.give_back(request=request) == []

    def test_expired_client_is_asked_for_and_gets_a_fresh_term_when_the_arbiter_agrees(self) -> None:
        life = over()
        life.now += 10 * DAY

        assert names(life.give_back()) == ["ReinstatementRequested"]
        (reinstated,) = life.granted()

        assert reinstated.confirmed_at == life.now
        assert reinstated.reserved_through == date(2027, 3, 25)

    def test_client_whom_another_has_by_now_is_not_returned(self) -> None:
        life = over()
        life.give_back()

        (refused,) = life.denied()

        assert (refused.reason, refused.request_type) == ("held-by-partner", "return-lead.v1")
        assert life.client.live() is None

    def test_arbiters_repeated_answer_changes_nothing(self) -> None:
        life = over()
        life.give_back()
        life.granted()

        assert life.granted() == []

    def test_request_in_the_last_moment_before_the_clock_comes_round_goes_to_the_arbiter(self) -> None:
        life = held()
        life.now = life.reservation().reserved_until

        assert names(life.give_back()) == ["ReservationExpired", "ReinstatementRequested"]

    def test_second_request_waits_for_the_answer_to_the_first(self) -> None:
        life = over()
        life.give_back()

        assert life.give_back() == []
        assert names(life.granted()) == ["ReservationReinstated", "ReservationExtended"]

    def test_number_of_returns_can_be_limited(self) -> None:
        life = Life(replace(POLICY, extension_limit=1))
        life.confirm()
        life.give_back()

        (refused,) = life.give_back()

        assert refused.reason == "extension-limit"

    def test_returns_can_be_kept_to_a_window_before_the_end(self) -> None:
        life = Life(replace(POLICY, extension_window=30 * DAY))
        life.confirm()
        until = life.reservation().reserved_until
        (refused,) = life.give_back()
        life.now = until - 29 * DAY

        assert refused.reason == "outside-window"
        assert names(life.give_back()) == ["ReservationExtended"]

    @pytest.mark.parametrize(("before", "reason"), [("withdraw", "unknown-lead"), ("sell", "already-sold")])
    def test_what_is_over_for_good_is_not_returned(self, before: str, reason: str) -> None:
        life = held()
        getattr(life, before)()

        (refused,) = life.give_back()

        assert refused.reason == reason

    def test_each_term_of_one_reservation_ends_with_an_event_of_its_own(self) -> None:
        life = over()
        life.give_back()
        life.granted()
        life.clock(life.reservation().reserved_until)

        ends = [
            cause.id
            for one, cause in zip(life.told, life.causes, strict=True)
            if names([one])[0] == "ReservationExpired"
        ]
        assert len(set(ends)) == 2


class TestWithdrawal:
    def test_partner_may_withdraw_within_a_day_and_the_client_is_free(self) -> None:
        life = held()
        life.now += timedelta(hours=23)

        (closed,) = life.withdraw()

        assert (closed.outcome, closed.closed_at) == ("withdrawn", life.now)
        assert names(life.confirm(OTHER, "p2")) == ["ReservationOpened"]

    def test_later_only_a_manager_may(self) -> None:
        life = held()
        life.now += timedelta(hours=25)
        (refused,) = life.withdraw()

        assert refused.reason == "too-late"
        assert names(life.withdraw(manager="manager-3")) == ["ReservationClosed"]

    def test_another_partner_may_not(self) -> None:
        (refused,) = held().withdraw(partner="p2")

        assert refused.reason == "not-yours"

    def test_request_ahead_of_the_verdict_waits_for_it(self) -> None:
        life = Life()

        assert life.withdraw() == []
        assert names(life.confirm()) == ["ReservationOpened", "ReservationClosed"]

    def test_request_about_a_rejected_lead_is_refused_in_whatever_order_they_come(self) -> None:
        early, late = Life(), Life()
        early.withdraw()
        (first,) = early.reject(LEAD)
        late.reject(LEAD)
        (second,) = late.withdraw()

        assert first.reason == second.reason == "unknown-lead"


class TestSale:
    def test_sale_within_the_term_wins_the_reservation(self) -> None:
        life = held()
        life.now += 30 * DAY

        (closed,) = life.sell()

        assert (closed.outcome, closed.deal, closed.corrects) == ("won", "d1", None)

    @pytest.mark.parametrize("on", [date(2026, 3, 13), date(2026, 9, 15)])
    def test_sale_dated_outside_the_term_is_the_builders_own(self, on: date) -> None:
        life = held()

        assert life.sell(on) == []
        assert life.reservation().status == "live"

    @pytest.mark.parametrize("on", [date(2026, 3, 14), LAST_DAY])
    def test_first_and_last_day_belong_to_the_term(self, on: date) -> None:
        assert names(held().sell(on)) == ["ReservationClosed"]

    def test_sale_and_expiry_of_one_day_are_decided_by_the_date_of_the_sale(self) -> None:
        first, last = held(), held()
        until = first.reservation().reserved_until
        first.now = until - timedelta(seconds=1)
        first.sell(LAST_DAY)
        first.clock(until)
        last.clock(until)
        last.now = until + 2 * DAY
        (correction,) = last.sell(LAST_DAY)

        assert isinstance(correction, ReservationClosed)
        assert correction.corrects == "expired"
        assert first.reservation().status == last.reservation().status == "won"

    def test_news_that_comes_after_the_grace_changes_nothing(self) -> None:
        life = over()
        life.now += 31 * DAY

        assert life.sell(LAST_DAY) == []
        assert life.reservation().status == "expired"

    def test_cancelled_sale_gives_back_what_is_left_of_the_term(self) -> None:
        life = sold()
        until = life.reservation().reserved_until

        (reopened,) = life.void()

        assert reopened.reserved_until == until
        assert life.reservation().status == "live"

    def test_cancelled_sale_with_nothing_left_of_the_term_ends_it(self) -> None:
        life = sold()
        life.now = life.reservation().reserved_until + DAY

        assert names(life.void()) == ["ReservationReopened", "ReservationExpired"]

    def test_cancelled_sale_beside_another_leaves_it_won(self) -> None:
        life = sold()
        life.sell(deal="d2")

        assert life.void() == []
        assert life.reservation().deal == "d2"

    def test_repeated_news_of_a_sale_changes_nothing(self) -> None:
        life = sold()

        assert life.sell() == []
        life.void()
        assert life.void() == []


class TestReward:
    def test_claim_for_a_sale_within_the_reservation_is_accepted_and_accrued(self) -> None:
        life = sold()
        (accepted,) = life.claim()
        (accrued,) = life.settle()

        assert (accepted.deal, accepted.contract_number) == ("d1", "ДДУ-7")
        assert (accrued.amount, accrued.currency, accrued.decided_by) == (Decimal("249000.00"), "RUB", "accountant-1")
        assert [(line.kind, line.amount) for line in life.ledger] == [("accrual", Decimal("249000.00"))]

    def test_claim_ahead_of_the_news_of_the_sale_waits_for_it(self) -> None:
        life = held()
        life.now += DAY

        assert life.claim() == []
        assert names(life.sell()) == ["ReservationClosed", "RewardClaimAccepted"]

    def test_sale_that_never_shows_earns_nothing_and_the_refusal_says_so(self) -> None:
        life = held()
        life.claim()
        ((request_id, asked),) = life.client.requests.items()
        assert asked.until is not None
        life.now = asked.until - timedelta(seconds=1)
        assert life.decided(domain.wait_over, domain.WaitOver(request_id)) == []
        life.now = asked.until

        (refused,) = life.decided(domain.wait_over, domain.WaitOver(request_id))

        assert (refused.reason, refused.request_type) == ("no-sale", "claim-reward.v1")

    def test_only_the_partner_who_holds_the_lead_may_claim(self) -> None:
        (refused,) = sold().claim(partner="p2")

        assert refused.reason == "not-yours"

    def test_one_sale_is_claimed_once(self) -> None:
        life = sold()
        life.claim()

        (refused,) = life.claim(claim=UUID(int=78))

        assert refused.reason == "already-claimed"

    def test_two_sales_may_be_claimed_one_each(self) -> None:
        life = sold()
        life.sell(deal="d2")

        (first,), (second,) = life.claim(), life.claim(claim=UUID(int=78))

        assert {first.deal, second.deal} == {"d1", "d2"}

    def test_second_claim_does_not_wait_beside_the_first(self) -> None:
        life = held()
        life.claim()

        (refused,) = life.claim(claim=UUID(int=78))

        assert refused.reason == "already-claimed"

    def test_withdrawn_lead_earns_nothing(self) -> None:
        life = held()
        life.withdraw()

        (refused,) = life.claim()

        assert refused.reason == "no-sale"

    def test_declined_claim_says_why_and_books_nothing(self) -> None:
        life = sold()
        life.claim()

        (declined,) = life.settle("decline", None)

        assert declined.reason == "2 % по договору"
        assert life.ledger == []

    def test_correction_is_an_entry_of_the_difference(self) -> None:
        life = sold()
        life.claim()
        life.settle(amount="249000.00")

        (corrected,) = life.settle(amount="200000.00")

        assert corrected.amount == Decimal("-49000.00")
        assert [line.kind for line in life.ledger] == ["accrual", "correction"]
        assert sum(line.amount for line in life.ledger) == Decimal("200000.00")

    def test_cancelled_sale_takes_back_all_that_was_accrued(self) -> None:
        life = sold()
        life.claim()
        life.settle()

        told = life.void()

        assert names(told) == ["RewardAccrued", "RewardDeclined", "ReservationReopened"]
        assert sum(line.amount for line in life.ledger) == 0
        assert life.ledger[-1].kind == "reversal"

    def test_claim_under_review_falls_with_its_sale(self) -> None:
        life = sold()
        life.claim()

        assert names(life.void()) == ["RewardDeclined", "ReservationReopened"]

    def test_settlement_of_a_claim_that_is_none_is_refused(self) -> None:
        (refused,) = sold().settle(claim=UUID(int=99))

        assert refused.reason == "no-sale"


def test_ids_of_events_differ_whatever_follows_from_one_cause() -> None:
    life = sold()
    life.claim()
    life.settle()
    life.now = life.reservation().reserved_until + DAY
    life.void(cause=Cause("one", "story"))

    made = [(cause.id, names([one])[0]) for one, cause in zip(life.told, life.causes, strict=True)]
    assert len(made) == len(set(made))
