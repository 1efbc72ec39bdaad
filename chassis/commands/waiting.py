"""The command `waiting`: everything in a service that cannot move by itself, since when, why, and what frees it."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import httpx
import typer
from rich.console import Console
from rich.table import Table

from chassis.commands.console import query
from chassis.operations.skipping import SKIPPED_UNREAD
from chassis.outbox.statements import LIST_REFUSED
from chassis.service import Row
from chassis.settings import ServiceSettings, load

_PIPE_WIDTH: Final = 240
_ANSWER_TIMEOUT_S: Final = 3.0
_LETTERS_IN_A_COMMAND: Final = 10
_DECISION: Final = "--who ИМЯ --why ПРИЧИНА"
_LETTERS: Final = """
    SELECT key, letter, coalesce(reason, 'unknown') AS reason, topic, partition, record_offset, since
    FROM parked ORDER BY id
"""
_PARKED_WORK: Final = """
    SELECT id, kind, ref, key, note, attempts, in_doubt, finished_at FROM work WHERE state = 'parked' ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """One thing that waits for a person.

    `kind` is a stable code; `what` and `why` are for people, in Russian; `command` is a whole command line, without the
    environment. `details` are further fields of the JSON object. Nothing of it holds a name or a phone.
    """

    kind: str
    what: str
    since: datetime | None
    why: str
    command: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a source looks. `program` is the service's command line, such as `python -m services.intake`."""

    name: str
    program: str
    settings: ServiceSettings

    def select(self, sql: str, *args: Any) -> Sequence[Row]:
        """The rows of one statement on the service's database."""
        return query(self.settings.database_url.get_secret_value(), self.name, sql, *args)


Source = Callable[[Desk], Iterable[Waiting]]
"""Finds the things of one kind, or of a few kinds, that wait."""


def add_command(
    app: typer.Typer, name: str, settings: type[ServiceSettings], program: Callable[[], str], more: Sequence[Source]
) -> None:
    """Add `waiting` to the command line of service `name`. `more` are the service's own sources."""

    @app.command()
    def waiting(
        as_json: Annotated[
            bool, typer.Option("--json", help="вместо таблицы: по одному объекту JSON в строке")
        ] = False,
    ) -> None:
        """Показать всё, что не сдвинется само: с какого времени, почему, и какой командой это освободить."""
        found = collect(Desk(name, program(), load(settings)), (*SOURCES, *more))
        if as_json:
            for one in found:
                typer.echo(json.dumps(_as_object(one), ensure_ascii=False, default=str))
        else:
            _print(found)


def collect(desk: Desk, sources: Sequence[Source]) -> list[Waiting]:
    """What all sources find, the longest waiting first."""
    found = [one for source in sources for one in source(desk)]
    return sorted(found, key=lambda one: one.since or datetime.max.replace(tzinfo=UTC))


# --- the sources of every service


def open_letters(desk: Desk) -> Iterator[Waiting]:
    """Parked clients with the dead letters that hold them up, and dead letters behind which nobody waits."""
    parked: dict[str, list[Row]] = {}
    for row in desk.select(_LETTERS):
        if row.key is not None:
            parked.setdefault(row.key, []).append(row)
        else:
            why = f"запись нельзя прочитать ({row.reason})"
            yield Waiting("dead-letter", _record(row), row.since, why, _replay(desk, [row]), _letter_details(row))
    for key, letters in parked.items():
        first, behind = letters[0], len(letters) - 1
        why = f"не обработана {_record(first)} ({first.reason})" + (f"; за ней ждут ещё {behind}" if behind else "")
        details = {"key": key, "letters": len(letters), **_letter_details(first)}
        yield Waiting("parked-client", f"клиент {key}", first.since, why, _replay(desk, letters), details)


def parked_work(desk: Desk) -> Iterator[Waiting]:
    """Work rows that are not retried any more."""
    for row in desk.select(_PARKED_WORK):
        details = {"id": row.id, "work": row.kind, "ref": row.ref, "key": row.key, "reason": row.note}
        yield Waiting(
            "parked-work",
            f"вызов {row.kind} {row.ref}",
            row.finished_at,
            str(row.note),
            f"{desk.program} retry {row.id}",
            {**details, "attempts": row.attempts, "in_doubt": row.in_doubt},
        )


