"""`portals add|rotate|revoke|list`: who may send requests, and with which key."""

import asyncio
import json
import re
import secrets
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar, get_args

import typer
from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from rich.console import Console
from rich.table import Table

from chassis.service import Database
from chassis.settings import load
from services.intake import store
from services.intake.domain import Scope

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, help="Portals and their keys. A key is shown once, when it is made.")

AsJson = Annotated[bool, typer.Option("--json", help="machine-readable output")]
Name = Annotated[str, typer.Argument(help="letters, digits, dot, dash; its topic is portal-requests.NAME")]


class DatabaseSettings(BaseSettings):
    """These commands need nothing else."""

    model_config = SettingsConfigDict(env_prefix="INTAKE_", hide_input_in_errors=True)

    database_url: SecretStr


@app.command()
def add(
    name: Name,
    scopes: Annotated[str, typer.Option(help="leads,partners,returns,rewards")] = "leads",
    as_json: AsJson = False,
) -> None:
    """Make a portal and its key."""
    wanted = [scope.strip() for scope in scopes.split(",") if scope.strip()]
    unknown = set(wanted) - set(get_args(Scope))
    if unknown or not wanted:
        sys.exit(f"scopes are {', '.join(get_args(Scope))}; not known: {', '.join(sorted(unknown)) or 'none given'}")
    if not re.fullmatch(r"[A-Za-z0-9.-]{1,100}", name):
        sys.exit("a portal's name is 1 to 100 letters, digits, dots and dashes")
    key = _new_key()
    if not _with_database(lambda database: store.put_portal(database, name, wanted, key)):
        sys.exit(f"portal {name} exists already; its key can be rotated")
    _show_key(name, key, as_json)


@app.command()
def rotate(name: Name, as_json: AsJson = False) -> None:
    """Give a portal another key; the old one stops working within seconds."""
    key = _new_key()
    if not _with_database(lambda database: store.put_portal(database, name, None, key)):
        sys.exit(f"there is no portal {name}")
    _show_key(name, key, as_json)


@app.command()
def revoke(name: Name) -> None:
    """Take a portal's key away. Its requests are refused from then on, on its topic too."""
    if not _with_database(lambda database: store.put_portal(database, name, None, None)):
        sys.exit(f"there is no portal {name}")
    print(f"{name}: revoked")


@app.command("list")
def show(as_json: AsJson = False) -> None:
    """All portals."""
    found = _with_database(store.portals)
    if as_json:
        rows = [
            {
                "portal": row.name,
                "scopes": row.scopes,
                "active": row.key_hash is not None,
                "changed_at": row.changed_at.isoformat(),
            }
            for row in found
        ]
        print(json.dumps(rows))
        return
    table = Table("portal", "scopes", "key", "changed at")
    for row in found:
        state = "works" if row.key_hash is not None else "revoked"
        table.add_row(row.name, ", ".join(row.scopes), state, row.changed_at.isoformat(timespec="seconds"))
    Console().print(table)


def _new_key() -> str:
    return "trk_" + secrets.token_urlsafe(32)


def _show_key(name: str, key: str, as_json: bool) -> None:
    print(json.dumps({"portal": name, "key": key}) if as_json else f"{name}: {key}\nKeep it: it is not shown again.")


def _with_database(work: Callable[[Database], Awaitable[T]]) -> T:
    async def run() -> T:
        database = Database(load(DatabaseSettings).database_url.get_secret_value(), name="intake portals", pool_size=1)
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())
