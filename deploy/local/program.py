"""A program to run, as a child of this process (tests) or under supervisord (the local system)."""

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

# The environment variables that every program inherits. A program gets any other variable only explicitly.
BASICS = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "XDG_CACHE_HOME", "SSL_CERT_FILE")


def always() -> bool:
    """True: the default check whether a process runs."""
    return True


def never() -> bool:
    """False: the default check whether a start was cancelled."""
    return False


@dataclass(frozen=True, slots=True)
class Program:
    """A program: command, working folder, log file, environment, user, and how it stops.

    `user` None is the user of this process. `stop_signal` ends the program; after `stop_seconds` SIGKILL does.
    `restart`: supervisord starts the program again when it ends.
    """

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
        """Write the file that `launch.py` reads, readable by its owner alone, because the environment holds secrets.

        With `die_with_parent`, Linux sends the program its stop signal when the parent process ends.
        """
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
    """Write a file that only its owner can read. A reader sees the old content or the new content, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    beside.replace(path)


def basics() -> dict[str, str]:
    """The variables of `BASICS` that this process has, with their values."""
    return {name: os.environ[name] for name in BASICS if name in os.environ}


def can_die_with_parent() -> bool:
    """Whether this is the main thread. Linux ties a child to the *thread* that started it, not to the process."""
    return threading.current_thread() is threading.main_thread()


class Child:
    """A program that runs as a child of this process. `spec` is the path of its file for `launch.py`."""

    def __init__(self, program: Program, spec: Path) -> None:
        program.log.parent.mkdir(parents=True, exist_ok=True)
        program.write_spec(spec, die_with_parent=can_die_with_parent())
        self.program = program
        # In a session of its own, so that Ctrl-C in a terminal reaches this process only, which stops its children in
        # order.
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(LAUNCHER), str(spec), str(os.getpid())],
            env=basics(),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """The process id. `launch.py` becomes the program by exec, so both have the same id."""
        return self._process.pid

    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def stop(self) -> None:
        """Send the stop signal and wait; after `stop_seconds`, end the process with SIGKILL."""
        if self.alive():
            self._process.send_signal(self.program.stop_signal)
            try:
                self._process.wait(self.program.stop_seconds)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """Send SIGKILL to the process and its children, and wait for the process to end."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class Cancelled(Exception):
    """The start was cancelled, because another step failed or the operator stopped it. A step lets this error pass."""


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
    cancelled: Callable[[], bool] = never,
) -> str:
    """Run a command to its end. Its output is appended to the log; with `capture`, its standard output is returned.

    Raises LocalError if the command fails or takes longer than `timeout` seconds, and Cancelled once `cancelled()` is
    true. `name` is the command's name in error texts.
    """
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
    alive: Callable[[], bool] = always,
    cancelled: Callable[[], bool] = never,
    pause: float = 0.05,
) -> None:
    """Call `ready` every `pause` seconds until it returns true.

    Raises LocalError with the end of the log if `alive()` turns false or `timeout` seconds pass, and Cancelled once
    `cancelled()` is true. `what` is the name of the process in error texts.
    """
    deadline = time.monotonic() + timeout
    while not ready():
        if cancelled():
            raise Cancelled
        if not alive():
            raise failure(what, "ended while starting", log)
        if time.monotonic() > deadline:
            raise failure(what, f"not ready within {timeout:.0f} s", log)
        time.sleep(pause)
