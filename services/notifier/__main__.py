"""Commands of the notifier: `python -m services.notifier --help` lists them."""

from chassis.commands import erasure, operations, work
from chassis.commands.cli import service_cli
from services.notifier import operator
from services.notifier.app import NAME, OPERATIONS, build
from services.notifier.settings import Settings

SEALED = erasure.Sealed("messages", "client", "client_key", "lead_id", ended="settled_at")

if __name__ == "__main__":
    app = service_cli(NAME, Settings, build, waiting_sources=(operator.unknown_sms,))
    operator.add_commands(app)
    work.add_commands(app, NAME, Settings)
    erasure.add_commands(app, NAME, Settings, SEALED)
    operations.add_commands(app, NAME, OPERATIONS)
    app()
