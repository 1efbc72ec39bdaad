"""Logs are JSON lines without phones and names, and a normal start logs no error."""

import json
import subprocess
import sys
from typing import Any

import pytest

from chassis.observability.logging import scrub
from tests.chassis.harness import Harness


def logged(script: str) -> list[dict[str, Any]]:
    """The log lines of a Python script, which runs after the logs are configured."""
    start = "import logging, structlog; from chassis.observability.logging import configure; configure('x')\n"
    done = subprocess.run([sys.executable, "-c", start + script], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    "phone",
    ["+79161234567", "89161234567", "8 (916) 123-45-67", "+7 916 123 45 67", "9161234567", "8-916-123-45-67"],
)
def test_telephone_numbers_are_cut_out_of_a_text(phone: str) -> None:
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


def test_logs_of_libraries_and_of_exceptions_are_json_without_content() -> None:
    first, second, third = logged(
        "logging.getLogger('any.library').warning('could not call %s', '+79161234567')\n"
        "logging.getLogger('httpx').info('GET http://1c/?phone=79161234567')\n"
        "structlog.get_logger().info('lead_taken', phone='secret', lead_id='l1')\n"
        "try: raise ValueError('Ветлугин Пётр')\n"
        "except ValueError as e: structlog.get_logger().error('failed', exc_info=e)\n"
    )

    assert first["event"] == "could not call [number]"
    assert (second["phone"], second["lead_id"]) == ("[withheld]", "l1")
    assert third["exception"][0] == "ValueError"
    assert "Ветлугин" not in json.dumps((first, second, third), ensure_ascii=False)


def test_an_unknown_group_coordinator_is_not_logged_as_an_error() -> None:
    """aiokafka logs it as an error at every start, and then retries."""
    unknown, other = logged(
        "log = logging.getLogger('aiokafka.consumer.group_coordinator')\n"
        "log.error('Group Coordinator Request failed: %s', 'CoordinatorNotAvailableError')\n"
        "log.error('OffsetCommit failed for group %s', 'g')\n"
    )

    assert unknown["event"] == "Group Coordinator Request failed: CoordinatorNotAvailableError"
    assert unknown["level"] == "info"
    assert other["level"] == "error"


@pytest.mark.infra
async def test_a_start_and_a_stop_log_no_warning_and_no_error(sample: Harness) -> None:
    await sample.start()
    await sample.publish({"name": "name-0", "n": 0})
    await sample.results(1)

    assert sample.instances[0].terminate() == 0

    assert {line["level"] for line in sample.log(0)} == {"info"}
