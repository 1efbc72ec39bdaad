"""Settings that stop the start of the notifier, and what the start then prints."""

import json
import os
from typing import Any

import pytest
from pydantic import ValidationError

from services.notifier.assembly import make_provider
from services.notifier.settings import PROVIDERS, Settings
from tests.notifier.samples import OPERATOR, SEALING_KEYS
from tests.process import run_warm

ENVIRONMENT = {
    "NOTIFIER_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    "NOTIFIER_ADMIN_PORT": "0",
    "NOTIFIER_SEALING_KEYS": SEALING_KEYS,
    "DEAD_LETTERS_PUBLIC_KEY": json.dumps(OPERATOR.as_dict(private=False)),
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
}
KANNEL = {
    **{"kannel_url": "http://127.0.0.1:1", "kannel_user": "u", "kannel_password": "p", "kannel_sender": "Truce"},
    **{"kannel_report_secret": "s", "kannel_reports_url": "http://127.0.0.1:2"},
}
SMSC = {"smsc_url": "http://127.0.0.1:1", "smsc_login": "l", "smsc_password": "p"}


def settings(**own: Any) -> Settings:
    key = "DEAD_LETTERS_PUBLIC_KEY"
    shared = {"database_url": "postgresql://nobody@127.0.0.1:1/none", "admin_port": 0, "sealing_keys": SEALING_KEYS}
    return Settings.model_validate({**shared, key: ENVIRONMENT[key], **own})


def start(**own: str) -> tuple[int, str]:
    """Exit code and standard error of `run` with these settings."""
    done = run_warm("services.notifier", "run", environment={**os.environ, **ENVIRONMENT, **own})
    return done.returncode, done.stderr


def test_an_unknown_provider_stops_the_start_and_the_message_names_the_allowed_ones() -> None:
    code, errors = start(NOTIFIER_PROVIDERS="smcs,console")

    assert code == 2
    [line] = errors.splitlines()
    assert line.startswith("setting NOTIFIER_PROVIDERS: ")
    assert line.endswith("no such provider: smcs; allowed are smsc, kannel, console")


def test_a_provider_without_its_account_stops_the_start() -> None:
    code, errors = start(NOTIFIER_PROVIDERS="console,smsc")

    assert code == 2
    assert {line.partition(": ")[0] for line in errors.splitlines()} == {
        f"setting NOTIFIER_SMSC_{name}" for name in ("URL", "LOGIN", "PASSWORD")
    }


@pytest.mark.parametrize("providers", ["", " , ", "smsc,smsc"])
def test_an_empty_or_doubled_order_of_providers_is_refused(providers: str) -> None:
    with pytest.raises(ValidationError, match="allowed are smsc, kannel, console"):
        settings(providers=providers, **SMSC)


def test_each_provider_that_the_settings_allow_is_made_under_its_own_name() -> None:
    order = ("console", "kannel", "smsc")
    loaded = settings(providers=", ".join(order), **SMSC, **KANNEL)

    assert [make_provider(name, loaded).name for name in loaded.provider_order] == list(order)
    assert set(order) == set(PROVIDERS)
