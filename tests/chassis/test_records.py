"""The header `replay` of a consumed record."""

from uuid import UUID

import pytest

from chassis.consumer import records
from chassis.consumer.records import read_replay
from contracts import dead_letters

TOKEN = UUID("18a5f0c1-9d8e-7a6b-0000-000000000001")


def test_the_chassis_and_the_contracts_name_the_same_replay_header() -> None:
    """They cannot import one another: the chassis imports no contract, and contracts import no chassis."""
    for name in ("REPLAY", "REPLAY_LETTER", "REPLAY_KEY"):
        assert getattr(records, name) == getattr(dead_letters, name)


@pytest.mark.parametrize(
    ("header", "read"),
    [
        (f"intake {TOKEN}", ("intake", TOKEN, False)),
        (f"intake {TOKEN} discard", ("intake", TOKEN, True)),
        ("intake", ("intake", None, False)),
        ("intake not-a-token", ("intake", None, False)),
        ("", ("", None, False)),
    ],
)
def test_a_replay_header_names_a_service_a_token_and_whether_to_discard(
    header: str, read: tuple[str, UUID | None, bool]
) -> None:
    assert read_replay(header) == read
