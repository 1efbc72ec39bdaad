"""Partners, SMS, and the calls that may have sent an SMS.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op

from chassis import tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    tables.create_v1()
    op.create_table(
        "partners",
        sa.Column("partner_id", sa.Text, primary_key=True),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
    )
    op.create_table(
        "messages",
        sa.Column("message_id", sa.Uuid, primary_key=True),
        sa.Column("lead_id", sa.Uuid, nullable=False),
        sa.Column("client_key", sa.Text, nullable=False),
        sa.Column("partner_id", sa.Text, nullable=False),
        sa.Column("template", sa.Text, nullable=False),
        sa.Column("client", sa.Text, nullable=False),
        sa.Column("through", sa.Date),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("provider", sa.Text),
        sa.Column("detail", sa.Text),
        sa.Column("settled_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("status IN ('waiting', 'sent', 'failed', 'unknown')"),
        sa.CheckConstraint("(status = 'waiting') = (settled_at IS NULL)"),
    )
    op.create_index("ix_messages_client_key", "messages", ["client_key"])
    op.create_table(
        "attempts",
        sa.Column("message_id", sa.Uuid, primary_key=True),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sends", sa.Integer, nullable=False),
        sa.Column("looks", sa.Integer, nullable=False),
        sa.Column("missing", sa.Integer, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("attempts")
    op.drop_table("messages")
    op.drop_table("partners")
    tables.drop_v1()
