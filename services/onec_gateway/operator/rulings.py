"""`release`: a partner manager decides a lead that the rules leave to people."""

from typing import Annotated
from uuid import UUID

import typer

from chassis.service import Input
from services.onec_gateway.domain.inputs import Ruled
from services.onec_gateway.domain.model import Ruling
from services.onec_gateway.operator.common import Who, Why, cause_of, client_key_of, decide


def release(
    lead: Annotated[UUID, typer.Argument(help="номер лида из parked")],
    who: Who,
    why: Why,
    confirm: Annotated[
        bool, typer.Option("--confirm/--reject", help="закрепить за партнёром или оставить отделу продаж")
    ],
) -> None:
    """Решить лид, время которого неотличимо от времени обращения в 1С."""
    decide(Input(client_key_of(lead), Ruled(lead, Ruling(confirm, who, why)), cause_of("ruling", str(lead))))
    typer.echo(f"лид {lead}: {'подтверждён' if confirm else 'отклонён'}, решил {who}")
