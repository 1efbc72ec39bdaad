"""Requests about leads, and the outcome of leads and of requests.

Revision ID: 0003
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("requests", sa.Column("done_at", _MOMENT))
    op.add_column("requests", sa.Column("result", JSONB))
    op.add_column("leads", sa.Column("closed_at", _MOMENT))
    op.add_column("leads", sa.Column("closed_as", sa.Text))
    op.add_column("leads", sa.Column("story", JSONB, nullable=False, server_default="[]"))
    op.add_column("leads", sa.Column("told", sa.Integer, nullable=False, server_default="-1"))
    op.execute(
        "UPDATE leads SET told = CASE WHEN expired_at IS NOT NULL THEN 1 ELSE 0 END WHERE confirmed_at IS NOT NULL"
    )
    op.execute(
        "UPDATE leads SET story = jsonb_build_array(jsonb_build_array(to_char(confirmed_at AT TIME ZONE 'UTC',"
        " 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"'), 'confirmed', reserved_through::text))"
        " WHERE confirmed_at IS NOT NULL"
    )
    op.execute(
        "UPDATE leads SET story = story || jsonb_build_array(jsonb_build_array(to_char(expired_at AT TIME ZONE 'UTC',"
        " 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"'), 'expired', NULL)) WHERE expired_at IS NOT NULL"
    )
    for name in ("story", "told"):
        op.alter_column("leads", name, server_default=None)
    op.execute("UPDATE requests SET done_at = now() WHERE reason IS NULL")
    op.drop_index("leads_of_partner", "leads")
    op.create_index("leads_of_partner", "leads", ["partner_id", "number"])


def downgrade() -> None:
    op.drop_index("leads_of_partner", "leads")
    op.create_index("leads_of_partner", "leads", ["portal", "partner_id", "number"])
    for table, columns in (("leads", ("told", "story", "closed_as", "closed_at")), ("requests", ("result", "done_at"))):
        for column in columns:
            op.drop_column(table, column)
