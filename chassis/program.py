"""The name of the running program, for messages that tell a person which command to run."""

import sys


def command() -> str:
    """How the running command line was started, for example `python -m services.intake`."""
    spec = sys.modules["__main__"].__spec__
    if spec is None:
        return sys.argv[0]
    return f"python -m {spec.name.removesuffix('.__main__')}"
