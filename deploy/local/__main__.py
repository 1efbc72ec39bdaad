"""`python -m deploy.local`: run the whole system on this machine, or run one command with a service's settings."""

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
from deploy.local.commands import command_environment
from deploy.local.errors import LocalError
from deploy.local.parts import ROOT
from deploy.local.ports import Ports
from deploy.local.program import BASICS, Cancelled
from deploy.local.system import LocalSystem

FOLDER = ROOT / ".local"
PORTS_HELP = """\b
Ports. Each environment variable sets one port:
  TRUCE_INTAKE_PORT    8081   intake's HTTP API
  TRUCE_CABINET_PORT   8080   the cabinet
  TRUCE_ONEC_PORT      8091   the 1C simulator
  TRUCE_SMS_PORT       8092   the SMS simulator
  TRUCE_REPORTS_PORT   8083   delivery reports of SMS providers
  TRUCE_ADMIN_PORT     9101   health and metrics: the first of five ports
  TRUCE_KAFKA_PORT     9092   Kafka; TRUCE_KAFKA_CONTROLLER_PORT is the next port
  TRUCE_POSTGRES_PORT  5433   PostgreSQL

To use a Kafka that already runs, set KAFKA_BOOTSTRAP_SERVERS.
To use a PostgreSQL that already runs, set …_DATABASE_URL of all services.
Each service gets the variables with its prefix: INTAKE_, ONEC_,
RESERVATIONS_, NOTIFIER_.
With ALLOW_CLOCK_SHIFT=true, python -m chassis.clock moves business time.
"""

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_show_locals=False)


class Console:
    """Prints progress with the seconds since the start, and handles the signals that stop a run."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.stopped = threading.Event()

    def report(self, line: str) -> None:
        """Print one line of progress."""
        print(f"[{time.monotonic() - self.started:5.1f} s] {line}", flush=True)

    def handle_signals(self, system: LocalSystem) -> None:
        """From now on Ctrl-C, SIGTERM and a closed terminal cancel a start, or end the run in order."""

        def stop(_number: int, _frame: FrameType | None) -> None:
            if self.stopped.is_set():
                return  # a repeated Ctrl-C must not interrupt the stop and leave processes behind
            self.stopped.set()
            system.cancel()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, stop)


@app.command(epilog=PORTS_HELP)
def run(
    folder: Annotated[Path, typer.Option(help="folder of data, logs and secrets")] = FOLDER,
) -> None:
    """Start Kafka, PostgreSQL, the simulators and all services. Ctrl-C stops them."""
    console = Console()
    try:
        system = LocalSystem(folder, Ports.from_environment(os.environ), _operators_variables(), console.report)
        console.handle_signals(system)
        system.start()
    except Cancelled:
        console.report("stopped before every program was ready")
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
        console.report(f"stopped; data is kept in {folder}")


# Parsing ends at SERVICE, so that the service's command gets every later option, --help included.
@app.command("exec", context_settings={"allow_interspersed_args": False})
def execute(
    service: Annotated[str, typer.Argument(help="intake, onec_gateway, reservations, notifier, or ops")],
    arguments: Annotated[
        list[str] | None, typer.Argument(help="arguments and options of python -m services.SERVICE")
    ] = None,
    folder: Annotated[Path, typer.Option(help="the folder of the run; before SERVICE")] = FOLDER,
) -> None:
    """Run a command of a service with the settings of the last run.

    For example: exec intake portals list, exec ops dead-letters list, exec notifier --help.
    """
    try:
        environment = command_environment(folder.absolute(), service)
    except LocalError as error:
        raise SystemExit(str(error)) from None
    os.chdir(ROOT)
    command = [sys.executable, "-m", f"services.{service}", *(arguments or [])]
    os.execve(sys.executable, command, {**os.environ, **environment})  # noqa: S606 - this process becomes the command


def _operators_variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in BASICS}


def _welcome(system: LocalSystem, console: Console) -> None:
    path = system.write_endpoints()
    endpoints = system.endpoints()
    key = endpoints["portal_key"]
    if key is not None:
        demo.register_partner(endpoints["intake"], key)
        console.report(f"partner {demo.PARTNER} is registered")
    console.report("the system is ready to accept a lead")
    print(f"""
  intake      {endpoints["intake"]}/docs
  1C          {endpoints["onec"].removesuffix("/crm")}/__sim/journal   (the partner journal)
  SMS         {endpoints["sms"]}/__sim/messages   (the SMS that were sent)
  Kafka       {endpoints["kafka"]}
  logs        {system.logs}
  endpoints   {path}
""")
    if key is not None:
        print(f"Submit a lead:\n\n{demo.curl_line(endpoints['intake'], key)}\n")
    print("Ctrl-C stops the system; its data is kept.", flush=True)


def _watch(system: LocalSystem, console: Console) -> None:
    """Until a signal arrives: report programs that ended and were started again.

    Raises LocalError if a program ended and was not started again.
    """
    known = system.states()
    while not console.stopped.wait(1):
        states = system.states()
        for name, (pid, description) in states.items():
            before = known[name][0]
            if description.startswith(("FATAL", "EXITED", "STOPPED")):
                raise system.failure_of(name, f"ended while the system ran ({description})")
            if pid is not None and pid != before:
                console.report(f"{name} had ended and was started again (pid {pid}); its log: {system.logs / name}.log")
            if pid is not None:
                known[name] = (pid, description)


if __name__ == "__main__":
    app()
