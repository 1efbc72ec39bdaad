"""Versions of states from topics, and the order of the events that SMS are about.

Revision ID: 0005
"""

import sqlalchemy as sa
from alembic import op

from chassis import tables

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    tables.create_v3()
    op.add_column("messages", sa.Column("event_order", sa.BigInteger))


def downgrade() -> None:
    op.drop_column("messages", "event_order")
    tables.drop_v3()
