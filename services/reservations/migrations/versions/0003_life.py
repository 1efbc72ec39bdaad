"""Reminders, returns, sales, rewards, and the history that proves them.

Revision ID: 0003
"""

import os

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    # The former version had one term and one time zone for all reservations: those that the service is configured with.
    term = os.environ.get("RESERVATIONS_TERM", "P6M")
    zone = os.environ.get("RESERVATIONS_TIME_ZONE", "Europe/Moscow")
    for column in (
        sa.Column("opened_at", _MOMENT),
        sa.Column("rule", sa.Text, nullable=False, server_default=term),
        sa.Column("zone", sa.Text, nullable=False, server_default=zone),
        sa.Column("since", sa.Date),
        sa.Column("next_due", _MOMENT),
        sa.Column("next_step", sa.Integer, nullable=False, server_default="0"),
        sa.Column("told_step", sa.Integer),
        sa.Column("extensions", sa.Integer, nullable=False, server_default="0"),
        sa.Column("returns", sa.Integer, nullable=False, server_default="0"),
        sa.Column("ended_at", _MOMENT),
        sa.Column("deal", sa.Text),
        sa.Column("earlier", JSONB, nullable=False, server_default="[]"),
    ):
        op.add_column("reservations", column)
    # Every live reservation is due at once: the rule of the clock then sets the next reminder.
    op.execute(
        "UPDATE reservations SET opened_at = confirmed_at, next_due = least(reserved_until, confirmed_at),"
        " since = (confirmed_at AT TIME ZONE zone)::date,"
        " ended_at = CASE WHEN status = 'expired' THEN reserved_until END"
    )
    for name in ("opened_at", "since", "next_due"):
        op.alter_column("reservations", name, nullable=False)
    for name in ("rule", "zone", "next_step", "extensions", "returns", "earlier"):
        op.alter_column("reservations", name, server_default=None)
    op.execute("ALTER TABLE reservations DROP CONSTRAINT reservations_status_check")
    op.create_check_constraint(
        "reservations_status_check", "reservations", "status IN ('live', 'expired', 'won', 'withdrawn')"
    )
    op.drop_index("reservations_due", "reservations")
    op.create_index("reservations_due", "reservations", ["next_due"], postgresql_where=sa.text("status = 'live'"))
    op.create_table(
        "facts",
        sa.Column("client_key", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("ref", sa.Text, primary_key=True),
        sa.Column("due_at", _MOMENT),
        sa.Column("value", JSONB, nullable=False),
    )
    op.create_index("facts_due", "facts", ["due_at"], postgresql_where=sa.text("due_at IS NOT NULL"))
    op.create_table(
        "history",
        sa.Column("client_key", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("entry", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
    )
    op.create_table(
        "heads",
        sa.Column("client_key", sa.Text, primary_key=True),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("seal", sa.Text, nullable=False),
    )
    op.create_table(
        "ledger",
        sa.Column("number", sa.BigInteger, sa.Identity(always=True), unique=True),
        sa.Column("entry_id", sa.Uuid, primary_key=True),
        sa.Column("partner_id", sa.Text, nullable=False),
        sa.Column("client_key", sa.Text, nullable=False),
        sa.Column("lead_id", sa.Uuid, nullable=False),
        sa.Column("claim_id", sa.Uuid, nullable=False),
        sa.Column("deal", sa.Text, nullable=False),
        sa.Column("contract_number", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("amount", sa.Numeric(18, 2), nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("decided_by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
    )
    op.create_index("ledger_partner", "ledger", ["partner_id", "currency", "number"])
    op.execute(
        "CREATE VIEW ledger_balances AS SELECT l.*,"
        " sum(amount) OVER (PARTITION BY partner_id, currency ORDER BY number) AS balance FROM ledger l"
    )
    # Histories and the ledger are never edited. The commands that erase personal data touch neither table.
    op.execute(
        "CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
    )
    for table in ("history", "ledger"):
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION append_only()"
        )


def downgrade() -> None:
    op.execute("DROP VIEW ledger_balances")
    for table in ("ledger", "heads", "history", "facts"):
        op.drop_table(table)
    op.execute("DROP FUNCTION append_only()")
    op.drop_index("reservations_due", "reservations")
    op.execute("UPDATE reservations SET status = 'expired' WHERE status IN ('won', 'withdrawn')")
    op.execute("ALTER TABLE reservations DROP CONSTRAINT reservations_status_check")
    op.create_check_constraint("reservations_status_check", "reservations", "status IN ('live', 'expired')")
    for name in (
        "opened_at",
        "rule",
        "zone",
        "since",
        "next_due",
        "next_step",
        "told_step",
        "extensions",
        "returns",
        "ended_at",
        "deal",
        "earlier",
    ):
        op.drop_column("reservations", name)
    op.create_index("reservations_due", "reservations", ["reserved_until"], postgresql_where=sa.text("status = 'live'"))
