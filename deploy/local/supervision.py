"""Controls supervisord over its XML-RPC socket (docs/decisions/0002-local-supervision.md)."""

import contextlib
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from deploy.local.program import LAUNCHER, Child, Program, wait_until

# An environment variable with the run folder. By it, a later run finds processes that an earlier run left.
FOLDER_MARK = "TRUCE_LOCAL_FOLDER"
UP = frozenset({"STARTING", "RUNNING"})
DOWN = frozenset({"STOPPED", "EXITED", "FATAL"})


@dataclass(frozen=True, slots=True)
class State:
    """The state of one program as supervisord reports it. `text` is for people: state name and description."""

    name: str
    pid: int | None
    up: bool
    down: bool
    text: str


class Supervisor:
    """One supervisord process, with the programs of one folder.

    `tiers` are in the order of the start. The programs of one tier are stopped at the same time. `shared` is the
    environment of every program.
    """

    def __init__(self, folder: Path, logs: Path, tiers: Sequence[Sequence[Program]], shared: Mapping[str, str]) -> None:
        self.folder = folder
        self.log = logs / "supervisord.log"
        self.tiers = tiers
        self.programs = {program.name: program for tier in tiers for program in tier}
        self._shared = shared
        self._child: Child | None = None
        self._snapshot: tuple[float, dict[str, State]] = (0.0, {})
        self._lock = threading.Lock()

    @property
    def socket(self) -> Path:
        """supervisord's Unix socket. Linux limits the path of a socket to 107 bytes."""
        inside = self.folder / "supervisor.sock"
        if len(os.fsencode(inside)) < 100:
            return inside
        return Path(tempfile.gettempdir()) / f"truce-{os.geteuid()}-{self.folder.stat().st_ino}.sock"

    def start(self) -> None:
        """Start supervisord. It starts no program yet."""
        configuration = self.folder / "supervisord.conf"
        configuration.write_text(self._configuration())
        for program in self.programs.values():
            program.write_spec(self._spec(program.name), die_with_parent=True)
        self._child = Child(
            Program(
                name="supervisord",
                argv=(sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(configuration)),
                folder=self.folder,
                log=self.log,
                environment={**self._shared, FOLDER_MARK: str(self.folder)},
                stop_seconds=60,
            ),
            self._spec("supervisord"),
        )
        wait_until("supervisord", self._is_running, log=self.log, timeout=15, alive=self._child.alive, pause=0.02)

    def start_program(self, name: str) -> None:
        """Start one program without waiting until it is ready."""
        self._call("startProcess", self._full(name), False)
        with self._lock:
            self._snapshot = (0.0, {})  # the snapshot is older than this start

    def stop_programs(self, names: Sequence[str]) -> None:
        """Stop programs at the same time, each with its stop signal, and wait until all have ended."""
        for name in names:
            with contextlib.suppress(Fault):  # the program does not run
                self._call("stopProcess", self._full(name), False)
        slowest = max((self.programs[name].stop_seconds for name in names), default=0)
        wait_until(
            "stopping",
            lambda: all(self.state(name, max_age=0).down for name in names),
            log=self.log,
            timeout=slowest + 10,
        )

    def kill(self, name: str) -> None:
        """End one program with SIGKILL and wait for its end. supervisord starts it again if `restart` is set."""
        killed = self.state(name, max_age=0).pid
        if killed is None:
            return
        self._call("signalProcess", self._full(name), "KILL")
        wait_until(f"killing {name}", lambda: self.state(name, max_age=0).pid != killed, log=self.log, timeout=10)

    def state(self, name: str, max_age: float = 0.3) -> State:
        """The state of one program, at most `max_age` seconds old."""
        return self.states(max_age)[name]

    def states(self, max_age: float = 0.3) -> dict[str, State]:
        """The state of every program, at most `max_age` seconds old. Concurrent threads share one request."""
        with self._lock:
            taken_at, known = self._snapshot
            if time.monotonic() - taken_at > max_age:
                rows = cast(list[dict[str, Any]], self._call("getAllProcessInfo"))
                known = {row["name"]: _state(row) for row in rows}
                self._snapshot = (time.monotonic(), known)
            return known

    def alive(self) -> bool:
        """Whether the supervisord process runs."""
        return self._child is not None and self._child.alive()

    def shutdown(self) -> None:
        """Stop supervisord. It stops the programs that still run, from the last tier to the first."""
        if self._child is not None:
            self._child.stop()
        self.socket.unlink(missing_ok=True)

    def _is_running(self) -> bool:
        try:
            return bool(self._call("getState"))
        except OSError:
            return False

    def _call(self, method: str, *arguments: object) -> object:
        # Each call opens a connection, because the transport is not thread-safe and a Unix socket is cheap to open.
        transport = SupervisorTransport(None, None, f"unix://{self.socket}")
        try:
            proxy = ServerProxy("http://supervisor", transport=transport, allow_none=True)
            return getattr(proxy.supervisor, method)(*arguments)
        finally:
            transport.close()

    def _tier(self, name: str) -> int:
        return next(n for n, tier in enumerate(self.tiers) if any(program.name == name for program in tier))

    def _full(self, name: str) -> str:
        return f"tier{self._tier(name)}:{name}"

    def _spec(self, name: str) -> Path:
        return self.folder / f"{name}.spec.json"

    def _configuration(self) -> str:
        run = _escape(str(self.folder))
        lines = [
            "[supervisord]",
            "nodaemon=true",
            "silent=true",
            "minfds=256",
            f"logfile={_escape(str(self.log))}",
            f"pidfile={run}/supervisord.pid",
            f"childlogdir={run}",
            # Explicit, because supervisord prints a warning if root does not set it.
            *(["user=root"] if os.geteuid() == 0 else []),
            "[unix_http_server]",
            f"file={_escape(str(self.socket))}",
            "chmod=0700",
            "[rpcinterface:supervisor]",
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
        ]
        for number, tier in enumerate(self.tiers):
            names = ",".join(program.name for program in tier)
            if names:
                lines += [f"[group:tier{number}]", f"programs={names}", f"priority={number}"]
        for program in self.programs.values():
            command = " ".join(_quote(part) for part in (sys.executable, "-I", LAUNCHER, self._spec(program.name)))
            lines += [
                f"[program:{program.name}]",
                f"command={_escape(command)}",
                "autostart=false",
                f"autorestart={'true' if program.restart else 'false'}",
                "startsecs=1",
                "startretries=5",
                f"stopsignal={program.stop_signal.name.removeprefix('SIG')}",
                f"stopwaitsecs={program.stop_seconds}",
                "killasgroup=true",
                # launch.py opens the log file itself, so no pipe can fill up or break.
                "stdout_logfile=NONE",
                "stderr_logfile=NONE",
            ]
        return "\n".join(lines) + "\n"


