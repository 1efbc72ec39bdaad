"""`python -m services.reservations run|migrate`."""

from chassis.cli import commands
from services.reservations.app import build
from services.reservations.settings import Settings

if __name__ == "__main__":
    commands("reservations", Settings, build)()
