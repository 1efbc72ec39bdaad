"""Events that Kafka refused.

Revision ID: 0007
"""

from chassis import tables

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    tables.create_v5()


def downgrade() -> None:
    tables.drop_v5()
