"""More than one instance of each service on one system."""

import asyncio
from pathlib import Path

from deploy.local.parts import PREFIXES, SERVICES, is_healthy
from deploy.local.ports import HOST, free_port
from deploy.local.system import LocalSystem
from tests.e2e.harness import SystemHarness
from tests.process import ServiceProcess, until


class Instances:
    """Instances of services beside those that supervisord runs.

    `intakes` has a harness for each running instance of intake, the supervised instance first.
    """

    def __init__(self, system: LocalSystem, folder: Path) -> None:
        self.intakes = [SystemHarness(system.endpoints())]
        self._system = system
        self._folder = folder
        self._added: dict[str, list[tuple[ServiceProcess, SystemHarness | None]]] = {name: [] for name in SERVICES}
        self._number = 0

    def count(self, service: str) -> int:
        """How many instances of a service run beside the supervised one."""
        return len(self._added[service])

    async def add(self, service: str) -> None:
        """Start one more instance of a service and wait until it is ready."""
        environment = self._system.environment(service)
        intake: SystemHarness | None = None
        if service == "intake":
            port = free_port()
            environment["INTAKE_HTTP_PORT"] = str(port)
            intake = SystemHarness({**self._system.endpoints(), "intake": f"http://{HOST}:{port}"})
        if service == "notifier":
            environment["NOTIFIER_HTTP_PORT"] = str(free_port())
        self._number += 1
        log = self._folder / f"{service}-{self._number}.log"
        process = await ServiceProcess.start(f"services.{service}", PREFIXES[service], environment, log, wait=False)
        self._added[service].append((process, intake))

        async def ready() -> bool | None:
            assert process.process.poll() is None, log.read_text()[-3000:]
            return True if await asyncio.to_thread(is_healthy, f"{process.admin}/health/ready") else None

        await until(ready, f"another instance of {service} is ready")
        if intake is not None:
            self.intakes.append(intake)

    async def remove(self, service: str, *, cleanly: bool) -> None:
        """End the oldest added instance of a service with SIGTERM (`cleanly`) or SIGKILL."""
        process, intake = self._added[service].pop(0)
        if cleanly:
            assert await asyncio.to_thread(process.terminate) == 0, f"{service}: {process.log.read_text()[-3000:]}"
        else:
            process.kill()
        if intake in self.intakes:
            self.intakes.remove(intake)

    async def close(self) -> None:
        """End all added instances."""
        processes = [process for added in self._added.values() for process, _ in added]
        await asyncio.gather(*(asyncio.to_thread(process.end) for process in processes))
        for intake in self.intakes:
            await intake.close()
