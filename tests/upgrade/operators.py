"""What an operator types during an upgrade."""

import importlib.util
import json
import os
from collections.abc import Mapping
from typing import Any

from deploy.local.secrets_file import Secrets
from deploy.local.system import LocalSystem
from tests.process import run_warm


def dead_letters(system: LocalSystem, *arguments: str) -> str:
    """The operators' command about dead letters; what it printed."""
    # The command has moved once; the older place serves until that move is merged everywhere.
    moved = importlib.util.find_spec("chassis.deadletters") is None
    command = ("services.ops", "dead-letters") if moved else ("chassis.deadletters",)
    key = Secrets(system.folder / "secrets.json")["dead_letters_key"]
    return _run(command, arguments, {**system.environment("reservations"), "DEAD_LETTERS_PRIVATE_KEY": key})


def open_letters(system: LocalSystem) -> list[dict[str, Any]]:
    return [json.loads(line) for line in dead_letters(system, "list", "--json").splitlines()]


def verify_history(system: LocalSystem) -> str:
    """Fails if a history was tampered with."""
    return _run(("services.reservations", "verify-history"), (), system.environment("reservations"))


def _run(command: tuple[str, ...], arguments: tuple[str, ...], environment: Mapping[str, str]) -> str:
    module, *first = command
    done = run_warm(module, *first, *arguments, environment={**os.environ, "COLUMNS": "200", **environment})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
