"""`python -m services.notifier run|migrate`."""

from chassis.cli import commands
from services.notifier.app import build
from services.notifier.settings import Settings

if __name__ == "__main__":
    commands("notifier", Settings, build)()
