"""Holds, leads, reservations and partners, beside the tables of the chassis.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from chassis import tables

revision = "0001"
down_revision = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    tables.create_v1()
    op.create_table(
        "holds",
        sa.Column("client_key", sa.Text, primary_key=True),
        sa.Column("lead_id", sa.Uuid, nullable=False, unique=True),
        sa.Column("partner_id", sa.Text, nullable=False),
        sa.Column("confirmed_at", TIME, nullable=False),
    )
    op.create_table(
        "leads",
        sa.Column("lead_id", sa.Uuid, primary_key=True),
        sa.Column("client_key", sa.Text, nullable=False),
        sa.Column("partner_id", sa.Text, nullable=False),
        sa.Column("client", sa.Text, nullable=False),
        sa.Column("received_at", TIME, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("cause", JSONB, nullable=False),
        sa.Column("check_asked", sa.Boolean, nullable=False),
        sa.Column("checked_at", TIME),
        sa.Column("enquiries", JSONB, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("evidence", sa.Text),
        sa.Column("decided_at", TIME),
        sa.CheckConstraint("status IN ('under-review', 'confirmed', 'rejected')"),
    )
    op.create_index("leads_client", "leads", ["client_key"])
    op.create_table(
        "terms",
        sa.Column("lead_id", sa.Uuid, primary_key=True),
        sa.Column("client_key", sa.Text, nullable=False),
        sa.Column("confirmed_at", TIME, nullable=False),
        sa.Column("until", TIME, nullable=False),
        sa.Column("ended_at", TIME),
        sa.Column("journal_at", TIME),
        sa.Column("handed_over_at", TIME),
        sa.Column("enquiry_ref", sa.Text),
    )
    op.create_index("terms_client", "terms", ["client_key"])
    op.create_table(
        "partners",
        sa.Column("partner_id", sa.Text, primary_key=True),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("agreement_number", sa.Text, nullable=False),
        sa.Column("signed_on", sa.Date, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
    )


def downgrade() -> None:
    for table in ("holds", "leads", "terms", "partners"):
        op.drop_table(table)
    tables.drop_v1()
