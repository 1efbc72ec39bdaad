"""A portal under load: it submits leads at a steady pace and repeats each request until it gets a response.

Some of the leads are for the same client within a fraction of a second.
"""

import asyncio
import contextlib
import json
import random
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

import httpx
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from joserfc.jwk import ECKey

from contracts.person import InvalidPhone, parse_phone
from contracts.sealing import encrypt_to
from tests.e2e.harness import Person, SystemHarness, invent
from tests.process import until

AT_ONCE = 32
ATTEMPT_S = 8.0
PARTNERS = 10
RIVALS_WITHIN = 8  # positions in the queue: two leads for one client are submitted within a fraction of a second

_CONSENT = {"given_at": "2026-11-01T12:00:00+03:00", "advertising": False}

Channel = Literal["http", "topic"]

_USED_PHONES: Final[set[str]] = set()


@dataclass(frozen=True, slots=True)
class PlannedLead:
    """A lead that the portal will submit. `key` is the idempotency key, and `ce_id` on the topic."""

    key: str
    partner_id: str
    client: Person
    channel: Channel


@dataclass(frozen=True, slots=True)
class Response:
    """One response over HTTP at the monotonic time `at`. `status` 0: no connection, or no response in time."""

    at: float
    status: int
    code: str = ""
    media_type: str = ""
    retry_after: str | None = None
    replayed: bool = False


@dataclass(slots=True)
class Load:
    """The leads of one portal, and the responses so far.

    `partners`: id → phone. `accepted`: key → the body of the 202. `sent`: keys of the leads sent on the topic.
    `calls_before`: how many calls 1C had got before this load; None if other loads run on the same system, because then
    1C's calls cannot be attributed to a load.
    """

    partners: dict[str, str]
    planned: list[PlannedLead]
    rng: random.Random
    accepted: dict[str, dict[str, Any]] = field(default_factory=dict)
    sent: set[str] = field(default_factory=set)
    responses: list[Response] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    calls_before: int | None = 0

    @classmethod
    async def prepare(
        cls, harness: SystemHarness, name: str, seed: int, leads: int, *, racing: float = 0.2, on_topic: float = 0.1
    ) -> "Load":
        """Plan `leads` leads and register their partners. `name` and `seed` decide all random choices.

        A share `racing` of the leads is for clients of other leads, a share `on_topic` is sent on the portal's topic.
        """
        rng = random.Random(f"{name} {seed}")
        persons = {f"{name}-{seed}-{number}": _person(rng) for number in range(PARTNERS)}
        singles = [_person(rng) for _ in range(leads - round(leads * racing))]
        clients = list(enumerate(singles))
        for place in rng.sample(range(len(singles)), leads - len(singles)):
            clients.append((place + rng.randint(1, RIVALS_WITHIN), singles[place]))
        clients.sort(key=lambda placed: placed[0])
        planned = [
            PlannedLead(
                str(uuid.UUID(int=rng.getrandbits(128))),
                rng.choice(list(persons)),
                client,
                "topic" if rng.random() < on_topic else "http",
            )
            for _, client in clients
        ]
        for partner_id, person in persons.items():

            async def registered(partner_id: str = partner_id, person: Person = person) -> bool | None:
                # Intake can still be starting after the kills of the previous seed.
                with contextlib.suppress(httpx.TransportError):
                    response = await harness.register_partner(partner_id, person)
                    return True if response.status_code in (200, 201) else None
                return None

            await until(registered, f"seed {seed}: {partner_id} is registered")
        load = cls({partner_id: person.phone for partner_id, person in persons.items()}, planned, rng)
        load.calls_before = len(await harness.onec_calls())
        return load

    def unanswered(self) -> list[PlannedLead]:
        """The leads that were neither accepted over HTTP nor sent on the topic."""
        return [lead for lead in self.planned if lead.key not in self.accepted and lead.key not in self.sent]

    async def run(self, intakes: Sequence[SystemHarness], seconds: float, deadline_s: float = 120) -> None:
        """Submit all leads over `seconds`; return when all are accepted, or `deadline_s` seconds later.

        `intakes` has a harness for each instance of intake.
        """
        by_http = [lead for lead in self.planned if lead.channel == "http"]
        by_topic = [lead for lead in self.planned if lead.channel == "topic"]
        gate = asyncio.Semaphore(AT_ONCE)
        key = await intakes[0].sealing_key()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds + deadline_s), asyncio.TaskGroup() as group:
                group.create_task(self._send_all(intakes[0], key, by_topic, seconds))
                for number, lead in enumerate(by_http):
                    group.create_task(self._submit(number * seconds / len(by_http), lead, intakes, gate))

    async def submit_unanswered(self, intakes: Sequence[SystemHarness], deadline_s: float = 60) -> None:
        """Submit every lead without a response again, under the same keys."""
        gate = asyncio.Semaphore(AT_ONCE)
        left = [lead for lead in self.unanswered() if lead.channel == "http"]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline_s), asyncio.TaskGroup() as group:
                for lead in left:
                    group.create_task(self._submit(0, lead, intakes, gate))

    async def repeat_some(self, intakes: Sequence[SystemHarness], count: int = 20) -> None:
        """Submit some accepted leads again. Each must get its first response, marked as replayed."""
        again = [lead for lead in self.planned if lead.key in self.accepted]
        before = len(self.responses)
        gate = asyncio.Semaphore(AT_ONCE)
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            for lead in self.rng.sample(again, min(count, len(again))):
                group.create_task(self._submit(0, lead, intakes, gate))
        replayed = sum(response.replayed for response in self.responses[before:])
        if replayed != min(count, len(again)):
            self.violations.append(f"{replayed} of {min(count, len(again))} repeats were marked as replayed")

    async def _submit(
        self, after_s: float, lead: PlannedLead, intakes: Sequence[SystemHarness], gate: asyncio.Semaphore
    ) -> None:
        """After `after_s` seconds, submit a lead over HTTP and repeat the request until it is accepted."""
        await asyncio.sleep(after_s)
        pause = 0.2
        while True:
            async with gate:
                response = await self._attempt(self.rng.choice(intakes), lead)
            if response is not None:
                if response.status_code == 202:
                    self._accept(lead, response)
                    return
                if response.status_code not in (429, 503):
                    self.violations.append(f"{lead.key}: HTTP {response.status_code} {response.text[:200]}")
                    if response.status_code < 500:
                        return
            # The portal waits at least as long as Retry-After.
            retry_after = float(response.headers.get("Retry-After", 0)) if response is not None else 0.0
            await asyncio.sleep(max(retry_after, pause) * self.rng.uniform(1.0, 1.3))
            pause = min(pause * 2, 2.0)

    async def _attempt(self, intake: SystemHarness, lead: PlannedLead) -> httpx.Response | None:
        try:
            async with asyncio.timeout(ATTEMPT_S):
                response = await intake.submit(lead.partner_id, lead.client, lead.key)
        except (httpx.TransportError, TimeoutError):
            self.responses.append(Response(time.monotonic(), 0))
            return None
        media_type = response.headers.get("content-type", "")
        code = response.json().get("code", "") if "json" in media_type else ""
        after, replayed = response.headers.get("Retry-After"), response.headers.get("Idempotent-Replayed") == "true"
        self.responses.append(Response(time.monotonic(), response.status_code, code, media_type, after, replayed))
        return response

    def _accept(self, lead: PlannedLead, response: httpx.Response) -> None:
        body = response.json()
        first = self.accepted.setdefault(lead.key, body)
        for name in ("lead_id", "number", "received_at"):
            if first.get(name) != body.get(name):
                self.violations.append(f"{lead.key}: {name} was {first.get(name)}, then {body.get(name)}")

    async def _send_all(self, harness: SystemHarness, key: ECKey, leads: Sequence[PlannedLead], seconds: float) -> None:
        """Send leads on the portal's topic, one after another. A failed lead is sent again under the same id."""
        begun = time.monotonic()
        producer: AIOKafkaProducer | None = None
        try:
            for number, lead in enumerate(leads):
                await asyncio.sleep(max(0.0, begun + number * seconds / len(leads) - time.monotonic()))
                while lead.key not in self.sent:
                    try:
                        async with asyncio.timeout(ATTEMPT_S):
                            if producer is None:
                                producer = await _producer(harness.endpoints["kafka"])
                            await producer.send_and_wait(
                                f"portal-requests.{harness.endpoints['portal']}", **_record(lead, key)
                            )
                        self.sent.add(lead.key)
                    except (KafkaError, TimeoutError, OSError):
                        await _stop(producer)
                        producer = None
                        await asyncio.sleep(0.5)
        finally:
            await _stop(producer)


