"""What comes into reservations, and what goes out."""

from collections.abc import Callable
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from chassis.service import Rule, Service, Timer
from contracts import topics
from contracts.dead_letters import DeadLetterWriter
from contracts.leads import ReturnRequested, RewardClaimed, RewardSettlementRequested, WithdrawalRequested
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
from services.reservations import domain
from services.reservations.handlers import terms_reached, waits_over
from services.reservations.settings import Settings
from services.reservations.store import Clients
from services.reservations.terms import Term

NAME = "reservations"


def build(settings: Settings) -> Service:
    """The wiring table."""
    clients = Clients(settings.history_secret)
    policy = domain.Policy(
        rule=settings.term,
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

    def rule(body: type, decide: Callable[..., Any], topic: str | None = None) -> Rule[Any]:
        return Rule(body, clients, partial(decide, policy=policy), topic=topic)

    return Service(
        name=NAME,
        settings=settings,
        rules=(
            rule(LeadConfirmed, domain.lead_confirmed, topics.VERDICTS),
            rule(LeadRejected, domain.lead_rejected, topics.VERDICTS),
            rule(ReinstatementConfirmed, domain.reinstatement_confirmed, topics.VERDICTS),
            rule(ReinstatementRejected, domain.reinstatement_rejected, topics.VERDICTS),
            rule(DealClosed, domain.deal_closed, topics.VERDICTS),
            rule(DealCancelled, domain.deal_cancelled, topics.VERDICTS),
            rule(ReturnRequested, domain.requested, topics.LEADS),
            rule(WithdrawalRequested, domain.requested, topics.LEADS),
            rule(RewardClaimed, domain.requested, topics.LEADS),
            rule(RewardSettlementRequested, domain.requested, topics.LEADS),
            rule(domain.TermReached, domain.term_reached),
            rule(domain.WaitOver, domain.wait_over),
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
            )
        },
        timers=(Timer("term-reached", terms_reached), Timer("wait-over", waits_over)),
        dead_letter=DeadLetterWriter(NAME, settings.dead_letters_public_key).write,
    )
