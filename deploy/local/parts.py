"""The simulators and services of the local system as data: their commands, environments and health checks."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import quote, urlsplit

from deploy.local.errors import LocalError
from deploy.local.ports import HOST, Ports
from deploy.local.secrets_file import DATABASES, Secrets

ROOT = Path(__file__).resolve().parents[2]
PORTAL = "demo"
ONEC_USER = "Партнёры"  # not ASCII, so that every run uses Basic authentication in UTF-8
SMS_LOGIN = "truce"

# Service → prefix of its settings. The service's position here is its offset from the first admin port.
PREFIXES = {
    "intake": "INTAKE_",
    "onec_gateway": "ONEC_",
    "reservations": "RESERVATIONS_",
    "notifier": "NOTIFIER_",
    "cabinet": "CABINET_",
}
SERVICES = ("intake", "onec_gateway", "reservations", "notifier")


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that the programs' commands and environments depend on.

    `kafka` is the value of `bootstrap.servers`, `databases` a URL for each service, `operator` the variables that
    the operator has set.
    """

    folder: Path
    ports: Ports
    secrets: Secrets
    kafka: str
    databases: Mapping[str, str] = field(repr=False)
    operator: Mapping[str, str] = field(repr=False)

    def admin(self, service: str) -> int:
        """The admin port of `service`."""
        return self.ports.admin + list(PREFIXES).index(service)

    @property
    def onec(self) -> str:
        """The base URL of the 1C simulator. Its control calls are below the same URL."""
        return f"http://{HOST}:{self.ports.onec}/crm"

    @property
    def sms(self) -> str:
        """The base URL of the SMS simulator."""
        return f"http://{HOST}:{self.ports.sms}"


@dataclass(frozen=True, slots=True)
class Part:
    """A simulator or a service. It is ready when GET `health` returns 200."""

    name: str
    argv: tuple[str, ...]
    health: str
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    folder: Path = ROOT


@dataclass(frozen=True, slots=True)
class Blueprint:
    """The programs of a system besides Kafka and PostgreSQL. Tests use stand-ins for them."""

    simulators: Callable[[Plan], Sequence[Part]]
    services: Callable[[Plan], Sequence[Part]]
    # The command that migrates all databases. It runs before the services, with the settings of all services.
    migrate: tuple[str, ...] | None = None
    # The command that makes the portal's key and prints {"portal": …, "key": …}. It runs once, after the migration.
    portal_key: tuple[str, ...] | None = None


def simulators(plan: Plan) -> list[Part]:
    """The simulators of 1C and of the SMS provider."""
    onec = _module("tests.simulators.onec", "--port", plan.ports.onec, "--data", plan.folder / "onec")
    sms = _module("tests.simulators.sms", "--port", plan.ports.sms, "--data", plan.folder / "sms")
    # The simulators get their passwords on the command line, which is acceptable because these passwords open only a
    # simulator. Each is written `--option=value`, because one random password in sixty-four begins with a dash.
    return [
        Part(
            "onec",
            (*onec, "--host", HOST, "--user", ONEC_USER, f"--password={plan.secrets['onec_password']}"),
            f"http://{HOST}:{plan.ports.onec}/__sim/health",
        ),
        Part(
            "sms",
            (
                *(*sms, "--host", HOST, "--login", SMS_LOGIN, f"--password={plan.secrets['sms_password']}"),
                *("--callback-url", f"http://{HOST}:{plan.ports.reports}/v1/reports/smsc"),
                f"--callback-secret={plan.secrets['sms_report_secret']}",
            ),
            f"http://{HOST}:{plan.ports.sms}/__sim/health",
        ),
    ]


def services(plan: Plan) -> list[Part]:
    """The four services, each with its own settings only."""
    return [
        Part(
            name,
            _module(f"services.{name}", "run"),
            f"http://{HOST}:{plan.admin(name)}/health/ready",
            service_environment(plan, name),
        )
        for name in SERVICES
    ]


def _module(name: str, *arguments: object) -> tuple[str, ...]:
    return (sys.executable, "-m", name, *(str(argument) for argument in arguments))


DEFAULT = Blueprint(
    simulators,
    services,
    migrate=_module("deploy.local.migrate", *SERVICES),
    portal_key=(
        *(sys.executable, "-m", "services.intake", "portals", "add", PORTAL),
        *("--scopes", "leads,partners,returns,rewards", "--json"),
    ),
)


