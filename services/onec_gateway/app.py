"""The wiring table of the 1C gateway: every message in and out, every call to 1C, every timer."""

from collections.abc import Callable
from functools import partial
from typing import Final

from chassis.service import Job, Operations, Perform, Rule, Service, Timer, Work
from contracts import topics
from contracts.dead_letters import DeadLetterWriter
from contracts.leads import LeadSubmitted
from contracts.operations import OperationDone, OperationRefused, ResumeTopic, SkipRecord
from contracts.partners import Partner
from contracts.reservations import (
    ReinstatementRequested,
    ReservationClosed,
    ReservationExpired,
    ReservationExtended,
    ReservationOpened,
    ReservationReinstated,
    ReservationReopened,
    ReservationRequestRefused,
    ReservationsListed,
)
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
from services.onec_gateway import assembly, metrics
from services.onec_gateway.assembly import NAME, Infobase
from services.onec_gateway.domain import (
    arbiter,
    card_collisions,
    evidence,
    inputs,
    lists,
    reservation_events,
    restoration,
    rulings,
    sales,
    tasks,
)
from services.onec_gateway.domain.partners import partner_changed
from services.onec_gateway.settings import Settings
from services.onec_gateway.store.clients import ClientStore
from services.onec_gateway.store.partners import PartnerStore
from services.onec_gateway.store.reconciliation import ListStore, RestoreStore
from services.onec_gateway.timers import ended_waits, overdue_checks

OPERATIONS: Final = Operations(ResumeTopic, SkipRecord, OperationDone, OperationRefused)
"""What persons may order."""


def wire(settings: Settings, onec: Infobase) -> Service:
    """The wiring table of the service on this infobase."""
    clients, partners = ClientStore(), PartnerStore()
    letters = DeadLetterWriter(NAME, settings.dead_letters_public_key)
    database = assembly.work_database(settings)
    perform = assembly.work_on(settings, onec, database)
    phone_key = assembly.unsealer(settings).phone_key
    policy = assembly.policy_of(settings)

    def rule(
        body: type, decide: Callable[..., object], topic: str | None = None, *, related: bool = False
    ) -> Rule[object]:
        return Rule(body, clients, partial(decide, policy=policy), topic, related)  # type: ignore[arg-type]  # the state's type is the store's

    def work(kind: str, method: Perform) -> Work:
        def read(job: Job) -> None:
            tasks.read_arguments(kind, job.ref, job.payload)

        return Work(kind, method, batch=onec.batch, concurrency=settings.concurrency, read=read)

    return Service(
        name=NAME,
        settings=settings,
        rules=(
            # Messages from topics.
            Rule(Partner, partners, partial(partner_changed, phone_key=phone_key), topic=topics.PARTNERS),
            rule(LeadSubmitted, arbiter.lead_submitted, topics.LEADS),
            rule(ReservationOpened, reservation_events.reservation_opened, topics.RESERVATIONS),
            rule(ReservationExtended, reservation_events.reservation_extended, topics.RESERVATIONS),
            rule(ReservationExpired, reservation_events.reservation_expired, topics.RESERVATIONS),
            rule(ReservationClosed, reservation_events.reservation_closed, topics.RESERVATIONS),
            rule(ReservationReopened, reservation_events.reservation_reopened, topics.RESERVATIONS),
            rule(ReinstatementRequested, arbiter.reinstatement_requested, topics.RESERVATIONS),
            rule(ReservationReinstated, reservation_events.reservation_reinstated, topics.RESERVATIONS),
            rule(ReservationRequestRefused, arbiter.return_refused, topics.RESERVATIONS),
            Rule(ReservationsListed, ListStore(), lists.page_listed, topic=topics.RESERVATIONS),
            # Results of calls to 1C.
            rule(inputs.CheckAnswered, arbiter.check_answered, related=True),
            rule(inputs.JournalEntered, reservation_events.journal_entered),
            Rule(inputs.JournalUpdated, clients, reservation_events.journal_updated),
            Rule(inputs.HandedOver, clients, reservation_events.handed_over),
            Rule(inputs.TakenBack, clients, reservation_events.taken_back),
            Rule(restoration.JournalRestored, clients, restoration.journal_restored),
            # Findings of the watch, people's decisions, the timer.
            rule(inputs.EnquirySeen, arbiter.enquiry_seen),
            Rule(inputs.SharedCardSeen, clients, card_collisions.shared_card_seen, reads_related=True),
            rule(inputs.SaleSeen, sales.sale_seen),
            rule(inputs.Ruled, rulings.ruled, related=True),
            rule(inputs.WaitIsOver, arbiter.wait_is_over, related=True),
            Rule(inputs.CheckOverdue, clients, arbiter.check_overdue),
            Rule(inputs.CollisionAcknowledged, clients, evidence.collision_acknowledged),
            Rule(restoration.RestoreRequested, RestoreStore(), restoration.restore_requested),
        ),
        work=(
            work(tasks.CHECK, perform.check),
            work(tasks.PARTNER_JOURNAL, perform.enter_in_journal),
            work(tasks.JOURNAL_UPDATE, perform.update_journal),
            work(tasks.HAND_OVER, perform.hand_over),
            work(tasks.TAKE_BACK, perform.take_back),
            work(tasks.MARK_ENQUIRY, perform.mark_enquiries),
            work(tasks.UNMARK_ENQUIRY, perform.unmark_enquiries),
            work(tasks.RESTORE, perform.restore),
        ),
        timers=(
            Timer("check-delayed", partial(overdue_checks, after=settings.check_delayed_after)),
            Timer("wait-is-over", ended_waits),
        ),
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
        background={**onec.background, "refusals": metrics.measure_refusals},
        readiness=onec.readiness,
        operations=OPERATIONS,
        dead_letter=letters.write,
        replayed=letters.replayed,
        on_stop=(onec.close, database.close),
    )


def build(settings: Settings) -> Service:
    """The service, connected to the infobase that the settings name."""
    return wire(settings, assembly.infobase(settings))
