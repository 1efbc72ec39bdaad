"""What a reconciliation needs: the newest list of reservations, and the requests to write entries in 1C anew.

Revision ID: 0011
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0011"
down_revision = "0010"

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "listed_pages",
        sa.Column("list_id", sa.Uuid, primary_key=True),
        sa.Column("page", sa.Integer, primary_key=True),
        sa.Column("pages", sa.Integer, nullable=False),
        sa.Column("taken_at", TIME, nullable=False),
        sa.Column("reservations", JSONB, nullable=False),
    )
    op.create_table(
        "restorations",
        sa.Column("restoration", sa.Uuid, primary_key=True),
        sa.Column("lead_id", sa.Uuid, primary_key=True),
        sa.Column("client_key", sa.Text, nullable=False),
        sa.Column("found", sa.Text, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("at", TIME, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("restorations")
    op.drop_table("listed_pages")
