"""The chassis' own tables, present in every service's database."""

from alembic import op
from sqlalchemy import text

# Kept as SQL, not as models: these are only ever touched by the batch statements beside them.
_V1 = (
    """
    CREATE TABLE streams (
        key text PRIMARY KEY,
        sequence bigint NOT NULL DEFAULT 0,
        parked_at timestamptz
    )
    """,
    """
    CREATE TABLE inbox (
        id uuid PRIMARY KEY,
        seen_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    "CREATE INDEX inbox_seen_at ON inbox USING brin (seen_at)",
    """
    CREATE TABLE outbox (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        event_id uuid NOT NULL,
        owner integer,
        topic text NOT NULL,
        key text NOT NULL,
        headers text NOT NULL,
        value bytea NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    "ALTER TABLE outbox ALTER COLUMN value SET STORAGE EXTERNAL",
    "CREATE INDEX outbox_key ON outbox (key, id)",
    """
    CREATE TABLE work (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        kind text NOT NULL,
        ref text NOT NULL,
        key text NOT NULL,
        payload jsonb NOT NULL,
        cause jsonb NOT NULL,
        state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'parked')),
        owner integer,
        attempts integer NOT NULL DEFAULT 0,
        in_doubt boolean NOT NULL DEFAULT false,
        due_at timestamptz NOT NULL DEFAULT now(),
        note text,
        created_at timestamptz NOT NULL DEFAULT now(),
        finished_at timestamptz,
        UNIQUE (kind, ref)
    )
    """,
    "CREATE INDEX work_due ON work (kind, due_at, id) WHERE state = 'waiting' AND owner IS NULL",
    "CREATE INDEX work_head ON work (key, id) WHERE state = 'waiting'",
    "CREATE INDEX work_owned ON work (owner) WHERE owner IS NOT NULL",
)


def create_v1() -> None:
    """Create the chassis' tables; called by the first migration of each service."""
    for statement in _V1:
        op.execute(text(statement))


def drop_v1() -> None:
    op.execute(text("DROP TABLE work, outbox, inbox, streams"))
