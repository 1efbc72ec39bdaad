"""Decides which programs one local system runs, on which ports, with which settings, and in which order."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.kafka import Kafka
from deploy.local.parts import (
    SERVICES,
    Blueprint,
    Part,
    Plan,
    database_urls,
    external_servers,
    operators_environment,
    prepare_clock,
    shared_environment,
)
from deploy.local.ports import ADMIN_PORTS, HOST, VARIABLES, Ports, require_free
from deploy.local.postgres import Postgres
from deploy.local.program import Program
from deploy.local.secrets_file import Secrets

OPS = "ops"  # has operators' commands only, and no process


@dataclass(frozen=True, slots=True)
class Layout:
    """The programs of one local system.

    `kafka` or `postgres` is None if the operator uses a server that already runs. `tiers` are in the order of the
    start: PostgreSQL, Kafka, simulators, services. `shared` is the environment of every program.
    """

    plan: Plan
    blueprint: Blueprint
    logs: Path
    kafka: Kafka | None
    postgres: Postgres | None
    parts: Mapping[str, Part]
    tiers: Sequence[Sequence[Program]]
    shared: Mapping[str, str] = field(repr=False)

    @classmethod
    def decide(
        cls,
        folder: Path,
        ports: Ports,
        operator: Mapping[str, str],
        blueprint: Blueprint,
        report: Callable[[str], None],
        *,
        restart_services: bool,
    ) -> "Layout":
        """Generate missing secrets, move old logs aside, and decide every program.

        Raises LocalError if a port is occupied or if only some of the operator's database URLs are set.
        """
        external_kafka, external_databases = external_servers(operator)
        _require_ports(ports, kafka=external_kafka is None, postgres=external_databases is None)
        logs = folder / "logs"
        logs.mkdir(exist_ok=True)
        (folder / "run").mkdir(exist_ok=True)
        for log in logs.glob("*.log"):
            log.replace(log.with_suffix(".log.1"))
        secrets = Secrets(folder / "secrets.json")
        databases = external_databases or database_urls(ports, secrets)
        plan = Plan(folder, ports, secrets, external_kafka or f"{HOST}:{ports.kafka}", databases, operator)
        prepare_clock(plan)

        kafka = postgres = None
        if external_databases is None:
            postgres = Postgres(
                folder / "postgres", ports.postgres, password=secrets["postgres_password"], log=logs / "postgres.log"
            )
        if external_kafka is None:
            controller_port, log = ports.kafka_controller, logs / "kafka.log"
            kafka = Kafka(folder / "kafka", ports.kafka, controller_port=controller_port, log=log)
        simulators, services = blueprint.simulators(plan), blueprint.services(plan)
        tiers = (
            [] if postgres is None else [postgres.program()],
            [] if kafka is None else [kafka.program(report)],
            [_program(part, logs, restart=False) for part in simulators],
            [_program(part, logs, restart=restart_services) for part in services],
        )
        parts = {part.name: part for part in (*simulators, *services)}
        return cls(plan, blueprint, logs, kafka, postgres, parts, tiers, shared_environment(plan))

    @property
    def names(self) -> list[list[str]]:
        """The names of the programs, by tier."""
        return [[program.name for program in tier] for tier in self.tiers]

    def environment(self, service: str) -> dict[str, str]:
        """The settings of a service, or of the operators' command `ops`, secrets included."""
        own = operators_environment(self.plan.secrets) if service == OPS else self.parts[service].environment
        return {**self.shared, **own}

    def log(self, name: str) -> Path:
        """The log file of a program."""
        return self.logs / f"{name}.log"


def _require_ports(ports: Ports, *, kafka: bool, postgres: bool) -> None:
    unused = {"admin", "cabinet"}
    if not kafka:
        unused |= {"kafka", "kafka_controller"}
    if not postgres:
        unused.add("postgres")
    wanted = {name: (getattr(ports, name), variable) for name, variable in VARIABLES.items() if name not in unused}
    for step, service in enumerate(SERVICES[:ADMIN_PORTS]):
        wanted[f"admin port of {service}"] = (ports.admin + step, VARIABLES["admin"])
    require_free(wanted)


def _program(part: Part, logs: Path, *, restart: bool) -> Program:
    return Program(part.name, part.argv, part.folder, logs / f"{part.name}.log", part.environment, restart=restart)
