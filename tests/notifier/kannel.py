"""Kannel as processes of the test: bearerbox, smsbox and fakesmsc, the telephone operator that comes with Kannel."""

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote_to_bytes

from deploy.local.ports import HOST, free_port

USER: Final = "truce"
PASSWORD: Final = "a password of tests"
SENDER: Final = "Truce"
DEADLINE_S: Final = 30.0
_FAKESMSC: Final = Path("/usr/lib/kannel/test/fakesmsc")
_CONFIGURATION: Final = """
group = core
admin-port = {admin}
admin-password = {password}
admin-allow-ip = 127.0.0.1
smsbox-port = {smsbox}
box-allow-ip = 127.0.0.1
store-type = file
store-location = {folder}/store
dlr-storage = internal
log-file = {folder}/bearerbox.log
log-level = 1

group = smsc
smsc = fake
smsc-id = fake
port = {smsc}
connect-allow-ip = 127.0.0.1

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {sendsms}
log-file = {folder}/smsbox.log
log-level = 1

group = sendsms-user
username = {user}
password = {password}
max-messages = 5
concatenation = true
"""


def why_not() -> str | None:
    """Which programs of Kannel are missing on this machine, None if all are there."""
    programs = [name for name in ("bearerbox", "smsbox") if shutil.which(name) is None]
    missing = [*programs, *([] if _FAKESMSC.exists() else ["fakesmsc"])]
    return f"no {', '.join(missing)} here: on Debian, apt-get install kannel kannel-extras" if missing else None


@dataclass(frozen=True)
class Kannel:
    """A running Kannel. `url` is the root of smsbox."""

    url: str
    folder: Path

    def received(self) -> dict[str, list[str]]:
        """Number → texts that the operator received, the segments of each text joined."""
        parts: dict[str, list[tuple[str, bytes]]] = {}
        for line in (self.folder / "fakesmsc.log").read_text(errors="replace").splitlines():
            _, found, rest = line.partition("Got message ")
            if not found:
                continue
            words = rest.partition("<")[2].rstrip(">").split(" ")
            header = unquote_to_bytes(words[words.index("udh") + 1]) if "udh" in words else b"\0\0\0\0\1\1"
            data = unquote_to_bytes(words[-1].replace("+", " "))
            texts = parts.setdefault(words[1], [])
            if header[-1] == 1:
                texts.append(("", data))
            else:
                texts[-1] = ("", texts[-1][1] + data)
        return {number: [data.decode("utf-16-be") for _, data in texts] for number, texts in parts.items()}


@contextmanager
def running(folder: Path) -> Iterator[Kannel]:
    """Kannel with its files in `folder`, stopped at the end."""
    ports = {name: free_port() for name in ("admin", "smsbox", "smsc", "sendsms")}
    configuration = folder / "kannel.conf"
    configuration.write_text(_CONFIGURATION.format(**ports, folder=folder, user=USER, password=PASSWORD))
    processes: list[subprocess.Popen[bytes]] = []

    def start(*command: str, output: str) -> None:
        with (folder / output).open("wb") as file:
            processes.append(subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, cwd=folder))

    try:
        start("bearerbox", str(configuration), output="bearerbox.out")
        for name in ("smsbox", "smsc"):
            _listening(ports[name], processes)
        start(str(_FAKESMSC), "-H", HOST, "-r", str(ports["smsc"]), "-m", "0", "1 2 text x", output="fakesmsc.log")
        start("smsbox", str(configuration), output="smsbox.out")
        _listening(ports["sendsms"], processes)
        _until(lambda: "Fakesmsc client connected" in (folder / "bearerbox.log").read_text(), "the operator", processes)
        yield Kannel(f"http://{HOST}:{ports['sendsms']}", folder)
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in reversed(processes):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _listening(port: int, processes: list["subprocess.Popen[bytes]"]) -> None:
    def connects() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((HOST, port)) == 0

    _until(connects, f"port {port}", processes)


def _until(look: Callable[[], bool], what: str, processes: list["subprocess.Popen[bytes]"]) -> None:
    end = time.monotonic() + DEADLINE_S
    while not look():
        assert all(process.poll() is None for process in processes), f"Kannel ended while waiting for {what}"
        assert time.monotonic() < end, f"Kannel: waited in vain for {what}"
        time.sleep(0.05)
