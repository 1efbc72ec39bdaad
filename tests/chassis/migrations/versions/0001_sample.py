"""The sample service's tables.

Revision ID: 0001
"""

from alembic import op

from chassis import tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    tables.create_v1()
    tables.create_v2()
    tables.create_v3()
    tables.create_v4()
    tables.create_v5()
    tables.create_v6()
    op.execute("CREATE TABLE descriptions (name text PRIMARY KEY, text text NOT NULL)")
    op.execute("CREATE TABLE faults (name text PRIMARY KEY, fault text NOT NULL)")
    op.execute("CREATE TABLE tallies (name text PRIMARY KEY, count integer NOT NULL)")
    op.execute(
        "CREATE TABLE calls (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, n integer,"
        " in_doubt boolean, began timestamptz NOT NULL DEFAULT clock_timestamp(), ended timestamptz)"
    )


def downgrade() -> None:
    op.execute("DROP TABLE calls, tallies, faults, descriptions, state_versions, refused_events, parked, work, outbox")
    op.execute("DROP TABLE inbox, streams")
    tables.drop_v6()
