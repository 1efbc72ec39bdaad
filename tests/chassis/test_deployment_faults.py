"""A fault of the deployment is no fault of the messages: they wait, and a message says what to do."""

import asyncio
import json
import re
import struct
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from chassis.database.errors import CONSEQUENCES, Consequence, consequence
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


def raising(sqlstate: str) -> tuple[str, str]:
    """A fault that makes every write of a tally fail with this SQLSTATE, and its repair."""
    fault = f"""
        CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN RAISE EXCEPTION 'as the test demands' USING ERRCODE = '{sqlstate}'; END $$;
        CREATE TRIGGER fault BEFORE INSERT OR UPDATE ON tallies FOR EACH ROW EXECUTE FUNCTION fault()
    """
    return fault, "DROP FUNCTION fault CASCADE"


STOPS = {
    "a missing column 42703": (
        "ALTER TABLE tallies RENAME COLUMN count TO hidden",
        "ALTER TABLE tallies RENAME COLUMN hidden TO count",
    ),
    "a missing table 42P01": ("ALTER TABLE tallies RENAME TO hidden", "ALTER TABLE hidden RENAME TO tallies"),
    "a missing grant 42501": ("REVOKE UPDATE ON tallies FROM {role}", "GRANT UPDATE ON tallies TO {role}"),
    "an I/O error 58030": raising("58030"),
    "corrupt data XX001": raising("XX001"),
}
WAITS = {"a full disk 53100": raising("53100"), "a deadlock 40P01": raising("40P01")}


@asynccontextmanager
async def limited(sample: Harness) -> AsyncIterator[str]:
    """Let instances log in as a role that owns nothing, as in production. Yields the role's name."""
    role = f"limited{uuid.uuid4().hex[:8]}"
    (database,) = (await sample.query("SELECT current_database()"))[0]
    await sample.query(f"CREATE ROLE {role} LOGIN PASSWORD 'p'")
    await sample.query(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
    owner = sample.url
    sample.url = urlsplit(owner)._replace(netloc=f"{role}:p@{urlsplit(owner).netloc.rpartition('@')[2]}").geturl()
    assert (await sample.query("SELECT current_user, current_database()"))[0] == (role, database)
    try:
        yield role
    finally:
        sample.close()
        sample.url = owner
        await sample.query(f"DROP OWNED BY {role}")
        await sample.query(f"DROP ROLE {role}")


async def as_owner(url: str, statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statements)
    finally:
        await connection.close()


async def reasons_of(sample: Harness) -> dict[str, str]:
    """What readiness complains of."""
    async with httpx.AsyncClient(base_url=sample.instances[-1].admin) as client:
        answer = (await client.get("/health/ready")).json()
    reasons: dict[str, str] = answer.get("reasons", {})
    return reasons


@pytest.mark.parametrize("fault", STOPS)
async def test_reading_stops_until_a_person_repairs_the_database_and_loses_nothing(sample: Harness, fault: str) -> None:
    breaks, repairs = STOPS[fault]
    owner, sqlstate = sample.url, fault.rpartition(" ")[2]
    async with limited(sample) as role:
        await sample.start()
        await sample.publish({"name": "a", "n": 0}, {"name": "b", "n": 0})
        await sample.results(2)
        await as_owner(owner, breaks.format(role=role))
        await sample.publish({"name": "a", "n": 1}, {"name": "b", "n": 1})
        await sample.wait_for_readiness(503)
        await sample.wait_for_log(0, "reading_stopped")
        await sample.publish({"name": "a", "n": 2}, {"name": "c", "n": 0})

        assert sqlstate in (await reasons_of(sample))["consuming"]
        # A restart repairs nothing, and loses nothing.
        sample.instances[-1].end()
        await sample.start(wait=False)
        await sample.wait_for_log(1, "reading_stopped")

        await as_owner(owner, repairs.format(role=role))

        results = await sample.results(6)
        assert {name: [event["n"] for event in events] for name, events in results.items()} == {
            "a": [0, 1, 2],
            "b": [0, 1],
            "c": [0],
        }
        await sample.wait_for_readiness(200)
        await sample.wait_for_log(1, "reading_resumed")
        assert (await sample.query("SELECT count(*) FROM parked"))[0][0] == 0
        assert "truce_dead_letters_total{" not in await sample.metrics()
        assert len([line for line in sample.log(1) if line["event"] == "reading_stopped"]) == 1


@pytest.mark.parametrize("fault", WAITS)
async def test_messages_wait_for_a_fault_that_passes_by_itself(sample: Harness, fault: str) -> None:
    breaks, repairs = WAITS[fault]
    await sample.start()
    await as_owner(sample.url, breaks)
    await sample.publish({"name": "a", "n": 0}, {"name": "b", "n": 0})
    await sample.wait_for_readiness(503)
    await sample.wait_for_log(0, "batch_retried")

    await as_owner(sample.url, repairs)

    assert set(await sample.results(2)) == {"a", "b"}
    assert (await sample.query("SELECT count(*) FROM parked"))[0][0] == 0
    await sample.wait_for_readiness(200)
    assert not [line for line in sample.log(0) if line["event"] in ("reading_stopped", "batch_failed")]


async def test_a_value_that_no_column_holds_is_the_messages_own_fault(sample: Harness) -> None:
    await as_owner(sample.url, raising("22001")[0])
    await sample.start()

    await sample.publish({"name": "a", "n": 0})

    (letter,) = await sample.dead_letters(1)
    assert letter["reason"] == "failed"
    await sample.wait_for_readiness(200)


SQLSTATES = {
    **dict.fromkeys(("08006", "57014", "40001", "55P03", "25006", "26000", "53100", "53300"), Consequence.WAIT),
    **dict.fromkeys(
        ("0A000", "28000", "3D000", "3F000", "42501", "42703", "42P01", "58030", "58P01", "F0000", "XX001"),
        Consequence.STOP_READING,
    ),
    **dict.fromkeys(("23505", "23514", "23P01"), Consequence.DECIDE_AGAIN),
    **dict.fromkeys(("22001", "22021", "22P05", "54000", "P0001", "ZZ999"), Consequence.DEAD_LETTER),
}
"""What follows from each class, by one or more of its codes."""


async def test_each_sqlstate_that_postgresql_raises_has_its_consequence(sample_database: str) -> None:
    connection = await asyncpg.connect(sample_database)
    found = {}
    for sqlstate in SQLSTATES:
        with pytest.raises(asyncpg.PostgresError) as raised:
            await connection.execute(f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{sqlstate}'; END $$")
        found[raised.value.sqlstate] = consequence(raised.value)
    await connection.close()

    assert found == SQLSTATES
    assert {sqlstate[:2] for sqlstate in SQLSTATES} >= CONSEQUENCES.keys()


def test_an_error_without_a_sqlstate_waits_and_any_other_is_the_messages() -> None:
    assert {consequence(error) for error in (OSError(), TimeoutError(), asyncpg.InterfaceError(""))} == {
        Consequence.WAIT
    }
    assert consequence(asyncpg.InvalidCachedStatementError("")) is Consequence.WAIT
    assert consequence(ValueError()) is Consequence.DEAD_LETTER


def test_operators_read_the_same_table_in_the_architecture_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([0-9A-Z, ]+) \|[^|]*\| (wait|stop reading|decide again) \|", page, re.MULTILINE)

    documented = {one: consequence_ for classes, consequence_ in rows for one in classes.split(", ")}

    assert documented == {one: follows.value for one, follows in CONSEQUENCES.items()}


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
