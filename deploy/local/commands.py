"""The settings of a local run, for a command of one of its services (`python -m deploy.local exec`)."""

import json
from pathlib import Path

from deploy.local.errors import LocalError
from deploy.local.layout import OPS
from deploy.local.parts import operators_environment
from deploy.local.secrets_file import Secrets
from deploy.local.supervision import FOLDER_MARK

# These variables belong to the supervised processes: a command must not take a service's place in its consumer group,
# and must not be stopped as a leftover of the run.
SUPERVISED_ONLY = ("KAFKA_GROUP_INSTANCE_ID", FOLDER_MARK)


def command_environment(folder: Path, service: str) -> dict[str, str]:
    """The settings of `service`, or of the operators' command `ops`, in the last run in `folder`, secrets included.

    Raises LocalError if the service has never run there.
    """
    try:
        shared = _environment(folder, "supervisord")
        if service == OPS:
            own = operators_environment(Secrets(folder / "secrets.json"))
        else:
            own = _environment(folder, service)
    except FileNotFoundError:
        raise LocalError(f"{service} has never run in {folder}; start the system first") from None
    return {name: value for name, value in {**shared, **own}.items() if name not in SUPERVISED_ONLY}


def _environment(folder: Path, program: str) -> dict[str, str]:
    environment: dict[str, str] = json.loads((folder / "run" / f"{program}.spec.json").read_text())["environment"]
    return environment
