"""The whole system in one folder: Kafka, PostgreSQL, simulators and services, started and stopped in order."""

import asyncio
import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import IO, Any

from aiokafka.errors import KafkaError

from chassis.settings import KafkaSettings
from deploy import topics
from deploy.local.errors import LocalError, failure, silent
from deploy.local.kafka import Kafka
from deploy.local.parts import (
    DEFAULT,
    ONEC_USER,
    PORTAL,
    PREFIXES,
    ROOT,
    SERVICES,
    Blueprint,
    Part,
    Plan,
    answers_ok,
    database_urls,
    external_servers,
    prepare_clock,
    shared_environment,
)
from deploy.local.ports import ADMIN_PORTS, HOST, VARIABLES, Ports, require_free
from deploy.local.postgres import Postgres, create_databases
from deploy.local.program import Cancelled, Program, run_tool, wait_until, write_private
from deploy.local.secrets_file import DATABASES, Secrets
from deploy.local.supervision import Supervisor, stop_leftovers

READY_SECONDS = 90


class LocalSystem:
    """One running system. `start` returns when every part is ready, or stops all of it and raises LocalError.

    `folder` holds everything: data, logs, secrets, and it is found again by the next start. `env` is what an
    operator would set (`INTAKE_…`, `ALLOW_CLOCK_SHIFT`, `KAFKA_BOOTSTRAP_SERVERS` to use servers that run
    elsewhere, …); it is not read from this process's own environment. Call it from the main thread: then nothing
    outlives this process, even if it is killed.
    """

    def __init__(
        self,
        folder: Path,
        ports: Ports | None = None,
        env: Mapping[str, str] | None = None,
        report: Callable[[str], None] = silent,
        *,
        blueprint: Blueprint = DEFAULT,
        restart_services: bool = True,
        ready_seconds: float = READY_SECONDS,
    ) -> None:
        self.folder = folder.absolute()
        self.logs = self.folder / "logs"
        self.ports = ports or Ports.free()
        self._env = dict(env or {})
        self._report = report
        self._blueprint = blueprint
        self._restart = restart_services
        self._ready_seconds = ready_seconds
        self._cancel = threading.Event()
        self._lock: IO[str] | None = None
        self._supervisor: Supervisor | None = None
        self._kafka: Kafka | None = None
        self._postgres: Postgres | None = None
        self._parts: dict[str, Part] = {}
        self._tiers: list[list[str]] = []

    # --- the whole system

    def start(self) -> None:
        """Start everything; what does not depend on one another starts at the same time."""
        external = external_servers(self._env)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._take_folder()
        try:
            self._clear_leftovers()
            self._require_ports(external)
            self._lay_out(external)
            self._run_up()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything in order: services, simulators, Kafka, PostgreSQL. Harmless when nothing runs."""
        self._cancel.set()
        supervisor, self._supervisor = self._supervisor, None
        try:
            if supervisor is not None:
                self._stop_in_order(supervisor)
        finally:
            if self._lock is not None:
                self._lock.close()
                self._lock = None
            self._cancel = threading.Event()

    def cancel(self) -> None:
        """Make a `start` under way in another thread (or under a signal handler) give up soon, with Cancelled."""
        self._cancel.set()

    def endpoints(self) -> dict[str, Any]:
        """Where everything answers: the content of `endpoints.json` (interfaces §4)."""
        plan = self._plan
        ports = self.ports
        return {
            "kafka": plan.kafka,
            "postgres": self._postgres.url() if self._postgres else None,
            "intake": f"http://{HOST}:{ports.intake}",
            "cabinet": f"http://{HOST}:{ports.cabinet}" if "cabinet" in self._parts else None,
            "onec": plan.onec,
            "onec_user": ONEC_USER,
            "onec_password": plan.secrets["onec_password"],
            "sms": plan.sms,
            "portal": PORTAL,
            "portal_key": plan.secrets.get("portal_key"),
            "admin": {name: f"http://{HOST}:{plan.admin(name)}" for name in PREFIXES if name in self._parts},
        }

    # --- single programs

    def pid(self, name: str) -> int | None:
        """The process id of a program (`kafka`, `postgres`, `onec`, `sms` or a service), if it runs."""
        return self._running.state(name, max_age=0).pid

    def kill(self, name: str) -> None:
        """SIGKILL. A service is started again by supervisord if `restart_services`; anything else stays down."""
        self._running.kill(name)

    def stop_program(self, name: str) -> None:
        """Stop one program cleanly; it stays down."""
        self._running.stop_programs([name])

    def start_program(self, name: str) -> None:
        """Start one program and wait until it is ready. Its migration has run when the system started."""
        self._running.start_program(name)
        self.wait_ready(name)

    def restart(self, name: str) -> None:
        """Stop one program cleanly, start it again, wait until it is ready."""
        self.stop_program(name)
        self.start_program(name)

    def wait_ready(self, name: str, timeout: float | None = None) -> None:
        """Wait until a program answers; LocalError with its last words if it gives up or takes too long."""
        # Not `_alive_since`: a service that was killed may come up at its second try.
        supervisor = self._running
        self._wait(name, lambda: not supervisor.state(name).words.startswith("FATAL"), timeout or self._ready_seconds)

    def states(self) -> dict[str, tuple[int | None, str]]:
        """Process id and supervisord's words for every program."""
        return {name: (state.pid, state.words) for name, state in self._running.states(max_age=0).items()}

    def environment(self, name: str) -> dict[str, str]:
        """The settings a service runs with, secrets included, for commands such as `portals list`."""
        return {**self._shared, **self._parts[name].environment}

    # --- the steps of a start

    @property
    def _running(self) -> Supervisor:
        if self._supervisor is None:
            raise LocalError("the local system is not running")
        return self._supervisor

    def _take_folder(self) -> None:
        lock = (self.folder / "lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip()
            lock.close()
            raise LocalError(f"already running in {self.folder} (pid {holder}); stop that one first") from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        self._lock = lock

    def _clear_leftovers(self) -> None:
        if stopped := stop_leftovers(self.folder / "run"):
            self._report(f"an earlier run here was killed; stopped the {stopped} processes it had left")

    def _require_ports(self, external: tuple[str | None, Mapping[str, str] | None]) -> None:
        kafka, databases = external
        skipped = ({"kafka", "kafka_controller"} if kafka else set()) | ({"postgres"} if databases else set())
        wanted = {
            name: (getattr(self.ports, name), variable)
            for name, variable in VARIABLES.items()
            if name not in skipped | {"admin", "cabinet"}
        }
        for step, service in enumerate(SERVICES[:ADMIN_PORTS]):
            wanted[f"admin port of {service}"] = (self.ports.admin + step, VARIABLES["admin"])
        require_free(wanted)

    def _lay_out(self, external: tuple[str | None, dict[str, str] | None]) -> None:
        """Decide every program, and start supervisord with nothing under it."""
        kafka, databases = external
        for folder in (self.logs, self.folder / "run"):
            folder.mkdir(exist_ok=True)
        for log in self.logs.glob("*.log"):
            log.replace(log.with_suffix(".log.1"))
        secrets = Secrets(self.folder / "secrets.json")
        self._kafka = self._postgres = None
        tiers: list[list[Program]] = [[], []]
        if databases is None:
            password = secrets["postgres_password"]
            log = self.logs / "postgres.log"
            self._postgres = Postgres(self.folder / "postgres", self.ports.postgres, password=password, log=log)
            tiers[0].append(self._postgres.program())
        if kafka is None:
            self._kafka = Kafka(
                self.folder / "kafka",
                self.ports.kafka,
                controller_port=self.ports.kafka_controller,
                log=self.logs / "kafka.log",
            )
            tiers[1].append(self._kafka.program(self._report))
        self._plan = Plan(
            self.folder,
            self.ports,
            secrets,
            kafka or f"{HOST}:{self.ports.kafka}",
            databases or database_urls(self.ports, secrets),
            self._env,
        )
        prepare_clock(self._plan)
        simulators, services = self._blueprint.simulators(self._plan), self._blueprint.services(self._plan)
        self._parts = {part.name: part for part in (*simulators, *services)}
        tiers.append([self._program(part, restart=False) for part in simulators])
        tiers.append([self._program(part, restart=self._restart) for part in services])
        self._tiers = [[program.name for program in tier] for tier in tiers]
        self._shared = shared_environment(self._plan)
        # Not in `environment`: a second copy, started by hand, must not take this one's place in its group.
        supervised = {**self._shared, "KAFKA_GROUP_INSTANCE_ID": "supervised"}
        self._supervisor = Supervisor(self.folder / "run", self.logs, tiers, supervised)
        self._supervisor.start()

    def _program(self, part: Part, *, restart: bool) -> Program:
        log = self.logs / f"{part.name}.log"
        return Program(part.name, part.argv, part.folder, log, part.environment, restart=restart)

    def _run_up(self) -> None:
        """The steps and what each waits for. The first that fails makes the others leave."""
        *_, simulators, services = self._tiers
        with ThreadPoolExecutor(16, thread_name_prefix="start") as pool:
            kafka = pool.submit(self._start_kafka)
            postgres = pool.submit(self._start_postgres)
            simulated = [pool.submit(self._start_part, name) for name in simulators]
            migrated = pool.submit(self._migrate, postgres)
            key = pool.submit(self._make_portal_key, migrated)
            steps: list[Future[None]] = [kafka, postgres, *simulated, migrated, key]
            for name in services:
                steps.append(pool.submit(self._start_part, name, [kafka, *simulated, migrated]))
            try:
                wait(steps, return_when=FIRST_EXCEPTION)
            finally:
                if not all(step.done() for step in steps):
                    self._cancel.set()
        errors = [error for step in steps if (error := step.exception()) is not None]
        if errors:  # those that only left because of another one are not the reason
            raise min(errors, key=lambda error: isinstance(error, Cancelled))

    def _start_kafka(self) -> None:
        kafka = self._kafka
        if kafka is not None:
            kafka.prepare(self._report, self._cancel.is_set)
            self._running.start_program("kafka")
            kafka.wait_ready(self._alive_since("kafka"), self._cancel.is_set)
            self._report(f"kafka ready on {kafka.bootstrap}")
        # How to sign in is the operator's to say, if the Kafka is one of his own.
        known = {f"KAFKA_{field.upper()}": field for field in KafkaSettings.model_fields}
        options = {field: self._env[name] for name, field in known.items() if name in self._env}
        settings = KafkaSettings.model_validate({**options, "bootstrap_servers": self._plan.kafka})
        try:
            outcome = asyncio.run(topics.provision(settings, topics.topic_specs([PORTAL])))
        except (KafkaError, OSError, TimeoutError) as error:
            raise LocalError(f"topics on {self._plan.kafka}: {type(error).__name__}: {error}") from error
        for difference in outcome.differences:
            self._report(f"topic differs, left as it is: {difference}")
        self._report(f"topics: {len(outcome.made)} made, {len(outcome.kept)} found")

    def _start_postgres(self) -> None:
        postgres = self._postgres
        if postgres is None:
            return
        postgres.prepare(self._report, self._cancel.is_set)
        self._running.start_program("postgres")
        postgres.wait_ready(self._alive_since("postgres"), self._cancel.is_set)
        secrets = self._plan.secrets
        passwords = {name: secrets[f"{name}_database_password"] for name in DATABASES}
        asyncio.run(create_databases(postgres.url(), passwords))
        self._report(f"postgres ready on {HOST}:{postgres.port}")

    def _migrate(self, postgres: "Future[None]") -> None:
        postgres.result()
        command = self._blueprint.migrate
        if command is not None:
            services = [self._parts[name] for name in self._tiers[-1]]
            settings = {name: value for part in services for name, value in part.environment.items()}
            self._tool("migrating the databases", "migrate", command, settings)
            self._report("databases migrated")

    def _make_portal_key(self, migrated: "Future[None]") -> None:
        migrated.result()
        command, secrets = self._blueprint.portal_key, self._plan.secrets
        if command is None or secrets.get("portal_key") is not None:
            return
        what, settings = f"making a key for the portal {PORTAL}", self._parts["intake"].environment
        answer = self._tool(what, "intake", command, settings, capture=True)
        try:
            secrets.keep("portal_key", json.loads(answer.strip().splitlines()[-1])["key"])
        except (ValueError, IndexError, KeyError, TypeError):
            raise LocalError("the command that makes a portal key answered no key") from None

    def _tool(
        self, what: str, log: str, argv: Iterable[str], settings: Mapping[str, str], *, capture: bool = False
    ) -> str:
        return run_tool(
            what,
            list(argv),
            log=self.logs / f"{log}.log",
            folder=ROOT,
            environment={**self._shared, **settings},
            capture=capture,
            cancelled=self._cancel.is_set,
        )

    def _start_part(self, name: str, after: "Iterable[Future[None]]" = ()) -> None:
        for step in after:
            step.result()
        if self._cancel.is_set():
            raise Cancelled
        self._running.start_program(name)
        self._wait(name, self._alive_since(name), self._ready_seconds)
        self._report(f"{name} ready, {self._parts[name].health}")

    # --- waiting

    def _wait(self, name: str, alive: Callable[[], bool], timeout: float) -> None:
        if name == "kafka" and self._kafka is not None:
            self._kafka.wait_ready(alive, self._cancel.is_set)
        elif name == "postgres" and self._postgres is not None:
            self._postgres.wait_ready(alive, self._cancel.is_set)
        else:
            health = self._parts[name].health
            log = self.logs / f"{name}.log"
            wait_until(
                name,
                lambda: answers_ok(health),
                log=log,
                timeout=timeout,
                alive=alive,
                cancelled=self._cancel.is_set,
                pause=0.1,
            )

    def _alive_since(self, name: str) -> Callable[[], bool]:
        """Whether the program runs and has not been started a second time."""
        supervisor, first = self._running, list[int]()

        def alive() -> bool:
            state = supervisor.state(name)
            if state.pid is not None and not first:
                first.append(state.pid)
            return state.up and (state.pid is None or state.pid in first)

        return alive

    def _stop_in_order(self, supervisor: Supervisor) -> None:
        try:
            if supervisor.alive():
                for tier in reversed(self._tiers):
                    running = [name for name in tier if not supervisor.state(name, max_age=0).down]
                    if running:
                        self._report(f"stopping {', '.join(running)}")
                        supervisor.stop_programs(running)
        finally:
            supervisor.shutdown()
            (self.folder / "endpoints.json").unlink(missing_ok=True)

    def write_endpoints(self) -> Path:
        """Write `endpoints.json`, readable by the operator alone: it holds the portal key."""
        path = self.folder / "endpoints.json"
        write_private(path, json.dumps(self.endpoints(), indent=2, ensure_ascii=False) + "\n")
        return path

    def unexpected(self, name: str, why: str) -> LocalError:
        """The message for a program that gave up while the system ran."""
        return failure(name, why, self.logs / f"{name}.log")
