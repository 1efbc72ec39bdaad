"""Other facts about clients, sales in 1C, and the watermarks of the watch.

Revision ID: 0004
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("holds", sa.Column("released", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("leads", sa.Column("sales", JSONB, nullable=False, server_default=sa.text("'[]'")))
    op.add_column("leads", sa.Column("delayed_at", TIME))
    op.add_column("leads", sa.Column("ruling", JSONB))
    op.add_column("leads", sa.Column("rule", sa.Text, nullable=False, server_default=""))
    op.create_index(
        "leads_waiting", "leads", ["received_at"], postgresql_where=sa.text("decided_at IS NULL AND delayed_at IS NULL")
    )
    op.add_column("terms", sa.Column("through", sa.Date))
    op.execute("UPDATE terms SET through = (until - interval '1 microsecond')::date")
    op.alter_column("terms", "through", nullable=False)
    op.add_column("terms", sa.Column("ended_as", sa.Text))
    op.execute("UPDATE terms SET ended_as = 'expired' WHERE ended_at IS NOT NULL")
    op.add_column("partners", sa.Column("phone_key", sa.Text))
    op.create_table(
        "facts",
        sa.Column("client_key", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("ref", sa.Text, primary_key=True),
        sa.Column("body", JSONB, nullable=False),
    )
    op.create_index("facts_kind", "facts", ["kind", "ref"])
    op.create_table(
        "sales",
        sa.Column("ref", sa.Text, primary_key=True),
        sa.Column("number", sa.Text, nullable=False),
        sa.Column("amount", sa.Numeric(18, 2), nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("contract_number", sa.Text, nullable=False),
        sa.Column("sold_on", sa.Date, nullable=False),
        sa.Column("cancelled", sa.Boolean, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("client_key", sa.Text),
        sa.Column("lead_id", sa.Uuid),
    )
    op.create_index("sales_tied", "sales", ["ref"], postgresql_where=sa.text("lead_id IS NOT NULL AND NOT cancelled"))
    op.create_table(
        "watermarks",
        sa.Column("journal", sa.Text, primary_key=True),
        sa.Column("number", sa.Text, nullable=False),
        sa.Column("at", TIME, nullable=False),
    )


def downgrade() -> None:
    for table in ("watermarks", "sales", "facts"):
        op.drop_table(table)
    op.drop_column("partners", "phone_key")
    op.drop_column("terms", "ended_as")
    op.drop_column("terms", "through")
    op.drop_index("leads_waiting")
    for column in ("rule", "ruling", "delayed_at", "sales"):
        op.drop_column("leads", column)
    op.drop_column("holds", "released")
