"""The lists of reservations that were ordered and published.

Revision ID: 0010
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0009"

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "reservation_lists",
        sa.Column("list_id", sa.Uuid, primary_key=True),
        sa.Column("day", sa.Date),
        sa.Column("taken_at", TIME),
        sa.Column("bounds", JSONB, nullable=False, server_default="[]"),
        sa.Column("page", sa.Integer, nullable=False, server_default="1"),
        sa.Column("published", sa.Boolean, nullable=False, server_default="false"),
    )
    op.create_index(
        "reservation_lists_day", "reservation_lists", ["day"], unique=True, postgresql_where=sa.text("day IS NOT NULL")
    )
    op.create_index(
        "reservation_lists_due", "reservation_lists", ["list_id"], postgresql_where=sa.text("NOT published")
    )


def downgrade() -> None:
    op.drop_table("reservation_lists")