def refused_events(desk: Desk) -> Iterator[Waiting]:
    """Events that Kafka refused for good, with the number of later events behind each."""
    for row in desk.select(LIST_REFUSED, None):
        behind = f"; за ним ждут ещё {row.waiting_behind}" if row.waiting_behind else ""
        details = {"id": row.id, "topic": row.topic, "key": row.key, "type": row.type, "event": row.event_id}
        yield Waiting(
            "refused-event",
            f"событие {row.type} клиента {row.key}",
            row.refused_at,
            f"Kafka не приняла его в {row.topic}: {row.reason}, {row.bytes} байт{behind}",
            f"{desk.program} retry-refused {row.id} {_DECISION}",
            {**details, "bytes": row.bytes, "reason": row.reason, "waiting_behind": row.waiting_behind},
        )


def paused_topics(desk: Desk) -> Iterator[Waiting]:
    """Topics that the poison guard has paused."""
    for row in desk.select("SELECT topic, reason, paused_at FROM paused_topics ORDER BY topic"):
        command = f"{desk.program} resume {row.topic} {_DECISION}"
        details = {"topic": row.topic}
        yield Waiting("paused-topic", f"чтение {row.topic}", row.paused_at, row.reason, command, details)


def unreadable_partitions(desk: Desk) -> Iterator[Waiting]:
    """Partitions that the running process cannot read. Without a running process a note says that it is not known."""
    host = "127.0.0.1" if desk.settings.admin_host in ("0.0.0.0", "::", "") else desk.settings.admin_host  # noqa: S104  # every address includes this one
    address = f"http://{host}:{desk.settings.admin_port}/health/paused"
    try:
        answer = httpx.get(address, timeout=_ANSWER_TIMEOUT_S, trust_env=False).raise_for_status()
    except httpx.HTTPError:
        typer.echo(f"{desk.name}: процесс не отвечает ({address}), нечитаемые разделы тем неизвестны", err=True)
        return
    for row in answer.json():
        topic, partition, offset = row["topic"], row.get("partition"), row.get("offset")
        since, details = (
            datetime.fromisoformat(row["since"]),
            {"topic": topic, "partition": partition, "offset": offset},
        )
        what, why = f"чтение {topic}/{partition}", f"запись {offset} нельзя прочитать: {row['why']}"
        command = f"{desk.program} skip {topic} {partition} {offset} {_DECISION}"
        yield Waiting(row["kind"], what, since, why, command, details)


SOURCES: Final[Sequence[Source]] = (open_letters, parked_work, refused_events, paused_topics, unreadable_partitions)
"""What every service looks through. A new kind of waiting thing is one more function here."""


def _record(row: Row) -> str:
    if row.topic is None:
        return "запись (место неизвестно)"
    return f"запись {row.topic}/{row.partition}/{row.record_offset}"


def _replay(desk: Desk, letters: Sequence[Row]) -> str:
    """Replays the first letters; those of an older version, whose ids are not known, are to be listed first.

    A record that was skipped unread is not in its letter, so that letter can only be discarded.
    """
    ids = [str(row.letter) for row in letters if row.letter is not None]
    if [row.reason for row in letters] == [SKIPPED_UNREAD]:
        return f"python -m services.ops dead-letters discard {' '.join(ids)} --because ПРИЧИНА"
    if len(ids) < len(letters):
        return f"python -m services.ops dead-letters list --service {desk.name}"
    return f"python -m services.ops dead-letters replay {' '.join(ids[:_LETTERS_IN_A_COMMAND])}"


def _letter_details(row: Row) -> dict[str, Any]:
    return {
        "letter": row.letter,
        "reason": row.reason,
        "topic": row.topic,
        "partition": row.partition,
        "offset": row.record_offset,
    }


# --- printing


def _as_object(one: Waiting) -> dict[str, Any]:
    since = one.since.isoformat() if one.since is not None else None
    return {
        "kind": one.kind,
        "what": one.what,
        "since": since,
        "why": one.why,
        "command": one.command,
        **one.details,
    }


def _print(found: Sequence[Waiting]) -> None:
    if not found:
        typer.echo("ничего не ждёт: всё движется само")
        return
    table = Table()
    for column in ("№", "что", "с какого времени", "почему"):
        table.add_column(column, overflow="fold")
    for number, one in enumerate(found, 1):
        since = f"{one.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if one.since is not None else ""
        table.add_row(str(number), one.what, since, one.why)
    # A file or a pipe has no width that cells must fit into, unless somebody names one.
    has_width = sys.stdout.isatty() or "COLUMNS" in os.environ
    Console(width=None if has_width else _PIPE_WIDTH).print(table)
    # Each command is one line of its own, however long, so that it can be copied whole.
    typer.echo("\nКоманды, которые это освобождают, когда причина устранена:")
    for number, one in enumerate(found, 1):
        typer.echo(f"{number:>3}  {one.command}")
