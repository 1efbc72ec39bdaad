"""The sample service's tables.

Revision ID: 0001
"""

from alembic import op

from tests.chassis.sample import create_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_tables()


def downgrade() -> None:
    op.execute("DROP TABLE calls, tallies, work, outbox, inbox, streams")
