"""Building the gateway's adapters from its settings."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import isodate

from chassis.clock import Clock
from chassis.service import Database, Runtime
from contracts.sealing import Sealer
from services.onec_gateway.domain.model import Policy
from services.onec_gateway.domain.series import Places
from services.onec_gateway.exchanges import ExchangeJournal
from services.onec_gateway.onec import mapping
from services.onec_gateway.onec.changes import Changes
from services.onec_gateway.onec.client import OneC
from services.onec_gateway.onec.gate import Gate
from services.onec_gateway.onec.journals import Journals
from services.onec_gateway.onec.maintenance import Maintenance, parse_calendar
from services.onec_gateway.onec.search import Search
from services.onec_gateway.onec.throttle import Throttle
from services.onec_gateway.onec.verify import Verification
from services.onec_gateway.retries import RetryPolicy
from services.onec_gateway.settings import Settings
from services.onec_gateway.store.mirror import Mirror
from services.onec_gateway.store.partners import PartnerReader
from services.onec_gateway.unsealing import Unsealer
from services.onec_gateway.watching import Watch
from services.onec_gateway.work import OneCWork

NAME: Final = "onec-gateway"
AT_ONCE: Final = 50


@dataclass(frozen=True, slots=True)
class Infobase:
    """One 1C infobase: what the service reads and writes there, and the background tasks that this needs.

    `batch`: how many clients one request reads, and how many rows fail together. `readiness`: checks by name, each
    returns the reason why the service is not ready, or None. `places`: how far the watch has read enquiries.
    """

    search: Search
    journals: Journals
    close: Callable[[], Awaitable[None]]
    batch: int = AT_ONCE
    background: Mapping[str, Callable[[Runtime], Awaitable[None]]] = field(default_factory=dict)
    readiness: Mapping[str, Callable[[], str | None]] = field(default_factory=dict)
    places: Callable[[], Places] = lambda: Places(ZoneInfo("UTC"))


def infobase(settings: Settings) -> Infobase:
    """The infobase that the settings name, with its throttle, verification, watch and journal of exchanges."""
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
        Changes(onec, search, names, zone),
        unsealer(settings),
        zone,
        every_s=settings.watch_every.total_seconds(),
        reread_s=settings.reread_every.total_seconds(),
        sales=names.deals is not None,
        staff=names.staff_phones is not None,
    )

    async def probing(_: Runtime) -> None:
        await gate.run(onec.probe)

    return Infobase(
        search,
        Journals(onec, search, names, zone, verification.length),
        onec.close,
        batch=search.clients_per_request(),
        background={
            "onec-verification": verification.run,
            "onec-probe": probing,
            "exchange-journal": exchanges.run,
            "onec-watch": watch.run,
        },
        readiness={"mapping": verification.why_not_ready},
        places=lambda: watch.places,
    )


def connect(settings: Settings, names: mapping.Mapping, gate: Gate, exchanges: ExchangeJournal) -> OneC:
    """The OData client of the infobase that the settings name."""
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


def unsealer(settings: Settings) -> Unsealer:
    """The unsealer with the settings' keys."""
    sealer = Sealer(settings.sealing_keys.get_secret_value())
    return Unsealer(sealer, bytes.fromhex(settings.client_key_secret.get_secret_value()))


def work_database(settings: Settings) -> Database:
    """Database connections for the calls to 1C, which run outside transactions."""
    return Database(settings.database_url.get_secret_value(), name=NAME, pool_size=2)


def work_on(settings: Settings, onec: Infobase, database: Database) -> OneCWork:
    """The calls to 1C that work rows request."""
    return OneCWork(
        onec.search,
        onec.journals,
        PartnerReader(database),
        unsealer(settings),
        RetryPolicy(settings.longest_call.total_seconds(), settings.probe_every.total_seconds()),
        Clock(),
        at_once=AT_ONCE,
        mirror=Mirror(database, ZoneInfo(settings.time_zone)),
        places=onec.places,
    )


def policy_of(settings: Settings) -> Policy:
    """The builder's policy as the settings have it."""
    age = isodate.parse_duration(settings.enquiry_age) if settings.enquiry_age is not None else None
    return Policy(settings.clock_skew, age, settings.card_blocks, settings.card_look_age)
