"""`parked` and `retry`: work rows that wait or are parked, and leads that a person must decide."""

from typing import Annotated, Any, Final

import typer

from chassis.commands.work import RETRY
from services.onec_gateway.operator.common import Json, Limit, fail, read, read_as_dicts, show, time_format

_PARKED: Final = """
    SELECT id, kind, COALESCE(payload->>'lead_id', ref) AS lead, state, note AS reason, attempts, created_at,
           CASE WHEN state = 'waiting' THEN due_at ELSE finished_at END AS at
    FROM work WHERE state = 'parked' OR (state = 'waiting' AND note IS NOT NULL)
    ORDER BY state, id LIMIT $1
"""
_UNDECIDED: Final = """
    SELECT lead_id, partner_id, received_at, checked_at, jsonb_array_length(enquiries) AS enquiries
    FROM leads WHERE decided_at IS NULL AND checked_at IS NOT NULL ORDER BY received_at LIMIT $1
"""
_WORK_COLUMNS: Final = (
    "№",
    "операция",
    "лид",
    "состояние",
    "причина",
    "попыток",
    "создано",
    "следующая попытка / отложено",
)
_LEAD_COLUMNS: Final = ("лид на рассмотрении", "партнёр", "получен", "проверен", "обращений в 1С")
_STATES: Final = {"parked": "отложено", "waiting": "ждёт"}


def parked(limit: Limit = 100, as_json: Json = False) -> None:
    """Показать отложенное до решения человека, ожидающее повтора и лиды, которые решает менеджер."""
    work = read_as_dicts(_PARKED, limit)
    leads = [row | {"state": "review"} for row in read_as_dicts(_UNDECIDED, limit)]
    local = time_format()

    def work_cells(row: dict[str, Any]) -> tuple[Any, ...]:
        return (
            row["id"],
            row["kind"],
            row["lead"],
            _STATES[row["state"]],
            row["reason"],
            row["attempts"],
            local(row["created_at"]),
            local(row["at"]),
        )

    def lead_cells(row: dict[str, Any]) -> tuple[Any, ...]:
        return (
            row["lead_id"],
            row["partner_id"],
            local(row["received_at"]),
            local(row["checked_at"]),
            row["enquiries"],
        )

    show(_WORK_COLUMNS, work, work_cells, as_json, empty="ничего не отложено и не ждёт повтора")
    show(_LEAD_COLUMNS, leads, lead_cells, as_json, empty="лидов, которые решает менеджер, нет")


def retry(
    numbers: Annotated[list[int] | None, typer.Argument(help="номера из parked")] = None,
    everything: Annotated[bool, typer.Option("--all", help="всё отложенное")] = False,
    kind: Annotated[str | None, typer.Option(help="только эта операция")] = None,
) -> None:
    """Повторить отложенное, когда причина устранена."""
    if not numbers and not everything:
        raise typer.BadParameter("укажите номера из parked или --all")
    retried = read(RETRY, None if everything else numbers, kind)
    typer.echo(f"будет повторено: {len(retried)}")
    if numbers and len(retried) < len(set(numbers)):
        fail("остальные номера не отложены: см. parked")
