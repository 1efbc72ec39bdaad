"""The operators' commands that the upgrade tests run."""

import json
import os
from collections.abc import Mapping
from typing import Any

from deploy.local.secrets_file import Secrets
from deploy.local.system import LocalSystem
from tests.process import run_warm


def dead_letters(system: LocalSystem, *arguments: str) -> str:
    """Run a command `dead-letters …` and return what it prints."""
    key = Secrets(system.folder / "secrets.json")["dead_letters_key"]
    return _run(
        ("services.ops", "dead-letters"),
        arguments,
        {**system.environment("reservations"), "DEAD_LETTERS_PRIVATE_KEY": key},
    )


def open_letters(system: LocalSystem) -> list[dict[str, Any]]:
    return [json.loads(line) for line in dead_letters(system, "list", "--json").splitlines()]


def waiting(system: LocalSystem, service: str) -> list[dict[str, Any]]:
    """What waits for a person in one service."""
    printed = _run((f"services.{service}", "waiting"), ("--json",), system.environment(service))
    return [json.loads(line) for line in printed.splitlines()]


def verify_history(system: LocalSystem) -> str:
    """Run `verify-history`, which fails if a history was changed."""
    return _run(("services.reservations", "verify-history"), (), system.environment("reservations"))


def _run(command: tuple[str, ...], arguments: tuple[str, ...], environment: Mapping[str, str]) -> str:
    module, *first = command
    done = run_warm(module, *first, *arguments, environment={**os.environ, "COLUMNS": "200", **environment})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
