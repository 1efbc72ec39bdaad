"""`python -m services.notifier run|migrate|retention|erase`, and what the sales office asks: see `operator`."""

from chassis.commands import erasure
from chassis.commands.cli import service_cli
from services.notifier.app import build
from services.notifier.operator import add_commands
from services.notifier.settings import Settings

SEALED = erasure.Sealed("messages", "client", "client_key", "lead_id", ended="settled_at")

if __name__ == "__main__":
    app = service_cli("notifier", Settings, build)
    add_commands(app)
    erasure.add_commands(app, "notifier", Settings, SEALED)
    app()
