"""`python -m services.reservations run|migrate|retention|erase`, and what the builder asks: see `operator`."""

from chassis.commands import erasure
from chassis.commands.cli import service_cli
from services.reservations.app import build
from services.reservations.operator import add_commands
from services.reservations.settings import Settings

SEALED = erasure.Sealed("reservations", "client", "client_key", "lead_id", ended="ended_at")

if __name__ == "__main__":
    app = service_cli("reservations", Settings, build)
    add_commands(app)
    erasure.add_commands(app, "reservations", Settings, SEALED)
    app()
