"""Paused topics, skipped records, operators' commands.

Revision ID: 0005
"""

from chassis import tables

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    tables.create_v3()


def downgrade() -> None:
    tables.drop_v3()
