"""The operator's commands about portals."""

import json
from collections.abc import Callable

import pytest

from chassis.database.pool import Database
from services.intake.http.access import Keyring
from tests.intake.conftest import migrated, portals

pytestmark = pytest.mark.infra


async def test_a_key_is_shown_once_works_until_it_is_rotated_and_is_nowhere_at_rest(
    database_factory: Callable[..., str],
) -> None:
    url = migrated(database_factory)
    environment = {"INTAKE_DATABASE_URL": url}
    first = json.loads(portals(environment, "add", "demo", "--scopes", "leads,partners", "--json").stdout)
    second = json.loads(portals(environment, "rotate", "demo", "--json").stdout)
    listed = portals(environment, "list", "--json").stdout

    database = Database(url, name="test", pool_size=1)
    keyring = Keyring(database)
    found = [await keyring.portal(made["key"]) for made in (first, second)]
    await database.close()

    assert (first["portal"], second["portal"]) == ("demo", "demo")
    assert found == [None, ("demo", frozenset({"leads", "partners"}))]
    (row,) = json.loads(listed)
    assert (row["portal"], row["scopes"], row["active"]) == ("demo", ["leads", "partners"], True)
    assert not any(made["key"] in listed for made in (first, second))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("add", "demo", "--scopes", "leads,money"), "money"),
        (("add", "demo", "--scopes", ","), "none given"),
        (("add", "name with spaces"), "1 to 100 letters"),
        (("rotate", "nobody"), "no portal nobody"),
        (("revoke", "nobody"), "no portal nobody"),
    ],
)
def test_a_command_that_cannot_be_done_says_why_and_fails(
    database_factory: Callable[..., str], arguments: tuple[str, ...], complaint: str
) -> None:
    done = portals({"INTAKE_DATABASE_URL": migrated(database_factory)}, *arguments)

    assert done.returncode != 0
    assert complaint in done.stderr
