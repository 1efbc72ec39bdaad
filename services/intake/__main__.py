"""`python -m services.intake run|migrate|waiting|portals|retention|erase`."""

from chassis.commands import erasure
from chassis.commands.cli import service_cli
from services.intake.app import build
from services.intake.operator import SEALED_CLIENTS, portals
from services.intake.settings import Settings

if __name__ == "__main__":
    intake = service_cli("intake", Settings, build)
    intake.add_typer(portals, name="portals")
    erasure.add_commands(intake, "intake", Settings, SEALED_CLIENTS)
    intake()
