"""`list-reservations`: publish the list of all live reservations."""

import typer

from chassis.commands.operations import WAIT_S, AsJson, Wait, Who, Why, carry_out
from contracts.operations import ListReservations
from services.reservations.app import NAME, OPERATIONS


def add_commands(app: typer.Typer) -> None:
    """Add the command to the service's command line."""

    @app.command(name="list-reservations")
    def list_reservations(who: Who = "", why: Why = "", wait: Wait = WAIT_S, as_json: AsJson = False) -> None:
        """Опубликовать список действующих закреплений (reservations-listed).

        Код выхода: 0 выполнено, 1 отказано, 2 ответа нет, операция осталась в очереди.
        """
        carry_out(
            OPERATIONS,
            lambda: ListReservations(service=NAME, who=who, why=why),
            "список будет опубликован",
            wait_s=wait,
            as_json=as_json,
        )
