"""The simulators as processes: start, stop, and their output."""

import subprocess
from pathlib import Path

import httpx
import pytest

from tests.simulators.tests.names import CARDS, PARTNERS
from tests.simulators.tests.processes import LOGIN, ONEC, PASSWORD, PSW, ROOT, SMS, USER, OneCSim, command, started

BOTH = pytest.mark.parametrize("kind", [ONEC, SMS], ids=["onec", "sms"])


@BOTH
def test_taken_port_gives_one_line_on_stderr_and_exit_code_2(kind: tuple[str, ...], data: Path) -> None:
    with started(kind, data) as (base, _):
        port = int(base.rpartition(":")[2])
        second = subprocess.run(command(kind, data, port), cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert second.returncode == 2
    assert second.stdout == ""
    assert second.stderr.count("\n") == 1
    assert f"cannot listen on 127.0.0.1:{port}" in second.stderr


@BOTH
def test_sigterm_stops_at_once_with_exit_code_0_also_during_a_call(
    kind: tuple[str, ...], data: Path, http: httpx.Client
) -> None:
    with started(kind, data) as (base, process):
        sim = OneCSim(base, http)
        sim.post("fault", {"mode": "slow", "seconds": 60})
        address = sim.url(PARTNERS) if kind is ONEC else f"{base}/sys/status.php?fmt=3"
        with pytest.raises(httpx.ReadTimeout):
            http.get(address, timeout=0.5, auth=httpx.BasicAuth(USER.encode(), PASSWORD.encode()))
        process.terminate()
        assert process.wait(timeout=5) == 0


@BOTH
def test_help_describes_the_simulator(kind: tuple[str, ...]) -> None:
    line = [*command((kind[0],), Path("x"))[:3], "--help"]
    shown = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert shown.returncode == 0
    assert "--data DIR" in shown.stdout
    assert "strict stand-in" in shown.stdout


def test_neither_names_nor_phones_are_printed(data: Path, http: httpx.Client) -> None:
    with started(ONEC, data / "onec") as (base, process):
        sim = OneCSim(base, http)
        sim.post("seed", {"full_name": "Секретов Семён", "phone": "9161234567"})
        sim.call("GET", CARDS, filter="substringof('1234567',Description)")
        process.terminate()
        assert process.stdout is not None
        output = process.stdout.read()
    with started(SMS, data / "sms") as (base, process):
        http.post(f"{base}/rest/send/", json={"login": LOGIN, "psw": PSW, "phones": "9161234567", "mes": "Секретов"})
        process.terminate()
        assert process.stdout is not None
        output += process.stdout.read()
    assert "stopped" in output
    assert "1234567" not in output
    assert "екретов" not in output
