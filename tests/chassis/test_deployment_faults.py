"""A fault of the deployment is no fault of the messages: they wait, and a message says what to do."""

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.chassis.harness import Harness
from tests.process import until

pytestmark = pytest.mark.infra

SAMPLE = "tests.chassis.sample"


async def refusal(sample: Harness, **environment: str) -> str:
    """What an instance that refuses to start prints."""
    process = await sample.start(wait=False, **environment)

    async def ended() -> int | None:
        return process.poll()

    assert await until(ended, "the instance has ended") != 0
    return (sample.folder / f"{len(sample.instances) - 1}.log").read_text()


@pytest.mark.parametrize(
    ("fault", "repair"),
    [
        ("ALTER TABLE tallies RENAME COLUMN count TO hidden", "ALTER TABLE tallies RENAME COLUMN hidden TO count"),
        ("ALTER TABLE tallies RENAME TO hidden", "ALTER TABLE hidden RENAME TO tallies"),
    ],
    ids=["a column is missing", "a table is missing"],
)
async def test_messages_wait_for_a_repair_of_the_database_and_are_no_dead_letters(
    sample: Harness, fault: str, repair: str
) -> None:
    await sample.start()
    await sample.query(fault)
    await sample.publish({"name": "a", "n": 0}, {"name": "b", "n": 0})
    await sample.wait_for_readiness(503)
    await sample.wait_for_log(0, "batch_failed")

    await sample.query(repair)

    assert set(await sample.results(2)) == {"a", "b"}
    assert (await sample.query("SELECT count(*) FROM parked"))[0][0] == 0
    await sample.wait_for_readiness(200)


async def test_an_older_database_stops_the_start_with_the_command_to_run(sample: Harness) -> None:
    await sample.query("UPDATE alembic_version SET version_num = 'older'")

    printed = await refusal(sample)

    assert "SAMPLE_DATABASE_URL: the database is at revision older" in printed
    assert "run `python -m tests.chassis.sample migrate`" in printed


async def test_a_database_url_with_sslmode_works_for_migrate_too(sample: Harness) -> None:
    await sample.command(SAMPLE, "migrate", SAMPLE_DATABASE_URL=f"{sample.url}?sslmode=disable")


@asynccontextmanager
async def pooler() -> AsyncIterator[int]:
    """The port of a server that answers as PgBouncer does to a start-up parameter that it does not know."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            (size,) = struct.unpack(">I", await reader.readexactly(4))
            (code,) = struct.unpack(">I", (await reader.readexactly(size - 4))[:4])
            if code == 80877103:  # a request for TLS: not offered
                writer.write(b"N")
                await writer.drain()
                continue
            fields = b"SFATAL\0VFATAL\0C08P01\0Munsupported startup parameter: jit\0\0"
            writer.write(b"E" + struct.pack(">I", len(fields) + 4) + fields)
            await writer.drain()
            writer.close()
            return

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_connection_pooler_is_refused_at_the_start(sample: Harness) -> None:
    async with pooler() as port:
        printed = await refusal(sample, SAMPLE_DATABASE_URL=f"postgresql://u:p@127.0.0.1:{port}/db")

    assert "connection pooler such as PgBouncer" in printed
    assert not [line for line in printed.splitlines() if line.startswith("{") and json.loads(line)["level"] == "error"]
