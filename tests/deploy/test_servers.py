"""Kafka and PostgreSQL of the local system keep their data, survive crashes, and log no personal data."""

import os
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from confluent_kafka import Producer

from contracts.topics import TOPICS, TopicSpec, portal_requests
from deploy import topics
from deploy.local.errors import LocalError
from deploy.local.kafka import Kafka
from deploy.local.postgres import Postgres, create_databases
from tests.infra import kafka_settings, run

pytestmark = pytest.mark.infra
PASSWORD = "it's a @secret/ &"


@pytest.fixture
def postgres(infra_folder: Path) -> Iterator[Postgres]:
    """A server of the test's own, which the test can kill."""
    server = Postgres(infra_folder / "own postgres ё", password=PASSWORD).start()
    yield server
    server.kill()


async def _execute(url: str, statement: str, *arguments: object) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement, *arguments)
    finally:
        await connection.close()


def test_postgres_starts_after_a_crash_though_its_pid_file_names_another_process(postgres: Postgres) -> None:
    run(_execute(postgres.url(), "CREATE TABLE kept AS SELECT 1 AS one"))
    postgres.kill()
    # As after a reboot: another process has the pid in the file.
    lock = postgres.data / "postmaster.pid"
    lock.write_text("\n".join([str(os.getppid()), *lock.read_text().splitlines()[1:]]))

    postgres.start()

    assert run(_execute(postgres.url(), "SELECT one FROM kept")) == 1
    postgres.stop()
    assert postgres.pid is None


def test_a_service_can_connect_to_its_own_database_only(postgres: Postgres) -> None:
    for _ in range(2):
        run(create_databases(postgres.url(), {"intake": "one's", "notifier": "two"}))

    own = run(_execute(postgres.url("intake", "intake", "one's"), "SELECT current_user"))
    assert own == "intake"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        run(_execute(postgres.url("notifier", "intake", "one's"), "SELECT 1"))
    with pytest.raises(asyncpg.InvalidPasswordError):
        run(_execute(postgres.url("intake", "intake", "two"), "SELECT 1"))


def test_the_log_of_postgres_contains_no_values(postgres: Postgres) -> None:
    run(_execute(postgres.url(), "CREATE TABLE phones (phone text UNIQUE)"))
    run(_execute(postgres.url(), "INSERT INTO phones VALUES ($1)", "+79161234567"))
    with pytest.raises(asyncpg.UniqueViolationError):
        run(_execute(postgres.url(), "INSERT INTO phones VALUES ($1)", "+79161234567"))

    log = postgres.log.read_text()
    assert "duplicate key" in log
    assert "79161234567" not in log


def test_a_start_with_other_passwords_names_the_secrets_file(postgres: Postgres) -> None:
    postgres.stop()
    other = Postgres(postgres.folder, password="another")
    try:
        with pytest.raises(LocalError, match=r"secrets\.json"):
            other.start()
    finally:
        other.kill()


def test_kafka_keeps_its_data_over_a_restart_in_a_folder_of_any_name(infra_folder: Path) -> None:
    kafka = Kafka(infra_folder / "own kafka, ё").start()
    settings = kafka_settings(kafka.bootstrap)
    specs = (TopicSpec("one", 2, {}), TopicSpec("two", 3, {"cleanup.policy": "compact"}))
    try:
        made = run(topics.provision(settings, specs))
        kafka.stop()
        kafka.start()
        found = run(topics.provision(settings, specs))
    finally:
        kafka.kill()

    assert (made.created, made.existing) == (("one", "two"), ())
    assert (found.created, found.existing, found.differences) == ((), ("one", "two"), ())
    assert kafka.pid is None


@pytest.mark.long  # it packs and unpacks hundreds of megabytes
def test_a_portals_batch_that_unpacks_to_more_than_the_heap_fails_alone(infra_folder: Path) -> None:
    kafka = Kafka(infra_folder / "small", heap="256m").start()
    topic = portal_requests("bomber")
    producer = Producer(
        {"bootstrap.servers": kafka.bootstrap, "message.max.bytes": 900_000_000, "compression.type": "zstd"}
    )
    errors: list[object] = []
    try:
        run(topics.provision(kafka_settings(kafka.bootstrap), [topic]))

        for value in (b"a" * 500_000_000, b"small"):
            producer.produce(topic.name, value, on_delivery=lambda error, _: errors.append(error))
            producer.flush(60)

        assert [error is None for error in errors] == [False, True]
        assert kafka.pid is not None
    finally:
        kafka.kill()


async def _make(bootstrap: str, name: str, **config: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 1, 1, topic_configs=config)])
    finally:
        await admin.close()


async def _config(bootstrap: str, name: str) -> dict[str, str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        (found,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
        return {entry[0]: entry[1] for entry in found.resources[0][4]}
    finally:
        await admin.close()


def test_a_topic_that_differs_is_reported_and_not_changed(kafka_bootstrap: str) -> None:
    settings = kafka_settings(kafka_bootstrap)
    run(_make(kafka_bootstrap, "differs"))
    wanted = TopicSpec("differs", 4, {"retention.ms": "1000"})

    for _ in range(2):
        outcome = run(topics.provision(settings, [wanted]))

        assert outcome.differences == (
            "differs: 1 partitions, wanted 4",
            "differs: retention.ms=604800000, wanted 1000",
        )


def test_topics_of_portals_get_the_compression_of_this_version_and_keep_the_rest(kafka_bootstrap: str) -> None:
    """Those of an earlier version, of portals that nobody names, too."""
    settings = kafka_settings(kafka_bootstrap)
    run(_make(kafka_bootstrap, "portal-requests.named", **{"retention.ms": "1000", "max.message.bytes": "5000"}))
    run(_make(kafka_bootstrap, "portal-requests.old.one"))

    first = run(topics.provision_system(settings, ["named", "new"]))
    again = run(topics.provision_system(settings, ["named", "new"]))

    assert "portal-requests.new" in first.created
    assert set(first.changed) >= {
        f"portal-requests.{name}: compression.type=uncompressed, was producer" for name in ("named", "old.one")
    }
    assert (again.created, again.changed) == ((), ())
    assert "portal-requests.named: retention.ms=1000, wanted 2592000000" in again.differences
    for name in ("named", "new", "old.one"):
        assert run(_config(kafka_bootstrap, f"portal-requests.{name}"))["compression.type"] == "uncompressed"
    kept = run(_config(kafka_bootstrap, "portal-requests.named"))
    assert (kept["retention.ms"], kept["max.message.bytes"]) == ("1000", "5000")


def test_provisioned_topics_have_no_differences_from_their_specifications(fresh_topics: str) -> None:
    settings = kafka_settings(fresh_topics)

    outcome = run(topics.provision(settings, TOPICS))

    assert outcome == topics.Provisioned((), tuple(spec.name for spec in TOPICS), ())
