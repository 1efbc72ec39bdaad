"""`collisions` and `collisions seen`: enquiries and cards that collide with leads, and who has seen them."""

import json
import textwrap
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import typer

from chassis.clock import Clock
from chassis.service import Input
from services.onec_gateway.domain.collisions import Collision
from services.onec_gateway.domain.inputs import CollisionAcknowledged
from services.onec_gateway.operator.common import Json, Limit, cause_of, decide, fail, read, show, time_format

# A short id of 8 characters, and a width of 80 for the table with its lines.
_SHORT: Final = 8
_TEXT_WIDTH: Final = 48
_STATE_WIDTH: Final = 13

_COLLISIONS: Final = """
    SELECT client_key, body FROM facts WHERE kind = 'collision' AND (NOT $1 OR body->>'seen_at' IS NULL)
    ORDER BY body->>'seen_at' IS NOT NULL, (body->>'detected_at')::timestamptz DESC, ref LIMIT $2
"""
_BY_ID: Final = "SELECT client_key, ref FROM facts WHERE kind = 'collision' AND ref LIKE $1 || '%' LIMIT 2"
_KINDS: Final = {
    "later": "обращение внесено позже лида",
    "backdated": "обращение внесено задним числом",
    "redated": "дату обращения изменили",
    "entered-again": "обращение удалили и внесли снова",
    "reassigned": "старое обращение стало обращением этого клиента",
    "deleted-before": "обращение удалили незадолго до лида",
    "within-skew": "время лида и обращения неотличимо",
    "card": "карточку клиента завели позже лида",
    "same-card": "другой телефон карточки закреплён за другим партнёром",
}
_FIRST: Final = {
    ("lead", "truce"): "Раньше был лид: так показали чтения 1С, часы Truce.",
    ("lead", "1c"): "Раньше был лид: так по дате в 1С, часы 1С.",
    ("enquiry", "truce"): "Раньше было обращение: так показали чтения 1С, часы Truce.",
    ("enquiry", "1c"): "Раньше было обращение: так по дате в 1С, часы 1С.",
    ("unclear", "truce"): "Кто был раньше, решать людям: обращение старше лида, но у клиента его не было.",
    ("unclear", "card"): "На одной карточке клиенты двух партнёров: решать людям.",
    ("unclear", "1c"): "Кто был раньше, решать людям: разница меньше погрешности часов.",
}


def collisions(
    context: typer.Context,
    only_open: Annotated[bool, typer.Option("--open", help="только те, которых никто не видел")] = False,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """Показать столкновения: обращения отдела продаж с клиентами, которых привели партнёры."""
    if context.invoked_subcommand is not None:
        return
    local = time_format()
    found = [_row(row) for row in read(_COLLISIONS, only_open, limit)]
    show(
        ("№", "столкновение", "состояние"),
        found,
        lambda row: (row["id"][:_SHORT], _text(row, local), _state(row, local)),
        as_json,
        empty="столкновений, которых никто не видел, нет" if only_open else "столкновений нет",
    )


def seen(
    collision: Annotated[str, typer.Argument(help="номер из collisions")],
    who: Annotated[str, typer.Option(help="кто посмотрел")],
) -> None:
    """Отметить, что столкновение посмотрели."""
    who = who.strip()
    if not who:
        fail("укажите в --who, кто посмотрел")
    given = collision.strip().lower()
    if len(given) < _SHORT or not set(given) <= set("0123456789abcdef-"):
        fail(f"{collision!r} не номер столкновения: см. collisions")
    found = read(_BY_ID, given)
    if not found:
        fail(f"столкновения {given} нет: см. collisions")
    if len(found) > 1:
        fail(f"номеров, которые начинаются с {given}, несколько: укажите номер целиком, см. collisions --json")
    id_ = UUID(found[0].ref)
    acknowledged = CollisionAcknowledged(id_, who, Clock().now())
    now: Collision | None = decide(Input(found[0].client_key, acknowledged, cause_of("collision", str(id_))))
    if now is None or now.seen_at is None:
        fail(f"столкновения {given} нет: см. collisions")
    if now.seen_by != who or now.seen_at != acknowledged.at:
        typer.echo(f"столкновение {str(id_)[:_SHORT]} уже посмотрели: {now.seen_by}, {time_format()(now.seen_at)}")
    else:
        typer.echo(f"столкновение {str(id_)[:_SHORT]}: посмотрел {who}")


def _row(row: Any) -> dict[str, Any]:
    body = json.loads(row.body) if isinstance(row.body, str) else dict(row.body)
    return {
        **body,
        "client_key": row.client_key,
        "date_changed": body.get("was_dated") is not None,
        "state": "open" if body.get("seen_at") is None else "seen",
    }


def _text(row: dict[str, Any], local: Callable[[datetime | None], str]) -> str:
    return "\n".join(
        part for line in _lines(row, local) for part in textwrap.wrap(line, _TEXT_WIDTH, break_on_hyphens=False)
    )


def _lines(row: dict[str, Any], local: Callable[[datetime | None], str]) -> Iterator[str]:
    def at(name: str) -> str:
        return local(datetime.fromisoformat(row[name])) if row.get(name) else ""

    yield _KINDS.get(row["kind"], row["kind"])
    yield f"лид {row['lead_id']}"
    yield f"партнёр {row['partner_id']}"
    if row.get("card"):
        yield from _lines_of_card(row, at)
        return
    yield f"обращение {row['enquiry_number'] or row['enquiry']}"
    yield _FIRST[row["first"], row["clock"]]
    yield f"лид получен {at('received_at')} (часы Truce)"
    yield f"дата обращения {at('enquiry_date')} (часы 1С)"
    if row.get("was_dated"):
        yield f"дату изменили, была {at('was_dated')}"
    if row.get("not_there_at"):
        yield f"не было у клиента {at('not_there_at')}"
    if row.get("alive_at"):
        yield f"ещё не удалено {at('alive_at')}"
    if row.get("in_1c_at"):
        yield f"впервые прочитано {at('in_1c_at')}"
    yield f"замечено {at('detected_at')}"


def _lines_of_card(row: dict[str, Any], at: Callable[[str], str]) -> Iterator[str]:
    yield f"карточка {row['card']}"
    if row.get("other_lead_id"):
        yield f"другой лид {row['other_lead_id']}"
        yield f"другой партнёр {row['other_partner_id']}"
        yield _FIRST["unclear", "card"]
    else:
        yield _FIRST["lead", row["clock"]].replace("по дате в 1С", "по дате создания карточки")
    yield f"лид получен {at('received_at')} (часы Truce)"
    if row.get("not_there_at"):
        yield f"телефона на карточке не было {at('not_there_at')}"
    yield f"телефон на карточке впервые прочитан {at('first_seen_at')}"
    yield f"замечено {at('detected_at')}"


def _state(row: dict[str, Any], local: Callable[[datetime | None], str]) -> str:
    if row["state"] == "open":
        return "новое"
    seen_at = local(datetime.fromisoformat(row["seen_at"]))
    return "\n".join(["посмотрел", *textwrap.wrap(row["seen_by"], _STATE_WIDTH), *seen_at.split()])
