"""Kafka and PostgreSQL as the local system starts them: data kept, crashes survived, secrets kept out of logs."""

import os
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from chassis.settings import KafkaSettings
from contracts.topics import TOPICS, TopicSpec
from deploy import topics
from deploy.local import Kafka, LocalError, Postgres
from deploy.local.postgres import create_databases
from tests.infra import run

pytestmark = pytest.mark.infra
PASSWORD = "it's a @secret/ &"


@pytest.fixture
def postgres(infra_folder: Path) -> Iterator[Postgres]:
    """A server of the test's own, that it may kill."""
    server = Postgres(infra_folder / "own postgres ё", password=PASSWORD).start()
    yield server
    server.kill()


async def _execute(url: str, statement: str, *arguments: object) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement, *arguments)
    finally:
        await connection.close()


def test_postgres_survives_a_crash_and_a_pid_file_that_names_a_stranger(postgres: Postgres) -> None:
    run(_execute(postgres.url(), "CREATE TABLE kept AS SELECT 1 AS one"))
    postgres.kill()
    # As after a reboot: the pid in the file is somebody else's by now.
    lock = postgres.data / "postmaster.pid"
    lock.write_text("\n".join([str(os.getppid()), *lock.read_text().splitlines()[1:]]))

    postgres.start()

    assert run(_execute(postgres.url(), "SELECT one FROM kept")) == 1
    postgres.stop()
    assert postgres.pid is None


def test_every_service_has_its_database_and_nobody_elses(postgres: Postgres) -> None:
    for _ in range(2):
        run(create_databases(postgres.url(), {"intake": "one's", "notifier": "two"}))

    own = run(_execute(postgres.url("intake", "intake", "one's"), "SELECT current_user"))
    assert own == "intake"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        run(_execute(postgres.url("notifier", "intake", "one's"), "SELECT 1"))
    with pytest.raises(asyncpg.InvalidPasswordError):
        run(_execute(postgres.url("intake", "intake", "two"), "SELECT 1"))


def test_no_value_gets_into_the_log_of_postgres(postgres: Postgres) -> None:
    run(_execute(postgres.url(), "CREATE TABLE phones (phone text UNIQUE)"))
    run(_execute(postgres.url(), "INSERT INTO phones VALUES ($1)", "+79161234567"))
    with pytest.raises(asyncpg.UniqueViolationError):
        run(_execute(postgres.url(), "INSERT INTO phones VALUES ($1)", "+79161234567"))

    log = postgres.log.read_text()
    assert "duplicate key" in log
    assert "79161234567" not in log


def test_other_passwords_are_said_to_be_the_reason(postgres: Postgres) -> None:
    postgres.stop()
    stranger = Postgres(postgres.folder, password="another")
    try:
        with pytest.raises(LocalError, match=r"secrets\.json"):
            stranger.start()
    finally:
        stranger.kill()


def test_kafka_finds_its_data_again_in_a_folder_of_any_name(infra_folder: Path) -> None:
    kafka = Kafka(infra_folder / "own kafka, ё").start()
    settings = KafkaSettings.model_validate({"bootstrap_servers": kafka.bootstrap})
    specs = (TopicSpec("one", 2, {}), TopicSpec("two", 3, {"cleanup.policy": "compact"}))
    try:
        made = run(topics.provision(settings, specs))
        kafka.stop()
        kafka.start()
        found = run(topics.provision(settings, specs))
    finally:
        kafka.kill()

    assert (made.made, made.kept) == (("one", "two"), ())
    assert (found.made, found.kept, found.differences) == ((), ("one", "two"), ())
    assert kafka.pid is None


async def _make(bootstrap: str, name: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 1, 1)])
    finally:
        await admin.close()


def test_a_topic_that_differs_is_reported_and_left_alone(kafka_bootstrap: str) -> None:
    settings = KafkaSettings.model_validate({"bootstrap_servers": kafka_bootstrap})
    run(_make(kafka_bootstrap, "differs"))
    wanted = TopicSpec("differs", 4, {"retention.ms": "1000"})

    for _ in range(2):
        outcome = run(topics.provision(settings, [wanted]))

        assert outcome.differences == (
            "differs: 1 partitions, wanted 4",
            "differs: retention.ms=604800000, wanted 1000",
        )


def test_all_topics_of_the_contracts_are_as_they_say(fresh_topics: str) -> None:
    settings = KafkaSettings.model_validate({"bootstrap_servers": fresh_topics})

    outcome = run(topics.provision(settings, TOPICS))

    assert outcome == topics.Provisioned((), tuple(spec.name for spec in TOPICS), ())
