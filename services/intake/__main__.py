"""`python -m services.intake run|migrate|portals|retention|erase`."""

from chassis.commands import erasure
from chassis.commands.cli import service_cli
from services.intake.app import build
from services.intake.portals import app as portals
from services.intake.settings import Settings

ENDED = "CASE status WHEN 'rejected' THEN rejected_at WHEN 'expired' THEN expired_at ELSE closed_at END"
SEALED = erasure.Sealed("leads", "client", "client_key", "lead_id", ended=ENDED)

if __name__ == "__main__":
    intake = service_cli("intake", Settings, build)
    intake.add_typer(portals, name="portals")
    erasure.add_commands(intake, "intake", Settings, SEALED)
    intake()
