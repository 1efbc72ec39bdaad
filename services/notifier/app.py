"""What comes into the notifier, and what goes out."""

from chassis.database import Database
from chassis.processor import Rule
from chassis.service import Service
from chassis.worker import Work
from contracts import topics
from contracts.dead_letters import DeadLetterWriter
from contracts.messages import SmsStatus
from contracts.partners import Partner
from contracts.reservations import ReservationExpired, ReservationOpened
from contracts.sealing import Sealer
from contracts.verdicts import LeadRejected
from services.notifier import domain
from services.notifier.handlers import Sending
from services.notifier.providers import Provider
from services.notifier.providers.smsc import Smsc
from services.notifier.settings import Settings
from services.notifier.store import Attempts, Clients, Partners

NAME = "notifier"
BATCH = 50


def build(settings: Settings) -> Service:
    """The service on its provider."""
    smsc = Smsc(settings.smsc_url, settings.smsc_login, settings.smsc_password.get_secret_value(), settings.smsc_sender)
    return wire(settings, smsc)


def wire(settings: Settings, provider: Provider) -> Service:
    """The wiring table."""
    partners, clients = Partners(), Clients()
    database = Database(settings.database_url.get_secret_value(), name=f"{NAME} sending", pool_size=4)
    sending = Sending(Attempts(database), Sealer(settings.sealing_keys.get_secret_value()), provider)
    return Service(
        name=NAME,
        settings=settings,
        rules=(
            Rule(Partner, partners, domain.partner_changed, topic=topics.PARTNERS),
            Rule(ReservationOpened, clients, domain.reservation_opened, topic=topics.RESERVATIONS),
            Rule(ReservationExpired, clients, domain.reservation_expired, topic=topics.RESERVATIONS),
            Rule(LeadRejected, clients, domain.lead_rejected, topic=topics.VERDICTS),
            Rule(domain.SmsSettled, clients, domain.sms_settled),
        ),
        produces={topics.MESSAGES: (SmsStatus,)},
        work=(Work(domain.SMS, sending.perform, batch=BATCH, concurrency=4, backoff_s=(1.0, 60.0)),),
        bury=DeadLetterWriter(NAME, settings.dead_letters_public_key).write,
        adapters=(provider.close, database.close),
    )
