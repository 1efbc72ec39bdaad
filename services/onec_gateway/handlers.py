"""The calls to 1C that the arbiter asks for. Sealed clients are opened here, for the moment of the call."""

import asyncio
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

import structlog

from chassis.clock import Clock
from chassis.database.presence import OWNER_LOST
from chassis.service import Answer, Done, Job, Park, Retry, call_each
from contracts.partners import Partner
from contracts.person import Person, client_key
from contracts.sealing import Sealer, Unsealable
from services.onec_gateway.domain import (
    CHECK,
    HAND_OVER,
    JOURNAL_UPDATE,
    PARTNER_JOURNAL,
    TAKE_BACK,
    CheckAnswered,
    HandedOver,
    JournalEntered,
    JournalUpdated,
    TakenBack,
)
from services.onec_gateway.evidence import MARK, Watched
from services.onec_gateway.facts import Enquiry, Sale
from services.onec_gateway.onec.errors import NoAnswer, NoRights, NotReached, OneCError, Paused, Refused
from services.onec_gateway.onec.exchange import Call
from services.onec_gateway.onec.journals import Journals
from services.onec_gateway.onec.partner_journal import Entry, State
from services.onec_gateway.onec.search import ClientRecords, FoundDeal, Search
from services.onec_gateway.store import PartnerReader

log = structlog.get_logger(__name__)

KEYS_PAUSE_S: Final = 60.0
BACKOFF_S: Final = (1.0, 60.0)
CHECK_IS_FRESH_FOR: Final = timedelta(seconds=60)


