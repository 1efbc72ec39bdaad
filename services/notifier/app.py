"""The wiring table of the notifier: every message in and out, its work, timers and background tasks."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from chassis.clock import Clock
from chassis.service import Database, Operations, Rule, Service, Timer, Work
from contracts import topics
from contracts.dead_letters import DeadLetterWriter
from contracts.operations import OperationDone, OperationRefused, ResumeTopic, SkipRecord
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
from services.notifier.assembly import make_provider, make_reports
from services.notifier.domain.model import SMS, Resend, SmsDue, SmsPostponed, SmsReported, SmsSettled
from services.notifier.domain.outcomes import sms_reported, sms_settled
from services.notifier.domain.partners import partner_changed
from services.notifier.domain.scheduling import notify, resend, sms_due, sms_postponed
from services.notifier.provider_pool import ProviderPool
from services.notifier.providers.base import Provider
from services.notifier.settings import Settings
from services.notifier.status_polling import StatusPolling
from services.notifier.store.attempts import PostgresAttemptLog
from services.notifier.store.clients import ClientStore
from services.notifier.store.partners import PartnerStore
from services.notifier.store.providers import PostgresProviderLog
from services.notifier.timers import messages_due
from services.notifier.work import SmsWork, message_of

NAME: Final = "notifier"
OPERATIONS: Final = Operations(ResumeTopic, SkipRecord, OperationDone, OperationRefused)
"""What persons may order."""
BATCH: Final = 50
"""Work rows that one call of `SmsWork.perform` gets at most."""

NOTIFIED: Final = {
    topics.RESERVATIONS: (
        *(ReservationOpened, ReservationExpiring, ReservationExpired, ReservationExtended, ReservationReinstated),
        *(ReservationClosed, ReservationReopened, RewardClaimAccepted, RewardAccrued, RewardDeclined),
    ),
    topics.VERDICTS: (LeadRejected, LeadCheckDelayed),
}
"""Topic → the kinds of events about which an SMS is sent."""


def build(settings: Settings) -> Service:
    """The service with the providers that the settings name."""
    return wire(settings, [make_provider(name, settings) for name in settings.provider_order])


def wire(settings: Settings, providers: Sequence[Provider]) -> Service:
    """The service with the given providers."""
    partners, clients, policy = PartnerStore(), ClientStore(), settings.policy
    database = Database(settings.database_url.get_secret_value(), name=f"{NAME} sending", pool_size=4)
    sealer = Sealer(settings.sealing_keys.get_secret_value())
    pool = ProviderPool(providers, PostgresProviderLog(database), settings.least_balance)
    letters = DeadLetterWriter(NAME, settings.dead_letters_public_key)
    attempts = PostgresAttemptLog(database, settings.limits)
    sending = SmsWork(attempts, sealer, pool, policy, Clock(), only_to=settings.allowed_numbers)

    def rule(body: type, decide: Callable[..., Any], topic: str | None = None) -> Rule[Any]:
        return Rule(body, clients, decide, topic=topic)

    return Service(
        name=NAME,
        settings=settings,
        rules=(
            Rule(Partner, partners, partner_changed, topic=topics.PARTNERS),
            *(rule(kind, partial(notify, policy=policy), topic) for topic, kinds in NOTIFIED.items() for kind in kinds),
            rule(SmsDue, partial(sms_due, policy=policy)),
            rule(Resend, partial(resend, policy=policy)),
            rule(SmsPostponed, sms_postponed),
            rule(SmsSettled, sms_settled),
            rule(SmsReported, sms_reported),
        ),
        produces={topics.MESSAGES: (SmsStatus,)},
        work=(Work(SMS, sending.perform, batch=BATCH, concurrency=4, backoff_s=(1.0, 60.0), read=message_of),),
        timers=(Timer("message-due", messages_due(settings.quiet_texts_per_second)),),
        http=make_reports(settings),
        background={"provider-check": pool.check_forever, "status-polling": StatusPolling(database, pool, sealer).run},
        operations=OPERATIONS,
        dead_letter=letters.write,
        replayed=letters.replayed,
        on_stop=(pool.close, database.close),
    )
