"""What the watching keeps of 1C: a place for each series of numbers, cards, their numbers, enquiries; collisions.

Revision ID: 0010
"""

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

from chassis.decision import derived_id

revision = "0010"
down_revision = "0009"

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "watch_places",
        sa.Column("journal", sa.Text, primary_key=True),
        sa.Column("series", sa.Text, primary_key=True),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("at", TIME, nullable=False),
    )
    # A watermark named no year: it is carried over as the place in the series of the year in which it was read.
    op.execute(
        """
        INSERT INTO watch_places (journal, series, position, at)
        SELECT journal,
               left(number, length(number) - length(digits)) || repeat('#', length(digits)) || '/'
                   || extract(year FROM at AT TIME ZONE 'UTC')::int,
               digits::bigint, at
        FROM (SELECT journal, number, at, substring(number FROM '[0-9]+$') AS digits FROM watermarks) AS before
        WHERE digits IS NOT NULL AND length(digits) <= 18
        """
    )
    op.drop_table("watermarks")
    op.create_table(
        "cards",
        sa.Column("ref", sa.Text, primary_key=True),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("first_seen_at", TIME, nullable=False),
    )
    op.create_table(
        "card_phones",
        sa.Column("number", sa.Text, primary_key=True),
        sa.Column("card", sa.Text, primary_key=True),
        sa.Column("first_seen_at", TIME, nullable=False),
        sa.Column("gone_at", TIME),
    )
    op.create_index("card_phones_card", "card_phones", ["card"])
    op.create_table(
        "enquiries",
        sa.Column("ref", sa.Text, primary_key=True),
        sa.Column("card", sa.Text, nullable=False),
        sa.Column("was_card", sa.Text),
        sa.Column("number", sa.Text, nullable=False),
        sa.Column("date", TIME, nullable=False),
        sa.Column("ours", sa.Boolean, nullable=False),
        sa.Column("deleted", sa.Boolean, nullable=False),
        sa.Column("first_seen_at", TIME, nullable=False),
        sa.Column("not_there_at", TIME),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("alive_at", TIME),
    )
    op.create_index("enquiries_card", "enquiries", ["card"])
    op.create_index("enquiries_was_card", "enquiries", ["was_card"], postgresql_where=sa.text("was_card IS NOT NULL"))
    op.create_index(
        "known_reservations_enquiry",
        "known_reservations",
        ["enquiry_ref"],
        postgresql_where=sa.text("enquiry_ref IS NOT NULL"),
    )
    op.create_table(
        "phone_tails",
        sa.Column("client_key", sa.Text, primary_key=True),
        sa.Column("tail", sa.Text, nullable=False),
    )
    _list_earlier_collisions()


def _list_earlier_collisions() -> None:
    """Make a collision, not yet acknowledged, of each that was published before collisions were kept."""
    connection = op.get_bind()
    found = connection.execute(
        sa.text(
            """
            SELECT f.client_key, f.ref, f.body, f.body->>'last_collision' AS name,
                   l.lead_id, l.partner_id, l.received_at
            FROM facts f JOIN leads l ON l.lead_id = split_part(f.body->>'last_collision', '/', 1)::uuid
            WHERE f.kind = 'sighting' AND f.body->>'last_collision' IS NOT NULL
            """
        )
    ).mappings()
    for row in found.all():
        body = json.loads(row["body"]) if isinstance(row["body"], str) else row["body"]
        collision = _collision(dict(row), body)
        connection.execute(
            sa.text("INSERT INTO facts VALUES (:key, 'collision', :ref, CAST(:body AS jsonb)) ON CONFLICT DO NOTHING"),
            {"key": row["client_key"], "ref": collision["id"], "body": json.dumps(collision)},
        )


def _collision(row: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    enquiry, kind = body["enquiry"], row["name"].split("/")[1]
    return {
        # The id of the event that was published.
        "id": str(derived_id(f"{row['ref']}/{row['name']}", "collision-detected.v1")),
        "lead_id": str(row["lead_id"]),
        "partner_id": row["partner_id"],
        "kind": kind,
        "enquiry": row["ref"],
        "enquiry_number": enquiry["number"],
        "enquiry_date": enquiry["date"],
        "received_at": row["received_at"].isoformat(),
        "detected_at": body["first_seen_at"],
        "first_seen_at": body["first_seen_at"],
        # What was known of the order then is not kept.
        "first": "unclear",
        "clock": "1c",
        "not_there_at": body["not_there_at"],
        "was_dated": body["was_dated"],
    }


def downgrade() -> None:
    op.execute("DELETE FROM facts WHERE kind IN ('collision', 'own-enquiry')")
    op.create_table(
        "watermarks",
        sa.Column("journal", sa.Text, primary_key=True),
        sa.Column("number", sa.Text, nullable=False),
        sa.Column("at", TIME, nullable=False),
    )
    op.execute(
        """
        INSERT INTO watermarks (journal, number, at)
        SELECT DISTINCT ON (journal) journal,
               split_part(series, '#', 1)
                   || lpad(position::text, length(series) - length(replace(series, '#', '')), '0'),
               at
        FROM watch_places WHERE series LIKE '%#%' ORDER BY journal, at DESC, position DESC
        """
    )
    op.drop_index("known_reservations_enquiry")
    for table in ("phone_tails", "enquiries", "card_phones", "cards", "watch_places"):
        op.drop_table(table)
