"""The whole system in one folder: Kafka, PostgreSQL, simulators and services, started and stopped in order."""

import fcntl
import json
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from deploy.local.errors import LocalError, failure, no_report
from deploy.local.layout import Layout
from deploy.local.parts import DEFAULT, ONEC_USER, PORTAL, PREFIXES, Blueprint, external_servers
from deploy.local.ports import HOST, Ports
from deploy.local.program import write_private
from deploy.local.startup import Startup
from deploy.local.supervision import Supervisor, stop_leftovers

READY_SECONDS = 90


class LocalSystem:
    """One local system. `start` returns when every program is ready; otherwise it stops all and raises LocalError.

    `folder` holds data, logs and secrets, and the next start there uses them again. `env` has the variables that an
    operator would set (`INTAKE_…`, `ALLOW_CLOCK_SHIFT`, `KAFKA_BOOTSTRAP_SERVERS` for a Kafka that already runs, …);
    the environment of this process is not read. Without `ports`, free ports are chosen. Call `start` from the main
    thread: then no program outlives this process, even if this process is killed.
    """

    def __init__(
        self,
        folder: Path,
        ports: Ports | None = None,
        env: Mapping[str, str] | None = None,
        report: Callable[[str], None] = no_report,
        *,
        blueprint: Blueprint = DEFAULT,
        restart_services: bool = True,
        ready_seconds: float = READY_SECONDS,
    ) -> None:
        self.folder = folder.absolute()
        self.logs = self.folder / "logs"
        self.ports = ports or Ports.free()
        self._env = dict(env or {})
        self._report = report
        self._blueprint = blueprint
        self._restart = restart_services
        self._ready_seconds = ready_seconds
        self._cancel = threading.Event()
        self._lock: IO[str] | None = None
        self._supervisor: Supervisor | None = None
        self._layout: Layout | None = None

    # --- the whole system

    def start(self) -> None:
        """Start every program and wait until all are ready. Raises LocalError, or Cancelled after `cancel`."""
        external_servers(self._env)  # raises LocalError for incomplete settings before anything is made
        self.folder.mkdir(parents=True, exist_ok=True)
        self._take_folder()
        try:
            if stopped := stop_leftovers(self.folder / "run"):
                self._report(f"an earlier run in this folder was killed; its {stopped} processes were stopped")
            self._layout = Layout.decide(
                self.folder, self.ports, self._env, self._blueprint, self._report, restart_services=self._restart
            )
            # `environment` has no KAFKA_GROUP_INSTANCE_ID: a second instance, started by hand, must not take the
            # place of the supervised one in its consumer group.
            supervised = {**self._layout.shared, "KAFKA_GROUP_INSTANCE_ID": "supervised"}
            self._supervisor = Supervisor(self.folder / "run", self.logs, self._layout.tiers, supervised)
            self._supervisor.start()
            self._startup().run()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything in order: services, simulators, Kafka, PostgreSQL. Without a running system, do nothing."""
        self._cancel.set()
        supervisor, self._supervisor = self._supervisor, None
        try:
            if supervisor is not None:
                self._stop_in_order(supervisor)
        finally:
            if self._lock is not None:
                self._lock.close()
                self._lock = None
            self._cancel = threading.Event()

    def cancel(self) -> None:
        """Make a `start` in another thread, or below a signal handler, raise Cancelled soon."""
        self._cancel.set()

    def endpoints(self) -> dict[str, Any]:
        """The addresses and credentials of the system: the content of `endpoints.json`."""
        layout, plan, ports = self._decided, self._decided.plan, self.ports
        return {
            "kafka": plan.kafka,
            "postgres": layout.postgres.url() if layout.postgres else None,
            "intake": f"http://{HOST}:{ports.intake}",
            "cabinet": f"http://{HOST}:{ports.cabinet}" if "cabinet" in layout.parts else None,
            "onec": plan.onec,
            "onec_user": ONEC_USER,
            "onec_password": plan.secrets["onec_password"],
            "sms": plan.sms,
            "portal": PORTAL,
            "portal_key": plan.secrets.get("portal_key"),
            "admin": {name: f"http://{HOST}:{plan.admin(name)}" for name in PREFIXES if name in layout.parts},
        }

    def write_endpoints(self) -> Path:
        """Write `endpoints.json`, readable by its owner alone because it has the portal's key. Returns its path."""
        path = self.folder / "endpoints.json"
        write_private(path, json.dumps(self.endpoints(), indent=2, ensure_ascii=False) + "\n")
        return path

    # --- single programs

    def pid(self, name: str) -> int | None:
        """The process id of a program (`kafka`, `postgres`, `onec`, `sms` or a service), or None if it does not run."""
        return self._running.state(name, max_age=0).pid

    def kill(self, name: str) -> None:
        """End a program with SIGKILL. With `restart_services`, supervisord starts a service again, and nothing else."""
        self._running.kill(name)

    def stop_program(self, name: str) -> None:
        """Stop one program cleanly. It is not started again."""
        self._running.stop_programs([name])

    def start_program(self, name: str) -> None:
        """Start one program and wait until it is ready. Databases are not migrated again."""
        self._running.start_program(name)
        self.wait_ready(name)

    def restart(self, name: str) -> None:
        """Stop one program cleanly, start it again, and wait until it is ready."""
        self.stop_program(name)
        self.start_program(name)

    def wait_ready(self, name: str, timeout: float | None = None) -> None:
        """Wait until a program is ready. Raises LocalError if it fails or takes over `timeout` seconds."""
        self._startup().wait_ready(name, timeout)

    def states(self) -> dict[str, tuple[int | None, str]]:
        """The process id (None if it does not run) and supervisord's description of every program."""
        return {name: (state.pid, state.text) for name, state in self._running.states(max_age=0).items()}

    def environment(self, name: str) -> dict[str, str]:
        """The settings of a service or of `ops`, secrets included, for commands such as `portals list`."""
        return self._decided.environment(name)

    def failure_of(self, name: str, why: str) -> LocalError:
        """The error for a program that ended while the system ran."""
        return failure(name, why, self.logs / f"{name}.log")

    # --- inside

    @property
    def _running(self) -> Supervisor:
        if self._supervisor is None:
            raise LocalError("the local system is not running")
        return self._supervisor

    @property
    def _decided(self) -> Layout:
        if self._layout is None:
            raise LocalError("the local system was never started")
        return self._layout

    def _startup(self) -> Startup:
        return Startup(self._decided, self._running, self._report, self._cancel, self._ready_seconds)

    def _take_folder(self) -> None:
        lock = (self.folder / "lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip()
            lock.close()
            raise LocalError(f"a system already runs in {self.folder} (pid {holder}); stop it first") from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        self._lock = lock

    def _stop_in_order(self, supervisor: Supervisor) -> None:
        try:
            if supervisor.alive():
                for tier in reversed(self._decided.names):
                    running = [name for name in tier if not supervisor.state(name, max_age=0).down]
                    if running:
                        self._report(f"stopping {', '.join(running)}")
                        supervisor.stop_programs(running)
        finally:
            supervisor.shutdown()
            (self.folder / "endpoints.json").unlink(missing_ok=True)
