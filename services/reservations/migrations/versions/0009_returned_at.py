"""When each reservation was last returned: a second return within a day must say that it is meant.

The time of earlier returns is unknown. `term` and `zone` have been kept for each reservation since revision 0003.

Revision ID: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("reservations", sa.Column("returned_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    op.drop_column("reservations", "returned_at")