def service_environment(plan: Plan, service: str) -> dict[str, str]:
    """The settings of one service. Variables that the operator has set under the service's prefix take precedence."""
    prefix = PREFIXES[service]
    secrets = plan.secrets
    common = {
        "DATABASE_URL": plan.databases[service],
        "ADMIN_PORT": str(plan.admin(service)),
    }
    own = {
        "intake": lambda: {
            "HTTP_PORT": str(plan.ports.intake),
            "SEALING_KEYS": secrets["sealing_keys"],
            "CLIENT_KEY_SECRET": secrets["client_key_secret"],
            "RECEIPT_KEY": secrets["receipt_key"],
            "UNSEALING_KEY": secrets["unsealing_key"],
            "ACCEPT_PLAIN_CLIENTS": "true",
            # A demonstration submits many leads of one partner, so there is no quota.
            "LEADS_PER_HOUR": "0",
            "LEADS_PER_DAY": "0",
        },
        "onec_gateway": lambda: {
            "SEALING_KEYS": secrets["sealing_keys"],
            "CLIENT_KEY_SECRET": secrets["client_key_secret"],
            "URL": plan.onec,
            "USER": ONEC_USER,
            "PASSWORD": secrets["onec_password"],
        },
        "reservations": lambda: {
            "HISTORY_KEY": secrets["history_key"],
        },
        "notifier": lambda: {
            "SEALING_KEYS": secrets["sealing_keys"],
            "SMSC_URL": plan.sms,
            "SMSC_LOGIN": SMS_LOGIN,
            "SMSC_PASSWORD": secrets["sms_password"],
            "SMSC_REPORT_SECRET": secrets["sms_report_secret"],
            "HTTP_PORT": str(plan.ports.reports),
            # A demonstration has one partner and moves its clock to midnight: no quota, no quiet hours.
            "PER_HOUR": "0",
            "PER_DAY": "0",
            "QUIET_HOURS": "",
        },
    }
    settings = {**common, **own.get(service, dict)()}
    return {
        **{f"{prefix}{name}": value for name, value in settings.items()},
        **{name: value for name, value in plan.operator.items() if name.startswith(prefix)},
    }


def shared_environment(plan: Plan) -> dict[str, str]:
    """The environment of every program: the operator's variables without settings of services, and common settings."""
    private = (*PREFIXES.values(), "TRUCE_")
    return {
        **{name: value for name, value in plan.operator.items() if not name.startswith(private)},
        "KAFKA_BOOTSTRAP_SERVERS": plan.kafka,
        "DEAD_LETTERS_PUBLIC_KEY": plan.secrets.public_key("dead_letters_key"),
        "CLOCK_FILE": str(plan.folder / "clock.json"),
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
    }


def operators_environment(secrets: Secrets) -> dict[str, str]:
    """The settings of the operators' command (`services.ops`), besides those of `shared_environment`."""
    return {"DEAD_LETTERS_PRIVATE_KEY": secrets["dead_letters_key"]}


def prepare_clock(plan: Plan) -> None:
    """Make the clock file if ALLOW_CLOCK_SHIFT is true, and remove the file otherwise."""
    file = plan.folder / "clock.json"
    if plan.operator.get("ALLOW_CLOCK_SHIFT", "").lower() in ("true", "1", "yes", "on"):
        if not file.exists():
            file.write_text(json.dumps({"shift_seconds": 0}))
    else:
        file.unlink(missing_ok=True)


def database_urls(ports: Ports, secrets: Secrets) -> dict[str, str]:
    """The URL of each service's database on the PostgreSQL of the local system."""
    return {
        name: f"postgresql://{name}:{quote(secrets[f'{name}_database_password'], safe='')}"
        f"@{HOST}:{ports.postgres}/{name}"
        for name in DATABASES
    }


def external_servers(operator: Mapping[str, str]) -> tuple[str | None, dict[str, str] | None]:
    """The operator's own servers: the value of `bootstrap.servers`, and a database URL for each service.

    Each is None where the local system starts its own server. Raises LocalError if some database URLs are missing.
    """
    kafka = operator.get("KAFKA_BOOTSTRAP_SERVERS") or None
    variables = {name: f"{PREFIXES[name]}DATABASE_URL" for name in SERVICES}
    given = {name: operator[variable] for name, variable in variables.items() if operator.get(variable)}
    if given and len(given) < len(variables):
        missing = ", ".join(variable for name, variable in variables.items() if name not in given)
        raise LocalError(f"some database URLs are set and some are missing: set {missing} too, or none of them")
    return kafka, given or None


def is_healthy(url: str) -> bool:
    """Whether GET `url` returns 200."""
    target = urlsplit(url)
    connection = HTTPConnection(target.hostname or HOST, target.port, timeout=5)
    try:
        connection.request("GET", target.path)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
