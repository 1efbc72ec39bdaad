"""Performing work rows: the calls to 1C that decisions request, one method for each kind of row.

Sealed clients are opened for the time of the call. The methods raise no OneCError: an error of 1C becomes the row's
Retry or Park. Unless a method is a plain read, it follows one rule: after a lost answer it looks before it writes.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import Final, NamedTuple
from uuid import UUID

import structlog

from chassis.clock import Clock
from chassis.service import OWNER_LOST, Answer, Done, Job, Retry, call_each
from contracts.partners import Partner
from contracts.person import Person
from services.onec_gateway import found_cards
from services.onec_gateway.domain.cards import Card, phones_on
from services.onec_gateway.domain.inputs import (
    CheckAnswered,
    GoneEnquiry,
    HandedOver,
    JournalEntered,
    JournalUpdated,
    TakenBack,
)
from services.onec_gateway.domain.model import Enquiry
from services.onec_gateway.domain.restoration import JournalRestored
from services.onec_gateway.domain.series import Places
from services.onec_gateway.domain.tasks import (
    CHECK,
    HAND_OVER,
    JOURNAL_UPDATE,
    MARK_ENQUIRY,
    PARTNER_JOURNAL,
    RESTORE,
    TAKE_BACK,
    UNMARK_ENQUIRY,
)
from services.onec_gateway.onec.errors import OneCError, Refused
from services.onec_gateway.onec.exchange import Call
from services.onec_gateway.onec.journals import Journals
from services.onec_gateway.onec.partner_journal import Entry, State
from services.onec_gateway.onec.search import ClientRecords, Search
from services.onec_gateway.retries import RetryPolicy, pause_s
from services.onec_gateway.store.mirror import Mirror
from services.onec_gateway.store.partners import PartnerReader
from services.onec_gateway.unsealing import Unsealer, lead_of

log = structlog.get_logger(__name__)

CHECK_IS_FRESH_FOR: Final = timedelta(seconds=60)

Step = Callable[[Job, Call, Entry], Awaitable[Answer]]


class Client(NamedTuple):
    """A job with its client in clear. `retry_after_s`: the pause before the next attempt if this one fails."""

    job: Job
    person: Person
    retry_after_s: float


class OneCWork:
    """One method for each kind of work row; each takes a batch and yields an answer for every job.

    At most `at_once` writes are under way. `mirror` takes what the checks read; `places` returns how far the watch has
    read the enquiries of each series.
    """

    def __init__(
        self,
        search: Search,
        journals: Journals,
        partners: PartnerReader,
        unsealer: Unsealer,
        retries: RetryPolicy,
        clock: Clock,
        *,
        at_once: int,
        mirror: Mirror,
        places: Callable[[], Places],
    ) -> None:
        self._search = search
        self._journals = journals
        self._partners = partners
        self._unsealer = unsealer
        self._retries = retries
        self._clock = clock
        self._gate = asyncio.Semaphore(at_once)
        self._mirror = mirror
        self._places = places

    async def check(self, jobs: Sequence[Job]) -> AsyncIterator[tuple[Job, Answer]]:
        """Read several clients from 1C in one request. On doubt nothing is decided, and the row is retried."""
        clients: list[Client] = []
        for job in jobs:
            opened = self._unsealer.client(job)
            if isinstance(opened, Person):
                clients.append(Client(job, opened, pause_s(job)))
            else:
                yield job, opened
        places, read_at = self._places(), self._clock.now()
        try:
            found = await self._look_up(CHECK, clients)
        except Refused:
            # 1C refused because of one of the clients. Looked up one at a time, only that client's row is parked.
            for client in clients:
                yield client.job, await self._check_one(client, places)
            return
        except OneCError as error:
            for client in clients:
                yield client.job, self._retries.after_read(error, client.retry_after_s)
            return
        gone = await self._compare(clients, found, places, read_at)
        cards = await self._cards(clients, found, gone, read_at)
        for client, held in zip(clients, cards, strict=True):
            phone = client.person.phone
            yield client.job, self._check_answered(client.job, found[phone], places, gone[phone], held)

    async def enter_in_journal(self, jobs: Sequence[Job]) -> AsyncIterator[tuple[Job, Answer]]:
        """Write entries to the partner journal. A client whose check is no longer fresh is first read from 1C again."""
        partners = await self._partners_of(jobs)
        places, read_at = self._places(), self._clock.now()
        stale = [
            Client(job, opened, pause_s(job))
            for job in jobs
            if self._is_check_stale(job) and isinstance(opened := self._unsealer.client(job), Person)
        ]
        found: dict[str, ClientRecords] = {}
        if stale:
            try:
                found = await self._look_up("second-check", stale)
            except Refused:
                # The entry goes first: the watch finds an enquiry that the office entered meanwhile as well.
                log.warning("second_check_refused", leads=[lead_of(client.job) for client in stale])
            except OneCError as error:
                for client in stale:
                    yield client.job, self._retries.after_read(error, client.retry_after_s)
                answered_refs = {client.job.ref for client in stale}
                jobs = [job for job in jobs if job.ref not in answered_refs]
        if found:
            gone = await self._compare(stale, found, places, read_at)
            await self._cards(stale, found, gone, read_at)
        enquiries = {client.job.ref: found[client.person.phone].enquiries for client in stale if found}
        enter = partial(self._enter, enquiries=enquiries, places=places)
        write = partial(self._write, operation=PARTNER_JOURNAL, partners=partners, step=enter)
        async for answered in call_each(jobs, write, self._gate):
            yield answered

    async def update_journal(self, jobs: Sequence[Job]) -> AsyncIterator[tuple[Job, Answer]]:
        """Write the new states of reservations to their entries in the partner journal."""
        async for answered in self._each(jobs, JOURNAL_UPDATE, self._update):
            yield answered

    async def restore(self, jobs: Sequence[Job]) -> AsyncIterator[tuple[Job, Answer]]:
        """Write entries of the partner journal anew that people changed."""
        async for answered in self._each(jobs, RESTORE, self._restore):
            yield answered

    async def hand_over(self, jobs: Sequence[Job]) -> AsyncIterator[tuple[Job, Answer]]:
        """Move clients whose reservations expired to the general journal."""
        async for answered in self._each(jobs, HAND_OVER, self._hand_over):
            yield answered

    async def take_back(self, jobs: Sequence[Job]) -> AsyncIterator[tuple[Job, Answer]]:
        """Take clients out of the general journal: an expiry was undone by a return, a sale or a withdrawal."""
        async for answered in self._each(jobs, TAKE_BACK, self._take_back):
            yield answered

    async def mark_enquiries(self, jobs: Sequence[Job]) -> AsyncIterator[tuple[Job, Answer]]:
        """Write on enquiries of the sales office which partner holds the client, until when."""
        mark = partial(self._mark, partners=await self._partners_of(jobs))
        async for answered in call_each(jobs, mark, self._gate):
            yield answered

    async def unmark_enquiries(self, jobs: Sequence[Job]) -> AsyncIterator[tuple[Job, Answer]]:
        """Take the marks of withdrawn leads off enquiries of the sales office."""
        async for answered in call_each(jobs, self._unmark, self._gate):
            yield answered

    # --- the check ---

    async def _check_one(self, client: Client, places: Places) -> Answer:
        read_at = self._clock.now()
        try:
            found = await self._look_up(CHECK, [client])
        except OneCError as error:
            return self._retries.unless_refused(error, client.retry_after_s)
        phone = client.person.phone
        gone = await self._compare([client], found, places, read_at)
        (cards,) = await self._cards([client], found, gone, read_at)
        return self._check_answered(client.job, found[phone], places, gone[phone], cards)

    async def _compare(
        self, clients: Sequence[Client], found: Mapping[str, ClientRecords], places: Places, read_at: datetime
    ) -> dict[str, tuple[GoneEnquiry, ...]]:
        """The enquiries that the mirror has of each client, by phone, and 1C has no more. The mirror takes what was
        `found`, so that the watch does not take its older reading for a change."""
        await self._mirror.save_enquiries(
            (seen for records in found.values() for seen in records.read), places, read_at
        )
        keys = {client.person.phone: self._unsealer.keys_of(client.person.phone) for client in clients}
        alive = {enquiry.ref for records in found.values() for enquiry in records.enquiries}
        by_key = await self._mirror.gone(sorted({key for pair in keys.values() for key in pair}), alive)
        await self._mirror.mark_missing(sorted({one.enquiry.ref for gone in by_key.values() for one in gone}), read_at)
        return {
            phone: tuple({one.enquiry.ref: one for key in reversed(pair) for one in by_key.get(key, ())}.values())
            for phone, pair in keys.items()
        }

    async def _cards(
        self,
        clients: Sequence[Client],
        found: Mapping[str, ClientRecords],
        gone: Mapping[str, tuple[GoneEnquiry, ...]],
        read_at: datetime,
    ) -> list[tuple[Card, ...]]:
        """The cards of each client, in the order of `clients`. The mirror takes note of them."""
        phones = [client.person.phone for client in clients]
        read = [found_cards.Client(self._unsealer.keys_of(one), found[one], gone[one]) for one in phones]
        return await found_cards.cards_of(read, self._mirror, self._unsealer, read_at)

    async def _look_up(self, operation: str, clients: Sequence[Client]) -> dict[str, ClientRecords]:
        if not clients:
            return {}
        phones = [client.person.phone for client in clients]
        call = Call(
            operation,
            tuple(lead_of(client.job) for client in clients),
            max(client.job.attempt for client in clients),
            correlation=clients[0].job.cause.correlation if len(clients) == 1 else None,
            personal=(*phones, *(client.person.full_name for client in clients)),
            retry_after_s=clients[0].retry_after_s,
        )
        return await self._search.clients(call, phones)

    def _check_answered(
        self,
        job: Job,
        found: ClientRecords,
        places: Places,
        gone: tuple[GoneEnquiry, ...],
        cards: tuple[Card, ...],
    ) -> Done:
        sales = tuple(deal.sale() for deal in found.deals)
        absent_at = _absent_at(found.enquiries, places)
        lead_id, now = UUID(lead_of(job)), self._clock.now()
        answer = CheckAnswered(lead_id, now, found.enquiries, sales, absent_at, gone, cards)
        return Done(answer, related=phones_on(cards))

    def _is_check_stale(self, job: Job) -> bool:
        checked_at = job.payload.get("checked_at")
        return checked_at is not None and self._clock.now() - datetime.fromisoformat(checked_at) > CHECK_IS_FRESH_FOR

    # --- writes ---

    async def _each(self, jobs: Sequence[Job], operation: str, step: Step) -> AsyncIterator[tuple[Job, Answer]]:
        careful = partial(self._once_settled, step=step)
        write = partial(self._write, operation=operation, partners=await self._partners_of(jobs), step=careful)
        async for answered in call_each(jobs, write, self._gate):
            yield answered

    async def _write(self, job: Job, operation: str, partners: Mapping[str, Partner], step: Step) -> Answer:
        entry = self._entry(job, partners)
        if isinstance(entry, Retry):
            return entry
        return await step(job, _call(operation, job, entry.full_name, entry.phone, entry.partner), entry)

    async def _once_settled(self, job: Job, call: Call, entry: Entry, step: Step) -> Answer:
        """The step, but after an owner was lost only when 1C cannot be carrying out that owner's call any more:
        nothing in 1C prevents this write from being made twice."""
        if _owner_was_lost(job):
            return self._retries.outcome_unknown()
        try:
            return await step(job, call, entry)
        except OneCError as error:
            return self._retries.after_write(error, call.retry_after_s)

    async def _enter(
        self,
        job: Job,
        call: Call,
        entry: Entry,
        enquiries: Mapping[str, tuple[Enquiry, ...]],
        places: Places,
    ) -> Answer:
        # A register's key makes a look enough: whatever is under way in 1C, it refuses a second entry of the lead.
        if _owner_was_lost(job) and not self._journals.refuses_repeats:
            return self._retries.outcome_unknown()
        try:
            await self._journals.enter(call, entry, look=job.in_doubt)
        except OneCError as error:
            return self._retries.after_write(error, call.retry_after_s)
        seen = enquiries.get(job.ref, ())
        return Done(JournalEntered(UUID(entry.lead_id), self._clock.now(), seen, _absent_at(seen, places)))

    async def _update(self, job: Job, call: Call, entry: Entry) -> Answer:
        state: State = job.payload["state"]
        await self._journals.update(call, entry, state, look=job.in_doubt)
        return Done(JournalUpdated(UUID(entry.lead_id), self._clock.now()))

    async def _restore(self, job: Job, call: Call, entry: Entry) -> Answer:
        await self._journals.restore(call, entry, job.payload["state"])
        return Done(JournalRestored(UUID(entry.lead_id), self._clock.now()))

    async def _hand_over(self, job: Job, call: Call, entry: Entry) -> Answer:
        expired_at = datetime.fromisoformat(job.payload["expired_at"])
        ref = await self._journals.hand_over(call, entry, expired_at, look=_may_have_begun(job))
        return Done(HandedOver(UUID(entry.lead_id), self._clock.now(), ref))

    async def _take_back(self, job: Job, call: Call, entry: Entry) -> Answer:
        # Rows of earlier versions have no state: they all follow from a return.
        state: State = job.payload.get("state", "active")
        await self._journals.take_back(call, entry, state, job.payload.get("enquiry"), look=_may_have_begun(job))
        return Done(TakenBack(UUID(entry.lead_id), self._clock.now()))

    async def _mark(self, job: Job, partners: Mapping[str, Partner]) -> Answer:
        partner = self._unsealer.partner(job, partners)
        if isinstance(partner, Retry):
            return partner
        if _owner_was_lost(job):
            return self._retries.outcome_unknown()
        through = date.fromisoformat(job.payload["reserved_through"])
        call = _call(MARK_ENQUIRY, job, partner.full_name, partner.phone)
        try:
            await self._journals.mark(
                call,
                job.payload["enquiry"],
                job.payload["lead_id"],
                f"Закреплён за партнёром {partner.full_name} по {through:%d.%m.%Y}",
                look=job.in_doubt,
            )
        except OneCError as error:
            return self._retries.after_write(error, call.retry_after_s)
        return Done(JournalUpdated(UUID(job.payload["lead_id"]), self._clock.now()))

    async def _unmark(self, job: Job) -> Answer:
        if _owner_was_lost(job):
            return self._retries.outcome_unknown()
        call = _call(UNMARK_ENQUIRY, job)
        try:
            await self._journals.unmark(call, job.payload["enquiry"], job.payload["lead_id"])
        except OneCError as error:
            return self._retries.after_write(error, call.retry_after_s)
        return Done(JournalUpdated(UUID(job.payload["lead_id"]), self._clock.now()))

    def _entry(self, job: Job, partners: Mapping[str, Partner]) -> Entry | Retry:
        client = self._unsealer.client(job)
        if isinstance(client, Retry):
            return client
        partner = self._unsealer.partner(job, partners)
        if isinstance(partner, Retry):
            return partner
        partner_id = job.payload["partner_id"]
        return Entry(
            lead_id=lead_of(job),
            full_name=client.full_name,
            phone=client.phone,
            partner_id=partner_id,
            partner=partner.full_name,
            agreement=partners[partner_id].agreement.number,
            confirmed_at=datetime.fromisoformat(job.payload["confirmed_at"]),
            reserved_through=date.fromisoformat(job.payload["reserved_through"]),
        )

    async def _partners_of(self, jobs: Sequence[Job]) -> Mapping[str, Partner]:
        return await self._partners.get([job.payload["partner_id"] for job in jobs])


def _absent_at(enquiries: Sequence[Enquiry], places: Places) -> dict[str, datetime]:
    """By reference, when the watch read 1C without the enquiry; without an entry no such read is known."""
    known = {enquiry.ref: places.absent_at(enquiry.number, enquiry.date) for enquiry in enquiries}
    return {ref: at for ref, at in known.items() if at is not None}


def _owner_was_lost(job: Job) -> bool:
    """Whether the process that made the last attempt ended without recording the attempt's outcome."""
    return job.in_doubt and job.note == OWNER_LOST


def _may_have_begun(job: Job) -> bool:
    """Whether an earlier attempt may have made some of the steps: one that ended without effect may follow a step that
    succeeded."""
    return job.in_doubt or job.attempt > 1


def _call(operation: str, job: Job, *personal: str) -> Call:
    return Call(
        operation,
        (lead_of(job),),
        job.attempt,
        correlation=job.cause.correlation,
        personal=personal,
        retry_after_s=pause_s(job),
    )
