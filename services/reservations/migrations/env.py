"""Entry point of alembic."""

from chassis.migrations import run

run()
