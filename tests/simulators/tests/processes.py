"""Starts a simulator as a process, and sends HTTP requests to it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

ROOT = Path(__file__).resolve().parents[3]
USER, PASSWORD = "Обмен", "пароль"
LOGIN, PSW, API_KEY = "truce", "secret", "key-1"
ONEC = ("onec", "--user", USER, "--password", PASSWORD)
SMS = ("sms", "--login", LOGIN, "--password", PSW, "--api-key", API_KEY)


def command(kind: tuple[str, ...], data: Path, port: int = 0) -> list[str]:
    """The command line of a simulator; with port 0 the system chooses a free port."""
    name, *own = kind
    module = f"tests.simulators.{name}"
    return [
        sys.executable,
        "-m",
        module,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--data",
        str(data),
        *own,
    ]


@contextmanager
def started(kind: tuple[str, ...], data: Path, **environment: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A running simulator: its base URL and its process, which gets SIGTERM at the end."""
    process = subprocess.Popen(
        command(kind, data), cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        # The first line is printed when the simulator listens, and holds its port.
        line = process.stdout.readline()
        assert "listening on " in line, f"did not start: {line!r}"
        yield line.rpartition(" ")[2].strip(), process
    finally:
        process.terminate()
        process.wait(timeout=10)


@dataclass(frozen=True)
class Sim:
    """Sends control calls to a simulator."""

    base: str
    http: httpx.Client

    def get(self, name: str) -> Any:
        """A control GET."""
        answer = self.http.get(f"{self.base}/__sim/{name}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, name: str, body: Any = None) -> Any:
        """A control POST."""
        answer = self.http.post(f"{self.base}/__sim/{name}", json=body or {})
        assert answer.status_code == 200, answer.text
        return answer.json()


@dataclass(frozen=True)
class OneCSim(Sim):
    """Sends control calls and OData requests to the 1C simulator."""

    def url(self, path: str, **options: str) -> str:
        """An address below the service's root. Options are named without `$`; spaces become %20."""
        query = "&".join(f"${name}={quote(value, safe='')}" for name, value in {"format": "json", **options}.items())
        return f"{self.base}/crm/odata/standard.odata/{quote(path, safe=chr(39) + '(),=/$')}?{query}"

    def call(self, method: str, path: str, body: Any = None, **options: str) -> httpx.Response:
        """One OData request with the right credentials."""
        token = httpx.BasicAuth(USER.encode(), PASSWORD.encode())
        return self.http.request(method, self.url(path, **options), json=body, auth=token)

    def rows(self, entity: str, **options: str) -> list[dict[str, Any]]:
        """The rows that a query returns; the query must succeed."""
        answer = self.call("GET", entity, **options)
        assert answer.status_code == 200, answer.text
        rows: list[dict[str, Any]] = answer.json()["value"]
        return rows


def until(condition: Callable[[], Any], what: str, seconds: float = 10) -> None:
    """Wait until the condition holds; fail after so many seconds. `what` names it in the failure."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.01)


def refused(answer: httpx.Response) -> tuple[int, str, str]:
    """The HTTP status, 1C's code and the text of an error answer."""
    error = answer.json()["odata.error"]
    assert error["message"]["lang"] == "ru"
    return answer.status_code, error["code"], error["message"]["value"]
