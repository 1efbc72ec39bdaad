"""The operators' commands about portals."""

import json
from collections.abc import Callable

import pytest

from chassis.database.pool import Database
from services.intake.http.access import Keyring
from tests.intake.harness import migrated, portals

pytestmark = pytest.mark.infra


async def test_key_is_printed_once_works_until_rotated_and_is_stored_nowhere(
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
    (row,) = [json.loads(line) for line in listed.splitlines()]
    assert (row["portal"], row["scopes"], row["active"]) == ("demo", ["leads", "partners"], True)
    assert not any(made["key"] in listed for made in (first, second))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("add", "demo", "--scopes", "leads,money"), "money"),
        (("add", "demo", "--scopes", ","), "no scopes given"),
        (("add", "name with spaces"), "1 to 100 letters"),
        (("rotate", "nobody"), "no portal nobody"),
        (("revoke", "nobody"), "no portal nobody"),
    ],
)
def test_command_that_fails_prints_the_reason(
    database_factory: Callable[..., str], arguments: tuple[str, ...], complaint: str
) -> None:
    done = portals({"INTAKE_DATABASE_URL": migrated(database_factory)}, *arguments)

    assert done.returncode != 0
    assert complaint in done.stderr


def test_list_prints_times_with_the_year_in_the_builders_zone(database_factory: Callable[..., str]) -> None:
    environment = {"INTAKE_DATABASE_URL": migrated(database_factory)}
    empty = portals(environment, "list").stdout
    portals(environment, "add", "demo")
    portals(environment, "add", "closed")
    portals(environment, "revoke", "closed")

    table = portals(environment, "list").stdout

    assert empty == "no portals\n"
    assert table.count("+03:00") == 2
    assert (table.count("active"), table.count("revoked")) == (1, 1)
