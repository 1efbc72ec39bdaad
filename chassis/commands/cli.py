"""The command line that every service has: `run`, `migrate`, `waiting`, and those of `chassis.commands.refused`."""

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from chassis import crash_points, migrations, program
from chassis.clock import Clock
from chassis.commands import refused, waiting
from chassis.observability import logging
from chassis.runtime.preflight import database_problem
from chassis.runtime.running import run as run_service
from chassis.service import Service
from chassis.settings import KafkaSettings, ServiceSettings, load


def service_cli(
    name: str,
    settings: type[ServiceSettings],
    build: Callable[..., Service],
    waiting_sources: Sequence[waiting.Source] = (),
) -> typer.Typer:
    """The command line of service `name`.

    `build(settings)` makes the wiring table; the service's `migrations/` folder is beside the module of `build`.
    `waiting_sources`: what else than dead letters, work and paused reading may wait for a person in this service.
    """
    app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help=f"Truce: {name}")
    scripts = Path(build.__code__.co_filename).parent / "migrations"

    @app.command()
    def run(
        log_level: Annotated[str, typer.Option(envvar="LOG_LEVEL", help="DEBUG, INFO, WARNING or ERROR")] = "INFO",
    ) -> None:
        """Run the service until SIGTERM."""
        logging.configure(name, log_level)
        loaded, kafka = load(settings), load(KafkaSettings)
        url = loaded.database_url.get_secret_value()
        problem = asyncio.run(
            database_problem(url, scripts if scripts.is_dir() else None, f"{program.command()} migrate")
        )
        if problem is not None:
            prefix = settings.model_config.get("env_prefix", "").upper()
            sys.exit(f"setting {prefix}DATABASE_URL: {problem}")
        crash_points.arm(os.environ.get("CRASH_AT"))
        uvloop.run(run_service(build(loaded), kafka, Clock(), program.command()))

    @app.command()
    def migrate() -> None:
        """Upgrade the service's database to the newest revision."""
        migrations.upgrade(load(settings).database_url.get_secret_value(), scripts)

    waiting.add_command(app, name, settings, program.command, waiting_sources)
    refused.add_commands(app, name, settings)
    return app
