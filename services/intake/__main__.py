"""`python -m services.intake run|migrate|waiting|portals|retention|erase|resume|skip`."""

from chassis.commands import erasure, operations
from chassis.commands.cli import service_cli
from services.intake.app import NAME, OPERATIONS, build
from services.intake.operator import SEALED_CLIENTS, portals
from services.intake.settings import Settings

if __name__ == "__main__":
    intake = service_cli(NAME, Settings, build)
    intake.add_typer(portals, name="portals")
    erasure.add_commands(intake, NAME, Settings, SEALED_CLIENTS)
    operations.add_commands(intake, NAME, OPERATIONS)
    intake()
