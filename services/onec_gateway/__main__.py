"""`python -m services.onec_gateway run|migrate|verify|exchanges|parked|retry|release|deals|collisions|…`."""

from chassis.commands import erasure
from chassis.commands.cli import service_cli
from services.onec_gateway.app import build
from services.onec_gateway.operator.commands import add_commands
from services.onec_gateway.settings import Settings

# A lead ends when its reservation does, or with its rejection.
ENDED = """
    coalesce((SELECT r.ended_at FROM known_reservations r WHERE r.lead_id = leads.lead_id),
             CASE WHEN reason <> '' THEN decided_at END)
"""
SEALED = erasure.Sealed("leads", "client", "client_key", "lead_id", ended=ENDED)

if __name__ == "__main__":
    app = service_cli("onec-gateway", Settings, build)
    add_commands(app)
    erasure.add_commands(app, "onec_gateway", Settings, SEALED)
    app()
