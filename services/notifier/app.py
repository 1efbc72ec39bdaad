"""What comes into the notifier, and what goes out."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from chassis.clock import Clock
from chassis.service import Database, Http, Rule, Service, Timer, Work
from contracts import topics
from contracts.dead_letters import DeadLetterWriter
from contracts.partners import Partner
from contracts.reservations import (
    ReservationClosed,
    ReservationExpired,
    ReservationExpiring,
    ReservationExtended,
    ReservationOpened,
    ReservationReinstated,
    ReservationReopened,
    RewardAccrued,
    RewardClaimAccepted,
    RewardDeclined,
)
from contracts.sealing import Sealer
from contracts.sms import SmsStatus
from contracts.verdicts import LeadCheckDelayed, LeadRejected
from services.notifier import domain
from services.notifier.handlers import Sending, messages_due
from services.notifier.providers import Provider
from services.notifier.providers.console import Console
from services.notifier.providers.kannel import Kannel
from services.notifier.providers.smsc import Smsc
from services.notifier.reports import Polling, application
from services.notifier.roads import Roads
from services.notifier.settings import Settings
from services.notifier.signatures import Signer
from services.notifier.store import Attempts, Clients, Partners, Providers

NAME: Final = "notifier"
BATCH: Final = 50

TOLD: Final = {
    topics.RESERVATIONS: (
        *(ReservationOpened, ReservationExpiring, ReservationExpired, ReservationExtended, ReservationReinstated),
        *(ReservationClosed, ReservationReopened, RewardClaimAccepted, RewardAccrued, RewardDeclined),
    ),
    topics.VERDICTS: (LeadRejected, LeadCheckDelayed),
}
"""Of what realtors are told."""


def build(settings: Settings) -> Service:
    """The service on its providers."""
    return wire(settings, [_provider(name, settings) for name in settings.order])


def _provider(name: str, settings: Settings) -> Provider:
    match name:
        case "smsc":
            password = settings.smsc_password.get_secret_value()
            return Smsc(settings.smsc_url, settings.smsc_login, password, settings.smsc_sender)
        case "kannel":
            return Kannel(
                settings.kannel_url,
                settings.kannel_user,
                settings.kannel_password.get_secret_value(),
                settings.kannel_sender,
                settings.kannel_reports_url,
                Signer(settings.kannel_report_secret.get_secret_value()),
            )
        case _:
            return Console()


def wire(settings: Settings, providers: Sequence[Provider]) -> Service:
    """The wiring table."""
    partners, clients, policy = Partners(), Clients(), settings.policy
    database = Database(settings.database_url.get_secret_value(), name=f"{NAME} sending", pool_size=4)
    sealer = Sealer(settings.sealing_keys.get_secret_value())
    roads = Roads(providers, Providers(database), settings.least_balance)
    sending = Sending(Attempts(database, settings.limits), sealer, roads, policy, Clock(), only_to=settings.allowed)

    def rule(body: type, decide: Callable[..., Any], topic: str | None = None) -> Rule[Any]:
        return Rule(body, clients, decide, topic=topic)

    return Service(
        name=NAME,
        settings=settings,
        rules=(
            Rule(Partner, partners, domain.partner_changed, topic=topics.PARTNERS),
            *(
                rule(kind, partial(domain.told, policy=policy), topic)
                for topic, kinds in TOLD.items()
                for kind in kinds
            ),
            rule(domain.MessageDue, partial(domain.message_due, policy=policy)),
            rule(domain.Resend, partial(domain.resend, policy=policy)),
            rule(domain.Postponed, domain.postponed),
            rule(domain.SmsSettled, domain.sms_settled),
            rule(domain.Reported, domain.reported),
        ),
        produces={topics.MESSAGES: (SmsStatus,)},
        work=(Work(domain.SMS, sending.perform, batch=BATCH, concurrency=4, backoff_s=(1.0, 60.0)),),
        timers=(Timer("message-due", messages_due(settings.quiet_texts_per_second)),),
        http=_reports(settings),
        background=(roads.watch, Polling(database, roads, sealer).run),
        dead_letter=DeadLetterWriter(NAME, settings.dead_letters_public_key).write,
        on_stop=(roads.close, database.close),
    )


def _reports(settings: Settings) -> Http | None:
    if settings.http_port is None:
        return None
    secret, own = settings.smsc_report_secret, settings.kannel_report_secret.get_secret_value()
    return Http(
        partial(
            application,
            smsc_secret=secret.get_secret_value() if secret is not None else None,
            signer=Signer(own) if own else None,
        ),
        settings.http_host,
        settings.http_port,
    )
