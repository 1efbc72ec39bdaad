"""Cards as facts about leads: what a check found, since when a number is on a card, how far the first read has come.

Revision ID: 0012
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0012"
down_revision = "0011"

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("leads", sa.Column("cards", JSONB, nullable=False, server_default="[]"))
    op.add_column("leads", sa.Column("waits_for", sa.Text))
    op.create_index("leads_waits", "leads", ["lead_id"], postgresql_where=sa.text("waits_for IS NOT NULL"))
    op.create_index("leads_rejected", "leads", ["decided_at"], postgresql_where=sa.text("reason IS NOT NULL"))
    op.execute("UPDATE leads SET waits_for = 'people' WHERE decided_at IS NULL AND checked_at IS NOT NULL")
    op.add_column("card_phones", sa.Column("not_there_at", TIME))
    op.add_column("watch_places", sa.Column("after", sa.Text))
    # What earlier versions read of the cards is the baseline.
    op.execute(
        """
        INSERT INTO watch_places (journal, series, position, at)
        SELECT 'cards', 'baseline', 0, LEAST(p.at, (SELECT min(first_seen_at) FROM card_phones))
        FROM watch_places p WHERE p.journal = 'cards' AND p.series = ''
        """
    )


def downgrade() -> None:
    op.execute("DELETE FROM watch_places WHERE journal = 'cards' AND series = 'baseline'")
    op.drop_column("watch_places", "after")
    op.drop_column("card_phones", "not_there_at")
    op.drop_index("leads_rejected")
    op.drop_index("leads_waits")
    op.drop_column("leads", "waits_for")
    op.drop_column("leads", "cards")
