"""Plain names: a provider is disabled (was: barred), an SMS is looked up (was: looked for).

Revision ID: 0004
"""

from alembic import op

revision = "0004"
down_revision = "0003"

_COLUMNS = (
    ("providers", "asked_at", "checked_at"),
    ("providers", "bar", "disabled_code"),
    ("providers", "barred_until", "disabled_until"),
    ("attempts", "looks", "lookups"),
    ("attempts", "missing", "misses"),
)


def upgrade() -> None:
    for table, old, new in _COLUMNS:
        op.alter_column(table, old, new_column_name=new)
    op.execute("ALTER TABLE reports RENAME TO unmatched_reports")
    op.execute("ALTER INDEX reports_pkey RENAME TO unmatched_reports_pkey")


def downgrade() -> None:
    op.execute("ALTER INDEX unmatched_reports_pkey RENAME TO reports_pkey")
    op.execute("ALTER TABLE unmatched_reports RENAME TO reports")
    for table, old, new in _COLUMNS:
        op.alter_column(table, new, new_column_name=old)
