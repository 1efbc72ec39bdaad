"""Real Kafka and PostgreSQL servers for all tests: the pytest plugin `-p tests.infra`.

The servers come from one of three sources:

- Embedded servers (the default) start from wheels and jars in a scratch folder, in seconds, and are removed at the end.
- With `TEST_INFRA=containers`, testcontainers starts both. `TEST_KAFKA_IMAGE` and `TEST_POSTGRES_IMAGE` set the images.
- With `KAFKA_BOOTSTRAP_SERVERS` and `TEST_POSTGRES_URL`, the tests use servers that already run. These servers must be
  for tests only, because the tests delete all records of Truce's topics.

Each test has databases of its own (`database_factory`), copied from a template that was migrated once. Topics have
their real names, because the code under test uses fixed names. `fresh_topics` empties the topics in a fraction of a
second, so a consumer that reads from the earliest record gets only records of its own test.
"""

import asyncio
import os
import re
import secrets
import shutil
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import hypothesis
import pytest
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition

from chassis.kafka_clients import client_options
from chassis.settings import KafkaSettings
from contracts.topics import PORTAL_REQUESTS
from deploy import topics
from deploy.local.kafka import Kafka, KafkaCluster
from deploy.local.ports import RANGE_VARIABLE
from deploy.local.postgres import Postgres

KAFKA_IMAGE = "confluentinc/cp-kafka:8.1.0"
POSTGRES_IMAGE = "postgres:18"
PORTAL = "demo"

T = TypeVar("T")


def pytest_configure(config: pytest.Config) -> None:
    """Set hypothesis' number of examples, and a range of ports for each worker of a parallel run (`-n 2`).

    Each worker starts servers of its own. Property tests try fewer examples in `make test` than in `make test-long`.
    """
    # How long an example takes depends on the machine, and is not a rule.
    slow = [hypothesis.HealthCheck.too_slow]
    hypothesis.settings.register_profile("change", max_examples=40, deadline=None, suppress_health_check=slow)
    hypothesis.settings.register_profile("long", max_examples=300, deadline=None, suppress_health_check=slow)
    hypothesis.settings.load_profile("change" if "not long" in config.option.markexpr else "long")
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        if _external_servers():
            raise pytest.UsageError("parallel tests would empty each other's topics on external servers; use -n 0")
        number, each = int(worker["workerid"].removeprefix("gw")), 19_900 // worker["workercount"]
        os.environ[RANGE_VARIABLE] = f"{12_000 + number * each}-{12_000 + (number + 1) * each - 1}"


class DatabaseFactory(Protocol):
    """Makes a database for a test and returns its URL.

    The database is empty, or a copy of the template `template_key`, which `migrate(url)` fills once a session.
    """

    def __call__(self, template_key: str | None = None, migrate: Callable[[str], object] | None = None) -> str: ...


