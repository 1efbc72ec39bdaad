"""Clock, logging, envelope and errors: the parts without servers."""

import json
import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from chassis.clock import Clock, ClockSettings, advance
from chassis.decision import Cause, derived_id, named_id
from chassis.envelope import cause_of, encode, headers_from_json, inbox_id, read_headers
from chassis.observability.logging import scrub
from chassis.settings import ServiceSettings, load
from tests.chassis.sample import Told

MOSCOW = ZoneInfo("Europe/Moscow")
AT = datetime(2026, 11, 24, tzinfo=UTC)


def test_business_time_moves_for_everyone_who_reads_the_file(tmp_path: Path) -> None:
    file = tmp_path / "clock.json"
    file.write_text('{"shift_seconds": 0}')
    one, other = (Clock(ClockSettings(allow_clock_shift=True, clock_file=file)) for _ in range(2))
    before = one.now()

    advance(file, "P5M23D", MOSCOW)

    assert one.now() - before > timedelta(days=150)
    assert abs(one.now() - other.now()) < timedelta(seconds=1)


def test_a_clock_that_may_not_be_moved_does_not_move(tmp_path: Path) -> None:
    file = tmp_path / "clock.json"
    file.write_text('{"shift_seconds": 999999}')

    assert abs(Clock(ClockSettings(clock_file=file)).now() - datetime.now(UTC)) < timedelta(seconds=1)


@pytest.mark.parametrize(("allowed", "system_runs"), [("false", True), ("true", False)])
def test_moving_the_clock_is_refused_without_permission_or_system(
    tmp_path: Path, allowed: str, system_runs: bool
) -> None:
    file = tmp_path / "clock.json"
    if system_runs:
        file.write_text('{"shift_seconds": 0}')

    done = subprocess.run(
        [sys.executable, "-m", "chassis.clock", "--advance", "P1D"],
        env={"ALLOW_CLOCK_SHIFT": allowed, "CLOCK_FILE": str(file)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.startswith("refused: ")


@pytest.mark.parametrize("duration", ["tomorrow", "-P1D", ""])
def test_time_moves_by_a_duration_and_forward_only(tmp_path: Path, duration: str) -> None:
    file = tmp_path / "clock.json"
    file.write_text('{"shift_seconds": 0}')

    with pytest.raises(ValueError, match=r"duration|forward"):
        advance(file, duration, MOSCOW)


@pytest.mark.parametrize(
    "phone",
    ["+79161234567", "89161234567", "8 (916) 123-45-67", "+7 916 123 45 67", "9161234567", "8-916-123-45-67"],
)
def test_what_looks_like_a_telephone_is_cut_out_of_a_text(phone: str) -> None:
    assert "4567" not in scrub(f"bad value '{phone}' in field").replace("-", "")
    assert "[number]" in scrub(f"'{phone}'")


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-24T21:16:21.455009+00:00",
        "8e4a0e0c-8f4f-4b8e-9a51-916123456789",
        "127.0.0.1:19092",
        "took 12345 ms, offset 123456",
    ],
)
def test_times_ids_and_counts_stay_readable(text: str) -> None:
    assert scrub(text) == text


def test_libraries_logs_are_json_and_scrubbed_and_exceptions_keep_their_words_to_themselves() -> None:
    script = (
        "import logging, structlog; from chassis.observability.logging import configure; configure('x')\n"
        "logging.getLogger('any.library').warning('could not call %s', '+79161234567')\n"
        "logging.getLogger('httpx').info('GET http://1c/?phone=79161234567')\n"
        "structlog.get_logger().info('told', phone='secret', lead_id='l1')\n"
        "try: raise ValueError('Ветлугин Пётр')\n"
        "except ValueError as e: structlog.get_logger().error('failed', exc_info=e)\n"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    first, second, third = (json.loads(line) for line in done.stdout.splitlines())
    assert first["event"] == "could not call [number]"
    assert (second["phone"], second["lead_id"]) == ("[withheld]", "l1")
    assert third["exception"][0] == "ValueError"
    assert "Ветлугин" not in done.stdout


def test_the_same_cause_and_kind_have_the_same_id_and_others_have_not() -> None:
    assert derived_id("a", "told.v1") == derived_id("a", "told.v1", 0)
    assert len({derived_id("a", "told.v1"), derived_id("a", "told.v1", 1), derived_id("b", "told.v1")}) == 3


@given(st.text(min_size=1), st.text(min_size=1), st.text(min_size=1))
def test_a_message_is_the_same_only_with_the_same_source_and_id(source: str, one: str, other: str) -> None:
    assert (inbox_id(source, one) == inbox_id(source, other)) == (one == other)


def test_an_event_carries_its_story() -> None:
    cause = Cause("c1", "story", "00-" + "a" * 32 + "-" + "b" * 16 + "-01")

    told = encode(
        Told(name="n", n=1, count=1),
        event_id=derived_id("c1", "told.v1"),
        source="/truce/sample",
        at=AT,
        cause=cause,
        sequence=7,
    )
    headers = read_headers(told.headers)

    assert cause_of(headers).correlation == "story"
    assert headers["ce_causationid"] == "c1"
    assert headers["ce_sequence"] == "7"
    assert headers["traceparent"].startswith("00-" + "a" * 32)
    assert headers_from_json(told.stored) == told.texts


def test_header_bytes_that_are_no_text_are_survived() -> None:
    assert read_headers([("ok", b"1"), ("odd", b"\xff"), ("none", None)]) == {"ok": "1", "odd": "\ufffd"}


class _Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="SOME_", hide_input_in_errors=True)

    shared: Annotated[str, Field(validation_alias="ALL_HAVE_THIS")]


def test_a_missing_setting_stops_the_start_and_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        load(_Settings)

    printed = capsys.readouterr().err
    assert stopped.value.code == 2
    assert "setting SOME_DATABASE_URL:" in printed
    assert "setting ALL_HAVE_THIS:" in printed


def test_a_wrong_setting_is_named_without_its_value(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_DATABASE_URL", "postgresql://x")
    monkeypatch.setenv("SOME_ADMIN_PORT", "seventy")

    with pytest.raises(SystemExit):
        load(_Settings)

    printed = capsys.readouterr().err
    assert "SOME_ADMIN_PORT" in printed
    assert "seventy" not in printed


@given(st.text(max_size=100))
def test_derived_ids_are_those_of_rfc_9562(name: str) -> None:
    assert named_id(uuid.NAMESPACE_URL, name) == uuid.uuid5(uuid.NAMESPACE_URL, name)
