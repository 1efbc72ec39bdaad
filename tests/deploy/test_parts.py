"""The command lines of the local system's programs."""

import subprocess
from pathlib import Path

from deploy.local.parts import ROOT, Plan, simulators
from deploy.local.ports import Ports
from deploy.local.secrets_file import Secrets


def test_a_generated_password_may_begin_with_a_dash(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path / "secrets.json")
    for name in ("onec_password", "sms_password"):
        secrets.store(name, "-dash")

    for part in simulators(Plan(tmp_path, Ports.free(), secrets, "", {}, {})):
        # The simulator prints its help only if it can parse all options before --help.
        done = subprocess.run([*part.argv, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
