"""What comes into intake, and what goes out."""

from functools import partial
from typing import get_args

from chassis.service import ExternalTopics, Http, Rule, Service
from contracts import topics
from contracts.dead_letters import DeadLetterWriter
from contracts.leads import (
    LeadSubmitted,
    RequestRefused,
    ReturnRequested,
    RewardClaimed,
    RewardSettlementRequested,
    WithdrawalRequested,
)
from contracts.partners import Partner
from contracts.reservations import (
    ReservationClosed,
    ReservationExpired,
    ReservationExtended,
    ReservationOpened,
    ReservationReinstated,
    ReservationReopened,
    ReservationRequestRefused,
    RewardAccrued,
    RewardClaimAccepted,
    RewardDeclined,
)
from contracts.verdicts import LeadRejected
from services.intake import domain
from services.intake.handlers import Reader
from services.intake.http.app import application
from services.intake.later import Later, asked_later
from services.intake.settings import Settings
from services.intake.store import Desks, PartnerFiles, Quota

NAME = "intake"
_RESERVATIONS = (
    ReservationOpened,
    ReservationExpired,
    ReservationExtended,
    ReservationReinstated,
    ReservationClosed,
    ReservationReopened,
)
_REWARDS = (RewardClaimAccepted, RewardAccrued, RewardDeclined)


def build(settings: Settings) -> Service:
    """The wiring table."""
    quota = Quota(settings.leads_per_hour, settings.leads_per_day, settings.reserved_at_most)
    desks, partners = Desks(quota), PartnerFiles()
    reader = Reader(settings)
    return Service(
        name=NAME,
        settings=settings,
        http=Http(
            partial(application, settings=settings, reader=reader), host=settings.http_host, port=settings.http_port
        ),
        external=(ExternalTopics(rf"^{topics.PORTAL_REQUESTS}\..+$", reader.decode),),
        rules=(
            Rule(domain.LeadRequest, desks, domain.submit_lead),
            Rule(domain.PartnerRequest, partners, domain.register_partner),
            Rule(LeadRejected, desks, domain.lead_rejected, topic=topics.VERDICTS),
            *(Rule(kind, desks, partial(asked_later, name_of=reader.name_of)) for kind in get_args(Later)),
            *(Rule(kind, desks, domain.reservation_told, topic=topics.RESERVATIONS) for kind in _RESERVATIONS),
            *(Rule(kind, desks, domain.reward_told, topic=topics.RESERVATIONS) for kind in _REWARDS),
            Rule(ReservationRequestRefused, desks, domain.request_refused, topic=topics.RESERVATIONS),
        ),
        produces={
            topics.PARTNERS: (Partner,),
            topics.LEADS: (
                LeadSubmitted,
                ReturnRequested,
                WithdrawalRequested,
                RewardClaimed,
                RewardSettlementRequested,
                RequestRefused,
            ),
        },
        dead_letter=DeadLetterWriter(NAME, settings.dead_letters_public_key).write,
    )
