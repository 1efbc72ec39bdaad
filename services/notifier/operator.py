"""Operators' commands of the notifier. Listing commands print a table, or with `--json` one JSON object a line."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import typer

from chassis.clock import Clock
from chassis.commands import typed
from chassis.commands.console import Form, print_rows, query
from chassis.commands.decide import decide_once
from chassis.commands.waiting import Desk, Waiting
from chassis.decision import Cause, derived_id
from chassis.service import Input, Row
from chassis.settings import load
from services.notifier.app import NAME, build
from services.notifier.domain.model import Resend
from services.notifier.settings import Settings

_MESSAGES: Final = """
    SELECT m.message_id, m.lead_id, m.partner_id, m.template, m.status, m.created_at, m.due_at, m.settled_at,
           coalesce(m.provider, a.provider) AS provider, m.detail, a.sends, a.lookups, m.resend_of, m.resent_by,
           m.resent_why
    FROM messages m LEFT JOIN attempts a USING (message_id)
    WHERE ($1::uuid IS NULL OR m.lead_id = $1) AND ($2::text IS NULL OR m.partner_id = $2)
      AND ($3::text IS NULL OR m.status = $3)
    ORDER BY m.created_at DESC, m.place DESC LIMIT $4
"""
_PROVIDERS: Final = """
    SELECT name, checked_at, error, balance, CASE WHEN disabled_until > now() THEN disabled_code END AS disabled_code,
           CASE WHEN disabled_until > now() THEN disabled_until END AS disabled_until,
           (SELECT count(*) FROM attempts a WHERE a.provider = p.name AND a.began_at > now() - interval '1 day') AS day
    FROM providers p ORDER BY name
"""
_CLIENT_KEY: Final = "SELECT client_key FROM messages WHERE message_id = $1"
# An SMS whose text is no longer true cannot be sent again, so nobody need decide about it.
_UNKNOWN: Final = """
    SELECT message_id, lead_id, template, detail, settled_at FROM messages m
    WHERE status = 'unknown' AND obsolete IS NULL AND valid_until > $1
      AND NOT EXISTS (SELECT 1 FROM messages a WHERE a.resend_of = m.message_id)
    ORDER BY settled_at
