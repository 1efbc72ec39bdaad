"""A well-behaved portal under load: paced, in part racing, and repeating each request until it is answered."""

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
from tests.e2e.world import Person, World, invent
from tests.process import until

AT_ONCE = 32
ATTEMPT_S = 8.0
PARTNERS = 10
RIVALS_WITHIN = 8  # places in the queue: rivals meet within a fraction of a second

_CONSENT = {"given_at": "2026-11-01T12:00:00+03:00", "advertising": False}

Road = Literal["http", "topic"]

_TAKEN: Final[set[str]] = set()


@dataclass(frozen=True, slots=True)
class Wanted:
    """A lead that the portal wants taken. `key` is the portal's own id of it."""

    key: str
    partner_id: str
    client: Person
    road: Road


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer over HTTP. `status` 0: the connection failed, or nothing came in time."""

    at: float
    status: int
    code: str = ""
    media_type: str = ""
    retry_after: str | None = None
    replayed: bool = False


@dataclass(slots=True)
class Load:
    """What was asked for and what was answered. `taken`: key → the body of the 202; `sent`: keys on the topic."""

    partners: dict[str, str]
    wanted: list[Wanted]
    rng: random.Random
    taken: dict[str, dict[str, Any]] = field(default_factory=dict)
    sent: set[str] = field(default_factory=set)
    answers: list[Answer] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    calls_before: int | None = 0
    """How many calls 1C had got before. None: other loads run on the same system, whose calls cannot be told apart."""

    @classmethod
    async def prepare(
        cls, world: World, name: str, seed: int, leads: int, *, racing: float = 0.2, on_topic: float = 0.1
    ) -> "Load":
        """Registers its own partners. `racing` of the leads are for phones of others, `on_topic` go by the topic."""
        rng = random.Random(f"{name} {seed}")
        persons = {f"{name}-{seed}-{number}": _person(rng) for number in range(PARTNERS)}
        singles = [_person(rng) for _ in range(leads - round(leads * racing))]
        clients = list(enumerate(singles))
        for place in rng.sample(range(len(singles)), leads - len(singles)):
            clients.append((place + rng.randint(1, RIVALS_WITHIN), singles[place]))
        clients.sort(key=lambda one: one[0])
        wanted = [
            Wanted(
                str(uuid.UUID(int=rng.getrandbits(128))),
                rng.choice(list(persons)),
                client,
                "topic" if rng.random() < on_topic else "http",
            )
            for _, client in clients
        ]
        for partner_id, person in persons.items():

            async def registered(partner_id: str = partner_id, person: Person = person) -> bool | None:
                # Intake may still be on its way up from the kills of the seed before.
                with contextlib.suppress(httpx.TransportError):
                    return (
                        True if (await world.register_partner(partner_id, person)).status_code in (200, 201) else None
                    )
                return None

            await until(registered, f"seed {seed}: {partner_id} is registered")
        load = cls({partner_id: person.phone for partner_id, person in persons.items()}, wanted, rng)
        load.calls_before = len(await onec_calls(world))
        return load

    def unanswered(self) -> list[Wanted]:
        return [one for one in self.wanted if one.key not in self.taken and one.key not in self.sent]

    async def run(self, doors: Sequence[World], seconds: float, deadline_s: float = 120) -> None:
        """Submit all leads over `seconds`; return when each is taken, or at the deadline. `doors`: ways to intake."""
        by_http = [one for one in self.wanted if one.road == "http"]
        by_topic = [one for one in self.wanted if one.road == "topic"]
        gate = asyncio.Semaphore(AT_ONCE)
        key = await doors[0].sealing_key()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds + deadline_s), asyncio.TaskGroup() as group:
                group.create_task(self._send_all(doors[0], key, by_topic, seconds))
                for number, one in enumerate(by_http):
                    group.create_task(self._at(number * seconds / len(by_http), one, doors, gate))

    async def settle(self, doors: Sequence[World], deadline_s: float = 60) -> None:
        """Ask again for what was never answered, under the same keys, and count what is answered now."""
        gate = asyncio.Semaphore(AT_ONCE)
        left = [one for one in self.unanswered() if one.road == "http"]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline_s), asyncio.TaskGroup() as group:
                for one in left:
                    group.create_task(self._at(0, one, doors, gate))

    async def repeat_some(self, doors: Sequence[World], count: int = 20) -> None:
        """Taken leads asked for once more: the first answer again, and nothing new."""
        again = [one for one in self.wanted if one.key in self.taken]
        before = len(self.answers)
        gate = asyncio.Semaphore(AT_ONCE)
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            for one in self.rng.sample(again, min(count, len(again))):
                group.create_task(self._at(0, one, doors, gate))
        told = sum(answer.replayed for answer in self.answers[before:])
        if told != min(count, len(again)):
            self.violations.append(f"{told} repeats were told to be ones, of {min(count, len(again))}")

    async def _at(self, after_s: float, one: Wanted, doors: Sequence[World], gate: asyncio.Semaphore) -> None:
        await asyncio.sleep(after_s)
        pause = 0.2
        while True:
            async with gate:
                answer = await self._attempt(self.rng.choice(doors), one)
            if answer is not None:
                if answer.status_code == 202:
                    self._take(one, answer)
                    return
                if answer.status_code not in (429, 503):
                    self.violations.append(f"{one.key}: answered {answer.status_code} {answer.text[:200]}")
                    if answer.status_code < 500:
                        return
            # Retry-After is what the portal may not undercut; it may well be impatient below that.
            told = float(answer.headers.get("Retry-After", 0)) if answer is not None else 0.0
            await asyncio.sleep(max(told, pause) * self.rng.uniform(1.0, 1.3))
            pause = min(pause * 2, 2.0)

    async def _attempt(self, world: World, one: Wanted) -> httpx.Response | None:
        try:
            async with asyncio.timeout(ATTEMPT_S):
                answer = await world.submit(one.partner_id, one.client, one.key)
        except (httpx.TransportError, TimeoutError):
            self.answers.append(Answer(time.monotonic(), 0))
            return None
        media_type = answer.headers.get("content-type", "")
        code = answer.json().get("code", "") if "json" in media_type else ""
        after, replayed = answer.headers.get("Retry-After"), answer.headers.get("Idempotent-Replayed") == "true"
        self.answers.append(Answer(time.monotonic(), answer.status_code, code, media_type, after, replayed))
        return answer

    def _take(self, one: Wanted, answer: httpx.Response) -> None:
        body = answer.json() if answer.status_code == 202 else {"lead_id": f"none ({answer.status_code})"}
        first = self.taken.setdefault(one.key, body)
        for name in ("lead_id", "number", "received_at"):
            if first.get(name) != body.get(name):
                self.violations.append(f"{one.key}: {name} was {first.get(name)}, then {body.get(name)}")

    async def _send_all(self, world: World, key: ECKey, leads: Sequence[Wanted], seconds: float) -> None:
        """On the portal's topic, one after another; one that failed is sent again under the same id."""
        begun = time.monotonic()
        producer: AIOKafkaProducer | None = None
        try:
            for number, one in enumerate(leads):
                await asyncio.sleep(max(0.0, begun + number * seconds / len(leads) - time.monotonic()))
                while one.key not in self.sent:
                    try:
                        async with asyncio.timeout(ATTEMPT_S):
                            if producer is None:
                                producer = await _producer(world.endpoints["kafka"])
                            await producer.send_and_wait(
                                f"portal-requests.{world.endpoints['portal']}", **_record(one, key)
                            )
                        self.sent.add(one.key)
                    except (KafkaError, TimeoutError, OSError):
                        await _drop(producer)
                        producer = None
                        await asyncio.sleep(0.5)
        finally:
            await _drop(producer)


