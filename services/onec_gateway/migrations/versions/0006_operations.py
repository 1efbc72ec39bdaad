"""Paused topics, skipped records, operators' commands.

Revision ID: 0006
"""

from chassis import tables

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    tables.create_v3()


def downgrade() -> None:
    tables.drop_v3()
