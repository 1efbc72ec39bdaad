"""The local system's own workings, with stand-ins for the services on real servers."""

import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.local import LocalError, LocalSystem, Ports
from deploy.local.parts import PREFIXES, ROOT, SERVICES
from deploy.local.supervision import programs_of
from tests.deploy.standins import blueprint
from tests.infra import DatabaseFactory

Servers = dict[str, str]


@pytest.fixture
def servers(kafka_bootstrap: str, database_factory: DatabaseFactory) -> Servers:
    """Servers that already run, as an operator would name them: a start is then a matter of a second."""
    url = database_factory()
    return {
        "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap,
        **{f"{PREFIXES[name]}DATABASE_URL": url for name in SERVICES},
    }


@pytest.fixture
def folder(infra_folder: Path) -> Iterator[Path]:
    """A system's folder; whatever a test does, no process of it may be left."""
    folder = infra_folder / f"system-{secrets.token_hex(4)}"
    yield folder
    wait_for(lambda: not programs_of(folder / "run"), "processes of the system are left running")


def wait_for(true: Callable[[], bool], otherwise: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)


def stops_of(folder: Path) -> list[str]:
    """Who has stopped, in order."""
    lines = (folder / "journal").read_text().splitlines()
    return [line.split()[1] for line in lines if line.startswith("stopped ")]


def test_a_taken_port_is_named_with_its_holder_and_its_variable(tmp_path: Path) -> None:
    ports = Ports.free()
    with socket.create_server(("127.0.0.1", ports.sms)), pytest.raises(LocalError) as error:
        LocalSystem(tmp_path, ports, blueprint=blueprint(tmp_path / "journal")).start()

    message = str(error.value)
    assert f"port {ports.sms} (sms) is taken by pid" in message
    assert "TRUCE_SMS_PORT" in message
    assert not programs_of(tmp_path / "run")


def test_a_port_that_is_no_number_is_refused() -> None:
    with pytest.raises(LocalError, match="TRUCE_KAFKA_PORT=many"):
        Ports.from_environment({"TRUCE_KAFKA_PORT": "many"})


def test_some_database_urls_are_not_enough(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="ONEC_DATABASE_URL"):
        LocalSystem(tmp_path, env={"INTAKE_DATABASE_URL": "postgresql://elsewhere/intake"}).start()


@pytest.mark.infra
class TestWithServersThatRun:
    """Failures at start: one message that says which, why, the last words and the log; and nothing left."""

    def test_a_service_that_exits(self, folder: Path, servers: Servers) -> None:
        system = LocalSystem(folder, env=servers, blueprint=blueprint(folder / "journal", {"notifier": "exit"}))

        with pytest.raises(LocalError) as error:
            system.start()

        assert str(error.value).startswith("notifier: ended while starting")
        assert "the moon is in the wrong phase" in str(error.value)
        assert str(folder / "logs" / "notifier.log") in str(error.value)
        assert not programs_of(folder / "run")

    def test_a_service_that_is_never_ready(self, folder: Path, servers: Servers) -> None:
        behaviour = {"intake": "never-ready"}
        system = LocalSystem(folder, env=servers, blueprint=blueprint(folder / "journal", behaviour), ready_seconds=2)

        with pytest.raises(LocalError, match="intake: not ready within 2 s"):
            system.start()

        assert not programs_of(folder / "run")

    def test_a_migration_that_fails(self, folder: Path, servers: Servers) -> None:
        broken = blueprint(folder / "journal", migrate="raise SystemExit('no such revision')")

        with pytest.raises(LocalError, match=r"(?s)migrating the databases.*no such revision"):
            LocalSystem(folder, env=servers, blueprint=broken).start()

        assert not programs_of(folder / "run")

    def test_one_folder_is_run_once(self, folder: Path, servers: Servers) -> None:
        system = LocalSystem(folder, env=servers, blueprint=blueprint(folder / "journal"))
        system.start()
        try:
            with pytest.raises(LocalError, match="already running in"):
                LocalSystem(folder, env=servers, blueprint=blueprint(folder / "journal")).start()
        finally:
            system.stop()

    def test_a_killed_service_comes_back_and_a_stopped_one_does_not(self, folder: Path, servers: Servers) -> None:
        system = LocalSystem(folder, env=servers, blueprint=blueprint(folder / "journal"))
        system.start()
        try:
            first = system.pid("intake")
            system.kill("intake")
            system.wait_ready("intake")
            assert system.pid("intake") not in (None, first)

            system.stop_program("intake")
            time.sleep(1.5)
            assert system.pid("intake") is None

            system.restart("intake")
            assert system.pid("intake") is not None
        finally:
            system.stop()

    def test_secrets_are_for_the_operator_alone(self, folder: Path, servers: Servers) -> None:
        said: list[str] = []
        system = LocalSystem(folder, env=servers, report=said.append, blueprint=blueprint(folder / "journal"))
        system.start()
        system.write_endpoints()
        system.stop()

        private = [folder / "secrets.json", *(folder / "run").glob("*.spec.json")]
        assert {path.stat().st_mode & 0o777 for path in private} == {0o600}
        assert "stand-in-key" not in "\n".join(said)


RUNNER = """
import sys, time
from pathlib import Path
from deploy.local import LocalSystem
from tests.deploy.standins import blueprint
folder = Path(sys.argv[1])
system = LocalSystem(folder, blueprint=blueprint(folder / "journal"))
system.start()
print("up", flush=True)
time.sleep(600)
"""


@pytest.mark.infra
@pytest.mark.long
def test_a_runner_that_was_killed_leaves_nothing_and_the_next_one_starts_and_stops_in_order_and_finds_its_data(
    folder: Path,
) -> None:
    """One walk: three starts of Kafka and PostgreSQL are enough for all of it."""
    runner = subprocess.Popen([sys.executable, "-c", RUNNER, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert runner.stdout is not None
    assert runner.stdout.readline() == "up\n"
    runner.send_signal(signal.SIGKILL)
    runner.wait()

    # At once, while the old one is still going down: the new one waits for it.
    said: list[str] = []
    system = LocalSystem(folder, report=said.append, blueprint=blueprint(folder / "journal"))
    system.start()
    stopped_before = stops_of(folder)
    endpoints = system.endpoints()
    pids = [pid for pid, _ in system.states().values()]
    system.stop()

    assert stopped_before != []
    assert len(pids) == 6
    assert None not in pids
    assert [line for line in said if line.startswith("stopping")] == [
        "stopping intake, notifier",
        "stopping onec, sms",
        "stopping kafka",
        "stopping postgres",
    ]
    stops = stops_of(folder)[len(stopped_before) :]
    assert [set(stops[:2]), set(stops[2:])] == [{"intake", "notifier"}, {"onec", "sms"}]
    assert not programs_of(folder / "run")

    said.clear()
    system.start()
    try:
        assert "topics: 0 made, 7 found" in said
        assert system.endpoints() == endpoints
    finally:
        system.stop()


@pytest.mark.infra
def test_a_kafka_that_dies_at_start(folder: Path) -> None:
    (folder / "kafka" / "data").mkdir(parents=True)
    (folder / "kafka" / "data" / "meta.properties").write_text("version=1\nnode.id=7\ncluster.id=another\n")

    with pytest.raises(LocalError) as error:
        LocalSystem(folder, blueprint=blueprint(folder / "journal")).start()

    assert str(error.value).startswith("Kafka on 127.0.0.1:")
    assert "ended while starting" in str(error.value)
    assert "Stored node id 7" in str(error.value)
    assert not programs_of(folder / "run")
