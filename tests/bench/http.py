"""POST /v1/leads by many clients at once, compared with a plain endpoint that inserts one row and commits."""

import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from deploy.local.parts import ROOT
from deploy.local.ports import free_port
from tests.bench.bed import OURS, PARTNER, Bed, Running, Variant

NAMES = ("Ветлугин Пётр", "Заречная Анна", "Костромин Глеб", "Белозёрова Вера")


@dataclass(frozen=True, slots=True)
class HttpRun:
    """One run: leads per second, and the milliseconds until each response."""

    leads_per_s: float
    ms: list[float]

    def p99(self) -> float:
        return statistics.quantiles(self.ms, n=100)[98]


def ours(bed: Bed, clients: int, requests: int) -> HttpRun:
    """Intake alone. No other service runs to consume its events."""
    with bed.running(OURS, ("intake",)) as running:
        return asyncio.run(_load(running.intake_http, bed.portal_key, clients, requests))


def plain(bed: Bed, clients: int, requests: int) -> HttpRun:
    """The plain endpoint, on a new database of the same server."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    uvicorn = ("uvicorn", "tests.bench.endpoint:app", "--port", str(port), "--no-access-log", "--loop", "uvloop")
    with (
        bed.running(Variant("endpoint", lambda _: [], has_health=False), ()) as running,
        _process(uvicorn, running, url),
    ):
        return asyncio.run(_load(url, bed.portal_key, clients, requests))


@contextmanager
def _process(command: tuple[str, ...], running: Running, url: str) -> Iterator[None]:
    with (running.bed.folder / "endpoint.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            env={**os.environ, "DATABASE_URL": running.databases["intake"]},
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                httpx.get(f"{url}/openapi.json", trust_env=False)
                break
            except httpx.TransportError:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise RuntimeError(f"the plain endpoint is not ready; see {running.bed.folder}") from None
                time.sleep(0.05)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


async def _load(url: str, key: str, clients: int, requests: int) -> HttpRun:
    """Send `requests` requests on `clients` connections. Each connection sends its next request after a response."""
    host = urlsplit(url)
    numbers = iter(range(requests))
    ms: list[float] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection(host.hostname, host.port)
        for number in numbers:
            sent_at = time.perf_counter()
            writer.write(_request(number, key))
            status = await _status(reader)
            ms.append((time.perf_counter() - sent_at) * 1000)
            if status != 202:
                raise RuntimeError(f"{url} returned HTTP {status}")
        writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return HttpRun(requests / (time.perf_counter() - started), ms)


def _request(number: int, key: str) -> bytes:
    consent = {"given_at": "2026-11-01T12:00:00+03:00", "advertising": False}
    client = {"full_name": NAMES[number % len(NAMES)], "phone": f"+7916{number:07d}"}
    body = json.dumps({"partner_id": PARTNER, "client": client, "consent": consent}).encode()
    headers: Mapping[str, str] = {
        "Host": "127.0.0.1",
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Idempotency-Key": str(uuid.uuid4()),
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /v1/leads HTTP/1.1\r\n{lines}\r\n".encode() + body


async def _status(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(length)
    return int(head.split(b" ", 2)[1])
