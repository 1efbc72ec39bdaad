"""The calls to 1C that the arbiter asks for. Sealed clients are opened here, for the moment of the call."""

import asyncio
import hmac
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, datetime
from functools import partial
from typing import Final
from uuid import UUID

import structlog

from chassis.clock import Clock
from chassis.worker import Answer, Done, Job, Park, Retry, one_by_one
from contracts.client import Client, client_key
from contracts.partners import Partner
from contracts.sealing import Sealer, Unsealable
from services.onec_gateway.domain import CheckAnswered, Enquiry, HandedOver, JournalEntered
from services.onec_gateway.onec.client import Call
from services.onec_gateway.onec.errors import NoAnswer, NoRights, NotReached, OneCError
from services.onec_gateway.onec.journals import Entry, Journals
from services.onec_gateway.store import PartnerReader

log = structlog.get_logger(__name__)

RIGHTS_PAUSE_S: Final = 120.0
KEYS_PAUSE_S: Final = 60.0


class Handlers:
    """One method a kind of work. Each raises nothing of 1C's. At most `at_once` entries are under way."""

    def __init__(
        self,
        journals: Journals,
        partners: PartnerReader,
        sealer: Sealer,
        key_secret: bytes,
        clock: Clock,
        at_once: int,
    ) -> None:
        self._journals = journals
        self._partners = partners
        self._sealer = sealer
        self._key_secret = key_secret
        self._clock = clock
        self._gate = asyncio.Semaphore(at_once)

    async def check(self, jobs: Sequence[Job]) -> AsyncIterator[tuple[Job, Answer]]:
        """Ask 1C about several clients at once. On doubt nothing is decided: asked again for as long as it takes."""
        known: list[tuple[Job, Client]] = []
        for job in jobs:
            opened = self._open(job)
            if isinstance(opened, Client):
                known.append((job, opened))
            else:
                yield job, opened
        if not known:
            return
        call = Call("check", tuple(job.ref for job, _ in known), max(job.attempt for job, _ in known))
        try:
            found = await self._journals.enquiries(call, [client.phone for _, client in known])
        except OneCError as error:
            for job, _ in known:
                yield job, _again(error)
            return
        at = self._clock.now()
        for job, client in known:
            enquiries = tuple(Enquiry(one.ref, one.date) for one in found[client.phone])
            yield job, Done(CheckAnswered(UUID(job.ref), at, enquiries))

    async def partner_journal(self, jobs: Sequence[Job]) -> AsyncIterator[tuple[Job, Answer]]:
        """Enter reserved clients. In doubt one is simply sent again: the register's key is the lead id."""
        partners = await self._partners.get([job.payload["partner_id"] for job in jobs])
        async for answered in one_by_one(jobs, partial(self._enter, partners=partners), self._gate):
            yield answered

    async def hand_over(self, jobs: Sequence[Job]) -> AsyncIterator[tuple[Job, Answer]]:
        """Pass clients whose reservations are over to the general journal."""
        partners = await self._partners.get([job.payload["partner_id"] for job in jobs])
        async for answered in one_by_one(jobs, partial(self._hand_over, partners=partners), self._gate):
            yield answered

    async def _enter(self, job: Job, partners: Mapping[str, Partner]) -> Answer:
        entry = self._entry(job, partners)
        if isinstance(entry, Retry):
            return entry
        try:
            await self._journals.enter(_call("partner-journal", job), entry)
        except OneCError as error:
            return _again_or_park(error)
        return Done(JournalEntered(UUID(job.ref), self._clock.now()))

    async def _hand_over(self, job: Job, partners: Mapping[str, Partner]) -> Answer:
        entry = self._entry(job, partners)
        if isinstance(entry, Retry):
            return entry
        expired_at = datetime.fromisoformat(job.payload["expired_at"])
        # A retry that is certain of itself may still follow a step that went through.
        look = job.in_doubt or job.attempt > 1
        try:
            ref = await self._journals.hand_over(_call("hand-over", job), entry, expired_at, look=look)
        except OneCError as error:
            return _again_or_park(error)
        return Done(HandedOver(UUID(job.ref), self._clock.now(), ref))

    def _entry(self, job: Job, partners: Mapping[str, Partner]) -> Entry | Retry:
        partner_id = job.payload["partner_id"]
        client = self._open(job)
        if isinstance(client, Retry):
            return client
        partner = partners.get(partner_id)
        if partner is None:
            # Nothing orders the topics among themselves: the partner may still be on its way.
            return Retry("partner-not-known-yet", certain=True)
        try:
            person = self._sealer.open(partner.person, partner_id)
        except Unsealable:
            return _sealed("partner", job)
        return Entry(
            lead_id=job.ref,
            full_name=client.full_name,
            phone=client.phone,
            partner_id=partner_id,
            partner=person.full_name,
            agreement=partner.agreement.number,
            confirmed_at=datetime.fromisoformat(job.payload["confirmed_at"]),
            reserved_through=date.fromisoformat(job.payload["reserved_through"]),
        )

    def _open(self, job: Job) -> Client | Retry:
        try:
            client = self._sealer.open(job.payload["client"], job.ref)
        except Unsealable:
            return _sealed("client", job)
        if not hmac.compare_digest(client_key(self._key_secret, client.phone), job.key):
            # With another secret than intake's the one-holder rule would be kept about the wrong keys.
            log.error("client key does not fit", lead=job.ref, message="Проверьте ONEC_CLIENT_KEY_SECRET")
            return Retry("client-key-mismatch", certain=True, after_s=KEYS_PAUSE_S)
        return client


def _sealed(what: str, job: Job) -> Retry:
    # Keys are rotated by people: the one that is missing may come. Nothing is decided until it does.
    log.error("cannot be opened", what=what, lead=job.ref, message="Проверьте ONEC_SEALING_KEYS")
    return Retry("unsealable", certain=True, after_s=KEYS_PAUSE_S)


def _call(operation: str, job: Job) -> Call:
    return Call(operation, (job.ref,), job.attempt)


def _again(error: OneCError) -> Retry:
    pause = RIGHTS_PAUSE_S if isinstance(error, NoRights) else None
    return Retry(_described(error), certain=isinstance(error, NotReached), after_s=pause)


def _again_or_park(error: OneCError) -> Answer:
    return _again(error) if isinstance(error, (NoAnswer, NotReached)) else Park(_described(error))


def _described(error: OneCError) -> str:
    details = [f"HTTP {error.status}"] if error.status is not None else []
    details += [f"код {error.code}"] if error.code is not None else []
    return f"{error.reason} ({', '.join(details)})" if details else error.reason
