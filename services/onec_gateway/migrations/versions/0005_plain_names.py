"""Plain names: `terms` becomes `known_reservations`; columns and JSON keys are named as the events name them.

Revision ID: 0005
"""

from alembic import op
from sqlalchemy import text

revision = "0005"
down_revision = "0004"

_RENAMES = (
    ("leads", "check_asked", "check_requested"),
    ("known_reservations", "until", "reserved_until"),
    ("known_reservations", "through", "reserved_through"),
    ("known_reservations", "journal_at", "journal_entered_at"),
)


def upgrade() -> None:
    op.rename_table("terms", "known_reservations")
    op.execute("ALTER INDEX terms_pkey RENAME TO known_reservations_pkey")
    op.execute("ALTER INDEX terms_client RENAME TO known_reservations_client")
    for table, before, after in _RENAMES:
        op.alter_column(table, before, new_column_name=after)
    # In a sighting `told` was the last collision that was published; empty, where there was none.
    op.execute(
        text(
            """
            UPDATE facts SET body = (body - 'told') || jsonb_build_object('last_collision', NULLIF(body->>'told', ''))
            WHERE kind = 'sighting'
            """
        )
    )


def downgrade() -> None:
    op.execute(
        text(
            """
            UPDATE facts
            SET body = (body - 'last_collision') || jsonb_build_object('told', COALESCE(body->>'last_collision', ''))
            WHERE kind = 'sighting'
            """
        )
    )
    for table, before, after in reversed(_RENAMES):
        op.alter_column(table, after, new_column_name=before)
    op.execute("ALTER INDEX known_reservations_client RENAME TO terms_client")
    op.execute("ALTER INDEX known_reservations_pkey RENAME TO terms_pkey")
    op.rename_table("known_reservations", "terms")
