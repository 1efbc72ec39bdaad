"""What comes into the 1C gateway, what it asks of 1C, and what goes out."""

from collections.abc import Awaitable, Callable
from zoneinfo import ZoneInfo

from chassis.clock import Clock
from chassis.database import Database
from chassis.processor import Rule
from chassis.service import Service
from chassis.worker import Work
from contracts import topics
from contracts.dead_letters import DeadLetterWriter
from contracts.leads import LeadSubmitted
from contracts.partners import Partner
from contracts.reservations import ReservationExpired, ReservationOpened
from contracts.sealing import Sealer
from contracts.verdicts import LeadConfirmed, LeadRejected
from services.onec_gateway import domain
from services.onec_gateway.handlers import Handlers
from services.onec_gateway.onec import mapping
from services.onec_gateway.onec.client import OneC
from services.onec_gateway.onec.journals import Journals
from services.onec_gateway.settings import Settings
from services.onec_gateway.store import Clients, PartnerReader, Partners

NAME = "onec-gateway"
CHECK_BATCH = 10
AT_ONCE = 50
BACKOFF_S = (1.0, 60.0)


def build(settings: Settings) -> Service:
    """The service on its 1C."""
    onec = OneC(settings.url, settings.user, settings.password.get_secret_value(), concurrency=settings.concurrency)
    journals = Journals(onec, mapping.load(settings.mapping_file), ZoneInfo(settings.time_zone))
    return wire(settings, journals, onec.close)


def wire(settings: Settings, journals: Journals, close: Callable[[], Awaitable[None]]) -> Service:
    """The wiring table."""
    clients, partners = Clients(), Partners()
    reader = PartnerReader(Database(settings.database_url.get_secret_value(), name=NAME, pool_size=2))
    handlers = Handlers(
        journals,
        reader,
        Sealer(settings.sealing_keys.get_secret_value()),
        bytes.fromhex(settings.client_key_secret.get_secret_value()),
        Clock(),
        settings.concurrency,
    )
    return Service(
        name=NAME,
        settings=settings,
        rules=(
            Rule(Partner, partners, domain.partner_changed, topic=topics.PARTNERS),
            Rule(LeadSubmitted, clients, domain.lead_submitted, topic=topics.LEADS),
            Rule(ReservationOpened, clients, domain.reservation_opened, topic=topics.RESERVATIONS),
            Rule(ReservationExpired, clients, domain.reservation_expired, topic=topics.RESERVATIONS),
            Rule(domain.CheckAnswered, clients, domain.check_answered),
            Rule(domain.JournalEntered, clients, domain.journal_entered),
            Rule(domain.HandedOver, clients, domain.handed_over),
        ),
        work=(
            Work(
                domain.CHECK, handlers.check, batch=CHECK_BATCH, concurrency=settings.concurrency, backoff_s=BACKOFF_S
            ),
            Work(
                domain.PARTNER_JOURNAL,
                handlers.partner_journal,
                batch=AT_ONCE,
                concurrency=2,
                backoff_s=BACKOFF_S,
            ),
            Work(domain.HAND_OVER, handlers.hand_over, batch=AT_ONCE, concurrency=2, backoff_s=BACKOFF_S),
        ),
        produces={topics.VERDICTS: (LeadConfirmed, LeadRejected)},
        bury=DeadLetterWriter(NAME, settings.dead_letters_public_key).write,
        adapters=(close, reader.close),
    )
