"""`python -m deploy.local exec`: a command of a service, with the settings of the last run."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from deploy.local.commands import command_environment
from deploy.local.errors import LocalError
from deploy.local.parts import ROOT
from deploy.local.program import Program
from deploy.local.secrets_file import Secrets
from deploy.local.supervision import FOLDER_MARK


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a run of intake, whose Kafka is not reachable any more."""
    leave_run(tmp_path, {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"})
    return tmp_path


def leave_run(folder: Path, shared: Mapping[str, str]) -> None:
    """Write the files that a run of intake leaves in `folder`."""
    environments = {
        "supervisord": {**shared, "KAFKA_GROUP_INSTANCE_ID": "supervised", FOLDER_MARK: str(folder / "run")},
        "intake": {"INTAKE_DATABASE_URL": "postgresql://intake@127.0.0.1:1/intake"},
    }
    for name, environment in environments.items():
        program = Program(name, ("true",), folder, folder / "log", environment)
        program.write_spec(folder / "run" / f"{name}.spec.json", die_with_parent=True)
    Secrets(folder / "secrets.json")


def execute(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "deploy.local", "exec", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, env={"COLUMNS": "200"})


def test_help_after_the_service_is_the_services_help(folder: Path) -> None:
    done = execute("--folder", str(folder), "intake", "--help")

    assert done.returncode == 0, done.stderr
    assert "portals" in done.stdout
    assert "--folder" not in done.stdout


def test_help_before_the_service_is_the_help_of_exec() -> None:
    done = execute("--help")

    assert done.returncode == 0, done.stderr
    assert "--folder" in done.stdout


def test_every_argument_after_the_service_reaches_the_services_command(folder: Path) -> None:
    done = execute("--folder", str(folder), "intake", "portals", "add", "--folder", "x", "--", "-y")

    assert done.returncode == 2
    assert "No such option: --folder" in done.stderr


def test_a_command_has_the_settings_of_the_run_and_no_place_in_its_consumer_group(folder: Path) -> None:
    assert command_environment(folder, "intake") == {
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "INTAKE_DATABASE_URL": "postgresql://intake@127.0.0.1:1/intake",
    }


def test_the_operators_command_has_the_private_key_of_dead_letters(folder: Path) -> None:
    environment = command_environment(folder, "ops")

    assert environment["KAFKA_BOOTSTRAP_SERVERS"] == "127.0.0.1:1"
    assert json.loads(environment["DEAD_LETTERS_PRIVATE_KEY"])["d"]
    assert "INTAKE_DATABASE_URL" not in environment


def test_a_service_that_never_ran_in_the_folder_is_refused(folder: Path) -> None:
    with pytest.raises(LocalError, match="notifier has never run in"):
        command_environment(folder, "notifier")


@pytest.mark.infra
def test_dead_letters_are_listed_with_the_settings_of_the_run(fresh_topics: str, tmp_path: Path) -> None:
    leave_run(tmp_path, {"KAFKA_BOOTSTRAP_SERVERS": fresh_topics})

    done = execute("--folder", str(tmp_path), "ops", "dead-letters", "list", "--help")
    listed = execute("--folder", str(tmp_path), "ops", "dead-letters", "list")

    assert "Usage: python -m services.ops dead-letters list" in done.stdout
    assert listed.returncode == 0, listed.stderr
