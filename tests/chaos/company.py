"""More than one instance of each service on one system."""

import asyncio
from pathlib import Path

from deploy.local.parts import PREFIXES, SERVICES, answers_ok
from deploy.local.ports import HOST, free_port
from deploy.local.system import LocalSystem
from tests.e2e.world import World
from tests.process import ServiceProcess, until


class Company:
    """Instances of services beside those that supervisord runs, and every way to intake."""

    def __init__(self, system: LocalSystem, folder: Path) -> None:
        self.doors = [World(system.endpoints())]
        self._system = system
        self._folder = folder
        self._members: dict[str, list[tuple[ServiceProcess, World | None]]] = {service: [] for service in SERVICES}
        self._joined = 0

    def size(self, service: str) -> int:
        return len(self._members[service])

    async def join(self, service: str) -> None:
        """One more instance, ready to be relied on."""
        environment = self._system.environment(service)
        door: World | None = None
        if service == "intake":
            port = free_port()
            environment["INTAKE_HTTP_PORT"] = str(port)
            door = World({**self._system.endpoints(), "intake": f"http://{HOST}:{port}"})
        if service == "notifier":
            environment["NOTIFIER_HTTP_PORT"] = str(free_port())
        self._joined += 1
        log = self._folder / f"{service}-{self._joined}.log"
        member = await ServiceProcess.start(f"services.{service}", PREFIXES[service], environment, log, wait=False)
        self._members[service].append((member, door))

        async def ready() -> bool | None:
            assert member.process.poll() is None, log.read_text()[-3000:]
            return True if await asyncio.to_thread(answers_ok, f"{member.admin}/health/ready") else None

        await until(ready, f"another {service} is ready")
        if door is not None:
            self.doors.append(door)

    async def leave(self, service: str, *, cleanly: bool) -> None:
        """The oldest of them is terminated or killed. Portals notice by themselves."""
        member, door = self._members[service].pop(0)
        if cleanly:
            assert await asyncio.to_thread(member.terminate) == 0, f"{service}: {member.log.read_text()[-3000:]}"
        else:
            member.kill()
        if door in self.doors:
            self.doors.remove(door)

    async def end(self) -> None:
        members = [one for ones in self._members.values() for one in ones]
        await asyncio.gather(*(asyncio.to_thread(member.end) for member, _ in members))
        for door in self.doors:
            await door.close()
