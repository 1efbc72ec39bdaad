"""The open dead letters of the service, with their reasons and places.

Revision ID: 0007
"""

from chassis import tables

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    tables.create_v4()


def downgrade() -> None:
    tables.drop_v4()
