"""The error that an operator reads: which program failed, why, the last lines of its log, and where the log is."""

from pathlib import Path


def no_report(_line: str) -> None:
    """Ignore a line of progress. The default where a caller needs no progress report."""


class LocalError(Exception):
    """A program could not be started or did not keep running. The text is complete and written for an operator."""


def tail(log: Path, lines: int = 12) -> str:
    """The last `lines` lines of a log file, indented for an error text; empty if the file does not exist."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 16 * 1024))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    # Java's stack frames are left out: they would push out the line that states the problem.
    shown = [line for line in text.splitlines() if not line.startswith("\tat ")]
    return "\n".join(f"    {line[:400]}" for line in shown[-lines:])


def failure(what: str, why: str, log: Path) -> LocalError:
    """A LocalError: `what` failed because of `why`, with the last lines of the log file."""
    lines = tail(log)
    quoted = f"\n  last lines of its log:\n{lines}" if lines else "\n  its log is empty"
    return LocalError(f"{what}: {why}{quoted}\n  log: {log}")
