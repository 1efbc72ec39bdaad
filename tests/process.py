"""Services as the processes they are: started with their settings, waited for, ended."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx

from deploy.local.ports import free_port

T = TypeVar("T")
DEADLINE_S = 60.0


async def until(look: Callable[[], Awaitable[T | None]], what: str, deadline_s: float = DEADLINE_S) -> T:
    """What `look` finds, once it finds something. A failure says what was waited for."""
    deadline = time.monotonic() + deadline_s
    while True:
        if (found := await look()) is not None:
            return found
        assert time.monotonic() < deadline, f"never came true within {deadline_s:.0f} s: {what}"
        await asyncio.sleep(0.05)


@dataclass(frozen=True, slots=True)
class ServiceProcess:
    """One instance of a service. `admin` is the base URL of its admin port."""

    process: "subprocess.Popen[bytes]"
    admin: str
    log: Path

    @classmethod
    async def start(
        cls, module: str, prefix: str, environment: Mapping[str, str], log: Path, *, wait: bool = True
    ) -> "ServiceProcess":
        """`python -m module run`, with `wait` ready to be relied on. `prefix` is that of its settings."""
        port = free_port()
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", module, "run"],
                env={**os.environ, **environment, f"{prefix}ADMIN_PORT": str(port)},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        started = cls(process, f"http://127.0.0.1:{port}", log)
        if wait:
            await until(started._ready, f"{module} is ready")
        return started

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def terminate(self) -> int:
        """SIGTERM; its exit code."""
        self.process.terminate()
        return self.process.wait(30)

    def end(self) -> None:
        """Cleanly if it can: a member that leaves its group without a word keeps the next waiting for ten seconds."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()

    async def _ready(self) -> bool | None:
        assert self.process.poll() is None, f"it ended at its start\n{self.log.read_text()[-3000:]}"
        try:
            async with httpx.AsyncClient(trust_env=False) as http:
                return True if (await http.get(f"{self.admin}/health/ready")).status_code == 200 else None
        except httpx.TransportError:
            return None
