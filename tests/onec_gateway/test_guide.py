"""The administrator's guide explains every outcome, reason and setting that an administrator meets."""

import re

import pytest

from services.onec_gateway.onec.exchange import MESSAGES
from services.onec_gateway.settings import Settings
from tests.simulators.tests.processes import ROOT

GUIDE = (ROOT / "docs/1c-admin.md").read_text(encoding="utf-8")
CODE = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "services/onec_gateway").rglob("*.py"))
REASONS = {
    *re.findall(r'Refused\("([a-z-]+)"', CODE),
    *re.findall(r'Retry\(\s*"([a-z-]+)"', CODE),
}
NOT_THE_ADMINISTRATORS = {"database_url", "admin_host", "admin_port", "poison_share", "inbox_kept_for"}
NOT_THE_ADMINISTRATORS |= {"work_kept_for", "sealing_keys", "client_key_secret", "dead_letters_public_key"}


@pytest.mark.parametrize("outcome", sorted(MESSAGES))
def test_every_outcome_is_explained(outcome: str) -> None:
    assert f"`{outcome}`" in GUIDE


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_every_reason_to_wait_or_to_park_is_explained(reason: str) -> None:
    assert reason in GUIDE


@pytest.mark.parametrize("name", sorted(set(Settings.model_fields) - NOT_THE_ADMINISTRATORS))
def test_every_setting_is_explained(name: str) -> None:
    assert f"ONEC_{name.upper()}" in GUIDE
