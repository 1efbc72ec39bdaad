"""A server with data in a folder: run as a child of this process (tests), or supervised (the local system)."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Self

from deploy.local.errors import LocalError, no_report
from deploy.local.ports import free_port
from deploy.local.program import Child, Program, always, never


class Server(ABC):
    """One server process. Its data stays in `folder`, and the next start there uses the same data.

    Tests call `start`, `stop` and `kill`. The local system calls `prepare`, lets supervisord run `program()`, and calls
    `wait_ready`. Without `port`, a free port is chosen.
    """

    def __init__(self, folder: Path, port: int | None, log: Path | None, log_name: str) -> None:
        self.folder = folder.absolute()
        self.port = port or free_port()
        self.log = log or self.folder / log_name
        self._child: Child | None = None

    @property
    def pid(self) -> int | None:
        """The process id while a process started by `start` runs, else None."""
        return self._child.pid if self._child and self._child.alive() else None

    @abstractmethod
    def prepare(self, report: Callable[[str], None] = no_report, cancelled: Callable[[], bool] = never) -> None:
        """Make everything that the process needs on disk. Raises Cancelled once `cancelled()` is true."""

    @abstractmethod
    def program(self) -> Program:
        """The process to run."""

    @abstractmethod
    def wait_ready(self, alive: Callable[[], bool] = always, cancelled: Callable[[], bool] = never) -> None:
        """Wait until the server serves a client.

        Raises LocalError when `alive()` turns false or the server takes too long, and Cancelled once `cancelled()` is
        true.
        """

    def start(self) -> Self:
        """Start the server as a child of this process and wait until it is ready. Raises LocalError if it fails."""
        self.launch()
        self.wait()
        return self

    def launch(self) -> None:
        """Start the server as a child of this process. Raises LocalError if its preparation fails."""
        self.prepare()
        self._child = Child(self.program(), self.folder / "spec.json")

    def wait(self) -> None:
        """Wait until the launched server is ready. Raises LocalError, and ends the process, if it fails."""
        assert self._child is not None
        try:
            self.wait_ready(self._child.alive)
        except LocalError:
            self._child.kill()
            raise

    def stop(self) -> None:
        """Stop the process cleanly. Without a process, do nothing."""
        if self._child:
            self._child.stop()

    def kill(self) -> None:
        """End the process with SIGKILL, as a crash test does. The next start recovers its data."""
        if self._child:
            self._child.kill()
