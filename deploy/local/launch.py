"""Becomes the program that a spec file describes. Run as a script: `python -I launch.py SPEC PARENT_PID`.

One small step between a parent and its program, so that all programs are started alike: output goes
straight to a log file, secrets come from a file only the operator can read and never stand on a command
line, root is left behind where the program refuses it, and no program outlives a parent that was killed.
Only the standard library, and nothing of this project: it runs before every single program.
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
    """Redirect, drop root, tie this process to its parent, and exec."""
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
        # After setuid, because a change of user clears it. It survives exec.
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(spec["stop_signal"]), 0, 0, 0)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)  # the parent died before the line above

    os.execvpe(spec["argv"][0], spec["argv"], {**os.environ, **spec["environment"]})  # noqa: S606


if __name__ == "__main__":
    # Under supervisord the parent's pid is not known when its configuration is written.
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else os.getppid())
