"""Requests to 1C per lead, because requests are what 1C has little capacity for; and leads per second at a latency.

The gateway and reservations run on the simulator of 1C. Every request counts: checks, journal entries, watching, and
the verification at the start.
"""

import asyncio
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
from aiokafka import AIOKafkaProducer

from chassis.decision import Cause
from chassis.envelope import encode
from contracts.leads import LeadSubmitted
from contracts.person import Person, client_key
from contracts.portal import Consent
from contracts.sealing import Sealer
from tests.bench.bed import PARTNER, Bed, Variant
from tests.simulators.tests.processes import ONEC, PASSWORD, USER, OneCSim, started

REAL = Variant("onec", lambda service: [f"services.{service}", "run"], has_health=True)
AT_ONCE = 4
BACKLOG_LATENCY_MS = 50
CALM_LEADS, CALM_EVERY_S = 60, 0.5
PLAIN_LEADS = 50
ARCHIVE = 50_000
LEADS_AT_MS = {100: 400, 500: 160, 2000: 40}
DEADLINE_S = 600.0

_PHONES = "Catalog_CRM_ПотенциальныеКлиенты_КонтактнаяИнформация"
_PARTNERS = "Catalog_Партнеры_КонтактнаяИнформация"
_JOURNAL = "InformationRegister_ЖурналПартнеров"


@dataclass(frozen=True, slots=True)
class Measured:
    """All requests that 1C got for `leads` leads, and the number (`timed`) within `seconds` after the first lead."""

    leads: int
    calls: int
    timed: int
    seconds: float


def onec(bed: Bed, leads: int, report: Callable[[str], None]) -> list[dict[str, Any]]:
    """One result for each kind of web server in front of 1C."""
    lines = []
    for profile in ("apache", "iis"):
        with _simulator(bed, profile) as sim:
            sim.post("latency", {"ms": BACKLOG_LATENCY_MS})
            backlog = _run(bed, sim, profile, leads)
            report(f"onec: {profile}: backlog {backlog.calls / leads:.2f} requests per lead")
            sim.post("latency", {"ms": 0})
            calm = _run(bed, sim, profile, CALM_LEADS, every_s=CALM_EVERY_S)
            report(f"onec: {profile}: calm {calm.calls / calm.leads:.2f} requests per lead")
            archive = _run(bed, sim, profile, leads, archive=ARCHIVE)
            calm_archive = _run(bed, sim, profile, CALM_LEADS, every_s=CALM_EVERY_S, archive=ARCHIVE)
            report(
                f"onec: {profile}: beside a second series of {ARCHIVE} enquiries {archive.calls / leads:.2f},"
                f" calm {calm_archive.calls / calm_archive.leads:.2f} requests per lead"
            )
            plain = _plain(sim, PLAIN_LEADS)
            at_ms: dict[str, float] = {}
            reached: dict[str, float] = {}
            for ms, number in LEADS_AT_MS.items():
                sim.post("latency", {"ms": ms})
                run = _run(bed, sim, profile, number)
                at_ms[str(ms)] = round(run.leads / run.seconds, 2)
                reached[str(ms)] = round(run.timed / run.seconds / (AT_ONCE * 1000 / ms), 3)
                report(f"onec: {profile}: at {ms} ms {at_ms[str(ms)]} leads/s, {reached[str(ms)]:.0%} of the limit")
        lines.append(
            {
                "bench": "onec",
                "profile": profile,
                "backlog_leads": leads,
                "backlog_calls_per_lead": round(backlog.calls / leads, 3),
                "calm_calls_per_lead": round(calm.calls / calm.leads, 3),
                "second_series_calls_per_lead": round(archive.calls / leads, 3),
                "second_series_calm_calls_per_lead": round(calm_archive.calls / calm_archive.leads, 3),
                "plain_calls_per_lead": round(plain.calls / plain.leads, 3),
                "leads_per_s_at_latency_ms": at_ms,
                "of_what_latency_allows": reached,
            }
        )
    return lines


@contextmanager
def _simulator(bed: Bed, profile: str) -> Iterator[OneCSim]:
    folder = bed.folder / f"onec-{profile}"
    folder.mkdir()
    with started(ONEC, folder, CLOCK_FILE="") as (base, _), httpx.Client(trust_env=False, timeout=60) as http:
        sim = OneCSim(base, http)
        sim.post("access", {"profile": profile})
        yield sim


