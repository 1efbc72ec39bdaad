"""Plain names for what a lead records of its reservation.

Revision ID: 0004
"""

from alembic import op

revision = "0004"
down_revision = "0003"

_NAMES = {"story": "reservation_events", "told": "history_count"}


def upgrade() -> None:
    for old, new in _NAMES.items():
        op.alter_column("leads", old, new_column_name=new)


def downgrade() -> None:
    for old, new in _NAMES.items():
        op.alter_column("leads", new, new_column_name=old)
