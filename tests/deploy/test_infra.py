"""The fixtures of `tests/infra.py`: real servers, separate data for each test, and no process left behind."""

import os
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from contracts.topics import LEADS, PARTNERS
from deploy.local.parts import ROOT
from tests.infra import DatabaseFactory, run

pytestmark = pytest.mark.infra


async def _fill(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE made (at timestamptz DEFAULT now()); INSERT INTO made DEFAULT VALUES")
    await connection.close()


async def _count(url: str) -> int:
    connection = await asyncpg.connect(url)
    count: int = await connection.fetchval("SELECT count(*) FROM made")
    await connection.execute("INSERT INTO made DEFAULT VALUES")
    await connection.close()
    return count


def test_databases_are_copies_of_a_template_that_is_migrated_once(database_factory: DatabaseFactory) -> None:
    migrated: list[str] = []

    def migrate(url: str) -> None:
        migrated.append(url)
        run(_fill(url))

    urls = [database_factory("sample", migrate) for _ in range(3)]

    assert len(set(urls)) == 3
    assert [run(_count(url)) for url in urls] == [1, 1, 1]
    assert len(migrated) == 1


def test_a_database_without_a_template_is_empty(database: str) -> None:
    with pytest.raises(asyncpg.UndefinedTableError):
        run(_count(database))


async def _send(bootstrap: str) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        for topic in (LEADS, PARTNERS):
            await producer.send_and_wait(topic, b"value", key=b"key")


async def _read(bootstrap: str) -> int:
    consumer = AIOKafkaConsumer(
        LEADS, PARTNERS, bootstrap_servers=bootstrap, group_id="infra-test", auto_offset_reset="earliest"
    )
    async with consumer:
        batches = await consumer.getmany(timeout_ms=1500)
        await consumer.commit()
        return sum(len(batch) for batch in batches.values())


@pytest.mark.parametrize("_turn", [1, 2])
def test_a_test_reads_only_its_own_records(fresh_topics: str, _turn: int) -> None:
    assert run(_read(fresh_topics)) == 0

    run(_send(fresh_topics))

    assert run(_read(fresh_topics)) > 0


INNER = """
import pathlib, os
def test_inside(kafka_bootstrap, postgres_admin_url, fresh_topics, infra_folder):
    pathlib.Path(os.environ["NOTE"]).write_text(str(infra_folder))
"""


def test_servers_start_within_a_minute_and_leave_no_process_behind(tmp_path: Path) -> None:
    """Runs a pytest session of its own, measures its time, and searches for processes with its folder afterwards."""
    (tmp_path / "test_inner.py").write_text(INNER)
    note = tmp_path / "note"
    environment = {**os.environ, "NOTE": str(note), "PYTHONPATH": str(ROOT), "TEST_INFRA": "embedded"}
    for outside in ("KAFKA_BOOTSTRAP_SERVERS", "TEST_POSTGRES_URL"):
        environment.pop(outside, None)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.infra", "-c", os.devnull, "--rootdir"]
    started = time.monotonic()

    done = subprocess.run(
        [*command, str(tmp_path), str(tmp_path / "test_inner.py")],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert time.monotonic() - started < 60
    folder = note.read_text()
    assert not Path(folder).exists()
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not [command for command in commands if folder.encode() in command]