def _person(rng: random.Random) -> Person:
    """A person with a valid phone that no other load has used, because loads share a system.

    A few of the invented numbers are in no numbering plan.
    """
    while True:
        person = invent(rng)
        with contextlib.suppress(InvalidPhone):
            if person.phone not in _USED_PHONES and parse_phone(person.phone) == person.phone:
                _USED_PHONES.add(person.phone)
                return person


def _record(lead: PlannedLead, key: ECKey) -> dict[str, Any]:
    # The portal chooses the correlation id. Every later event has it, so the checker finds the lead by it.
    headers = {
        "ce_specversion": "1.0",
        "ce_id": lead.key,
        "ce_type": "submit-lead.v1",
        "ce_source": "/portals/demo",
        "ce_time": datetime.now(UTC).isoformat(),
        "ce_correlationid": lead.key,
    }
    client = encrypt_to(key, json.dumps(lead.client.plain).encode())
    return {
        "value": json.dumps({"partner_id": lead.partner_id, "client": client, "consent": _CONSENT}).encode(),
        "headers": [(name, text.encode()) for name, text in headers.items()],
    }


async def _producer(bootstrap: str) -> AIOKafkaProducer:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    try:
        await producer.start()
    except BaseException:
        await _stop(producer)
        raise
    return producer


async def _stop(producer: AIOKafkaProducer | None) -> None:
    if producer is not None:
        with contextlib.suppress(KafkaError, TimeoutError, OSError):
            async with asyncio.timeout(2):
                await producer.stop()
