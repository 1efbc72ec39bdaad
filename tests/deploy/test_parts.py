"""How the parts of a local system are started."""

import subprocess
from pathlib import Path

from deploy.local.parts import ROOT, Plan, simulators
from deploy.local.ports import Ports
from deploy.local.secrets_file import Secrets


def test_a_made_up_password_that_begins_with_a_dash_is_a_password(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path / "secrets.json")
    for name in ("onec_password", "sms_password"):
        secrets.keep(name, "-dash")

    for part in simulators(Plan(tmp_path, Ports.free(), secrets, "", {}, {})):
        # Help is shown once all before it is understood.
        done = subprocess.run([*part.argv, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
