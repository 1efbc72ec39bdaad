"""`release`: a partner manager answers the question that a lead waits for."""

from typing import Annotated, Any, Final
from uuid import UUID

import typer

from chassis.service import Input
from services.onec_gateway.domain.inputs import NotApplied, Ruled
from services.onec_gateway.domain.model import Lead, Ruling
from services.onec_gateway.operator.common import (
    Json,
    Who,
    Why,
    cause_of,
    clients_of,
    decide,
    print_result,
    refuse,
)

_RULES: Final = {
    "free": "препятствий нет",
    "ruling": "решение менеджера",
    "own-hold": "клиент уже закреплён за этим партнёром",
    "others-hold": "клиент закреплён за другим партнёром",
    "handed-over": "закрепление истекло, клиент у застройщика",
    "won": "клиент уже купил",
    "enquiry": "обращение в 1С раньше лида",
    "insider": "телефон партнёра или сотрудника",
    "sale": "продажа в 1С",
    "own-card": "другой телефон той же карточки уже закреплён за этим партнёром",
    "same-card": "другой телефон той же карточки закреплён за другим партнёром",
    "card": "карточка в 1С раньше лида",
}


def release(
    lead: Annotated[UUID, typer.Argument(help="номер лида из parked")],
    who: Who,
    why: Why,
    confirm: Annotated[
        bool, typer.Option("--confirm/--reject", help="обращение или карточка в 1С не мешает лиду, или была раньше")
    ],
    as_json: Json = False,
) -> None:
    """Ответить, мешает ли лиду обращение или карточка в 1С, о которых факты не говорят, кто был раньше.

    Остальные правила действуют как всегда: чужое закрепление этого телефона, продажа и телефон сотрудника этим не
    отменяются.
    """
    ruled = Ruled(lead, Ruling(confirm, who, why))
    key, related = clients_of(lead)
    reply: Lead | NotApplied = decide(Input(key, ruled, cause_of("ruling", str(lead)), related=related))
    if isinstance(reply, NotApplied):
        refuse(reply, lead, as_json)
    result, lines = _outcome(reply, who, why)
    print_result(result, lines, as_json)


def _outcome(lead: Lead, who: str, why: str) -> tuple[dict[str, Any], list[str]]:
    """What became of the lead, as a JSON object and as lines of text."""
    verdict = lead.verdict
    result = {"lead_id": lead.lead_id, "status": "under-review", "ruled_by": who, "ruled_why": why}
    if verdict is None:
        return result, [f"лид {lead.lead_id}: ещё на проверке", f"решил {who}: {why}"]
    status, word = ("confirmed", "подтверждён") if verdict.reason is None else ("rejected", "отклонён")
    result |= {"status": status, "reason": verdict.reason, "rule": verdict.rule, "evidence": verdict.evidence}
    lines = [f"лид {lead.lead_id}: {word}", f"основание: {_RULES.get(verdict.rule, verdict.rule)}"]
    if verdict.evidence is not None:
        lines.append(f"свидетельство: {verdict.evidence}")
    return result, [*lines, f"решил {who}: {why}"]
