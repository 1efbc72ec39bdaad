"""The history count of the last applied event about each reservation: by it a repeated event is recognised.

Revision ID: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("known_reservations", sa.Column("history_count", sa.Integer))


def downgrade() -> None:
    op.drop_column("known_reservations", "history_count")
