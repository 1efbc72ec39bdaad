"""What cannot move by itself is counted, named in health, and listed with the command that frees it."""

import json
from typing import Any

import pytest

from tests.chassis.harness import Harness, headers_for
from tests.process import until
from tests.topics import publish_undecodable

pytestmark = pytest.mark.infra

SAMPLE = "tests.chassis.sample"


async def waiting(sample: Harness, port: str = "0") -> list[dict[str, Any]]:
    """The rows of the command `waiting`. `port` is the admin port that the command reads."""
    printed = await sample.command(SAMPLE, "waiting", "--json", SAMPLE_ADMIN_PORT=port)
    return [json.loads(line) for line in printed.splitlines() if line.startswith("{")]


async def run_command(sample: Harness, line: str) -> str:
    """Run a command line that `waiting` printed."""
    python, option, module, *arguments = line.split()
    assert (python, option) == ("python", "-m")
    return await sample.command(module, *arguments)


async def gauges(sample: Harness) -> dict[str, float]:
    """The metrics of what waits, without the labels."""
    names = (
        "truce_parked_clients",
        "truce_dead_letters_open",
        "truce_dead_letters_oldest_age",
        "truce_work_parked_rows",
    )
    lines = [line for line in (await sample.metrics()).splitlines() if line.startswith(names)]
    return {line.partition("{")[0]: float(line.rpartition(" ")[2]) for line in lines}


async def until_counted(sample: Harness, clients: int, letters: int) -> dict[str, float]:
    """Wait until the metrics show so many parked clients and open letters."""

    async def counted() -> dict[str, float] | None:
        found = await gauges(sample)
        matches = (found["truce_parked_clients"], found["truce_dead_letters_open"]) == (clients, letters)
        return found if matches else None

    return await until(counted, f"{clients} clients are parked, {letters} letters are open")


async def publish_unreadable(sample: Harness, n: int = 0) -> None:
    await sample.publish_raw([(b"u", headers_for({"name": "unreadable", "n": n}), b"not json")])


async def test_parked_clients_and_letters_are_counted_and_freed_by_the_commands_listed(
    sample: Harness,
) -> None:
    broken = await sample.start(SAMPLE_BROKEN="yes")
    fails = [{"name": name, "n": 0, "action": "fail-while-broken"} for name in ("a", "b")]
    await sample.publish(*fails, {"name": "a", "n": 1})
    await publish_unreadable(sample)

    found = await until_counted(sample, clients=2, letters=4)
    assert 0 < found["truce_dead_letters_oldest_age_seconds"] < 300
    health = await sample.health()
    await sample.wait_for_readiness(200)
    assert health["status"] == "degraded"
    assert health["reasons"]["waiting"].startswith("2 clients parked since 20")
    assert " UTC, 4 dead letters open since 20" in health["reasons"]["waiting"]
    assert health["reasons"]["waiting"].endswith(": run python -m tests.chassis.sample waiting")

    rows = await waiting(sample)
    assert sorted((row["kind"], row.get("key"), row["reason"], row.get("letters")) for row in rows) == [
        ("dead-letter", None, "invalid", None),
        ("parked-client", "a", "failed", 2),
        ("parked-client", "b", "failed", 1),
    ]
    assert {row["topic"] for row in rows} == {sample.requests_topic}
    assert all(row["since"][:2] == "20" and row["since"].endswith("+00:00") for row in rows)
    assert rows == sorted(rows, key=lambda row: str(row["since"]))

    broken.kill()
    broken.wait()
    await sample.start()
    for row in rows:
        if row["kind"] == "parked-client":
            assert row["command"].startswith("python -m services.ops dead-letters replay ")
            await run_command(sample, row["command"])
    (letter,) = [row["letter"] for row in rows if row["kind"] == "dead-letter"]
    await sample.command("services.ops", "dead-letters", "discard", letter, "--because", "a test")

    assert [event["n"] for event in (await sample.results(3))["a"]] == [0, 1]
    await until_counted(sample, clients=0, letters=0)
    await sample.wait_for_health("ok")
    assert "ничего не ждёт" in await sample.command(SAMPLE, "waiting")


async def test_an_unreadable_record_that_is_replayed_in_vain_has_one_open_letter(sample: Harness) -> None:
    await sample.start()
    await publish_unreadable(sample)
    await until_counted(sample, clients=0, letters=1)
    (before,) = await waiting(sample)

    await run_command(sample, before["command"])

    async def replaced() -> dict[str, Any] | None:
        rows = await waiting(sample)
        return rows[0] if [row["letter"] for row in rows] != [before["letter"]] else None

    after = await until(replaced, "the letter was replaced")
    assert len(await waiting(sample)) == 1
    assert after["since"] == before["since"], "since the first failure"
    assert after["offset"] != before["offset"] or after["partition"] != before["partition"]
    await sample.command("services.ops", "dead-letters", "discard", after["letter"], "--because", "a test")
    await until_counted(sample, clients=0, letters=0)


