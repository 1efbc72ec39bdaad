"""Versions of states from topics, and the count of the newest event of each reservation.

Revision ID: 0006
"""

import sqlalchemy as sa
from alembic import op

from chassis import tables

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    tables.create_v3()
    op.add_column("known_reservations", sa.Column("history_count", sa.Integer))


def downgrade() -> None:
    op.drop_column("known_reservations", "history_count")
    tables.drop_v3()
