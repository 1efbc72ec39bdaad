"""Services as processes: start them with settings, wait for conditions with a deadline, end them."""

import asyncio
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx

from deploy.local.ports import free_port

T = TypeVar("T")
DEADLINE_S = 60.0


async def until(look: Callable[[], Awaitable[T | None]], what: str, deadline_s: float = DEADLINE_S) -> T:
    """Call `look` until it returns something else than None, and return that.

    After `deadline_s` seconds the test fails with the text `what`.
    """
    deadline = time.monotonic() + deadline_s
    while True:
        if (found := await look()) is not None:
            return found
        assert time.monotonic() < deadline, f"not true within {deadline_s:.0f} s: {what}"
        await asyncio.sleep(0.05)


def wait_for(condition: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Block until `condition` returns true. After `deadline_s` seconds the test fails with the text `what`."""
    deadline = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < deadline, f"not true within {deadline_s:.0f} s: {what}"
        time.sleep(0.05)


# Imports take most of a start's time. They are done once a session, in a process that forks for every warm start.
_warm = multiprocessing.get_context("forkserver")
_warm.set_forkserver_preload(
    [
        "chassis.commands.cli",
        "services.intake.app",
        "services.intake.operator",
        "services.notifier.app",
        "services.onec_gateway.app",
        "services.ops.operator",
        "services.reservations.app",
    ]
)


class WarmProcess(subprocess.Popen[bytes]):
    """`python -m module arguments`, forked from a process that has imported the services: one or two seconds faster.

    It has an environment and output files of its own, takes signals, and ends with the tests at the latest.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        output: Path,
        errors: Path | None = None,
    ) -> None:
        self._child_created = False  # so that Popen does not wait for a child of its own
        self.args = [sys.executable, "-m", module, *arguments]
        self.stdin = self.stdout = self.stderr = None
        self._forked = _warm.Process(
            target=_run, args=(module, [*arguments], {**environment}, output, errors), daemon=True
        )
        self._forked.start()
        assert self._forked.pid is not None
        self.pid = self._forked.pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        self.returncode = self._forked.exitcode
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        self._forked.join(timeout)
        if (code := self.poll()) is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired(self.args, timeout)
        return code


def _run(
    module: str, arguments: Sequence[str], environment: Mapping[str, str], output: Path, errors: Path | None
) -> None:
    """Run the module in the forked process."""
    os.environ.clear()
    os.environ.update(environment)
    for descriptor, path in ((1, output), (2, errors or output)):
        with path.open("ab") as file:
            os.dup2(file.fileno(), descriptor)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def run_warm(module: str, *arguments: str, environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run `python -m module arguments` to its end as a `WarmProcess`, with exactly the given environment."""
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder, "output"), Path(folder, "errors")
        process = WarmProcess(module, arguments, environment, output, errors)
        code = process.wait(DEADLINE_S)
        return subprocess.CompletedProcess(process.args, code, output.read_text(), errors.read_text())


@dataclass(frozen=True, slots=True)
class ServiceProcess:
    """One instance of a service. `admin` is the base URL of its admin port, `log` the file of its output."""

    process: "subprocess.Popen[bytes]"
    admin: str
    log: Path

    @classmethod
    async def start(
        cls,
        module: str,
        prefix: str,
        environment: Mapping[str, str],
        log: Path,
        *,
        wait: bool = True,
        warm: bool = False,
    ) -> "ServiceProcess":
        """Start `python -m module run`; with `wait`, return when it is ready. `prefix` is that of its settings.

        With `warm`, the process is a `WarmProcess`, which saves most of the start. The service gets the environment of
        this process, extended by `environment`.
        """
        port = free_port()
        whole = {**os.environ, **environment, f"{prefix}ADMIN_PORT": str(port)}
        process: subprocess.Popen[bytes]
        if warm:
            process = WarmProcess(module, ["run"], whole, log)
        else:
            with log.open("ab") as output:
                process = subprocess.Popen(
                    [sys.executable, "-m", module, "run"], env=whole, stdout=output, stderr=subprocess.STDOUT
                )
        started = cls(process, f"http://127.0.0.1:{port}", log)
        if wait:
            await until(started._ready, f"{module} is ready")
        return started

    def kill(self) -> None:
        """End the process with SIGKILL."""
        self.process.kill()
        self.process.wait()

    def terminate(self) -> int:
        """End the process with SIGTERM. Returns its exit code."""
        self.process.terminate()
        return self.process.wait(30)

    def end(self) -> None:
        """End the process, also a frozen process, with SIGTERM, and after 30 s with SIGKILL.

        A consumer that does not leave its group delays the next consumer by ten seconds.
        """
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()

    async def _ready(self) -> bool | None:
        assert self.process.poll() is None, f"the service ended at its start\n{self.log.read_text()[-3000:]}"
        try:
            async with httpx.AsyncClient(trust_env=False) as http:
                return True if (await http.get(f"{self.admin}/health/ready")).status_code == 200 else None
        except httpx.TransportError:
            return None
