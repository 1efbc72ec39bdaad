"""What comes into intake, and what goes out."""

from functools import partial

from chassis.processor import Rule
from chassis.service import Http, Requests, Service
from contracts import topics
from contracts.dead_letters import DeadLetterWriter
from contracts.leads import LeadSubmitted, RequestRefused
from contracts.partners import Partner
from contracts.reservations import ReservationExpired, ReservationOpened
from contracts.verdicts import LeadRejected
from services.intake import domain
from services.intake.handlers import Reader
from services.intake.http.app import application
from services.intake.settings import Settings
from services.intake.store import Desks, PartnerFiles

NAME = "intake"


def build(settings: Settings) -> Service:
    """The wiring table."""
    desks, partners = Desks(), PartnerFiles()
    reader = Reader(settings)
    return Service(
        name=NAME,
        settings=settings,
        http=Http(
            partial(application, settings=settings, reader=reader), host=settings.http_host, port=settings.http_port
        ),
        requests=(Requests(rf"^{topics.PORTAL_REQUESTS}\..+$", reader.decode),),
        rules=(
            Rule(domain.LeadRequest, desks, domain.submit_lead),
            Rule(domain.PartnerRequest, partners, domain.register_partner),
            Rule(LeadRejected, desks, domain.lead_rejected, topic=topics.VERDICTS),
            Rule(ReservationOpened, desks, domain.reservation_opened, topic=topics.RESERVATIONS),
            Rule(ReservationExpired, desks, domain.reservation_expired, topic=topics.RESERVATIONS),
        ),
        produces={
            topics.PARTNERS: (Partner,),
            topics.LEADS: (LeadSubmitted, RequestRefused),
        },
        bury=DeadLetterWriter(NAME, settings.dead_letters_public_key).write,
    )
