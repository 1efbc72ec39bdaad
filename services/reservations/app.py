"""What comes into reservations, and what goes out."""

from functools import partial
from zoneinfo import ZoneInfo

from chassis.processor import Rule
from chassis.service import Service
from chassis.timer import Timer
from contracts import topics
from contracts.dead_letters import DeadLetterWriter
from contracts.reservations import ReservationExpired, ReservationOpened
from contracts.verdicts import LeadConfirmed
from services.reservations import domain
from services.reservations.handlers import terms_reached
from services.reservations.settings import Settings
from services.reservations.store import Clients

NAME = "reservations"


def build(settings: Settings) -> Service:
    """The wiring table."""
    clients = Clients()
    terms = domain.Terms(domain.Term.parse(settings.term), ZoneInfo(settings.time_zone))
    return Service(
        name=NAME,
        settings=settings,
        rules=(
            Rule(LeadConfirmed, clients, partial(domain.lead_confirmed, terms=terms), topic=topics.VERDICTS),
            Rule(domain.TermReached, clients, domain.term_reached),
        ),
        produces={topics.RESERVATIONS: (ReservationOpened, ReservationExpired)},
        timers=(Timer("term-reached", terms_reached),),
        bury=DeadLetterWriter(NAME, settings.dead_letters_public_key).write,
    )