def _person(rng: random.Random) -> Person:
    """Somebody whose number exists (a few of those invented are in no plan) and nobody else's: loads share a system."""
    while True:
        person = invent(rng)
        with contextlib.suppress(InvalidPhone):
            if person.phone not in _TAKEN and parse_phone(person.phone) == person.phone:
                _TAKEN.add(person.phone)
                return person


async def onec_calls(world: World) -> list[dict[str, Any]]:
    """Every request that 1C got."""
    async with httpx.AsyncClient(trust_env=False, timeout=30) as outside:
        answer = await outside.get(f"{world.endpoints['onec']}/__sim/calls")
        calls: list[dict[str, Any]] = answer.raise_for_status().json()
        return calls


def _record(one: Wanted, key: ECKey) -> dict[str, Any]:
    # The correlation id is the portal's to choose and goes through the whole story: so the lead is found again.
    headers = {
        "ce_specversion": "1.0",
        "ce_id": one.key,
        "ce_type": "submit-lead.v1",
        "ce_source": "/portals/demo",
        "ce_time": datetime.now(UTC).isoformat(),
        "ce_correlationid": one.key,
    }
    client = encrypt_to(key, json.dumps(one.client.plain).encode())
    return {
        "value": json.dumps({"partner_id": one.partner_id, "client": client, "consent": _CONSENT}).encode(),
        "headers": [(name, text.encode()) for name, text in headers.items()],
    }


async def _producer(bootstrap: str) -> AIOKafkaProducer:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    try:
        await producer.start()
    except BaseException:
        await _drop(producer)
        raise
    return producer


async def _drop(producer: AIOKafkaProducer | None) -> None:
    if producer is not None:
        with contextlib.suppress(KafkaError, TimeoutError, OSError):
            async with asyncio.timeout(2):
                await producer.stop()
