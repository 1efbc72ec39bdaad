"""Paused topics, skipped records, operators' commands.

Revision ID: 0008
"""

from chassis import tables

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    tables.create_v6()


def downgrade() -> None:
    tables.drop_v6()
