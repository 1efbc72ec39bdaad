"""The final check: once all is quiet, topics, 1C, telephones and the portal hold exactly what they must."""

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from contracts import topics
from contracts.asyncapi import FLOW
from deploy.local.parts import PORTAL, SERVICES
from deploy.local.system import LocalSystem
from tests.chaos.load import Load, onec_calls
from tests.e2e.world import World

QUIET_WITHIN_S = 180.0
READ_WITHIN_S = 60.0
PARTNER_JOURNAL = "InformationRegister_ЖурналПартнеров"
TOPICS = (topics.LEADS, topics.VERDICTS, topics.RESERVATIONS, topics.MESSAGES)
_READ = (*TOPICS, topics.PARTNERS, topics.DEAD_LETTERS, f"{topics.PORTAL_REQUESTS}.{PORTAL}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the checker looks behind the scenes: only to see that nothing is under way any more."""

    kafka: str
    databases: Mapping[str, str] = field(repr=False)

    @classmethod
    def of(cls, system: LocalSystem) -> "Place":
        urls = {}
        for service in SERVICES:
            environment = system.environment(service)
            urls[service] = next(value for name, value in environment.items() if name.endswith("_DATABASE_URL"))
        return cls(system.endpoints()["kafka"], urls)


@dataclass(frozen=True, slots=True)
class Report:
    """Plain data: how much there was of what, and every rule that did not hold."""

    counts: dict[str, int]
    violations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a topic, with what the checker reads in it."""

    topic: str
    partition: int
    offset: int
    key: str
    headers: Mapping[str, str]
    value: bytes
    body: Mapping[str, Any]

    @property
    def kind(self) -> str:
        return self.headers["ce_type"]

    @property
    def identity(self) -> tuple[str, str]:
        return self.headers["ce_source"], self.headers["ce_id"]

    @property
    def lead_id(self) -> str:
        return str(self.body.get("lead_id"))


def assert_exact(report: Report, seed: int) -> None:
    """Fail with the seed and the first violations."""
    shown = "\n  ".join(report.violations[:40])
    assert not report.violations, f"seed {seed}: {len(report.violations)} violations, {report.counts}\n  {shown}"


async def check(
    place: Place, world: World, load: Load, *, doors: Sequence[World] = (), quiet_within_s: float = QUIET_WITHIN_S
) -> Report:
    """Ask again for what was never answered, wait until nothing is under way, read everything, compare."""
    await load.settle(doors or [world])
    await load.repeat_some(doors or [world])
    waited = time.monotonic()
    noise = await quiet(place, quiet_within_s)
    quiet_after_s = round(time.monotonic() - waited)
    report = compare(
        load,
        await read(place.kafka, (*TOPICS, topics.DEAD_LETTERS)),
        await world.journal(),
        None if load.calls_before is None else (await onec_calls(world))[load.calls_before :],
        await world.messages(),
        {partner_id: await world.leads(partner_id) for partner_id in load.partners},
    )
    still = () if noise is None else (f"not quiet after {quiet_within_s:.0f} s: {noise}",)
    return Report({**report.counts, "seconds until quiet": quiet_after_s}, (*still, *report.violations))


def compare(
    load: Load,
    records: Mapping[str, Sequence[Record]],
    journal: Sequence[Mapping[str, Any]],
    calls: Sequence[Mapping[str, Any]] | None,
    messages: Sequence[Mapping[str, Any]],
    portal: Mapping[str, Sequence[Mapping[str, Any]]],
) -> Report:
    """What was accepted against what was read: records by topic, 1C's journal and calls, SMS, leads by partner."""
    rules = _Check(load)
    rules.violations += load.violations
    rules.expect(not load.unanswered(), f"{len(load.unanswered())} leads were never taken")
    rules.topics(records)
    rules.onec(journal, calls)
    rules.telephones(messages)
    for partner_id, leads in portal.items():
        rules.portal(partner_id, leads)
    return Report(dict(rules.counts), tuple(rules.violations))


class _Check:
    """The rules, on data that was read."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.counts: Counter[str] = Counter(
            wanted=len(load.wanted),
            by_http=len(load.taken),
            by_topic=len(load.sent),
            answers=len(load.answers),
            no_answer=sum(answer.status == 0 for answer in load.answers),
            unavailable=sum(answer.status == 503 for answer in load.answers),
        )
        self.violations: list[str] = []
        self._status: dict[str, str] = {}
        self._reason: dict[str, str] = {}
        self._partner: dict[str, str] = {}
        self._message: dict[str, str] = {}
        self._phone: dict[str, str] = {}

    def expect(self, held: bool, words: str) -> None:
        if not held:
            self.violations.append(words)

    def topics(self, records: Mapping[str, Sequence[Record]]) -> None:
        dead = records[topics.DEAD_LETTERS]
        self.counts["dead_letters"] = len(dead)
        for one in dead[:5]:
            self.violations.append(
                f"dead letter: {dict(one.body) and {k: one.body[k] for k in one.body if k in _TOLD}}"
            )
        ours = {name: self._firsts(name, records[name]) for name in TOPICS}
        self._leads(ours[topics.LEADS])
        self._verdicts(ours[topics.VERDICTS])
        self._reservations(ours[topics.RESERVATIONS])
        self._messages(ours[topics.MESSAGES])

    def _firsts(self, name: str, records: Iterable[Record]) -> list[Record]:
        """First occurrences of what concerns our partners. Repeats are the same bytes; the rest stands in sequence."""
        firsts: dict[tuple[str, str], Record] = {}
        said: dict[tuple[str, str], list[Record]] = defaultdict(list)
        for one in records:
            if one.body.get("partner_id") not in self.load.partners:
                continue
            self.counts[name] += 1
            first = firsts.setdefault(one.identity, one)
            if first is one:
                said[one.headers["ce_source"], one.key].append(one)
                continue
            self.counts[f"{name}, repeats"] += 1
            same = (first.key, first.partition, first.headers, first.value)
            self.expect(
                same == (one.key, one.partition, one.headers, one.value),
                f"{name}: {one.kind} {one.headers['ce_id']} was repeated with another content",
            )
        for (source, key), events in said.items():
            numbers = [one.headers.get("ce_sequence") for one in events]
            wanted = [str(number) for number in range(1, len(events) + 1)]
            where = f"partition {events[0].partition}, offsets {[one.offset for one in events]}"
            self.expect(numbers == wanted, f"{name}: {source} told {key[:16]}… in the order {numbers} ({where})")
        return list(firsts.values())

    def _leads(self, records: Sequence[Record]) -> None:
        submitted: dict[str, Record] = {}
        told: dict[str, set[str]] = defaultdict(set)
        for one in records:
            if one.kind != "lead-submitted.v1":
                self.violations.append(f"leads: {one.kind} {one.body.get('reason')}")
                continue
            self.expect(one.lead_id not in submitted, f"{one.lead_id}: submitted twice, under two ids")
            submitted.setdefault(one.lead_id, one)
            told[one.headers["ce_correlationid"]].add(one.lead_id)
        phones: dict[str, str] = {}
        accepted: set[str] = set()
        for wish in self.load.wanted:
            if wish.key in self.load.taken:
                answer = self.load.taken[wish.key]
                lead_id = answer["lead_id"]
                number = submitted[lead_id].body["number"] if lead_id in submitted else None
                self.expect(number == answer.get("number"), f"{lead_id}: number {answer.get('number')}, told {number}")
            elif wish.key in self.load.sent:
                ids = told.get(wish.key, set())
                self.expect(len(ids) == 1, f"{wish.key}: sent on the topic once, became {len(ids)} leads")
                lead_id = next(iter(ids), f"none of {wish.key}")
            else:
                continue
            accepted.add(lead_id)
            self._partner[lead_id], self._phone[lead_id] = wish.partner_id, wish.client.phone
            if lead_id not in submitted:
                self.violations.append(f"{lead_id}: accepted, and not told on the topic")
                continue
            event = submitted[lead_id]
            self.expect(event.body["partner_id"] == wish.partner_id, f"{lead_id}: told of another partner")
            first_key = phones.setdefault(wish.client.phone, event.key)
            self.expect(first_key == event.key, f"{lead_id}: one phone under two client keys")
        for lead_id in submitted.keys() - accepted:
            self.violations.append(f"{lead_id}: told on the topic, and nobody was told that it was accepted")
        self.counts["leads accepted"] = len(accepted)
        self.counts["clients"] = len(phones)
        self._order(submitted)

    def _order(self, submitted: Mapping[str, Record]) -> None:
        """The first in order of receipt holds the client, and nobody else."""
        by_client: dict[str, list[Record]] = defaultdict(list)
        for event in submitted.values():
            by_client[event.key].append(event)
        for key, events in by_client.items():
            numbers = [event.body["number"] for event in events]
            times = [event.body["received_at"] for event in events]
            self.expect(numbers == sorted(set(numbers)), f"{key[:16]}…: numbers stand as {numbers} on the topic")
            self.expect(times == sorted(set(times)), f"{key[:16]}…: times of receipt stand as {times} on the topic")
            first, *rest = sorted(events, key=lambda event: int(event.body["number"]))
            self._status[first.lead_id] = "confirmed"
            for event in rest:
                self._status[event.lead_id] = "rejected"
                own = event.body["partner_id"] == first.body["partner_id"]
                self._reason[event.lead_id] = "already-yours" if own else "held-by-partner"
        self.counts["must be confirmed"] = sum(status == "confirmed" for status in self._status.values())

    def _verdicts(self, records: Sequence[Record]) -> None:
        verdicts = _by_lead(records)
        for lead_id, status in self._status.items():
            kinds = [one.kind for one in verdicts.get(lead_id, ())]
            self.expect(kinds == [f"lead-{status}.v1"], f"{lead_id}: must be {status}, verdicts are {kinds}")
            reasons = [one.body["reason"] for one in verdicts.get(lead_id, ()) if "reason" in one.body]
            wanted = [self._reason[lead_id]] if lead_id in self._reason else []
            self.expect(reasons == wanted, f"{lead_id}: reasons are {reasons}, must be {wanted}")
        self._strangers("a verdict", verdicts)

    def _reservations(self, records: Sequence[Record]) -> None:
        opened = _by_lead(records)
        for lead_id, status in self._status.items():
            kinds = [one.kind for one in opened.get(lead_id, ())]
            wanted = ["reservation-opened.v1"] if status == "confirmed" else []
            self.expect(kinds == wanted, f"{lead_id}: {status}, reservations say {kinds}")
        self._strangers("a reservation", opened)

    def _messages(self, records: Sequence[Record]) -> None:
        told = _by_lead(records)
        for lead_id, status in self._status.items():
            found = [(one.body["template"], one.body["status"]) for one in told.get(lead_id, ())]
            template = "already-yours.v1" if self._reason.get(lead_id) == "already-yours" else f"{status}.v1"
            # Sent, and delivered where the provider has reported it by now, also before its own answer.
            first, *more = found or [("", "")]
            good = first in ((template, "sent"), (template, "delivered")) and more in ([], [(template, "delivered")])
            self.expect(good, f"{lead_id}: must be told {template}, messages say {found}")
        self._message = {one.body["message_id"]: one.lead_id for one in records}
        self._strangers("a message", told)

    def onec(self, journal: Sequence[Mapping[str, Any]], calls: Sequence[Mapping[str, Any]] | None) -> None:
        entries = Counter(one["lead_id"] for one in journal if one["partner_id"] in self.load.partners)
        self.counts["journal entries"] = entries.total()
        for lead_id, status in self._status.items():
            wanted = int(status == "confirmed")
            self.expect(entries[lead_id] == wanted, f"{lead_id}: {status}, {entries[lead_id]} entries in 1C's journal")
        for entry in journal:
            if entry["partner_id"] in self.load.partners:
                held = (entry["partner_id"], entry["phone"][-10:], entry["state"])
                wanted_entry = (
                    self._partner.get(entry["lead_id"]),
                    self._phone.get(entry["lead_id"], "")[-10:],
                    "Активен",
                )
                self.expect(held == wanted_entry, f"{entry['lead_id']}: 1C's entry is not what was submitted")
        if calls is None:
            return
        writes = Counter(call["set"] for call in calls if call["committed"])
        self.counts["1C calls"] = len(calls)
        self.expect(
            writes == Counter({PARTNER_JOURNAL: entries.total()} if entries else {}),
            f"1C took the writes {dict(writes)} for {entries.total()} entries",
        )

    def telephones(self, messages: Sequence[Mapping[str, Any]]) -> None:
        phones = set(self.load.partners.values())
        ours = [one for one in messages if one["to"] in phones]
        self.counts["SMS"] = len(ours)
        got: dict[str, list[str]] = defaultdict(list)
        for one in ours:
            lead_id = self._message.get(one["id"])
            if lead_id is None:
                self.violations.append(f"SMS {one['id']}: went out, and the topic does not tell of it")
                continue
            got[lead_id].append(one["to"])
        for lead_id in self._status:
            wanted = [self.load.partners[self._partner[lead_id]]] if lead_id in self._partner else []
            self.expect(got[lead_id] == wanted, f"{lead_id}: {len(got[lead_id])} SMS, or not to its realtor")

    def portal(self, partner_id: str, leads: Sequence[Mapping[str, Any]]) -> None:
        shown = Counter(lead["lead_id"] for lead in leads)
        wanted = {lead_id for lead_id, partner in self._partner.items() if partner == partner_id}
        self.counts["shown to the portal"] += shown.total()
        self.expect(shown == Counter(wanted), f"{partner_id}: the portal is shown {shown.total()}, not {len(wanted)}")
        for lead in leads:
            status = self._status.get(lead["lead_id"])
            self.expect(lead["status"] == status, f"{lead['lead_id']}: shown {lead['status']}, must be {status}")

    def _strangers(self, what: str, found: Mapping[str, object]) -> None:
        for lead_id in found.keys() - self._status.keys():
            self.violations.append(f"{lead_id}: {what}, and no such lead was submitted")


_TOLD = frozenset({"topic", "partition", "offset", "reason", "attempts", "consumer", "service", "ce_type"})


def _by_lead(records: Iterable[Record]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = defaultdict(list)
    for one in records:
        found[one.lead_id].append(one)
    return dict(found)


async def quiet(place: Place, within_s: float) -> str | None:
    """None once nothing is under way anywhere; what still is, if that takes too long."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            noise = await _noise(place)
        except (KafkaError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
            noise = f"cannot look: {type(error).__name__}: {error}"
        if noise is None or time.monotonic() > deadline:
            return noise
        await asyncio.sleep(0.5)


async def _noise(place: Place) -> str | None:
    """What is under way. Looked at in the order things move, between two looks at the ends of all topics:
    what moves on while we look either is still in sight further down, or has moved an end."""
    async with asyncio.timeout(30):
        consumer = AIOKafkaConsumer(bootstrap_servers=place.kafka)
        admin = AIOKafkaAdminClient(bootstrap_servers=place.kafka)
        try:
            await admin.start()
            await consumer.start()
            partitions = await _partitions(admin, _READ)
            before = await consumer.end_offsets(partitions)
            noise = await _lag(admin, before)
            for service, url in place.databases.items():
                noise += await _waiting(service, url)
            if before != await consumer.end_offsets(partitions):
                noise.append("events are coming in")
        finally:
            await consumer.stop()
            await admin.close()
    return "; ".join(noise) or None


async def _partitions(admin: AIOKafkaAdminClient, names: Sequence[str]) -> list[TopicPartition]:
    # Not from a consumer: it knows no partitions of topics it does not read yet, and says so with an empty answer.
    found = [
        TopicPartition(topic["topic"], partition["partition"])
        for topic in await admin.describe_topics(list(names))
        for partition in topic["partitions"]
    ]
    assert {partition.topic for partition in found} == set(names)
    return found


async def _lag(admin: AIOKafkaAdminClient, ends: Mapping[TopicPartition, int]) -> list[str]:
    reads: dict[str, set[str]] = defaultdict(set)
    for topic, (_, readers) in FLOW.items():
        for service in set(readers) & set(SERVICES):
            if topic == topics.PORTAL_REQUESTS:
                reads[f"{service}.requests"].add(f"{topic}.{PORTAL}")
            else:
                reads[service.replace("_", "-")].add(topic)
    found = []
    for group, names in sorted(reads.items()):
        done = await admin.list_consumer_group_offsets(group)
        behind = sum(
            end - max(0, done[partition].offset if partition in done else 0)
            for partition, end in ends.items()
            if partition.topic in names
        )
        if behind:
            found.append(f"{group} is {behind} behind")
    return found


async def _waiting(service: str, url: str) -> list[str]:
    connection = await asyncpg.connect(url, timeout=5)
    try:
        work = await connection.fetch("SELECT kind, state, count(*) FROM work WHERE state <> 'done' GROUP BY 1, 2")
        outbox = await connection.fetchval("SELECT count(*) FROM outbox")
    finally:
        await connection.close()
    found = [f"{service}: {count} {kind} {state}" for kind, state, count in work]
    return [*found, f"{service}: {outbox} in the outbox"] if outbox else found


async def read(bootstrap: str, names: Sequence[str]) -> dict[str, list[Record]]:
    """Every record of the topics, each partition in its order."""
    found: dict[str, list[Record]] = {name: [] for name in names}
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    async with asyncio.timeout(READ_WITHIN_S):
        try:
            await admin.start()
            await consumer.start()
            partitions = await _partitions(admin, names)
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            while any([await consumer.position(partition) < end for partition, end in ends.items()]):
                for partition, records in (await consumer.getmany(timeout_ms=500)).items():
                    found[partition.topic].extend(_record(one) for one in records)
        finally:
            await consumer.stop()
            await admin.close()
    return found


def _record(raw: Any) -> Record:
    body = json.loads(raw.value or b"{}")
    return Record(
        raw.topic,
        raw.partition,
        raw.offset,
        (raw.key or b"").decode(errors="replace"),
        {name: (value or b"").decode(errors="replace") for name, value in raw.headers},
        raw.value or b"",
        body if isinstance(body, dict) else {},
    )
