"""The servers of all measurements: one Kafka, one PostgreSQL, with empty topics and new databases for each run."""

import asyncio
import hashlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import asyncpg
import httpx

from chassis.migrations import upgrade
from contracts.person import Person
from contracts.sealing import Sealer
from deploy.local.kafka import Kafka
from deploy.local.parts import PORTAL, ROOT, SERVICES, Plan, service_environment, shared_environment
from deploy.local.ports import Ports
from deploy.local.postgres import Postgres
from deploy.local.secrets_file import Secrets
from tests.infra import empty_topics, in_thread, with_database

PARTNER = "partner-1"
READY_WITHIN_S = 60
TICKS_PER_S = os.sysconf("SC_CLK_TCK")

Command = Callable[[str], list[str]]


@dataclass(frozen=True, slots=True)
class Variant:
    """A program that does the work of all services.

    `command` gives the module and arguments of one service. A program without a health check prints `ready` instead.
    """

    name: str
    command: Command
    has_health: bool


def _ours(service: str) -> list[str]:
    module = "tests.bench.stubs" if service in ("onec_gateway", "notifier") else f"services.{service}"
    return [module, service, "run"] if module == "tests.bench.stubs" else [module, "run"]


OURS = Variant("pipeline", _ours, has_health=True)
FLOOR = Variant("floor", lambda service: ["tests.bench.floor", service], has_health=False)
PLAIN = Variant("plain", lambda service: ["tests.bench.plain", service], has_health=False)


@dataclass(frozen=True, slots=True)
class Cpu:
    """Seconds of processor time, since the start of the processes or between two readings."""

    kafka: float
    postgres: float
    python: Mapping[str, float]

    def since(self, earlier: "Cpu") -> "Cpu":
        """The processor time after the reading `earlier`."""
        python = {name: seconds - earlier.python[name] for name, seconds in self.python.items()}
        return Cpu(self.kafka - earlier.kafka, self.postgres - earlier.postgres, python)


@dataclass
class Running:
    """The running processes of one variant, on databases of their own."""

    bed: "Bed"
    databases: Mapping[str, str]
    processes: Mapping[str, "subprocess.Popen[bytes]"]
    intake_http: str

    def cpu(self) -> Cpu:
        """Processor time so far. PostgreSQL's includes all its backends, also those that have ended."""
        return Cpu(
            _seconds(self.bed.kafka.pid),
            sum(_seconds(pid, ended=True) for pid in _family(self.bed.postgres.pid)),
            {name: _seconds(process.pid) for name, process in self.processes.items()},
        )

    def resident_mb(self) -> dict[str, float]:
        """Resident memory of each service in MiB."""
        page = os.sysconf("SC_PAGE_SIZE")
        return {
            name: int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * page / 2**20
            for name, process in self.processes.items()
        }

    def must_live(self) -> None:
        """Raise RuntimeError if a process has ended."""
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise RuntimeError(f"{name} ended; see {self.bed.folder}")