class Handlers:
    """One method a kind of work. Each raises nothing of 1C's. At most `at_once` entries are under way.

    `longest_call_s`: 1C may still carry a write out for as long after its answer was lost. `patience_s`: how long what
    only a person can mend is left alone.
    """

    def __init__(
        self,
        search: Search,
        journals: Journals,
        partners: PartnerReader,
        sealer: Sealer,
        key_secret: bytes,
        clock: Clock,
        *,
        at_once: int,
        longest_call_s: float,
        patience_s: float,
        watched: Callable[[], Watched | None],
    ) -> None:
        self._search = search
        self._journals = journals
        self._partners = partners
        self._sealer = sealer
        self._key_secret = key_secret
        self._clock = clock
        self._gate = asyncio.Semaphore(at_once)
        self._longest_call_s = longest_call_s
        self._patience_s = patience_s
        self._watched = watched

    async def check(self, jobs: Sequence[Job]) -> AsyncIterator[tuple[Job, Answer]]:
        """Ask 1C about several clients at once. On doubt nothing is decided: asked again for as long as it takes."""
        known: list[tuple[Job, Person]] = []
        for job in jobs:
            opened = self._open(job)
            if isinstance(opened, Person):
                known.append((job, opened))
            else:
                yield job, opened
        watched = self._watched()
        try:
            found = await self._look_up(CHECK, known)
        except Refused:
            # What it says no to may be one of them: asked one at a time, only that one waits for a person.
            for one in known:
                yield one[0], await self._check_alone(one, watched)
            return
        except OneCError as error:
            for job, _ in known:
                yield job, self._again(error, job)
            return
        for job, client in known:
            yield job, self._answered(job, found[client.phone], watched)

    async def partner_journal(self, jobs: Sequence[Job]) -> AsyncIterator[tuple[Job, Answer]]:
        """Enter reserved clients; those whose check is no longer fresh are asked about once more before."""
        partners = await self._partners.get([job.payload["partner_id"] for job in jobs])
        watched = self._watched()
        stale = [(job, opened) for job in jobs if self._is_stale(job) and isinstance(opened := self._open(job), Person)]
        again: dict[str, ClientRecords] = {}
        if stale:
            try:
                again = await self._look_up("second-check", stale)
            except Refused:
                # The entry matters more: what the office entered meanwhile the watching finds as well.
                log.warning("second check refused", leads=[_lead_of(job) for job, _ in stale])
            except OneCError as error:
                for job, _ in stale:
                    yield job, self._again(error, job)
                waiting = {job.ref for job, _ in stale}
                jobs = [job for job in jobs if job.ref not in waiting]
        newer = {job.ref: again[client.phone].enquiries for job, client in stale if client.phone in again}
        enter = partial(self._enter, newer=newer, watched=watched)
        write = partial(self._write, operation=PARTNER_JOURNAL, partners=partners, step=enter)
        async for answered in call_each(jobs, write, self._gate):
            yield answered

    async def update(self, jobs: Sequence[Job]) -> AsyncIterator[tuple[Job, Answer]]:
        """Say in the partner journal what became of reservations."""
        async for answered in self._each(jobs, JOURNAL_UPDATE, self._update):
            yield answered

    async def hand_over(self, jobs: Sequence[Job]) -> AsyncIterator[tuple[Job, Answer]]:
        """Pass clients whose reservations are over to the general journal."""
        async for answered in self._each(jobs, HAND_OVER, self._hand_over):
            yield answered

    async def take_back(self, jobs: Sequence[Job]) -> AsyncIterator[tuple[Job, Answer]]:
        """Bring returned clients back from the general journal."""
        async for answered in self._each(jobs, TAKE_BACK, self._take_back):
            yield answered

    async def mark(self, jobs: Sequence[Job]) -> AsyncIterator[tuple[Job, Answer]]:
        """Write on enquiries of the sales office whose client it is."""
        partners = await self._partners.get([job.payload["partner_id"] for job in jobs])
        async for answered in call_each(jobs, partial(self._mark, partners=partners), self._gate):
            yield answered

    async def _check_alone(self, one: tuple[Job, Person], watched: Watched | None) -> Answer:
        job, client = one
        try:
            return self._answered(job, (await self._look_up(CHECK, [one]))[client.phone], watched)
        except OneCError as error:
            return self._again_or_park(error, job)

    async def _look_up(self, operation: str, known: Sequence[tuple[Job, Person]]) -> dict[str, ClientRecords]:
        if not known:
            return {}
        phones = [client.phone for _, client in known]
        first = known[0][0]
        call = Call(
            operation,
            tuple(_lead_of(job) for job, _ in known),
            max(job.attempt for job, _ in known),
            correlation=first.cause.correlation if len(known) == 1 else None,
            personal=(*phones, *(client.full_name for _, client in known)),
            retry_after_s=_backoff(first.attempt),
        )
        return await self._search.clients(call, phones)

    def _answered(self, job: Job, found: ClientRecords, watched: Watched | None) -> Done:
        return Done(
            CheckAnswered(
                UUID(_lead_of(job)),
                self._clock.now(),
                found.enquiries,
                tuple(sale_of(deal) for deal in found.deals),
                watched,
            )
        )

    def _is_stale(self, job: Job) -> bool:
        checked_at = job.payload.get("checked_at")
        return checked_at is not None and self._clock.now() - datetime.fromisoformat(checked_at) > CHECK_IS_FRESH_FOR

    async def _each(
        self, jobs: Sequence[Job], operation: str, step: Callable[[Job, Call, Entry], Awaitable[Answer]]
    ) -> AsyncIterator[tuple[Job, Answer]]:
        partners = await self._partners.get([job.payload["partner_id"] for job in jobs])
        patient = partial(self._patiently, step=step)
        write = partial(self._write, operation=operation, partners=partners, step=patient)
        async for answered in call_each(jobs, write, self._gate):
            yield answered

    async def _write(
        self,
        job: Job,
        operation: str,
        partners: Mapping[str, Partner],
        step: Callable[[Job, Call, Entry], Awaitable[Answer]],
    ) -> Answer:
        entry = self._entry(job, partners)
        if isinstance(entry, Retry):
            return entry
        return await step(job, _call(operation, job, entry.full_name, entry.phone, entry.partner), entry)

    async def _patiently(
        self, job: Job, call: Call, entry: Entry, step: Callable[[Job, Call, Entry], Awaitable[Answer]]
    ) -> Answer:
        """Nothing in 1C keeps these from being done twice: what may still be under way there is waited out first."""
        if job.in_doubt and job.note == OWNER_LOST:
            return Retry("unknown-waits", no_effect=True, after_s=self._longest_call_s)
        try:
            return await step(job, call, entry)
        except OneCError as error:
            return self._unknown_waits(error, job)

    async def _enter(
        self,
        job: Job,
        call: Call,
        entry: Entry,
        newer: Mapping[str, tuple[Enquiry, ...]],
        watched: Watched | None,
    ) -> Answer:
        if job.in_doubt and job.note == OWNER_LOST and not self._journals.refuses_repeats:
            return Retry("unknown-waits", no_effect=True, after_s=self._longest_call_s)
        # With a key of ours in 1C a look is enough: whatever is still under way there can at worst be refused.
        try:
            await self._journals.enter(call, entry, look=job.in_doubt)
        except OneCError as error:
            return self._unknown_waits(error, job)
        return Done(JournalEntered(UUID(entry.lead_id), self._clock.now(), newer.get(job.ref, ()), watched))

    async def _update(self, job: Job, call: Call, entry: Entry) -> Answer:
        state: State = job.payload["state"]
        await self._journals.update(call, entry, state, look=job.in_doubt)
        return Done(JournalUpdated(UUID(entry.lead_id), self._clock.now()))

    async def _hand_over(self, job: Job, call: Call, entry: Entry) -> Answer:
        expired_at = datetime.fromisoformat(job.payload["expired_at"])
        # A retry that is certain of itself may still follow a step that went through.
        look = job.in_doubt or job.attempt > 1
        ref = await self._journals.hand_over(call, entry, expired_at, look=look)
        return Done(HandedOver(UUID(entry.lead_id), self._clock.now(), ref))

    async def _take_back(self, job: Job, call: Call, entry: Entry) -> Answer:
        await self._journals.take_back(call, entry, look=job.in_doubt or job.attempt > 1)
        return Done(TakenBack(UUID(entry.lead_id), self._clock.now()))

    async def _mark(self, job: Job, partners: Mapping[str, Partner]) -> Answer:
        partner = self._partner(job, partners)
        if isinstance(partner, Retry):
            return partner
        if job.in_doubt and job.note == OWNER_LOST:
            return Retry("unknown-waits", no_effect=True, after_s=self._longest_call_s)
        through = date.fromisoformat(job.payload["reserved_through"])
        try:
            await self._journals.mark(
                _call(MARK, job, partner.full_name, partner.phone),
                job.payload["enquiry"],
                job.payload["lead_id"],
                f"Закреплён за партнёром {partner.full_name} по {through:%d.%m.%Y}",
                look=job.in_doubt,
            )
        except OneCError as error:
            return self._unknown_waits(error, job)
        return Done(JournalUpdated(UUID(job.payload["lead_id"]), self._clock.now()))

    def _again(self, error: OneCError, job: Job) -> Retry:
        if isinstance(error, Paused):
            pause = error.after_s
        elif isinstance(error, NoRights):
            pause = self._patience_s
        else:
            pause = _backoff(job.attempt)
        return Retry(_described(error), no_effect=isinstance(error, NotReached), after_s=pause)

    def _again_or_park(self, error: OneCError, job: Job) -> Answer:
        if isinstance(error, (NoAnswer, NotReached)):
            return self._again(error, job)
        return Park(_described(error))

    def _unknown_waits(self, error: OneCError, job: Job) -> Answer:
        if isinstance(error, NoAnswer):
            return Retry(_described(error), after_s=self._longest_call_s)
        return self._again_or_park(error, job)

    def _entry(self, job: Job, partners: Mapping[str, Partner]) -> Entry | Retry:
        client = self._open(job)
        if isinstance(client, Retry):
            return client
        partner = self._partner(job, partners)
        if isinstance(partner, Retry):
            return partner
        partner_id = job.payload["partner_id"]
        return Entry(
            lead_id=_lead_of(job),
            full_name=client.full_name,
            phone=client.phone,
            partner_id=partner_id,
            partner=partner.full_name,
            agreement=partners[partner_id].agreement.number,
            confirmed_at=datetime.fromisoformat(job.payload["confirmed_at"]),
            reserved_through=date.fromisoformat(job.payload["reserved_through"]),
        )

    def _partner(self, job: Job, partners: Mapping[str, Partner]) -> Person | Retry:
        partner_id = job.payload["partner_id"]
        partner = partners.get(partner_id)
        if partner is None:
            # Nothing orders the topics among themselves: the partner may still be on its way.
            return Retry("partner-not-known-yet", no_effect=True)
        try:
            return self._sealer.open(partner.person, partner_id)
        except Unsealable:
            return _sealed("partner", job)

    def _open(self, job: Job) -> Person | Retry:
        try:
            client = self._sealer.open(job.payload["client"], _lead_of(job))
        except Unsealable:
            return _sealed("client", job)
        if not hmac.compare_digest(client_key(self._key_secret, client.phone), job.key):
            # With another secret than intake's the one-holder rule would be kept about the wrong keys.
            log.error("client key does not fit", lead=_lead_of(job), message="Проверьте ONEC_CLIENT_KEY_SECRET")
            return Retry("client-key-mismatch", no_effect=True, after_s=KEYS_PAUSE_S)
        return client


