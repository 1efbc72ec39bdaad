"""Portals, requests, leads, partners.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from chassis import tables

revision = "0001"
down_revision = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    tables.create_v1()
    op.execute(sa.text("CREATE SEQUENCE lead_numbers"))
    op.create_table(
        "portals",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("scopes", ARRAY(sa.Text), nullable=False),
        sa.Column("key_hash", sa.LargeBinary, unique=True),
        sa.Column("changed_at", _MOMENT, nullable=False),
    )
    op.create_table(
        "requests",
        sa.Column("portal", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("request_id", sa.Uuid, nullable=False, unique=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("lead_id", sa.Uuid),
    )
    op.create_table(
        "leads",
        sa.Column("lead_id", sa.Uuid, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False, unique=True),
        sa.Column("portal", sa.Text, nullable=False),
        sa.Column("partner_id", sa.Text, nullable=False),
        sa.Column("client_key", sa.Text, nullable=False),
        sa.Column("client", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("received_at", _MOMENT, nullable=False),
        sa.Column("rejected_at", _MOMENT),
        sa.Column("reason", sa.Text),
        sa.Column("confirmed_at", _MOMENT),
        sa.Column("reserved_through", sa.Date),
        sa.Column("reserved_until", _MOMENT),
        sa.Column("expired_at", _MOMENT),
    )
    op.create_index("leads_of_client", "leads", ["client_key", "received_at"])
    op.create_index("leads_of_partner", "leads", ["portal", "partner_id", "number"])
    op.create_index("leads_of_portal", "leads", ["portal", "number"])
    op.create_table(
        "partners",
        sa.Column("partner_id", sa.Text, primary_key=True),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("agreement", JSONB, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
    )


def downgrade() -> None:
    op.execute(sa.text("DROP TABLE partners, leads, requests, portals"))
    op.execute(sa.text("DROP SEQUENCE lead_numbers"))
    tables.drop_v1()
