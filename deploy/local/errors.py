"""The one error an operator meets: which thing, why, its last words, and where to read on."""

from pathlib import Path


def silent(_line: str) -> None:
    """The report of whoever does not care to hear of progress."""


class LocalError(Exception):
    """Something could not be started or kept running; the text is complete and meant for a person."""


def tail(log: Path, lines: int = 12) -> str:
    """The last lines of a log file, indented for a message; empty if there is none."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 16 * 1024))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    # Without Java's stack frames, which would push out the line that says what is wrong.
    said = [line for line in text.splitlines() if not line.startswith("\tat ")]
    return "\n".join(f"    {line[:400]}" for line in said[-lines:])


def failure(what: str, why: str, log: Path) -> LocalError:
    """`what` failed because of `why`; the end of its log belongs to the message."""
    words = tail(log)
    said = f"\n  its last words:\n{words}" if words else "\n  it said nothing"
    return LocalError(f"{what}: {why}{said}\n  log: {log}")