"""
_STATUSES: Final = ("scheduled", "waiting", "sent", "delivered", "failed", "unknown", "dropped")
_REFUSALS: Final = {
    "no-such-message": "there is no such SMS",
    "not-failed": "its status is neither failed nor unknown",
    "already-resent": "it was sent again before",
    "superseded": "its text is no longer true: another event followed",
    "too-late": "its text is no longer true: its time has passed",
}
_MESSAGE_COLUMNS: Final = (
    *("message", "lead", "partner", "template", "status", "created", "settled", "provider", "detail"),
    *("sends", "lookups", "resent"),
)
_PROVIDER_COLUMNS: Final = (
    *("provider", "checked", "answer", "balance, rub", "disabled by code", "disabled until", "attempts in a day"),
)

Json = Annotated[bool, typer.Option("--json", help="one JSON object a line instead of a table")]
Limit = Annotated[int, typer.Option(help="show at most so many rows, the newest first")]


def add_commands(app: typer.Typer) -> None:
    """Add the commands `messages`, `unknown`, `resend` and `providers`."""
    app.command(name="messages")(_messages)
    app.command(name="unknown")(_unknown)
    app.command(name="resend")(_resend)
    app.command(name="providers")(_providers)


def unknown_sms(desk: Desk) -> Iterator[Waiting]:
    """SMS that may be out or not, for the command `waiting`."""
    for row in desk.select(_UNKNOWN, Clock().now()):
        yield Waiting(
            "unknown-sms",
            f"SMS {row.message_id} по лиду {row.lead_id}",
            row.settled_at,
            f"неизвестно, отправлено ли ({row.detail}); повторить может только человек",
            f"{desk.program} resend {row.message_id} --who ИМЯ --why ПРИЧИНА",
            {"message_id": row.message_id, "lead_id": row.lead_id, "template": row.template, "reason": row.detail},
        )


def _messages(
    lead: Annotated[UUID | None, typer.Option(help="only SMS about this lead")] = None,
    partner: Annotated[str | None, typer.Option(help="only SMS to this partner")] = None,
    status: Annotated[str | None, typer.Option(help=f"only this status: {', '.join(_STATUSES)}")] = None,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """List SMS and what became of them, without texts, names and phones."""
    if status is not None and status not in _STATUSES:
        raise typer.BadParameter(f"allowed are {', '.join(_STATUSES)}", param_hint="--status")
    _list_messages(lead, partner, status, limit, as_json)


def _unknown(limit: Limit = 100, as_json: Json = False) -> None:
    """List SMS that may be out or not, and that no lookup can settle: a person decides (see resend)."""
    _list_messages(None, None, "unknown", limit, as_json)


def _resend(
    message: Annotated[UUID, typer.Argument(help="id of the SMS, as `messages` prints it")],
    who: Annotated[str, typer.Option(help="who made the decision", parser=typed.who)],
    why: Annotated[str, typer.Option(help="the reason, for example: the realtor got nothing", parser=typed.why)],
) -> None:
    """Send an SMS again whose status is failed or unknown, if its text is still true."""
    settings = load(Settings)
    keys = _query(settings, _CLIENT_KEY, message)
    if not keys:
        _refuse("no-such-message")
    order_id = str(derived_id(str(message), "resend"))
    order = Input(keys[0].client_key, Resend(message, who, why), Cause(order_id, order_id))
    reply = asyncio.run(decide_once(build(settings), order, Clock()))
    if not isinstance(reply, UUID):
        _refuse(reply)
    typer.echo(f"will be sent again as the new SMS {reply}")


def _refuse(reason: str) -> None:
    typer.echo(f"will not be sent again: {_REFUSALS[reason]}", err=True)
    raise typer.Exit(1)


def _providers(as_json: Json = False) -> None:
    """List providers: whether and why each is disabled, the money left, and the answer to the latest check."""
    settings = load(Settings)
    zone = ZoneInfo(settings.time_zone)

    def cells(row: Mapping[str, Any]) -> Sequence[Any]:
        return (
            *(row["name"], _local(row["checked_at"], zone), row["error"] or "healthy", row["balance"]),
            *(row["disabled_code"], _local(row["disabled_until"], zone), row["day"]),
        )

    form: Form = "json" if as_json else "table"
    found = [dict(row) for row in _query(settings, _PROVIDERS)]
    print_rows(_PROVIDER_COLUMNS, found, cells, form, empty="nothing found")


def _list_messages(lead: UUID | None, partner: str | None, status: str | None, limit: int, as_json: bool) -> None:
    settings = load(Settings)
    zone = ZoneInfo(settings.time_zone)

    def cells(row: Mapping[str, Any]) -> Sequence[Any]:
        resent = f"{row['resend_of']}: {row['resent_by']}, {row['resent_why']}" if row["resend_of"] else None
        return (
            *(row["message_id"], row["lead_id"], row["partner_id"], row["template"], row["status"]),
            *(_local(row["created_at"], zone), _local(row["settled_at"], zone), row["provider"], row["detail"]),
            *(row["sends"], row["lookups"], resent),
        )

    form: Form = "json" if as_json else "table"
    found = [dict(row) for row in _query(settings, _MESSAGES, lead, partner, status, limit)]
    print_rows(_MESSAGE_COLUMNS, found, cells, form, empty="nothing found")


def _local(at: datetime | None, zone: ZoneInfo) -> str | None:
    return None if at is None else at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def _query(settings: Settings, sql: str, *args: Any) -> Sequence[Row]:
    return query(settings.database_url.get_secret_value(), NAME, sql, *args)
