"""Reservations, one live a client.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from chassis import tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    tables.create_v1()
    op.create_table(
        "reservations",
        sa.Column("reservation_id", sa.Uuid, primary_key=True),
        sa.Column("lead_id", sa.Uuid, nullable=False, unique=True),
        sa.Column("client_key", sa.Text, nullable=False),
        sa.Column("partner_id", sa.Text, nullable=False),
        sa.Column("client", sa.Text, nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reserved_through", sa.Date, nullable=False),
        sa.Column("reserved_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("cause", JSONB, nullable=False),
        sa.CheckConstraint("status IN ('live', 'expired')"),
    )
    live = sa.text("status = 'live'")
    op.create_index("one_live_reservation", "reservations", ["client_key"], unique=True, postgresql_where=live)
    op.create_index("reservations_due", "reservations", ["reserved_until"], postgresql_where=live)
    op.create_index("reservations_client", "reservations", ["client_key"])


def downgrade() -> None:
    op.drop_table("reservations")
    tables.drop_v1()
