"""`python -m services.notifier run|migrate|retention|erase`, and what the sales office asks: see `operator`."""

from chassis import erasure
from chassis.cli import commands
from services.notifier.app import build
from services.notifier.operator import add_commands
from services.notifier.settings import Settings

SEALED = erasure.Sealed("messages", "client", "client_key", "lead_id", ended="settled_at")

if __name__ == "__main__":
    app = commands("notifier", Settings, build)
    add_commands(app)
    erasure.add_commands(app, "notifier", Settings, SEALED)
    app()
