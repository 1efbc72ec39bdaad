"""The journal of exchanges with 1C.

Revision ID: 0003
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "exchanges",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("at", TIME, nullable=False),
        sa.Column("operation", sa.Text, nullable=False),
        sa.Column("leads", JSONB, nullable=False),
        sa.Column("set", sa.Text, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("code", sa.Text),
        sa.Column("text", sa.Text),
        sa.Column("ms", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("next_at", TIME),
        sa.Column("correlation", sa.Text),
    )
    op.create_index("exchanges_at", "exchanges", ["at"])
    op.create_index("exchanges_leads", "exchanges", ["leads"], postgresql_using="gin")


def downgrade() -> None:
    op.drop_table("exchanges")
