"""`python -m deploy.local`: run the whole system on this machine, or a command with a service's settings."""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from deploy.local import demo
from deploy.local.errors import LocalError
from deploy.local.parts import ROOT
from deploy.local.ports import Ports
from deploy.local.program import BASICS, Cancelled
from deploy.local.system import LocalSystem

FOLDER = ROOT / ".local"
PORTS_HELP = """\b
Ports, each moved by an environment variable:
  TRUCE_INTAKE_PORT    8081   intake's HTTP API
  TRUCE_CABINET_PORT   8080   the cabinet
  TRUCE_ONEC_PORT      8091   the 1C simulator
  TRUCE_SMS_PORT       8092   the SMS simulator
  TRUCE_REPORTS_PORT   8083   where SMS providers report
  TRUCE_ADMIN_PORT     9101   health and metrics, one port a service from here upwards
  TRUCE_KAFKA_PORT     9092   Kafka; its controller takes the next (TRUCE_KAFKA_CONTROLLER_PORT)
  TRUCE_POSTGRES_PORT  5433   PostgreSQL

KAFKA_BOOTSTRAP_SERVERS, and the four services' …_DATABASE_URL together, use servers that already run.
Settings of a service (INTAKE_…, ONEC_…, RESERVATIONS_…, NOTIFIER_…) are passed on to it.
ALLOW_CLOCK_SHIFT=true lets python -m chassis.clock move business time.
"""

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_show_locals=False)


class Console:
    """Progress lines with the time since the start; and the signals that end a run."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.stopped = threading.Event()

    def say(self, line: str) -> None:
        """One line of progress."""
        print(f"[{time.monotonic() - self.started:5.1f} s] {line}", flush=True)

    def listen(self, system: LocalSystem) -> None:
        """From now on Ctrl-C, SIGTERM and a closed terminal mean: stop everything in order."""

        def stop(_number: int, _frame: FrameType | None) -> None:
            if self.stopped.is_set():
                return  # once is enough, and impatience must not leave orphans
            self.stopped.set()
            system.cancel()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, stop)


@app.command(epilog=PORTS_HELP)
def run(
    folder: Annotated[Path, typer.Option(help="where data, logs and secrets are kept")] = FOLDER,
) -> None:
    """Start Kafka, PostgreSQL, the simulators and all services; stop all of it on Ctrl-C."""
    console = Console()
    try:
        system = LocalSystem(folder, Ports.from_environment(os.environ), _operator(), console.say)
        console.listen(system)
        system.start()
    except Cancelled:
        console.say("stopped before everything was up")
        raise SystemExit(130) from None
    except LocalError as error:
        raise SystemExit(f"\n{error}") from None

    try:
        _welcome(system, console)
        _watch(system, console)
    except LocalError as error:
        raise SystemExit(f"\n{error}") from None
    finally:
        system.stop()
        console.say(f"stopped; the data stays in {folder}")


@app.command("exec", context_settings={"ignore_unknown_options": True})
def execute(
    service: Annotated[str, typer.Argument(help="whose settings: intake, onec_gateway, …")],
    arguments: Annotated[list[str], typer.Argument(help="arguments of python -m services.SERVICE")],
    folder: Annotated[Path, typer.Option(help="the folder of the run")] = FOLDER,
) -> None:
    """Run a service's own command with the settings of the last run, for example: exec intake portals list."""
    specification = folder.absolute() / "run" / f"{service}.spec.json"
    try:
        environment = json.loads(specification.read_text())["environment"]
        shared = json.loads((folder.absolute() / "run" / "supervisord.spec.json").read_text())["environment"]
    except FileNotFoundError:
        raise SystemExit(f"{service} has never been run in {folder}") from None
    os.chdir(ROOT)
    command = [sys.executable, "-m", f"services.{service}", *arguments]
    os.execve(  # noqa: S606 - this process becomes the command
        sys.executable, command, {**os.environ, **shared, **environment}
    )


def _operator() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in BASICS}


def _welcome(system: LocalSystem, console: Console) -> None:
    path = system.write_endpoints()
    endpoints = system.endpoints()
    key = endpoints["portal_key"]
    if key is not None:
        demo.register_partner(endpoints["intake"], key)
        console.say(f"partner {demo.PARTNER} is registered")
    console.say("everything is ready to take a lead")
    print(f"""
  intake      {endpoints["intake"]}/docs
  1C          {endpoints["onec"].removesuffix("/crm")}/__sim/journal   (the partner journal)
  SMS         {endpoints["sms"]}/__sim/messages   (what was sent)
  Kafka       {endpoints["kafka"]}
  logs        {system.logs}
  endpoints   {path}
""")
    if key is not None:
        print(f"Submit a lead:\n\n{demo.curl_line(endpoints['intake'], key)}\n")
    print("Ctrl-C stops everything; the data stays.", flush=True)


def _watch(system: LocalSystem, console: Console) -> None:
    """Until told to stop: say what dies and what comes back; give up when something stays down."""
    known = system.states()
    while not console.stopped.wait(1):
        states = system.states()
        for name, (pid, words) in states.items():
            before = known[name][0]
            if words.startswith(("FATAL", "EXITED", "STOPPED")):
                raise system.unexpected(name, f"ended while the system ran ({words})")
            if pid is not None and pid != before:
                console.say(f"{name} had ended and was started again (pid {pid}); its log: {system.logs / name}.log")
            if pid is not None:
                known[name] = (pid, words)


if __name__ == "__main__":
    app()
