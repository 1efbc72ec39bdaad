"""`python -m services.intake run|migrate|portals`."""

from chassis.cli import commands
from services.intake.app import build
from services.intake.portals import app as portals
from services.intake.settings import Settings

if __name__ == "__main__":
    intake = commands("intake", Settings, build)
    intake.add_typer(portals, name="portals")
    intake()
