"""A program to run, and the two ways to have it run: as a direct child (tests), or under supervisord."""

import contextlib
import json
import os
import pwd
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.errors import failure

LAUNCHER = Path(__file__).with_name("launch.py")

# What any process needs from the machine it runs on. Everything else is passed on purpose.
BASICS = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "XDG_CACHE_HOME", "SSL_CERT_FILE")


@dataclass(frozen=True, slots=True)
class Program:
    """What to run, where, as whom, and how it is asked to stop."""

    name: str
    argv: tuple[str, ...]
    folder: Path
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    user: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: int = 20
    restart: bool = False

    def write_spec(self, path: Path, *, die_with_parent: bool) -> None:
        """For `launch.py`. Readable by the operator alone, for the environment holds secrets."""
        spec = {
            "argv": list(self.argv),
            "folder": str(self.folder),
            "log": str(self.log),
            "environment": dict(self.environment),
            "user": self.user,
            "stop_signal": int(self.stop_signal),
            "die_with_parent": die_with_parent,
        }
        write_private(path, json.dumps(spec, indent=1))


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    beside.replace(path)


def basics() -> dict[str, str]:
    """The part of this process's own environment that its programs inherit."""
    return {name: os.environ[name] for name in BASICS if name in os.environ}


def may_die_with_this_thread() -> bool:
    """Whether a child may be tied to us: Linux ties it to the *thread* that started it."""
    return threading.current_thread() is threading.main_thread()


class Child:
    """A program run as a direct child of this process."""

    def __init__(self, program: Program, spec: Path) -> None:
        program.log.parent.mkdir(parents=True, exist_ok=True)
        program.write_spec(spec, die_with_parent=may_die_with_this_thread())
        self.program = program
        # A session of its own: Ctrl-C in a terminal goes to us, and we stop things in order.
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(LAUNCHER), str(spec), str(os.getpid())],
            env=basics(),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """Process id; the launcher's becomes the program's."""
        return self._process.pid

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def stop(self) -> None:
        """Ask it to stop, wait, and kill it only if it does not."""
        if self.alive():
            self._process.send_signal(self.program.stop_signal)
            try:
                self._process.wait(self.program.stop_seconds)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """SIGKILL, to it and to whatever it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class Cancelled(Exception):
    """Another step failed or the operator stopped us; whoever sees this just leaves."""


def run_tool(
    name: str,
    argv: Sequence[str],
    *,
    log: Path,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    user: str | None = None,
    capture: bool = False,
    timeout: float = 120,
    cancelled: Callable[[], bool] = lambda: False,
) -> str:
    """Run a command to its end. What it says goes to the log, or, with `capture`, its stdout is returned."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as errors:
        process = subprocess.Popen(
            list(argv),
            env={**basics(), **(environment or {})},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if capture else errors,
            stderr=errors,
            start_new_session=True,
            user=user,
            group=None if user is None else primary_group(user),
            extra_groups=None if user is None else [],
        )
    deadline = time.monotonic() + timeout
    try:
        while True:
            try:
                output, _ = process.communicate(timeout=0.1)
            except subprocess.TimeoutExpired:
                if cancelled():
                    raise Cancelled from None
                if time.monotonic() > deadline:
                    raise failure(name, f"did not finish within {timeout:.0f} s", log) from None
                continue
            if process.returncode != 0:
                raise failure(name, f"failed with exit code {process.returncode}", log)
            return output.decode("utf-8", "replace") if capture else ""
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def primary_group(user: str) -> int:
    """The group id of a system user."""
    return pwd.getpwnam(user).pw_gid


def wait_until(
    what: str,
    ready: Callable[[], bool],
    *,
    log: Path,
    timeout: float,
    alive: Callable[[], bool] = lambda: True,
    cancelled: Callable[[], bool] = lambda: False,
    pause: float = 0.05,
) -> None:
    """Wait until `ready`; a process that ends meanwhile, or too much time, is a LocalError with its last words."""
    deadline = time.monotonic() + timeout
    while not ready():
        if cancelled():
            raise Cancelled
        if not alive():
            raise failure(what, "ended while starting", log)
        if time.monotonic() > deadline:
            raise failure(what, f"not ready within {timeout:.0f} s", log)
        time.sleep(pause)
