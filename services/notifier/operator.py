"""What the sales office asks the notifier: tables to read, `--json` for machines."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final
from uuid import UUID

import typer

from chassis.clock import Clock
from chassis.commands.console import print_rows, query
from chassis.commands.decide import decide_once
from chassis.decision import Cause, derived_id
from chassis.service import Input, Row
from chassis.settings import load
from services.notifier.app import NAME, build
from services.notifier.domain import Resend
from services.notifier.settings import Settings

_MESSAGES: Final = """
    SELECT m.message_id, m.lead_id, m.partner_id, m.template, m.status, m.created_at, m.due_at, m.settled_at,
           coalesce(m.provider, a.provider) AS provider, m.detail, a.sends, a.looks, m.resend_of, m.resent_by,
           m.resent_why
    FROM messages m LEFT JOIN attempts a USING (message_id)
    WHERE ($1::uuid IS NULL OR m.lead_id = $1) AND ($2::text IS NULL OR m.partner_id = $2)
      AND ($3::text IS NULL OR m.status = $3)
    ORDER BY m.created_at DESC, m.place DESC LIMIT $4
"""
_PROVIDERS: Final = """
    SELECT name, asked_at, error, balance, CASE WHEN barred_until > now() THEN bar END AS bar,
           CASE WHEN barred_until > now() THEN barred_until END AS barred_until,
           (SELECT count(*) FROM attempts a WHERE a.provider = p.name AND a.began_at > now() - interval '1 day') AS day
    FROM providers p ORDER BY name
"""
_STATUS: Final = {
    "scheduled": "ждёт своего часа",
    "waiting": "отправляется",
    "sent": "отправлено",
    "delivered": "доставлено",
    "failed": "не отправлено",
    "unknown": "неизвестно",
    "dropped": "уже неверно, не отправлялось",
}
_WHY_NOT: Final = {
    "no-such-message": "такого сообщения нет",
    "not-failed": "сообщение не числится неотправленным или неизвестным",
    "already-resent": "его уже отправляли повторно",
    "superseded": "оно уже неверно: после него было другое событие",
    "too-late": "оно уже неверно: его срок вышел",
}
_COLUMNS: Final = (
    *("сообщение", "лид", "партнёр", "текст", "состояние", "создано", "итог", "через кого", "подробно"),
    *("отправок", "запросов", "повтор"),
)

Json = Annotated[bool, typer.Option("--json", help="по объекту JSON в строке вместо таблицы")]
Limit = Annotated[int, typer.Option(help="не больше стольких строк, новые сначала")]


def add_commands(app: typer.Typer) -> None:
    """The operator's commands, beside `run` and `migrate`."""
    app.command(name="messages")(_messages)
    app.command(name="unknown")(_unknown)
    app.command(name="resend")(_resend)
    app.command(name="providers")(_providers)


def _messages(
    lead: Annotated[UUID | None, typer.Option(help="только об этом лиде")] = None,
    partner: Annotated[str | None, typer.Option(help="только этому партнёру")] = None,
    status: Annotated[str | None, typer.Option(help=", ".join(_STATUS))] = None,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """Что кому отправлено и что с этим стало; без текстов, имён и телефонов."""
    if status is not None and status not in _STATUS:
        raise typer.BadParameter(f"бывает: {', '.join(_STATUS)}", param_hint="--status")
    _show(_ask(_MESSAGES, lead, partner, status, limit), as_json)


def _unknown(limit: Limit = 100, as_json: Json = False) -> None:
    """Сообщения, о которых никто не знает, ушли ли они: решает человек (см. resend)."""
    _show(_ask(_MESSAGES, None, None, "unknown", limit), as_json)


def _resend(
    message: Annotated[UUID, typer.Argument(help="номер сообщения, как его показывает messages")],
    who: Annotated[str, typer.Option(help="кто решил")],
    why: Annotated[str, typer.Option(help="почему: например, риэлтор ничего не получил")],
) -> None:
    """Отправить ещё раз то, что не ушло или неизвестно, ушло ли, если оно всё ещё верно."""
    if not who.strip() or not why.strip():
        raise typer.BadParameter("нужно назвать, кто решил и почему")
    keys = _ask("SELECT client_key FROM messages WHERE message_id = $1", message)
    if not keys:
        _refuse("no-such-message")
    identity = str(derived_id(str(message), "resend"))
    order = Input(keys[0].client_key, Resend(message, who.strip(), why.strip()), Cause(identity, identity))
    reply = asyncio.run(decide_once(build(load(Settings)), order, Clock()))
    if not isinstance(reply, UUID):
        _refuse(reply)
    typer.echo(f"будет отправлено ещё раз, новое сообщение {reply}")


def _refuse(reason: str) -> None:
    typer.echo(f"не будет отправлено: {_WHY_NOT[reason]}", err=True)
    raise typer.Exit(1)


def _providers(as_json: Json = False) -> None:
    """Провайдеры: закрыт ли путь и почему, сколько денег осталось, что отвечал в последний раз."""
    print_rows(
        ("провайдер", "спрошен", "ответ", "остаток", "закрыт из-за", "до", "попыток за сутки"),
        [dict(row) for row in _ask(_PROVIDERS)],
        lambda row: (
            row["name"],
            _clock(row["asked_at"]),
            row["error"] or "всё хорошо",
            row["balance"],
            row["bar"],
            _clock(row["barred_until"]),
            row["day"],
        ),
        "json" if as_json else "table",
    )


def _show(found: Sequence[Row], as_json: bool) -> None:
    print_rows(_COLUMNS, [dict(row) for row in found], _cells, "json" if as_json else "table")


def _cells(row: Mapping[str, Any]) -> Sequence[Any]:
    again = f"{row['resend_of']}: {row['resent_by']}, {row['resent_why']}" if row["resend_of"] else None
    return (
        *(row["message_id"], row["lead_id"], row["partner_id"], row["template"], _STATUS[row["status"]]),
        *(_clock(row["created_at"]), _clock(row["settled_at"]), row["provider"], row["detail"]),
        *(row["sends"], row["looks"], again),
    )


def _clock(at: Any) -> str | None:
    return None if at is None else at.astimezone().strftime("%d.%m.%Y %H:%M:%S")


def _ask(sql: str, *args: Any) -> Sequence[Row]:
    return query(load(Settings).database_url.get_secret_value(), NAME, sql, *args)
