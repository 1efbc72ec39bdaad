"""The commands `refused`, `retry-refused` and `drop-refused` of every service: events that Kafka refused for good."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import structlog
import typer

from chassis.commands import typed
from chassis.commands.console import print_rows, query
from chassis.outbox.statements import DROP_REFUSED, LIST_REFUSED, RETRY_REFUSED
from chassis.settings import ServiceSettings, load

log = structlog.get_logger(__name__)

Ids = Annotated[list[int], typer.Argument(help="ids from `refused`")]
Who = Annotated[str, typer.Option(help="who decides", parser=typed.who)]
Why = Annotated[str, typer.Option(help="why: for example, the limit of the topic was raised", parser=typed.why)]


def list_refused(database_url: str, name: str, limit: int = 100) -> Sequence[Mapping[str, Any]]:
    """At most `limit` events that Kafka refused and nobody has decided about, oldest first.

    Of each: `id`, `topic`, `key`, `type`, `event_id`, `bytes` (value and headers), `reason` (Kafka's name of the
    error), `stored_at`, `refused_at`, and `waiting_behind` (later events of the key, which wait for the decision).
    """
    return [dict(row) for row in query(database_url, name, LIST_REFUSED, limit)]


def add_commands(app: typer.Typer, name: str, settings: type[ServiceSettings]) -> None:
    """Add the three commands to the command line of service `name`."""

    def decide(sql: str, ids: list[int], who: str, why: str) -> list[int]:
        decided = query(load(settings).database_url.get_secret_value(), name, sql, ids, who, why)
        return sorted(row.id for row in decided)

    @app.command()
    def refused(
        limit: Annotated[int, typer.Option(help="at most this many rows")] = 100,
        as_json: Annotated[bool, typer.Option("--json", help="one JSON object a line")] = False,
    ) -> None:
        """List events that Kafka refused for good, which a person must decide about."""
        print_rows(
            ("id", "topic", "key", "type", "event id", "bytes", "reason", "stored", "refused", "waiting behind"),
            list_refused(load(settings).database_url.get_secret_value(), name, limit),
            lambda row: (
                row["id"],
                row["topic"],
                row["key"],
                row["type"],
                row["event_id"],
                row["bytes"],
                row["reason"],
                f"{row['stored_at']:%Y-%m-%d %H:%M:%S} UTC",
                f"{row['refused_at']:%Y-%m-%d %H:%M:%S} UTC",
                row["waiting_behind"],
            ),
            "json" if as_json else "table",
            empty="nothing is refused",
        )

    @app.command()
    def retry_refused(ids: Ids, who: Who, why: Why) -> None:
        """Publish refused events again, and then what waits behind them: the cause was repaired."""
        retried = decide(RETRY_REFUSED, ids, who, why)
        log.info("refused_events_retried", ids=retried, who=who, why=why)
        _report(f"{len(retried)} events will be published again, decided by {who}", retried, ids)

    @app.command()
    def drop_refused(ids: Ids, who: Who, why: Why) -> None:
        """Delete refused events for good. What waits behind them is published: readers find a gap in `ce_sequence`."""
        dropped = decide(DROP_REFUSED, ids, who, why)
        log.warning("refused_events_dropped", ids=dropped, who=who, why=why)
        _report(f"{len(dropped)} events are dropped for good, decided by {who}", dropped, ids)


def _report(text: str, decided: list[int], ids: list[int]) -> None:
    typer.echo(text)
    if len(decided) < len(set(ids)):
        typer.echo("the others do not wait for a decision: see `refused`", err=True)
        raise typer.Exit(1)
