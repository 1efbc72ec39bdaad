"""`python -m services.onec_gateway run|migrate|waiting|verify|exchanges|parked|retry|release|…`: `--help` lists all."""

from chassis.commands import erasure, operations
from chassis.commands.cli import service_cli
from services.onec_gateway.app import OPERATIONS, build
from services.onec_gateway.assembly import NAME
from services.onec_gateway.operator.commands import add_commands
from services.onec_gateway.operator.waiting import leads_under_review
from services.onec_gateway.settings import Settings

# A lead ends when its reservation does, or with its rejection.
ENDED = """
    coalesce((SELECT r.ended_at FROM known_reservations r WHERE r.lead_id = leads.lead_id),
             CASE WHEN reason <> '' THEN decided_at END)
"""
SEALED = erasure.Sealed("leads", "client", "client_key", "lead_id", ended=ENDED)

if __name__ == "__main__":
    app = service_cli(NAME, Settings, build, waiting_sources=(leads_under_review,))
    add_commands(app)
    erasure.add_commands(app, "onec_gateway", Settings, SEALED)
    operations.add_commands(app, NAME, OPERATIONS)
    app()