def stop_leftovers(folder: Path) -> int:
    """Stop processes that an earlier run in `folder` left when it was killed. Returns their number.

    Processes of a run have the folder in their environment, so no other process is stopped.
    """
    found = programs_of(folder)
    supervisors = [pid for pid in found if b"supervisor.supervisord" in _read(pid, "cmdline")]
    if supervisors:  # supervisord stops its programs in order
        _stop(supervisors, signal.SIGTERM, folder, seconds=60)
    remaining = programs_of(folder)
    _stop(remaining, signal.SIGINT, folder, seconds=20)
    return len(found)


def _stop(pids: Sequence[int], number: signal.Signals, folder: Path, seconds: float) -> None:
    for pid in pids:
        _send(pid, number)
    deadline = time.monotonic() + seconds
    while (left := set(pids) & set(programs_of(folder))) and time.monotonic() < deadline:
        time.sleep(0.1)
    for pid in left:
        _send(pid, signal.SIGKILL)


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def programs_of(folder: Path) -> list[int]:
    """The pids of supervisord and of all programs of a run folder, whatever their present parent is."""
    mark = os.fsencode(f"{FOLDER_MARK}={folder}")
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if pid != os.getpid() and mark in _read(pid, "environ").split(b"\0")]


def _read(pid: int, what: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{what}").read_bytes()
    except OSError:
        return b""


def _state(row: dict[str, Any]) -> State:
    name = row["statename"]
    description = row["spawnerr"] or row["description"] or name
    return State(row["name"], row["pid"] or None, name in UP, name in DOWN, f"{name}: {description}")


def _quote(part: object) -> str:
    return "'" + str(part).replace("'", "'\\''") + "'"


def _escape(text: str) -> str:
    return text.replace("%", "%%")
