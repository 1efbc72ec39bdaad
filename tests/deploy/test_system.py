"""The local system: start, stop, failures and leftovers, with stand-ins for the services on real servers."""

import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.errors import LocalError
from deploy.local.parts import PREFIXES, ROOT, SERVICES
from deploy.local.ports import Ports
from deploy.local.supervision import programs_of
from deploy.local.system import LocalSystem
from tests.deploy.standins import blueprint
from tests.infra import DatabaseFactory
from tests.process import wait_for

Servers = dict[str, str]


@pytest.fixture
def servers(kafka_bootstrap: str, database_factory: DatabaseFactory) -> Servers:
    """Variables of servers that already run, so that a start takes about a second."""
    url = database_factory()
    return {
        "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap,
        **{f"{PREFIXES[name]}DATABASE_URL": url for name in SERVICES},
    }


@pytest.fixture
def folder(infra_folder: Path) -> Iterator[Path]:
    """A system's folder. After the test no process of the folder may run."""
    folder = infra_folder / f"system-{secrets.token_hex(4)}"
    yield folder
    wait_for(lambda: not programs_of(folder / "run"), "no process of the system runs", 30)


def stops_of(folder: Path) -> list[str]:
    """The names of the stand-ins that have stopped, in order."""
    lines = (folder / "journal").read_text().splitlines()
    return [line.split()[1] for line in lines if line.startswith("stopped ")]


def test_an_occupied_port_is_reported_with_its_process_and_its_variable(tmp_path: Path) -> None:
    ports = Ports.free()
    with socket.create_server(("127.0.0.1", ports.sms)), pytest.raises(LocalError) as error:
        LocalSystem(tmp_path, ports, blueprint=blueprint(tmp_path / "journal")).start()

    message = str(error.value)
    assert f"port {ports.sms} (sms) is in use by pid" in message
    assert "TRUCE_SMS_PORT" in message
    assert not programs_of(tmp_path / "run")


def test_a_port_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(LocalError, match="TRUCE_KAFKA_PORT=many"):
        Ports.from_environment({"TRUCE_KAFKA_PORT": "many"})


def test_database_urls_of_some_services_only_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="ONEC_DATABASE_URL"):
        LocalSystem(tmp_path, env={"INTAKE_DATABASE_URL": "postgresql://elsewhere/intake"}).start()


@pytest.mark.infra
class TestWithServersThatRun:
    """A failed start raises one error with the program, the reason, the end of its log, and leaves no process."""

    def test_a_service_that_exits_fails_the_start(self, folder: Path, servers: Servers) -> None:
        system = LocalSystem(folder, env=servers, blueprint=blueprint(folder / "journal", {"notifier": "exit"}))

        with pytest.raises(LocalError) as error:
            system.start()

        assert str(error.value).startswith("notifier: ended while starting")
        assert "the stand-in exits as requested" in str(error.value)
        assert str(folder / "logs" / "notifier.log") in str(error.value)
        assert not programs_of(folder / "run")

    def test_a_service_that_is_never_ready_fails_the_start(self, folder: Path, servers: Servers) -> None:
        behaviour = {"intake": "never-ready"}
        system = LocalSystem(folder, env=servers, blueprint=blueprint(folder / "journal", behaviour), ready_seconds=2)

        with pytest.raises(LocalError, match="intake: not ready within 2 s"):
            system.start()

        assert not programs_of(folder / "run")

    def test_a_migration_that_fails_stops_the_start(self, folder: Path, servers: Servers) -> None:
        broken = blueprint(folder / "journal", migrate="raise SystemExit('no such revision')")

        with pytest.raises(LocalError, match=r"(?s)migrating the databases.*no such revision"):
            LocalSystem(folder, env=servers, blueprint=broken).start()

        assert not programs_of(folder / "run")

    def test_a_second_system_in_the_same_folder_is_refused(self, folder: Path, servers: Servers) -> None:
        system = LocalSystem(folder, env=servers, blueprint=blueprint(folder / "journal"))
        system.start()
        try:
            with pytest.raises(LocalError, match="a system already runs in"):
                LocalSystem(folder, env=servers, blueprint=blueprint(folder / "journal")).start()
        finally:
            system.stop()

    def test_a_killed_service_is_started_again_and_a_stopped_service_is_not(
        self, folder: Path, servers: Servers
    ) -> None:
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

    def test_only_the_owner_can_read_secrets_and_no_output_contains_them(self, folder: Path, servers: Servers) -> None:
        reported: list[str] = []
        system = LocalSystem(folder, env=servers, report=reported.append, blueprint=blueprint(folder / "journal"))
        system.start()
        system.write_endpoints()
        system.stop()

        private = [folder / "secrets.json", *(folder / "run").glob("*.spec.json")]
        assert {path.stat().st_mode & 0o777 for path in private} == {0o600}
        assert "stand-in-key" not in "\n".join(reported)


RUNNER = """
import sys, time
from pathlib import Path
from deploy.local.system import LocalSystem
from tests.deploy.standins import blueprint
folder = Path(sys.argv[1])
system = LocalSystem(folder, blueprint=blueprint(folder / "journal"))
system.start()
print("started", flush=True)
time.sleep(600)
"""


@pytest.mark.infra
@pytest.mark.long
def test_a_run_after_a_killed_run_stops_its_leftovers_and_uses_its_data(
    folder: Path,
) -> None:
    """One test of several rules, because each start of Kafka and PostgreSQL takes seconds.

    Programs stop in order: services, simulators, Kafka, PostgreSQL.
    """
    runner = subprocess.Popen([sys.executable, "-c", RUNNER, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert runner.stdout is not None
    assert runner.stdout.readline() == "started\n"
    runner.send_signal(signal.SIGKILL)
    runner.wait()

    # The next run starts at once, while programs of the killed run are still ending, and waits for them.
    reported: list[str] = []
    system = LocalSystem(folder, report=reported.append, blueprint=blueprint(folder / "journal"))
    system.start()
    stopped_before = stops_of(folder)
    endpoints = system.endpoints()
    pids = [pid for pid, _ in system.states().values()]
    system.stop()

    assert stopped_before != []
    assert len(pids) == 6
    assert None not in pids
    assert [line for line in reported if line.startswith("stopping")] == [
        "stopping intake, notifier",
        "stopping onec, sms",
        "stopping kafka",
        "stopping postgres",
    ]
    stops = stops_of(folder)[len(stopped_before) :]
    assert [set(stops[:2]), set(stops[2:])] == [{"intake", "notifier"}, {"onec", "sms"}]
    assert not programs_of(folder / "run")

    reported.clear()
    system.start()
    try:
        assert "topics: 0 created, 7 found" in reported
        assert system.endpoints() == endpoints
    finally:
        system.stop()


@pytest.mark.infra
def test_a_kafka_that_ends_at_its_start_fails_the_start(folder: Path) -> None:
    (folder / "kafka" / "data").mkdir(parents=True)
    (folder / "kafka" / "data" / "meta.properties").write_text("version=1\nnode.id=7\ncluster.id=another\n")

    with pytest.raises(LocalError) as error:
        LocalSystem(folder, blueprint=blueprint(folder / "journal")).start()

    assert str(error.value).startswith("Kafka on 127.0.0.1:")
    assert "ended while starting" in str(error.value)
    assert "Stored node id 7" in str(error.value)
    assert not programs_of(folder / "run")