def _run(bed: Bed, sim: OneCSim, profile: str, number: int, every_s: float = 0.0, archive: int = 0) -> Measured:
    """Publish `number` new leads at once, or every `every_s` seconds, and wait until 1C has an entry of each.

    `archive`: so many old enquiries in a series of their own are in 1C before.
    """
    latency = sim.get("state")["latency_ms"]
    sim.post("reset")
    sim.post("access", {"profile": profile})
    if archive:
        sim.post("office", {"action": "fill-series", "prefix": "ФР00-", "count": archive})
    sim.post("latency", {"ms": latency})
    operator = {
        "ONEC_URL": f"{sim.base}/crm",
        "ONEC_USER": USER,
        "ONEC_PASSWORD": PASSWORD,
        "ONEC_WEB_SERVER": profile,
        "ONEC_CONCURRENCY": str(AT_ONCE),
    }
    with bed.running(REAL, ("onec_gateway", "reservations"), operator) as running:
        leads = _leads(bed, number)
        at_start, start = sim.get("state")["calls"], time.monotonic()
        asyncio.run(_publish(bed.kafka.bootstrap, leads, every_s))
        while len(sim.get("journal")) < number:
            running.must_live()
            if time.monotonic() - start > DEADLINE_S:
                raise RuntimeError(f"not all leads are in 1C's journal; see {bed.folder}")
            time.sleep(0.1)
        seconds = time.monotonic() - start
        calls = sim.get("state")["calls"]
        assert sim.get("state")["most_at_once"] <= AT_ONCE
    return Measured(number, calls - at_start if every_s else calls, calls - at_start, seconds)


def _leads(bed: Bed, number: int) -> list[LeadSubmitted]:
    sealer = Sealer(bed.secrets["sealing_keys"])
    secret = bytes.fromhex(bed.secrets["client_key_secret"])
    now = datetime.now(UTC)
    leads = []
    for n in range(number):
        lead_id, phone = uuid.uuid4(), f"+7917{n:07d}"
        leads.append(
            LeadSubmitted(
                lead_id=lead_id,
                client_key=client_key(secret, phone),
                partner_id=PARTNER,
                client=sealer.seal(Person("Клиентов Клим Климович", phone, phone), str(lead_id)),
                received_at=now + timedelta(microseconds=n),
                number=n + 1,
                consent=Consent(given_at=now),
            )
        )
    return leads


async def _publish(bootstrap: str, leads: Sequence[LeadSubmitted], every_s: float) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=5) as producer:
        sent = []
        for lead in leads:
            cause = Cause(str(lead.lead_id), str(lead.lead_id))
            event = encode(
                lead,
                event_id=uuid.uuid4(),
                source="bench",
                at=lead.received_at,
                cause=cause,
                sequence=None,
            )
            key = event.key.encode()
            sent.append(await producer.send(event.topic, event.value, key=key, headers=event.headers))
            if every_s:
                await asyncio.sleep(every_s)
        await asyncio.gather(*sent)


def _plain(sim: OneCSim, number: int) -> Measured:
    """The plain way: search each form of the phone in each set, search the entry, write it, and read it back."""
    before, start = sim.get("state")["calls"], time.monotonic()
    for n in range(number):
        digits = f"7918{n:07d}"
        for entity in (_PHONES, _PARTNERS):
            for field, form in (
                ("НомерТелефона", digits),
                ("НомерТелефонаБезКодов", digits[-10:]),
                ("НомерТелефонаБезКодов", digits[-7:]),
            ):
                sim.rows(entity, filter=f"substringof('{form}',{field})", select="Ref_Key")
        lead_id = str(uuid.uuid4())
        sim.rows(_JOURNAL, filter=f"ИдентификаторЛида eq '{lead_id}'")
        made = sim.call("POST", _JOURNAL, {"ИдентификаторЛида": lead_id, "ФИО": "Клиентов Клим", "Телефон": digits})
        assert made.status_code == 200
        assert sim.call("GET", f"{_JOURNAL}(ИдентификаторЛида='{quote(lead_id)}')").status_code == 200
    calls = sim.get("state")["calls"] - before
    return Measured(number, calls, calls, time.monotonic() - start)