class Bed:
    """The running servers. `folder` has their data and every log."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secrets = Secrets(folder / "secrets.json")
        self.kafka = Kafka(folder / "kafka", optimized=True).start()
        # The end of a lead's processing is the commit time of its SMS row. The setting costs every variant the same.
        settings = {"track_commit_timestamp": "on"}
        self.postgres = Postgres(folder / "postgres", password=secrets.token_urlsafe(16), settings=settings).start()
        self.partner = Person.parse("Заречная Анна Сергеевна", "+7 916 555-01-99")
        self.portal_key = secrets.token_urlsafe(32)
        self._runs = 0
        asyncio.run(self._make_templates())

    def stop(self) -> None:
        """Stop the servers."""
        self.kafka.stop()
        self.postgres.stop()

    @contextmanager
    def running(
        self, variant: Variant, services: tuple[str, ...] = SERVICES, operator: Mapping[str, str] | None = None
    ) -> Iterator[Running]:
        """Start the variant's processes on new databases and empty topics, and end them at the end."""
        self._runs += 1
        names = {service: f"run_{self._runs}_{service}" for service in SERVICES}
        in_thread(lambda: asyncio.run(self._prepare(names)))
        databases = {service: with_database(self.postgres.url(), name) for service, name in names.items()}
        ports = Ports.free()
        plan = Plan(self.folder, ports, self.secrets, self.kafka.bootstrap, databases, dict(operator or {}))
        processes: dict[str, subprocess.Popen[bytes]] = {}
        try:
            for service in services:
                with (self.folder / f"{self._runs}-{variant.name}-{service}.log").open("wb") as log:
                    processes[service] = subprocess.Popen(
                        [sys.executable, "-m", *variant.command(service)],
                        env={**os.environ, **shared_environment(plan), **service_environment(plan, service)},
                        cwd=ROOT,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                    )
            for service, process in processes.items():
                ready = self._healthy(plan, service) if variant.has_health else self._printed_ready(variant, service)
                _until(ready, process, f"{variant.name} {service} in {self.folder}")
            yield Running(self, databases, processes, f"http://127.0.0.1:{ports.intake}")
        finally:
            for process in processes.values():
                process.send_signal(signal.SIGTERM)
            for process in processes.values():
                try:
                    process.wait(40)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            in_thread(lambda: asyncio.run(self._drop(names)))

    def _healthy(self, plan: Plan, service: str) -> Callable[[], bool]:
        url = f"http://127.0.0.1:{plan.admin(service)}/health/ready"

        def ready() -> bool:
            try:
                return httpx.get(url, trust_env=False).status_code == 200
            except httpx.TransportError:
                return False

        return ready

    def _printed_ready(self, variant: Variant, service: str) -> Callable[[], bool]:
        log = self.folder / f"{self._runs}-{variant.name}-{service}.log"
        return lambda: b"ready\n" in log.read_bytes()

    async def _make_templates(self) -> None:
        admin = await asyncpg.connect(self.postgres.url())
        for service in SERVICES:
            await admin.execute(f"CREATE DATABASE template_{service}")
            url = with_database(self.postgres.url(), f"template_{service}")
            await asyncio.to_thread(upgrade, url, ROOT / "services" / service / "migrations")
            await self._fill(service, url)
        await admin.close()

    async def _fill(self, service: str, url: str) -> None:
        """Insert one portal and one partner, as registered."""
        person = Sealer(self.secrets["sealing_keys"]).seal(self.partner, PARTNER)
        connection = await asyncpg.connect(url)
        if service == "intake":
            scopes = ["leads", "partners", "returns", "rewards"]
            await connection.execute(
                "INSERT INTO portals (name, scopes, key_hash, changed_at) VALUES ($1, $2, $3, $4)",
                PORTAL,
                scopes,
                hashlib.sha256(self.portal_key.encode()).digest(),
                datetime.now(UTC),
            )
            await connection.execute(
                "INSERT INTO partners (partner_id, person, digest, agreement, status)"
                """ VALUES ($1, $2, 'd', '{"number": "A-1", "signed_on": "2026-01-15"}', 'active')""",
                PARTNER,
                person,
            )
        elif service == "onec_gateway":
            await connection.execute(
                "INSERT INTO partners (partner_id, person, agreement_number, signed_on, status)"
                " VALUES ($1, $2, 'A-1', $3, 'active')",
                PARTNER,
                person,
                date(2026, 1, 15),
            )
        elif service == "notifier":
            await connection.execute(
                "INSERT INTO partners (partner_id, person, status) VALUES ($1, $2, 'active')", PARTNER, person
            )
        await connection.close()

    async def _prepare(self, names: Mapping[str, str]) -> None:
        await empty_topics(self.kafka.bootstrap)
        admin = await asyncpg.connect(self.postgres.url())
        for service, name in names.items():
            await admin.execute(f"CREATE DATABASE {name} TEMPLATE template_{service}")
        # So that a run does not pay for writes of the previous run.
        await admin.execute("CHECKPOINT")
        await admin.close()

    async def _drop(self, names: Mapping[str, str]) -> None:
        admin = await asyncpg.connect(self.postgres.url())
        for name in names.values():
            await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await admin.close()


def _until(ready: Callable[[], bool], process: "subprocess.Popen[bytes]", what: str) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"not ready: {what}")
        time.sleep(0.05)


def _seconds(pid: int | None, *, ended: bool = False) -> float:
    """Processor seconds of a process, with `ended` including its children that have ended. 0 for an ended process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(field) for field in fields[11 : 15 if ended else 13]) / TICKS_PER_S


def _family(pid: int | None) -> list[int]:
    """A process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [*([pid] if pid else []), *(int(child) for child in children)]
