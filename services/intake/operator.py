"""Commands of operators: `portals add|rotate|revoke|list`, and which rows `retention` and `erase` clear."""

import asyncio
import json
import re
import secrets
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, Final, TypeVar, get_args
from zoneinfo import ZoneInfo

import typer
from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from chassis.commands import erasure
from chassis.commands.console import print_rows
from chassis.service import Database
from chassis.settings import Zone, load
from services.intake.domain.model import Scope
from services.intake.store.portals import add_portal, list_portals, set_portal_key

T = TypeVar("T")

SEALED_CLIENTS: Final = erasure.Sealed(
    table="leads",
    column="client",
    key="client_key",
    reference="lead_id",
    ended="CASE status WHEN 'rejected' THEN rejected_at WHEN 'expired' THEN expired_at ELSE closed_at END",
)

portals = typer.Typer(no_args_is_help=True, help="Portals and their keys. A key is shown once, when it is made.")

AsJson = Annotated[bool, typer.Option("--json", help="print JSON, one object a line")]
Name = Annotated[str, typer.Argument(help="letters, digits, dots, dashes; the portal's topic is portal-requests.NAME")]


class OperatorSettings(BaseSettings):
    """All that these commands need; `time_zone` is the builder's, for the times that `list` prints."""

    model_config = SettingsConfigDict(env_prefix="INTAKE_", hide_input_in_errors=True)

    database_url: SecretStr
    time_zone: Zone = "Europe/Moscow"


@portals.command()
def add(
    name: Name,
    scopes: Annotated[str, typer.Option(help="leads,partners,returns,rewards")] = "leads",
    as_json: AsJson = False,
) -> None:
    """Make a portal and its key."""
    wanted = [scope.strip() for scope in scopes.split(",") if scope.strip()]
    unknown = set(wanted) - set(get_args(Scope))
    if unknown:
        sys.exit(f"unknown scopes: {', '.join(sorted(unknown))}; use {', '.join(get_args(Scope))}")
    if not wanted:
        sys.exit(f"no scopes given; use {', '.join(get_args(Scope))}")
    if not re.fullmatch(r"[A-Za-z0-9.-]{1,100}", name):
        sys.exit("a portal's name has 1 to 100 letters, digits, dots and dashes")
    key = _new_key()
    if not _on_database(lambda database, _: add_portal(database, name, wanted, key)):
        sys.exit(f"portal {name} exists already; use rotate to give it another key")
    _print_key(name, key, as_json)


@portals.command()
def rotate(name: Name, as_json: AsJson = False) -> None:
    """Give a portal another key; the old key stops working within seconds."""
    key = _new_key()
    if not _on_database(lambda database, _: set_portal_key(database, name, key)):
        sys.exit(f"no portal {name}")
    _print_key(name, key, as_json)


@portals.command()
def revoke(name: Name) -> None:
    """Remove a portal's key. From then on its requests are refused, those on its topic too."""
    if not _on_database(lambda database, _: set_portal_key(database, name, None)):
        sys.exit(f"no portal {name}")
    typer.echo(f"{name}: revoked")


@portals.command("list")
def list_all(as_json: AsJson = False) -> None:
    """List all portals."""
    found = _on_database(_portals)
    if not found and not as_json:
        typer.echo("no portals")
        return
    print_rows(
        ("portal", "scopes", "key", "changed at"),
        found,
        lambda row: (
            row["portal"],
            ", ".join(row["scopes"]),
            "active" if row["active"] else "revoked",
            row["changed_at"].replace("T", " "),
        ),
        "json" if as_json else "table",
    )


async def _portals(database: Database, zone: ZoneInfo) -> list[dict[str, object]]:
    return [
        {
            "portal": row.name,
            "scopes": row.scopes,
            "active": row.key_hash is not None,
            "changed_at": row.changed_at.astimezone(zone).isoformat(timespec="seconds"),
        }
        for row in await list_portals(database)
    ]


def _new_key() -> str:
    return "trk_" + secrets.token_urlsafe(32)


def _print_key(name: str, key: str, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"portal": name, "key": key}))
    else:
        typer.echo(f"{name}: {key}\nStore it now: it is not shown again.")


def _on_database(action: Callable[[Database, ZoneInfo], Awaitable[T]]) -> T:
    """Run `action` with the database of the settings and the builder's time zone."""
    settings = load(OperatorSettings)

    async def run() -> T:
        database = Database(settings.database_url.get_secret_value(), name="intake-operator", pool_size=1)
        try:
            return await action(database, ZoneInfo(settings.time_zone))
        finally:
            await database.close()

    return asyncio.run(run())
