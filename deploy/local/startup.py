"""The steps of a start, in parallel where one does not depend on another."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait

from aiokafka.errors import KafkaError

from chassis.settings import KafkaSettings
from deploy import topics
from deploy.local.errors import LocalError
from deploy.local.layout import Layout
from deploy.local.parts import PORTAL, ROOT, is_healthy
from deploy.local.ports import HOST
from deploy.local.postgres import create_databases
from deploy.local.program import Cancelled, run_tool, wait_until
from deploy.local.secrets_file import DATABASES
from deploy.local.supervision import Supervisor


class Startup:
    """Starts the programs of `layout` under `supervisor`, which runs and has started no program yet.

    `cancel` ends the start early: every step then raises Cancelled. A program has `ready_seconds` to become ready.
    """

    def __init__(
        self,
        layout: Layout,
        supervisor: Supervisor,
        report: Callable[[str], None],
        cancel: threading.Event,
        ready_seconds: float,
    ) -> None:
        self._layout = layout
        self._supervisor = supervisor
        self._report = report
        self._cancel = cancel
        self._ready_seconds = ready_seconds

    def run(self) -> None:
        """Run every step. The first failure cancels the other steps; its LocalError is raised."""
        *_, simulators, services = self._layout.names
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
        if errors:  # Cancelled is a consequence of another step's error
            raise min(errors, key=lambda error: isinstance(error, Cancelled))

    def wait_ready(self, name: str, timeout: float | None = None) -> None:
        """Wait until a program that was started is ready. Raises LocalError if supervisord gives up on the program."""
        # `_ran_without_restart` is not used here: after a kill, a service can need a second start.
        self._wait(name, lambda: not self._supervisor.state(name).text.startswith("FATAL"), timeout)

    def _start_kafka(self) -> None:
        kafka, plan = self._layout.kafka, self._layout.plan
        if kafka is not None:
            kafka.prepare(self._report, self._cancel.is_set)
            self._supervisor.start_program("kafka")
            kafka.wait_ready(self._ran_without_restart("kafka"), self._cancel.is_set)
            self._report(f"kafka ready on {kafka.bootstrap}")
        # An operator's own Kafka can need credentials, which are in the operator's variables.
        fields = {f"KAFKA_{field.upper()}": field for field in KafkaSettings.model_fields}
        options = {field: plan.operator[name] for name, field in fields.items() if name in plan.operator}
        settings = KafkaSettings.model_validate({**options, "bootstrap_servers": plan.kafka})
        try:
            outcome = asyncio.run(topics.provision_system(settings, [PORTAL]))
        except (KafkaError, OSError, TimeoutError) as error:
            raise LocalError(f"topics on {plan.kafka}: {type(error).__name__}: {error}") from error
        for change in outcome.changed:
            self._report(f"topic changed: {change}")
        for difference in outcome.differences:
            self._report(f"topic differs and is not changed: {difference}")
        self._report(f"topics: {len(outcome.created)} created, {len(outcome.existing)} found")

    def _start_postgres(self) -> None:
        postgres, secrets = self._layout.postgres, self._layout.plan.secrets
        if postgres is None:
            return
        postgres.prepare(self._report, self._cancel.is_set)
        self._supervisor.start_program("postgres")
        postgres.wait_ready(self._ran_without_restart("postgres"), self._cancel.is_set)
        passwords = {name: secrets[f"{name}_database_password"] for name in DATABASES}
        asyncio.run(create_databases(postgres.url(), passwords))
        self._report(f"postgres ready on {HOST}:{postgres.port}")

    def _migrate(self, postgres: "Future[None]") -> None:
        postgres.result()
        command = self._layout.blueprint.migrate
        if command is not None:
            services = [self._layout.parts[name] for name in self._layout.names[-1]]
            settings = {name: value for part in services for name, value in part.environment.items()}
            self._tool("migrating the databases", "migrate", command, settings)
            self._report("databases migrated")

    def _make_portal_key(self, migrated: "Future[None]") -> None:
        migrated.result()
        command, secrets = self._layout.blueprint.portal_key, self._layout.plan.secrets
        if command is None or secrets.get("portal_key") is not None:
            return
        what, settings = f"making a key for the portal {PORTAL}", self._layout.parts["intake"].environment
        output = self._tool(what, "intake", command, settings, capture=True)
        try:
            secrets.store("portal_key", json.loads(output.strip().splitlines()[-1])["key"])
        except (ValueError, IndexError, KeyError, TypeError):
            raise LocalError("the command that makes a portal key printed no key") from None

    def _start_part(self, name: str, after: "Iterable[Future[None]]" = ()) -> None:
        for step in after:
            step.result()
        if self._cancel.is_set():
            raise Cancelled
        self._supervisor.start_program(name)
        self._wait(name, self._ran_without_restart(name))
        self._report(f"{name} ready, {self._layout.parts[name].health}")

    def _tool(
        self, what: str, log: str, argv: Iterable[str], settings: Mapping[str, str], *, capture: bool = False
    ) -> str:
        return run_tool(
            what,
            list(argv),
            log=self._layout.log(log),
            folder=ROOT,
            environment={**self._layout.shared, **settings},
            capture=capture,
            cancelled=self._cancel.is_set,
        )

    def _wait(self, name: str, alive: Callable[[], bool], timeout: float | None = None) -> None:
        kafka, postgres = self._layout.kafka, self._layout.postgres
        if name == "kafka" and kafka is not None:
            kafka.wait_ready(alive, self._cancel.is_set)
        elif name == "postgres" and postgres is not None:
            postgres.wait_ready(alive, self._cancel.is_set)
        else:
            health = self._layout.parts[name].health
            wait_until(
                name,
                lambda: is_healthy(health),
                log=self._layout.log(name),
                timeout=timeout or self._ready_seconds,
                alive=alive,
                cancelled=self._cancel.is_set,
                pause=0.1,
            )

    def _ran_without_restart(self, name: str) -> Callable[[], bool]:
        """A check that the program runs and still has the process id of its first start."""
        first: list[int] = []

        def alive() -> bool:
            state = self._supervisor.state(name)
            if state.pid is not None and not first:
                first.append(state.pid)
            return state.up and (state.pid is None or state.pid in first)

        return alive
