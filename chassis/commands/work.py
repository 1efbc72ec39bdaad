"""The commands `parked` and `retry` of a service that has work."""

from typing import Annotated, Final

import typer

from chassis.commands.console import print_rows, query
from chassis.settings import ServiceSettings, load

_LIST: Final = """
    SELECT id, kind, ref, key, state, note AS reason, attempts, in_doubt, created_at,
           CASE WHEN state = 'waiting' THEN due_at ELSE finished_at END AS at
    FROM work WHERE state = 'parked' OR (state = 'waiting' AND note IS NOT NULL)
    ORDER BY state, id LIMIT $1
"""
RETRY: Final = """
    UPDATE work SET state = 'waiting', due_at = now(), finished_at = NULL
    WHERE state = 'parked' AND ($1::bigint[] IS NULL OR id = ANY($1::bigint[])) AND ($2::text IS NULL OR kind = $2)
    RETURNING id
"""
"""Retries parked work: row ids or null for all, kind or null for every kind → the ids."""


def add_commands(app: typer.Typer, name: str, settings: type[ServiceSettings]) -> None:
    """Add `parked` and `retry` to the command line of service `name`."""

    @app.command()
    def parked(
        limit: Annotated[int, typer.Option(help="at most this many rows")] = 100,
        as_json: Annotated[bool, typer.Option("--json", help="one JSON object a line")] = False,
    ) -> None:
        """List calls that were parked, which a person must decide, and calls that are retried, with their reasons."""
        rows = query(load(settings).database_url.get_secret_value(), name, _LIST, limit)
        print_rows(
            ("id", "kind", "ref", "state", "reason", "attempts", "in doubt", "created", "parked at / next attempt"),
            [dict(row) for row in rows],
            lambda row: (
                row["id"],
                row["kind"],
                row["ref"],
                row["state"],
                row["reason"],
                row["attempts"],
                "yes" if row["in_doubt"] else "no",
                f"{row['created_at']:%Y-%m-%d %H:%M:%S} UTC",
                f"{row['at']:%Y-%m-%d %H:%M:%S} UTC" if row["at"] else None,
            ),
            "json" if as_json else "table",
            empty="nothing is parked, nothing is retried",
        )

    @app.command()
    def retry(
        ids: Annotated[list[int] | None, typer.Argument(help="ids from `parked`")] = None,
        everything: Annotated[bool, typer.Option("--all", help="all parked calls")] = False,
        kind: Annotated[str | None, typer.Option(help="only calls of this kind")] = None,
    ) -> None:
        """Retry parked calls: the cause was repaired."""
        if not ids and not everything:
            raise typer.BadParameter("name ids from `parked`, or give --all")
        url = load(settings).database_url.get_secret_value()
        retried = query(url, name, RETRY, None if everything else ids, kind)
        typer.echo(f"{len(retried)} calls will be retried")
        if ids and len(retried) < len(set(ids)):
            typer.echo("the others are not parked: see `parked`", err=True)
            raise typer.Exit(1)
