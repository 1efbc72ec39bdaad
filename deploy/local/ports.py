"""The ports of a local system, and which process occupies a port that is not free."""

import os
import random
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from deploy.local.errors import LocalError

HOST = "127.0.0.1"
RANGE_VARIABLE = "TRUCE_FREE_PORTS"

# The environment variable that sets each port, for error texts.
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
ADMIN_PORTS = 5  # one for each service, from `admin` upwards


@dataclass(frozen=True, slots=True)
class Ports:
    """Every port of one local system. `admin` is the first of `ADMIN_PORTS` ports in a row, one for each service."""

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
        """The default ports, changed by the variables `TRUCE_…_PORT`. Raises LocalError for a value that is no port."""
        chosen: dict[str, int] = {}
        for name, variable in VARIABLES.items():
            text = environment.get(variable, "")
            if not text:
                continue
            if not text.isdigit() or not 1 <= int(text) <= 65535:
                raise LocalError(f"{variable}={text} is not a port number (1 to 65535)")
            chosen[name] = int(text)
        if "kafka" in chosen:
            chosen.setdefault("kafka_controller", chosen["kafka"] + 1)
        return cls(**chosen)

    @classmethod
    def free(cls) -> "Ports":
        """Ports that are free now, for tests."""
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
    """Whether a server can listen on this port now."""
    with socket.socket() as probe:
        # Servers set this option too. Without it, a port in TIME_WAIT would look occupied.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_port(row: int = 1) -> int:
    """A free port, or the first of `row` free ports in a row, below the range that Linux gives to clients.

    Another test run could take the port before its server listens. Concurrent runs avoid that with separate ranges in
    the variable `TRUCE_FREE_PORTS` (for example 12000-21949). Raises LocalError if no port is free.
    """
    first, last = map(int, os.environ.get(RANGE_VARIABLE, "12000-31899").split("-"))
    for _ in range(200):
        port = random.randint(first, last - row + 1)
        if all(is_free(port + step) for step in range(row)):
            return port
    raise LocalError(f"no free port found between {first} and {last}")


def require_free(wanted: Mapping[str, tuple[int, str]]) -> None:
    """Raise a LocalError that names every occupied port of `wanted` (purpose → port and its variable)."""
    occupied = [
        f"port {port} ({what}) is in use{port_holder(port)}; free the port, or set {variable} to another port"
        for what, (port, variable) in wanted.items()
        if not is_free(port)
    ]
    if occupied:
        raise LocalError("\n".join(occupied))


def port_holder(port: int) -> str:
    """` by pid N (command)` for the process that listens on `port`; empty if this user cannot see the process."""
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
        return  # the process ended, or belongs to another user
