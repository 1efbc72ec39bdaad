"""`python -m services.onec_gateway run|migrate|verify|exchanges|parked|retry|release|deals`."""

from chassis.cli import commands
from services.onec_gateway.app import build
from services.onec_gateway.operator import add_commands
from services.onec_gateway.settings import Settings

if __name__ == "__main__":
    app = commands("onec-gateway", Settings, build)
    add_commands(app)
    app()
