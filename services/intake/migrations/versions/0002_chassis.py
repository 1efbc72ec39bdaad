"""Queues of parked keys.

Revision ID: 0002
"""

from chassis import tables

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    tables.create_v2()


def downgrade() -> None:
    tables.drop_v2()
