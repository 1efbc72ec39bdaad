"""The gateway's commands beside `run` and `migrate`."""

import typer

from services.onec_gateway.operator import collisions, deals, exchanges, parked, reconcile, rulings, verification


def add_commands(app: typer.Typer) -> None:
    """Add the operators' commands to a command line."""
    app.command(name="exchanges")(exchanges.exchanges)
    app.command(name="parked")(parked.parked)
    app.command(name="retry")(parked.retry)
    app.command(name="release")(rulings.release)
    app.command(name="reconcile")(reconcile.reconcile)
    app.command(name="verify")(verification.verify)
    sales = typer.Typer(help="Продажи, найденные в 1С")
    sales.callback(invoke_without_command=True)(deals.deals)
    sales.command(name="link")(deals.link)
    app.add_typer(sales, name="deals")
    met = typer.Typer(help="Столкновения обращений отдела продаж с лидами партнёров")
    met.callback(invoke_without_command=True)(collisions.collisions)
    met.command(name="seen")(collisions.seen)
    app.add_typer(met, name="collisions")