def in_thread(work: Callable[[], T]) -> T:
    """Run `work` in another thread, where it can run an event loop of its own; return its result or raise its error."""
    outcome: list[T] = []
    failed: list[BaseException] = []

    def attempt() -> None:
        try:
            outcome.append(work())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return outcome[0]


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in an event loop of its own, in another thread."""
    return in_thread(lambda: asyncio.run(work))


def _external_servers() -> tuple[str, str] | None:
    kafka, postgres = os.environ.get("KAFKA_BOOTSTRAP_SERVERS"), os.environ.get("TEST_POSTGRES_URL")
    return (kafka, postgres) if kafka and postgres else None


def _containers() -> bool:
    return os.environ.get("TEST_INFRA") == "containers"


@pytest.fixture(scope="session")
def infra_folder() -> Iterator[Path]:
    """A scratch folder for the servers. pytest's own folder would be closed to PostgreSQL if root runs the tests."""
    folder = Path(tempfile.mkdtemp(prefix="truce-tests-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def kafka_bootstrap(infra_folder: Path) -> Iterator[str]:
    """`bootstrap.servers` of a real Kafka, without topics (see `fresh_topics`)."""
    external = _external_servers()
    if external:
        yield external[0]
    elif _containers():
        from testcontainers.community.kafka import KafkaContainer

        with KafkaContainer(os.environ.get("TEST_KAFKA_IMAGE", KAFKA_IMAGE)).with_kraft() as container:
            yield container.get_bootstrap_server()
    else:
        kafka = Kafka(infra_folder / "kafka").start()
        yield kafka.bootstrap
        kafka.stop()


@pytest.fixture(scope="module")
def kafka_cluster(infra_folder: Path) -> Iterator[KafkaCluster]:
    """Three brokers; a partition with three replicas needs two of them. A test may stop and start them one at a time.

    They are embedded servers whatever the source of the other servers is, because a test must be able to stop them.
    """
    folder = Path(tempfile.mkdtemp(prefix="cluster-", dir=infra_folder))
    cluster = KafkaCluster(folder)
    try:
        yield cluster.start()
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_admin_url(infra_folder: Path) -> Iterator[str]:
    """The URL of a superuser of a real PostgreSQL. fsync and synchronous_commit are on, as in production."""
    external = _external_servers()
    if external:
        yield external[1]
    elif _containers():
        from testcontainers.community.postgres import PostgresContainer

        with PostgresContainer(os.environ.get("TEST_POSTGRES_IMAGE", POSTGRES_IMAGE), driver=None) as container:
            yield container.get_connection_url()
    else:
        postgres = Postgres(infra_folder / "postgres", password=secrets.token_urlsafe(16)).start()
        yield postgres.url()
        postgres.stop()


@pytest.fixture(scope="session")
def _templates(postgres_admin_url: str) -> Iterator[dict[str, str]]:
    databases: dict[str, str] = {}
    yield databases
    for name in databases.values():
        _execute(postgres_admin_url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture
def database_factory(postgres_admin_url: str, _templates: dict[str, str]) -> Iterator[DatabaseFactory]:
    """Makes databases that are dropped after the test. A copy of a template takes about 50 ms."""
    yield from _databases(postgres_admin_url, _templates)


@pytest.fixture(scope="module")
def module_database_factory(postgres_admin_url: str, _templates: dict[str, str]) -> Iterator[DatabaseFactory]:
    """Makes databases that the tests of a module share, dropped after the module's last test."""
    yield from _databases(postgres_admin_url, _templates)


def _databases(postgres_admin_url: str, _templates: dict[str, str]) -> Iterator[DatabaseFactory]:
    made: list[str] = []

    def make(template_key: str | None = None, migrate: Callable[[str], object] | None = None) -> str:
        source = "template1"
        if template_key is not None:
            source = _templates.get(template_key) or _make_template(template_key, migrate)
        name = _unique("test")
        _execute(postgres_admin_url, f'CREATE DATABASE "{name}" TEMPLATE "{source}"')
        made.append(name)
        return with_database(postgres_admin_url, name)

    def _make_template(key: str, migrate: Callable[[str], object] | None) -> str:
        name = _unique(f"template_{key}")
        _execute(postgres_admin_url, f'CREATE DATABASE "{name}"')
        if migrate is not None:
            fill, url = migrate, with_database(postgres_admin_url, name)
            in_thread(lambda: fill(url))
        _templates[key] = name
        return name

    yield make
    for name in made:
        _execute(postgres_admin_url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture
def database(database_factory: DatabaseFactory) -> str:
    """The URL of an empty database, dropped after the test."""
    return database_factory()


@pytest.fixture
def fresh_topics(kafka_bootstrap: str) -> str:
    """Every topic of the system exists and is empty. The value is `bootstrap.servers`.

    Records are deleted and topics stay, because creating topics takes about four times as long. Compacted topics are
    created again, because Kafka cannot delete records from them. Offsets need not start at zero: do not assert offsets.
    """
    run(empty_topics(kafka_bootstrap))
    return kafka_bootstrap


def kafka_settings(bootstrap: str) -> KafkaSettings:
    """Settings of a Kafka without credentials."""
    return KafkaSettings.model_validate({"bootstrap_servers": bootstrap})


async def empty_topics(bootstrap: str) -> None:
    """Create or empty every topic of the system (see `fresh_topics`)."""
    settings = kafka_settings(bootstrap)
    specs = topics.topic_specs([PORTAL])
    admin = AIOKafkaAdminClient(**client_options(settings))
    await admin.start()
    try:
        existing = set(await admin.list_topics())
        wanted = {spec.name for spec in specs}
        compacted = {spec.name for spec in specs if "delete" not in spec.config.get("cleanup.policy", "delete")}
        portals = {name for name in existing if name.startswith(f"{PORTAL_REQUESTS}.")}
        removed = existing & (compacted | (portals - wanted))
        if removed:
            await admin.delete_topics(sorted(removed))
            await _until_removed(admin, removed)
        kept = sorted((existing & wanted) - removed)
        if kept:
            described = await admin.describe_topics(kept)
            partitions = [
                TopicPartition(topic["topic"], partition["partition"])
                for topic in described
                for partition in topic["partitions"]
            ]
            await admin.delete_records({partition: RecordsToDelete(-1) for partition in partitions})
    finally:
        await admin.close()
    await topics.provision(settings, specs)


async def _until_removed(admin: AIOKafkaAdminClient, names: set[str]) -> None:
    async with asyncio.timeout(20):
        while names & set(await admin.list_topics()):
            await asyncio.sleep(0.02)


def with_database(url: str, name: str) -> str:
    """The URL of the database `name` on the server of `url`, for the same user."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def _unique(prefix: str) -> str:
    return f"{re.sub('[^a-z0-9_]', '_', prefix.lower())[:40]}_{secrets.token_hex(6)}"


def _execute(url: str, statement: str) -> None:
    async def execute() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    run(execute())
