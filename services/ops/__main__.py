"""`python -m services.ops dead-letters list|show|replay|discard`."""

import typer

from services.ops import operator

if __name__ == "__main__":
    app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Truce: operators' commands")
    app.add_typer(operator.app, name="dead-letters")
    app()
