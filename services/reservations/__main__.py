"""`python -m services.reservations COMMAND`: run, migrate, waiting, retention, erase, and the operators' commands."""

from chassis.commands import erasure, operations
from chassis.commands.cli import service_cli
from services.reservations.app import NAME, OPERATIONS, build
from services.reservations.operator import history, lists, reports
from services.reservations.settings import Settings

SEALED = erasure.Sealed("reservations", "client", "client_key", "lead_id", ended="ended_at")

if __name__ == "__main__":
    app = service_cli(NAME, Settings, build)
    history.add_commands(app)
    reports.add_commands(app)
    lists.add_commands(app)
    erasure.add_commands(app, NAME, Settings, SEALED)
    operations.add_commands(app, NAME, OPERATIONS)
    app()
