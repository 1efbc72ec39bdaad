"""One source of real Kafka and real PostgreSQL for all tests. Load it with `-p tests.infra`.

Where the servers come from:

- by default they are embedded: started from wheels and jars in a scratch folder, in seconds, and gone at the end;
- `TEST_INFRA=containers` takes both from testcontainers, images named by `TEST_KAFKA_IMAGE` and
  `TEST_POSTGRES_IMAGE`;
- with `KAFKA_BOOTSTRAP_SERVERS` and `TEST_POSTGRES_URL` set, servers that already run are used. They must be
  there for tests only: every topic of ours on that Kafka is emptied.

How tests are kept apart: each gets databases of its own (`database_factory`), copied from a template that was
migrated once. Topics keep their real names, because the code under test knows no others; `fresh_topics` empties
them in a fraction of a second. Whoever reads from the earliest message then meets only his own test's, whatever
group he reads with.
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

from chassis.settings import KafkaSettings
from contracts.topics import PORTAL_REQUESTS
from deploy import topics
from deploy.local import Kafka, Postgres
from deploy.local.ports import RANGE_VARIABLE

KAFKA_IMAGE = "confluentinc/cp-kafka:8.1.0"
POSTGRES_IMAGE = "postgres:18"
PORTAL = "demo"

T = TypeVar("T")


def pytest_configure(config: pytest.Config) -> None:
    """Workers of one run (`-n 2`) have servers of their own, and must not take each other's ports for them.

    Properties are tried on fewer examples in the tests of every change than in the long ones.
    """
    hypothesis.settings.register_profile("change", max_examples=40)
    hypothesis.settings.register_profile("long", max_examples=300)
    hypothesis.settings.load_profile("change" if "not long" in config.option.markexpr else "long")
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        if _running():
            raise pytest.UsageError("tests on servers that already run empty each other's topics: use -n 0")
        number, each = int(worker["workerid"].removeprefix("gw")), 19_900 // worker["workercount"]
        os.environ[RANGE_VARIABLE] = f"{12_000 + number * each}-{12_000 + (number + 1) * each - 1}"


class DatabaseFactory(Protocol):
    """Makes a database for one test: empty, or a copy of the template that `migrate` filled once a session."""

    def __call__(self, template_key: str | None = None, migrate: Callable[[str], object] | None = None) -> str: ...


def apart(work: Callable[[], T]) -> T:
    """Run in a thread of its own: fixtures, migrations and tests may each have an event loop, and none meet."""
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
    """Run a coroutine to its end, away from whatever loop the test run has."""
    return apart(lambda: asyncio.run(work))


def _running() -> tuple[str, str] | None:
    kafka, postgres = os.environ.get("KAFKA_BOOTSTRAP_SERVERS"), os.environ.get("TEST_POSTGRES_URL")
    return (kafka, postgres) if kafka and postgres else None


def _containers() -> bool:
    return os.environ.get("TEST_INFRA") == "containers"


@pytest.fixture(scope="session")
def infra_folder() -> Iterator[Path]:
    """A scratch folder for the servers. Not pytest's own: PostgreSQL must reach it also when root runs the tests."""
    folder = Path(tempfile.mkdtemp(prefix="truce-tests-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def kafka_bootstrap(infra_folder: Path) -> Iterator[str]:
    """`bootstrap.servers` of a real Kafka, with no topics made yet (see `fresh_topics`)."""
    running = _running()
    if running:
        yield running[0]
    elif _containers():
        from testcontainers.community.kafka import KafkaContainer

        with KafkaContainer(os.environ.get("TEST_KAFKA_IMAGE", KAFKA_IMAGE)).with_kraft() as container:
            yield container.get_bootstrap_server()
    else:
        kafka = Kafka(infra_folder / "kafka").start()
        yield kafka.bootstrap
        kafka.stop()


@pytest.fixture(scope="session")
def postgres_admin_url(infra_folder: Path) -> Iterator[str]:
    """The URL of a superuser on a real PostgreSQL. Durability is at its defaults, as in production."""
    running = _running()
    if running:
        yield running[1]
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
    made: dict[str, str] = {}
    yield made
    for name in made.values():
        _execute(postgres_admin_url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture
def database_factory(postgres_admin_url: str, _templates: dict[str, str]) -> Iterator[DatabaseFactory]:
    """Call it with a key and a migration for a migrated database, or with nothing for an empty one; returns its URL.

    `migrate(url)` runs once a session for each key, the rest are copies of its result (about 50 ms each).
    """
    yield from _databases(postgres_admin_url, _templates)


@pytest.fixture(scope="module")
def module_database_factory(postgres_admin_url: str, _templates: dict[str, str]) -> Iterator[DatabaseFactory]:
    """The same for tests that share a database: it is gone after the last one of the module."""
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
            apart(lambda: fill(url))
        _templates[key] = name
        return name

    yield make
    for name in made:
        _execute(postgres_admin_url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture
def database(database_factory: DatabaseFactory) -> str:
    """The URL of an empty database, gone after the test."""
    return database_factory()


@pytest.fixture
def fresh_topics(kafka_bootstrap: str) -> str:
    """Every topic of the system exists and holds no message; returns `bootstrap.servers`.

    Messages are deleted, topics stay: making them anew takes about four times as long. The compacted ones are made anew
    because Kafka deletes no records from those. So offsets need not start at zero: do not test for their numbers.
    """
    run(empty_topics(kafka_bootstrap))
    return kafka_bootstrap


async def empty_topics(bootstrap: str) -> None:
    """Make every topic of the system, or empty it (see `fresh_topics`)."""
    settings = KafkaSettings.model_validate({"bootstrap_servers": bootstrap})
    specs = topics.topic_specs([PORTAL])
    admin = AIOKafkaAdminClient(**topics.client_options(settings))
    await admin.start()
    try:
        existing = set(await admin.list_topics())
        wanted = {spec.name for spec in specs}
        compacted = {spec.name for spec in specs if "delete" not in spec.config.get("cleanup.policy", "delete")}
        portals = {name for name in existing if name.startswith(f"{PORTAL_REQUESTS}.")}
        gone = existing & (compacted | (portals - wanted))
        if gone:
            await admin.delete_topics(sorted(gone))
            await _until_gone(admin, gone)
        kept = sorted((existing & wanted) - gone)
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


async def _until_gone(admin: AIOKafkaAdminClient, names: set[str]) -> None:
    async with asyncio.timeout(20):
        while names & set(await admin.list_topics()):
            await asyncio.sleep(0.02)


def with_database(url: str, name: str) -> str:
    """The same server and user, another database."""
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
