"""Replaces its own process by the program that a spec file describes: `python -I launch.py SPEC PARENT_PID`.

Every program of the local system starts through this script. Its output goes directly to a log file. Its secrets come
from a file that only the operator can read, and are on no command line. A program that refuses to run as root runs as
another user. No program outlives its parent, even if the parent is killed.

It imports the standard library only and nothing of this project, because it runs before every program.
"""

import ctypes
import json
import os
import pwd
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1


def main(spec_path: str, parent: int) -> None:
    """Redirect output to the log, change the user, tie this process to its parent, and exec the program."""
    spec = json.loads(Path(spec_path).read_text(encoding="utf-8"))

    log = os.open(spec["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.closerange(3, 256)

    os.chdir(spec["folder"])
    if spec["user"] is not None:
        account = pwd.getpwnam(spec["user"])
        os.setgroups([])
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)

    if spec["die_with_parent"]:
        # After setuid, because a change of user clears this setting. It survives exec.
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(spec["stop_signal"]), 0, 0, 0)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)  # the parent ended before the call above

    os.execvpe(spec["argv"][0], spec["argv"], {**os.environ, **spec["environment"]})  # noqa: S606


if __name__ == "__main__":
    # supervisord's pid is unknown when its configuration is written, so its programs take their parent's pid here.
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else os.getppid())
