"""Options of commands in which people write: who decided, and why."""

import os

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from chassis.commands import typed
from tests.process import run_warm

ID = "3f2b8a1e-0c57-4d0e-9c62-0d5f0a1b2c3d"
COMMANDS = {
    "services.intake": (("erase", ID, "--who", "dpo"), "--why"),
    "services.reservations": (("erase", ID, "--why", "запрос 7"), "--who"),
    "services.notifier": (("resend", ID, "--who", "Смирнова"), "--why"),
    "services.onec_gateway": (("release", ID, "--confirm", "--who", "Смирнова"), "--why"),
    "services.ops": (("dead-letters", "discard", ID), "--because"),
}


@given(st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=200))
def test_a_line_without_control_characters_is_taken_and_trimmed(text: str) -> None:
    if text.strip():
        assert typed.who(text) == typed.why(text) == text.strip()


@pytest.mark.parametrize("text", ["", " ", "a\nb", "a\x1b[2J", "a\x7f", "a\x85", "\x00", "\udcff", "x" * 1001])
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        typed.why(text)


@pytest.mark.parametrize("module", COMMANDS)
@pytest.mark.parametrize("text", ["a\x1b[2J", b"\xff".decode(errors="surrogateescape")])
def test_a_command_names_the_option_with_a_forbidden_character(module: str, text: str) -> None:
    arguments, option = COMMANDS[module]

    done = run_warm(module, *arguments, option, text, environment={**os.environ, "COLUMNS": "200"})

    assert done.returncode == 2, done.stdout + done.stderr
    assert option in done.stderr
    assert "управляющие символы" in done.stderr
    assert "Traceback" not in done.stderr