async def test_a_record_read_again_has_one_letter(sample: Harness) -> None:
    """The service was killed before it committed the offset."""
    first = await sample.start()
    await publish_unreadable(sample)
    await until_counted(sample, clients=0, letters=1)
    (letter,) = [row["letter"] for row in await waiting(sample)]
    first.kill()
    first.wait()

    await sample.start()
    await sample.publish({"name": "a", "n": 0})
    await sample.results(1)

    assert [row["letter"] for row in await waiting(sample)] == [letter]


async def test_a_replay_of_another_kind_of_record_closes_its_letter(sample: Harness) -> None:
    """After the repair this version skips the record: nobody has to decide about it any more."""
    await sample.start()
    headers = [(name, value) for name, value in headers_for({"name": "a", "n": 0}) if name != "ce_source"]
    await sample.publish_raw([(b"a", headers, b"{}")])
    await until_counted(sample, clients=0, letters=1)
    (letter,) = await sample.dead_letters(1)

    mark = ("replay", f"{sample.service} {letter['original']['token']}".encode())
    other = [("ce_id", b"1"), ("ce_type", b"something-else.v1"), ("ce_source", b"/test"), mark]
    await sample.publish_raw([(b"a", other, b"{}")])

    await until_counted(sample, clients=0, letters=0)


async def test_a_forged_replay_closes_no_letter(sample: Harness) -> None:
    await sample.start()
    await publish_unreadable(sample)
    await until_counted(sample, clients=0, letters=1)
    forged = ("replay", f"{sample.service} 00000000-0000-4000-8000-000000000000".encode())

    await sample.publish_raw([(b"u", [*headers_for({"name": "x", "n": 1}), forged], b"not json")])

    await until_counted(sample, clients=0, letters=2)


async def test_a_client_parked_by_an_older_version_is_counted_and_listed(sample: Harness) -> None:
    await sample.start()
    await sample.query(
        "WITH s AS (INSERT INTO streams (key, parked_at) VALUES ('old', now()))"
        " INSERT INTO parked (key, token, record) VALUES ('old', gen_random_uuid(), gen_random_uuid())"
    )

    await until_counted(sample, clients=1, letters=1)
    (row,) = await waiting(sample)

    assert (row["kind"], row["key"], row["reason"]) == ("parked-client", "old", "unknown")
    assert row["command"] == "python -m services.ops dead-letters list --service sample"


async def test_parked_work_is_counted_listed_and_freed_by_the_command_listed(sample: Harness) -> None:
    await sample.start()
    await sample.publish({"name": "a", "n": 0, "action": "call-park-once"})
    await sample.wait_for_health("degraded", "waiting", "1 work rows parked since 20")
    assert (await gauges(sample))["truce_work_parked_rows"] == 1

    (row,) = await waiting(sample)
    assert (row["kind"], row["work"], row["ref"], row["why"]) == ("parked-work", "call", "a/0", "refused")
    await run_command(sample, row["command"])

    await sample.wait_for_health("ok")
    assert await waiting(sample) == []


async def test_a_paused_partition_is_listed_with_the_command_that_skips_its_record(sample: Harness) -> None:
    await sample.start()
    await publish_undecodable(sample.bootstrap, sample.requests_topic, 1)
    await sample.wait_for_log(0, "partition_unreadable")
    port = sample.instances[-1].admin.rpartition(":")[2]

    (row,) = await waiting(sample, port)

    assert (row["kind"], row["partition"], row["offset"]) == ("unreadable-partition", 1, 0)
    assert row["command"].startswith(f"{PROGRAM} skip {sample.requests_topic} 1 0 --who ")
    assert "не отвечает" not in await sample.command(SAMPLE, "waiting", SAMPLE_ADMIN_PORT=port)
    assert "процесс не отвечает" in await sample.command(SAMPLE, "waiting", SAMPLE_ADMIN_PORT="1")


PROGRAM = "python -m tests.chassis.sample"


async def test_the_table_is_whole_in_eighty_columns_and_its_commands_can_be_copied(sample: Harness) -> None:
    await sample.start()
    await sample.publish({"name": "client-with-a-long-key-" + "0123456789abcdef" * 4, "n": 0, "action": "fail"})
    await publish_unreadable(sample)
    await until_counted(sample, clients=1, letters=2)
    rows = await waiting(sample)

    printed = await sample.command(SAMPLE, "waiting", COLUMNS="80")

    lines = printed.splitlines()
    assert "…" not in printed
    for row in rows:
        assert any(line.endswith(row["command"]) for line in lines)
    table = [line for line in lines if line[:1] in "┏┃┡│├└"]
    assert table
    assert all(len(line) <= 80 for line in table)
    cells = "".join(line.strip("│").split("│")[1].strip() for line in table if line.startswith("│"))
    for row in rows:
        assert row["what"].replace(" ", "") in cells.replace(" ", "")
