"""Versions of states from topics, and when the newest registration of each partner was read.

Revision ID: 0005
"""

import sqlalchemy as sa
from alembic import op

from chassis import tables

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    tables.create_v3()
    op.add_column("partners", sa.Column("registered_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    op.drop_column("partners", "registered_at")
    tables.drop_v3()
