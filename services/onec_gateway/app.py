"""What comes into the 1C gateway, what it asks of 1C, and what goes out."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo

import isodate
import structlog

from chassis.clock import Clock
from chassis.service import Database, Perform, Rule, Runtime, Service, Timer, Work
from contracts import topics
from contracts.dead_letters import DeadLetterWriter
from contracts.leads import LeadSubmitted
from contracts.partners import Partner
from contracts.person import client_key
from contracts.reservations import (
    ReinstatementRequested,
    ReservationClosed,
    ReservationExpired,
    ReservationExtended,
    ReservationOpened,
    ReservationReinstated,
    ReservationReopened,
)
from contracts.sealing import Sealer, Unsealable
from contracts.verdicts import (
    CollisionDetected,
    DealCancelled,
    DealClosed,
    LeadCheckDelayed,
    LeadConfirmed,
    LeadRejected,
    ReinstatementConfirmed,
    ReinstatementRejected,
)
from services.onec_gateway import domain, evidence
from services.onec_gateway.evidence import Watched
from services.onec_gateway.exchanges import ExchangeJournal
from services.onec_gateway.handlers import Handlers
from services.onec_gateway.onec import mapping
from services.onec_gateway.onec.client import OneC
from services.onec_gateway.onec.gate import Gate
from services.onec_gateway.onec.journals import Journals
from services.onec_gateway.onec.maintenance import Maintenance, parse_calendar
from services.onec_gateway.onec.search import Search
from services.onec_gateway.onec.throttle import Throttle
from services.onec_gateway.onec.verify import Verification
from services.onec_gateway.rules import Policy
from services.onec_gateway.settings import Settings
from services.onec_gateway.store import Clients, PartnerReader, Partners, overdue
from services.onec_gateway.watching import Watch

log = structlog.get_logger(__name__)

NAME = "onec-gateway"
AT_ONCE = 50

Background = Callable[[Runtime], Awaitable[None]]


def build(settings: Settings) -> Service:
    """The service on its 1C."""
    zone = ZoneInfo(settings.time_zone)
    names = mapping.load(settings.mapping_file)
    gate = Gate(
        Throttle(settings.concurrency, settings.per_second),
        maintenance=Maintenance(
            parse_calendar(settings.maintenance), settings.probe_every.total_seconds(), lambda: datetime.now(zone)
        ),
    )
    exchanges = ExchangeJournal(settings.exchanges_kept_for)
    onec = connect(settings, names, gate, exchanges)
    search = Search(onec, names, zone)
    verification = Verification(onec, names, gate)
    watch = Watch(
        search,
        bytes.fromhex(settings.client_key_secret.get_secret_value()),
        every_s=settings.watch_every.total_seconds(),
        reread_s=settings.reread_every.total_seconds(),
        sales=names.deals is not None,
        staff=names.staff_phones is not None,
    )

    async def probing(_: Runtime) -> None:
        await gate.run(onec.probe)

    return wire(
        settings,
        search,
        Journals(onec, search, names, zone, verification.length),
        onec.close,
        batch=search.clients_per_request(),
        background=(verification.run, probing, exchanges.run, watch.run),
        ready={"mapping": verification.why_not_ready},
        watched=lambda: watch.watched,
    )


def connect(settings: Settings, names: mapping.Mapping, gate: Gate, exchanges: ExchangeJournal) -> OneC:
    """The client of the infobase that the settings name."""
    return OneC(
        settings.url,
        settings.user,
        settings.password.get_secret_value(),
        gate=gate,
        record=exchanges.record,
        web_server=settings.web_server,
        connections=settings.concurrency,
        probe_set=names.clients.set,
    )


def wire(
    settings: Settings,
    search: Search,
    journals: Journals,
    close: Callable[[], Awaitable[None]],
    *,
    batch: int = AT_ONCE,
    background: Sequence[Background] = (),
    ready: Mapping[str, Callable[[], str | None]] | None = None,
    watched: Callable[[], Watched | None] = lambda: None,
) -> Service:
    """The wiring table. `batch`: so many clients are asked about together, and fail together."""
    clients, partners = Clients(), Partners()
    reader = PartnerReader(Database(settings.database_url.get_secret_value(), name=NAME, pool_size=2))
    sealer = Sealer(settings.sealing_keys.get_secret_value())
    secret = bytes.fromhex(settings.client_key_secret.get_secret_value())
    policy = policy_of(settings)
    handlers = Handlers(
        search,
        journals,
        reader,
        sealer,
        secret,
        Clock(),
        at_once=AT_ONCE,
        longest_call_s=settings.longest_call.total_seconds(),
        patience_s=settings.probe_every.total_seconds(),
        watched=watched,
    )

    def rule(body: type, decide: Callable[..., object], topic: str | None = None) -> Rule[object]:
        return Rule(body, clients, partial(decide, policy=policy), topic=topic)  # type: ignore[arg-type]  # the state's type is the store's

    def work(kind: str, perform: Perform) -> Work:
        return Work(kind, perform, batch=batch, concurrency=settings.concurrency)

    return Service(
        name=NAME,
        settings=settings,
        rules=(
            Rule(
                Partner,
                partners,
                partial(domain.partner_changed, identify=partial(_phone_key, sealer, secret)),
                topic=topics.PARTNERS,
            ),
            rule(LeadSubmitted, domain.lead_submitted, topics.LEADS),
            rule(ReservationOpened, domain.reservation_opened, topics.RESERVATIONS),
            rule(ReservationExtended, domain.reservation_extended, topics.RESERVATIONS),
            rule(ReservationExpired, domain.reservation_expired, topics.RESERVATIONS),
            rule(ReservationClosed, domain.reservation_closed, topics.RESERVATIONS),
            rule(ReservationReopened, domain.reservation_reopened, topics.RESERVATIONS),
            rule(ReinstatementRequested, domain.reinstatement_requested, topics.RESERVATIONS),
            rule(ReservationReinstated, domain.reservation_reinstated, topics.RESERVATIONS),
            rule(domain.CheckAnswered, domain.check_answered),
            rule(domain.JournalEntered, domain.journal_entered),
            rule(domain.EnquirySeen, domain.enquiry_seen),
            rule(domain.SaleSeen, domain.sale_seen),
            rule(domain.Ruled, domain.ruled),
            Rule(domain.JournalUpdated, clients, domain.journal_updated),
            Rule(domain.HandedOver, clients, domain.handed_over),
            Rule(domain.TakenBack, clients, domain.taken_back),
            Rule(domain.CheckOverdue, clients, domain.check_overdue),
        ),
        work=(
            work(domain.CHECK, handlers.check),
            work(domain.PARTNER_JOURNAL, handlers.partner_journal),
            work(domain.JOURNAL_UPDATE, handlers.update),
            work(domain.HAND_OVER, handlers.hand_over),
            work(domain.TAKE_BACK, handlers.take_back),
            work(evidence.MARK, handlers.mark),
        ),
        timers=(Timer("check-delayed", partial(overdue, after=settings.check_delayed_after)),),
        produces={
            topics.VERDICTS: (
                LeadConfirmed,
                LeadRejected,
                LeadCheckDelayed,
                ReinstatementConfirmed,
                ReinstatementRejected,
                DealClosed,
                DealCancelled,
                CollisionDetected,
            )
        },
        background=background,
        readiness=ready or {},
        dead_letter=DeadLetterWriter(NAME, settings.dead_letters_public_key).write,
        on_stop=(close, reader.close),
    )


def policy_of(settings: Settings) -> Policy:
    """The builder's rules, as the settings have them."""
    age = isodate.parse_duration(settings.enquiry_age) if settings.enquiry_age is not None else None
    return Policy(settings.clock_skew, age)


def _phone_key(sealer: Sealer, secret: bytes, partner: Partner) -> str | None:
    try:
        return client_key(secret, sealer.open(partner.person, partner.partner_id).phone)
    except Unsealable:
        log.error("cannot be opened", what="partner", message="Проверьте ONEC_SEALING_KEYS")
        return None