def sale_of(deal: FoundDeal) -> Sale:
    """A sale as the domain knows it."""
    return Sale(deal.ref, deal.amount, deal.currency, deal.contract_number, deal.contract_date, deal.cancelled)


def _sealed(what: str, job: Job) -> Retry:
    # Keys are rotated by people: the one that is missing may come. Nothing is decided until it does.
    log.error("cannot be opened", what=what, lead=_lead_of(job), message="Проверьте ONEC_SEALING_KEYS")
    return Retry("unsealable", no_effect=True, after_s=KEYS_PAUSE_S)


def _lead_of(job: Job) -> str:
    return str(job.payload.get("lead_id", job.ref))


def _call(operation: str, job: Job, *personal: str) -> Call:
    return Call(
        operation,
        (_lead_of(job),),
        job.attempt,
        correlation=job.cause.correlation,
        personal=personal,
        retry_after_s=_backoff(job.attempt),
    )


def _backoff(attempt: int) -> float:
    first, most = BACKOFF_S
    return min(most, first * float(2 ** min(attempt - 1, 20)))


def _described(error: OneCError) -> str:
    details = [f"HTTP {error.status}"] if error.status is not None else []
    details += [f"код {error.code}"] if error.code is not None else []
    described = f"{error.reason} ({', '.join(details)})" if details else error.reason
    return f"{described}: {error.text}" if error.text else described
