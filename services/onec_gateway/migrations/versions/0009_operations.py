"""Paused topics, skipped records, operators' commands.

Revision ID: 0009
"""

from chassis import tables

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    tables.create_v6()


def downgrade() -> None:
    tables.drop_v6()
