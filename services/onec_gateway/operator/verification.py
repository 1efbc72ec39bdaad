"""`verify`: compare the mapping of names with 1C, without writing anything there."""

import asyncio
from typing import Final

import typer

from chassis.settings import load
from services.onec_gateway.assembly import connect
from services.onec_gateway.exchanges import ExchangeJournal
from services.onec_gateway.onec import mapping
from services.onec_gateway.onec import verify as onec_verify
from services.onec_gateway.onec.compare import Problem
from services.onec_gateway.onec.errors import OneCError
from services.onec_gateway.onec.gate import Gate
from services.onec_gateway.onec.throttle import Throttle
from services.onec_gateway.operator.common import Json, show
from services.onec_gateway.settings import Settings

_SEVERITIES: Final = {"error": "ошибка", "warning": "к сведению"}


def verify(as_json: Json = False) -> None:
    """Сверить с 1С имена наборов и полей и права чтения. В 1С ничего не записывается."""
    problems = _problems(load(Settings))
    show(
        ("важность", "место в файле соответствия", "что не так"),
        [{"severity": one.severity, "place": one.place, "message": one.message} for one in problems],
        lambda row: (_SEVERITIES[row["severity"]], row["place"], row["message"]),
        as_json,
        empty="замечаний нет",
    )
    if any(problem.severity == "error" for problem in problems):
        raise typer.Exit(1)
    if not as_json:
        typer.echo("Соответствие проверено: ошибок нет")


def _problems(settings: Settings) -> tuple[Problem, ...]:
    try:
        names = mapping.load(settings.mapping_file)
        return asyncio.run(_compare(settings, names))
    except mapping.MappingError as error:
        return tuple(Problem("error", "", line) for line in str(error).splitlines())
    except OneCError as error:
        return (Problem("error", "", f"1С недоступна или ответила ошибкой, проверить её не удалось: {error.reason}"),)


async def _compare(settings: Settings, names: mapping.Mapping) -> tuple[Problem, ...]:
    gate = Gate(Throttle(1, settings.per_second))
    onec = connect(settings, names, gate, ExchangeJournal(settings.exchanges_kept_for))
    try:
        return (await onec_verify.verify(onec, names)).problems
    finally:
        await onec.close()
