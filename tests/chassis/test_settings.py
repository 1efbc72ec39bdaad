"""Settings: a missing or wrong setting stops the start with a message that names it."""

from typing import Annotated

import pytest
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from chassis.settings import ServiceSettings, load


class Settings(ServiceSettings):
    """`SOME_…`, and one setting that all services share."""

    model_config = SettingsConfigDict(env_prefix="SOME_", hide_input_in_errors=True)

    shared: Annotated[str, Field(validation_alias="SHARED_BY_ALL")]


def test_a_missing_setting_stops_the_start_and_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        load(Settings)

    printed = capsys.readouterr().err
    assert stopped.value.code == 2
    assert "setting SOME_DATABASE_URL:" in printed
    assert "setting SHARED_BY_ALL:" in printed


def test_a_wrong_setting_is_named_without_its_value(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_DATABASE_URL", "postgresql://x")
    monkeypatch.setenv("SOME_ADMIN_PORT", "seventy")

    with pytest.raises(SystemExit):
        load(Settings)

    printed = capsys.readouterr().err
    assert "SOME_ADMIN_PORT" in printed
    assert "seventy" not in printed
