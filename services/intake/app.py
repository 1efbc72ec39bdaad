"""The wiring table of intake: every message in and out."""

from functools import partial
from typing import Final, get_args

from chassis.service import ExternalTopics, Http, Operations, Rule, Service
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
from contracts.operations import OperationDone, OperationRefused, ResumeTopic, SkipRecord
from contracts.partners import Partner
from contracts.reservations import AnyReservation, ReservationRequestRefused
from contracts.verdicts import LeadRejected
from services.intake.decoding import RequestDecoder
from services.intake.domain.lead_requests import LeadRequest, take_lead_request
from services.intake.domain.model import FaultyRequest, PartnerRegistration, Submission
from services.intake.domain.partners import register_partner
from services.intake.domain.projection import (
    AnyReward,
    record_refusal,
    record_rejection,
    record_reservation,
    record_reward,
)
from services.intake.domain.quota import QuotaLimits
from services.intake.domain.refusals import refuse_faulty_request
from services.intake.domain.submission import submit_lead
from services.intake.http.app import application
from services.intake.settings import Settings
from services.intake.store.clients import ClientStore
from services.intake.store.partners import PartnerStore

NAME: Final = "intake"
OPERATIONS: Final = Operations(ResumeTopic, SkipRecord, OperationDone, OperationRefused)
"""What persons may order."""


def build(settings: Settings) -> Service:
    """The wiring table with its stores and its decoder."""
    clients = ClientStore(QuotaLimits(settings.leads_per_hour, settings.leads_per_day, settings.reserved_at_most))
    partners = PartnerStore()
    letters = DeadLetterWriter(NAME, settings.dead_letters_public_key)
    decoder = RequestDecoder(settings)
    http_app = partial(application, settings=settings, decoder=decoder)
    take = partial(take_lead_request, name_of=decoder.name_of)
    return Service(
        name=NAME,
        settings=settings,
        http=Http(http_app, host=settings.http_host, port=settings.http_port),
        operations=OPERATIONS,
        external=(ExternalTopics(rf"^{topics.PORTAL_REQUESTS}\..+$", decoder.decode),),
        rules=(
            Rule(Submission, clients, submit_lead),
            Rule(PartnerRegistration, partners, register_partner),
            *(Rule(kind, clients, take) for kind in get_args(LeadRequest)),
            Rule(FaultyRequest, clients, refuse_faulty_request),
            Rule(LeadRejected, clients, record_rejection, topic=topics.VERDICTS),
            *(Rule(kind, clients, record_reservation, topic=topics.RESERVATIONS) for kind in get_args(AnyReservation)),
            *(Rule(kind, clients, record_reward, topic=topics.RESERVATIONS) for kind in get_args(AnyReward)),
            Rule(ReservationRequestRefused, clients, record_refusal, topic=topics.RESERVATIONS),
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
        dead_letter=letters.write,
        replayed=letters.replayed,
    )
