"""When an SMS is due, until when its text is true, which provider was called, and what became of the SMS.

Revision ID: 0003
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.add_column("messages", sa.Column("facts", postgresql.JSONB, nullable=False, server_default="{}"))
    op.add_column("messages", sa.Column("about", sa.Text))
    op.add_column("messages", sa.Column("place", sa.Integer, nullable=False, server_default="0"))
    op.add_column("messages", sa.Column("correlation", sa.Text))
    op.add_column("messages", sa.Column("due_at", moment))
    op.add_column("messages", sa.Column("valid_until", moment))
    op.add_column("messages", sa.Column("calls", sa.Integer, nullable=False, server_default="1"))
    op.add_column("messages", sa.Column("obsolete", sa.Text))
    op.add_column("messages", sa.Column("resend_of", sa.Uuid))
    op.add_column("messages", sa.Column("resent_by", sa.Text))
    op.add_column("messages", sa.Column("resent_why", sa.Text))
    op.execute(
        """
        UPDATE messages m SET about = lead_id::text, correlation = m.message_id::text, due_at = created_at,
            valid_until = created_at + interval '7 days', place = o.place,
            facts = CASE WHEN through IS NULL THEN '{}'::jsonb
                         ELSE jsonb_build_object('through', to_char(through, 'DD.MM.YYYY')) END
        FROM (SELECT message_id,
                     row_number() OVER (PARTITION BY client_key ORDER BY created_at, message_id) - 1 AS place
              FROM messages) o WHERE o.message_id = m.message_id
        """
    )
    for name in ("about", "correlation", "due_at", "valid_until"):
        op.alter_column("messages", name, nullable=False)
    op.drop_column("messages", "through")
    op.drop_constraint("messages_status_check", "messages")
    op.drop_constraint("messages_check", "messages")
    op.create_check_constraint(
        "status_is_known",
        "messages",
        "status IN ('scheduled', 'waiting', 'sent', 'delivered', 'failed', 'unknown', 'dropped')",
    )
    op.create_check_constraint(
        "settled_has_its_time", "messages", "(status IN ('scheduled', 'waiting')) = (settled_at IS NULL)"
    )
    op.create_index(
        "ix_messages_scheduled",
        "messages",
        ["due_at", "created_at", "place"],
        postgresql_where=sa.text("status = 'scheduled'"),
    )
    op.create_index("ix_messages_lead_id", "messages", ["lead_id"])

    op.add_column("attempts", sa.Column("partner_id", sa.Text, nullable=False, server_default=""))
    op.add_column("attempts", sa.Column("polls", sa.Integer, nullable=False, server_default="0"))
    op.add_column("attempts", sa.Column("poll_at", moment))
    op.create_index("ix_attempts_partner_id", "attempts", ["partner_id", "began_at"])
    op.create_index("ix_attempts_poll_at", "attempts", ["poll_at"], postgresql_where=sa.text("poll_at IS NOT NULL"))

    op.create_table(
        "providers",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("asked_at", moment, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("balance", sa.Numeric),
        sa.Column("bar", sa.Text),
        sa.Column("barred_until", moment),
    )
    op.create_table(
        "reports",
        sa.Column("provider", sa.Text, primary_key=True),
        sa.Column("message_id", sa.Uuid, primary_key=True),
        sa.Column("outcome", sa.Text, primary_key=True),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("at", moment, nullable=False, server_default=sa.func.now()),
    )
    op.create_table("pace", sa.Column("kind", sa.Text, primary_key=True), sa.Column("next_at", moment, nullable=False))
    op.execute("INSERT INTO pace (kind, next_at) VALUES ('scheduled', now())")


def downgrade() -> None:
    raise NotImplementedError("the older tables cannot hold scheduled or delivered SMS")
