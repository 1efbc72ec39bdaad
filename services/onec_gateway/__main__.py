"""`python -m services.onec_gateway run|migrate`."""

from chassis.cli import commands
from services.onec_gateway.app import build
from services.onec_gateway.settings import Settings

if __name__ == "__main__":
    commands("onec-gateway", Settings, build)()
