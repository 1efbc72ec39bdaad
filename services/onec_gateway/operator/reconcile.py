"""`reconcile`: compare holds, reservations and 1C's partner journal; on request write entries in 1C anew."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Final
from uuid import UUID, uuid4

import typer

from chassis.clock import Clock
from chassis.commands import typed
from chassis.commands.console import log_to_stderr
from chassis.commands.decide import decide_all
from chassis.service import Input
from chassis.settings import load
from services.onec_gateway.app import build
from services.onec_gateway.domain.reconciliation import Difference, Side
from services.onec_gateway.domain.restoration import RestoreRequested
from services.onec_gateway.operator.common import Json, cause_of, day
from services.onec_gateway.operator.comparing import Compared, NotCompared, Reconciliation
from services.onec_gateway.settings import Settings

DIFFERENT: Final = 1
NOT_COMPARED: Final = 2

_FOUND: Final = {
    "hold-without-reservation": "шлюз закрепил, а закрепления нет",
    "reservation-without-hold": "закрепление есть, а шлюз клиента не закрепил",
    "other-lead": "клиент закреплён за другим лидом",
    "other-date": "у шлюза и у reservations разный срок",
    "no-entry": "записи в 1С нет",
    "entry-deleted": "запись в 1С удалена вручную",
    "state-edited": "состояние записи в 1С изменено вручную",
    "date-edited": "срок в 1С изменён вручную",
    "other-partner": "в 1С записан другой партнёр",
    "other-client": "в 1С записан телефон другого клиента",
    "two-entries": "у лида в 1С несколько записей",
    "not-reserved": "в 1С есть запись лида, который не закреплялся",
    "unknown-lead": "в 1С есть запись лида, которого никто не знает",
}
_PARTED: Final = "см. waiting шлюза и reservations; история: python -m services.reservations explain --lead {lead}"
_REMOVE: Final = "узнайте, кто её внёс; лишнюю удалите в 1С"
_WHAT_TO_DO: Final = {
    "hold-without-reservation": _PARTED,
    "reservation-without-hold": _PARTED,
    "other-lead": _PARTED,
    "other-date": _PARTED,
    "two-entries": "оставьте в 1С одну, лишние пометьте на удаление",
    "not-reserved": _REMOVE,
    "unknown-lead": _REMOVE,
}
_RESTORE: Final = "записать заново: reconcile --restore --who ИМЯ --why ПРИЧИНА"
_CANNOT_RESTORE: Final = "шлюз не может записать её заново (данных клиента нет): внесите в 1С вручную"
_STATES: Final = {"active": "активна", "expired": "истекла", "won": "продана", "withdrawn": "отозвана"}


def reconcile(
    as_json: Json = False,
    restore: Annotated[bool, typer.Option("--restore", help="записать в 1С заново то, что там изменено")] = False,
    who: Annotated[str | None, typer.Option(help="кто решил", parser=typed.who)] = None,
    why: Annotated[str | None, typer.Option(help="почему", parser=typed.why)] = None,
    wait: Annotated[float, typer.Option(min=1, help="сколько секунд ждать списка закреплений и 1С")] = 60.0,
) -> None:
    """Сверить закрепления шлюза и reservations с журналом партнёров в 1С: строка на каждое расхождение.

    Код выхода: 0 расхождений нет, 1 есть, 2 сверить не удалось.
    """
    if restore and (who is None or why is None):
        raise typer.BadParameter("с --restore укажите --who и --why")
    log_to_stderr()
    settings = load(Settings)
    try:
        compared = asyncio.run(Reconciliation(settings, who or "reconcile", why or "сверка", wait).compare())
    except NotCompared as error:
        typer.echo(f"сверить не удалось: {error}", err=True)
        raise typer.Exit(NOT_COMPARED) from None
    for one in compared.differences:
        typer.echo(json.dumps(_as_object(one), ensure_ascii=False, default=str) if as_json else _as_line(one))
    if not compared.differences and not as_json:
        typer.echo("расхождений нет")
    typer.echo(_summary(compared), err=True)
    if restore and who is not None and why is not None:
        written = asyncio.run(_restore(settings, compared.differences, who, why))
        typer.echo(f"будет записано в 1С заново: {written}", err=True)
    if compared.differences:
        raise typer.Exit(DIFFERENT)


async def _restore(settings: Settings, differences: Sequence[Difference], who: str, why: str) -> int:
    """Request the writes, one for each lead. Returns how many the gateway can make."""
    found: dict[str, list[Difference]] = {}
    for one in differences:
        if one.restorable:
            found.setdefault(one.lead_id, []).append(one)
    restoration = uuid4()
    inputs = [
        Input(
            str(several[0].client_key),
            RestoreRequested(UUID(lead_id), restoration, who, why, ", ".join(one.kind for one in several)),
            cause_of("restore", f"{restoration}/{lead_id}"),
        )
        for lead_id, several in found.items()
    ]
    return sum(await decide_all(build(settings), inputs, Clock())) if inputs else 0


def _summary(compared: Compared) -> str:
    parts = [
        f"закреплений у шлюза {compared.holds}",
        f"у reservations {compared.reservations}",
        f"записей в 1С {compared.entries}",
        f"расхождений {len(compared.differences)}",
    ]
    if compared.in_flight:
        parts.append(f"лидов, запись которых ещё ждёт очереди, {compared.in_flight} (не сверены)")
    return ", ".join(parts)


def _as_object(one: Difference) -> dict[str, Any]:
    return {**asdict(one), "found": _FOUND[one.kind], "what_to_do": _what_to_do(one)}


def _as_line(one: Difference) -> str:
    sides = [f"шлюз: {_side(one.hold)}"]
    if one.reservation is not None or one.kind in ("hold-without-reservation", "reservation-without-hold"):
        sides.append(f"reservations: {_side(one.reservation)}")
    sides.append(f"1С: {_side(one.entry)}")
    return f"лид {one.lead_id}: {_FOUND[one.kind]} | {' | '.join(sides)} | {_what_to_do(one)}"


def _side(side: Side | None) -> str:
    if side is None:
        return "нет"
    parts = [f"лид {side.lead_id[:8]}"]
    if side.state is not None:
        parts.append(_STATES.get(side.state, f"«{side.state}»"))
    if side.partner_id is not None:
        parts.append(f"партнёр {side.partner_id}")
    if side.through is not None:
        parts.append(f"по {day(side.through)}")
    if side.count is not None:
        parts.append(f"записей {side.count}")
    return ", ".join(parts)


def _what_to_do(one: Difference) -> str:
    if one.restorable:
        return _RESTORE
    return _WHAT_TO_DO.get(one.kind, _CANNOT_RESTORE).format(lead=one.lead_id)
