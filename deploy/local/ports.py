"""Which ports the local system takes, and who is in the way when one is taken."""

import os
import random
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from deploy.local.errors import LocalError

HOST = "127.0.0.1"
RANGE_VARIABLE = "TRUCE_FREE_PORTS"

# The variable that moves each port, for messages and --help.
VARIABLES = {
    "kafka": "TRUCE_KAFKA_PORT",
    "kafka_controller": "TRUCE_KAFKA_CONTROLLER_PORT",
    "postgres": "TRUCE_POSTGRES_PORT",
    "intake": "TRUCE_INTAKE_PORT",
    "onec": "TRUCE_ONEC_PORT",
    "sms": "TRUCE_SMS_PORT",
    "admin": "TRUCE_ADMIN_PORT",
    "cabinet": "TRUCE_CABINET_PORT",
    "reports": "TRUCE_REPORTS_PORT",
}
ADMIN_PORTS = 5  # one a service, from `admin` upwards


@dataclass(frozen=True, slots=True)
class Ports:
    """Every port of one local system. `admin` is the first of a row, one for each service."""

    kafka: int = 9092
    kafka_controller: int = 9093
    postgres: int = 5433
    intake: int = 8081
    onec: int = 8091
    sms: int = 8092
    admin: int = 9101
    cabinet: int = 8080
    reports: int = 8083

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Ports":
        """The defaults, moved by `TRUCE_…_PORT`."""
        chosen: dict[str, int] = {}
        for name, variable in VARIABLES.items():
            text = environment.get(variable, "")
            if not text:
                continue
            if not text.isdigit() or not 1 <= int(text) <= 65535:
                raise LocalError(f"{variable}={text}: not a port number")
            chosen[name] = int(text)
        if "kafka" in chosen:
            chosen.setdefault("kafka_controller", chosen["kafka"] + 1)
        return cls(**chosen)

    @classmethod
    def free(cls) -> "Ports":
        """Ports that nobody listens on now, for tests."""
        numbers: set[int] = set()
        row = free_port(row=ADMIN_PORTS)
        numbers.update(range(row, row + ADMIN_PORTS))
        singles: list[int] = []
        while len(singles) < len(fields(cls)) - 1:
            port = free_port()
            if port not in numbers:
                numbers.add(port)
                singles.append(port)
        names = [field.name for field in fields(cls) if field.name != "admin"]
        return cls(admin=row, **dict(zip(names, singles, strict=True)))


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        # As every server does; without it a port in TIME_WAIT would look taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_port(row: int = 1) -> int:
    """A port (the first of `row` ports) that is free now, below the range the kernel hands to clients.

    Nobody else takes it before its server listens, as long as those who start at one time have ranges of their own
    (`TRUCE_FREE_PORTS`, such as 12000-21949).
    """
    first, last = map(int, os.environ.get(RANGE_VARIABLE, "12000-31899").split("-"))
    for _ in range(200):
        port = random.randint(first, last - row + 1)
        if all(is_free(port + step) for step in range(row)):
            return port
    raise LocalError(f"no free port found between {first} and {last}")


def require_free(wanted: Mapping[str, tuple[int, str]]) -> None:
    """Raise a LocalError naming every port of `wanted` (what for → port and its variable) that is taken."""
    taken = [
        f"port {port} ({what}) is taken{holder(port)}; free it, or set {variable} to another"
        for what, (port, variable) in wanted.items()
        if not is_free(port)
    ]
    if taken:
        raise LocalError("\n".join(taken))


def holder(port: int) -> str:
    """` by pid N (name)` for whoever listens on a port, or nothing when that cannot be seen."""
    inodes = set(_listening_inodes(port))
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and inodes & set(_socket_inodes(process)):
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            return f" by pid {process.name} ({command.strip()[:60]})"
    return ""


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            columns = row.split()
            if columns[3] == "0A" and int(columns[1].rpartition(":")[2], 16) == port:
                yield columns[9]


def _socket_inodes(process: Path) -> Iterator[str]:
    try:
        for descriptor in (process / "fd").iterdir():
            target = str(descriptor.readlink())
            if target.startswith("socket:["):
                yield target[8:-1]
    except OSError:
        return  # it ended, or it is another user's
