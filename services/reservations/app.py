"""The wiring table of reservations: every message in, every message out, and the timers."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final
from zoneinfo import ZoneInfo

from chassis.service import Operations, Rule, Service, Timer
from contracts import topics
from contracts.dead_letters import DeadLetterWriter
from contracts.leads import ReturnRequested, RewardClaimed, RewardSettlementRequested, WithdrawalRequested
from contracts.operations import ListReservations, OperationDone, OperationRefused, ResumeTopic, SkipRecord
from contracts.reservations import (
    ReinstatementRequested,
    ReservationClosed,
    ReservationExpired,
    ReservationExpiring,
    ReservationExtended,
    ReservationOpened,
    ReservationReinstated,
    ReservationReopened,
    ReservationRequestRefused,
    ReservationsListed,
    RewardAccrued,
    RewardClaimAccepted,
    RewardDeclined,
)
from contracts.verdicts import (
    DealCancelled,
    DealClosed,
    LeadConfirmed,
    LeadRejected,
    ReinstatementConfirmed,
    ReinstatementRejected,
)
from services.reservations.domain import lifecycle, lists, requests, sales, verdicts
from services.reservations.domain.model import TermReached, WaitOver
from services.reservations.domain.policy import Policy
from services.reservations.domain.terms import Term
from services.reservations.settings import Settings
from services.reservations.store.clients import ClientStore
from services.reservations.store.lists import ListStore, order_list
from services.reservations.timers import lists_due, terms_reached, waits_over

NAME: Final = "reservations"
OPERATIONS: Final = Operations(
    ResumeTopic, SkipRecord, OperationDone, OperationRefused, handlers={ListReservations: order_list}
)
"""What persons may order."""


def build(settings: Settings) -> Service:
    """Build the service from its settings; nothing is connected yet."""
    clients = ClientStore(settings.history_secret)
    policy = _policy(settings)
    letters = DeadLetterWriter(NAME, settings.dead_letters_public_key)

    def rule(body: type, decide: Callable[..., Any], topic: str | None = None) -> Rule[Any]:
        return Rule(body, clients, partial(decide, policy=policy), topic=topic)

    return Service(
        name=NAME,
        settings=settings,
        rules=(
            rule(LeadConfirmed, verdicts.lead_confirmed, topics.VERDICTS),
            rule(LeadRejected, verdicts.lead_rejected, topics.VERDICTS),
            rule(ReinstatementConfirmed, verdicts.reinstatement_confirmed, topics.VERDICTS),
            rule(ReinstatementRejected, verdicts.reinstatement_rejected, topics.VERDICTS),
            rule(DealClosed, sales.deal_closed, topics.VERDICTS),
            rule(DealCancelled, sales.deal_cancelled, topics.VERDICTS),
            rule(ReturnRequested, requests.requested, topics.LEADS),
            rule(WithdrawalRequested, requests.requested, topics.LEADS),
            rule(RewardClaimed, requests.requested, topics.LEADS),
            rule(RewardSettlementRequested, requests.requested, topics.LEADS),
            rule(TermReached, lifecycle.term_reached),
            rule(WaitOver, requests.wait_over),
            Rule(lists.ListDue, ListStore(), lists.list_due),
        ),
        produces={
            topics.RESERVATIONS: (
                ReservationOpened,
                ReservationExpiring,
                ReservationExpired,
                ReservationExtended,
                ReinstatementRequested,
                ReservationReinstated,
                ReservationClosed,
                ReservationReopened,
                RewardClaimAccepted,
                RewardAccrued,
                RewardDeclined,
                ReservationRequestRefused,
                ReservationsListed,
            )
        },
        timers=(
            Timer("term-reached", terms_reached),
            Timer("wait-over", waits_over),
            Timer("reservations-listed", partial(lists_due, zone=policy.zone, daily_at=settings.list_at)),
        ),
        operations=OPERATIONS,
        dead_letter=letters.write,
        replayed=letters.replayed,
    )


def _policy(settings: Settings) -> Policy:
    return Policy(
        term=Term.parse(settings.term),
        zone=ZoneInfo(settings.time_zone),
        history_key=settings.history_secret,
        reminders=tuple(settings.reminders),
        extension_limit=settings.extension_limit,
        extension_window=settings.extension_window,
        withdraw_within=settings.withdraw_within,
        sale_grace=settings.sale_grace,
        claim_waits=settings.claim_waits,
    )
