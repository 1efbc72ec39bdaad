"""The chassis' own tables. Every service's database has them; its migrations create them."""

from alembic import op
from sqlalchemy import text

# SQL, not models: only the statements of the chassis touch these tables.
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

_V2 = (
    # Keys that version 1 parked have no queue and could never be replayed.
    "UPDATE streams SET parked_at = NULL WHERE parked_at IS NOT NULL",
    """
    CREATE TABLE parked (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        key text NOT NULL,
        token uuid NOT NULL UNIQUE,
        record uuid NOT NULL UNIQUE
    )
    """,
    "CREATE INDEX parked_key ON parked (key, id)",
    "CREATE INDEX outbox_left ON outbox (id) WHERE owner IS NULL",
    "CREATE INDEX work_finished ON work USING brin (finished_at)",
    # Rows are deleted soon after their insertion, so vacuum starts after a number of dead rows, not after a share.
    "ALTER TABLE outbox SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000)",
    "ALTER TABLE work SET (autovacuum_vacuum_scale_factor = 0.02, fillfactor = 70)",
)

_V3 = (
    """
    CREATE TABLE state_versions (
        key text,
        source text,
        kind text,
        sequence bigint NOT NULL,
        PRIMARY KEY (key, source, kind)
    )
    """,
)

_V4 = (
    # The rows are the open dead letters of the service, also of records that no key could be read from.
    "ALTER TABLE parked ALTER COLUMN key DROP NOT NULL",
    """
    ALTER TABLE parked
        ADD COLUMN since timestamptz NOT NULL DEFAULT now(),
        ADD COLUMN letter uuid,
        ADD COLUMN reason text,
        ADD COLUMN topic text,
        ADD COLUMN partition integer,
        ADD COLUMN record_offset bigint
    """,
    # Of the letters before this version only the time of the first failure of their client is known.
    "UPDATE parked p SET since = s.parked_at FROM streams s WHERE s.key = p.key AND s.parked_at IS NOT NULL",
    "CREATE INDEX work_parked ON work (id) WHERE state = 'parked'",
)

_V5 = (
    # Events that Kafka refused. The event is in `outbox` until a person decides; this row stays.
    """
    CREATE TABLE refused_events (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        outbox_id bigint NOT NULL,
        event_id uuid NOT NULL,
        topic text NOT NULL,
        key text NOT NULL,
        type text NOT NULL,
        bytes integer NOT NULL,
        reason text NOT NULL,
        stored_at timestamptz NOT NULL,
        refused_at timestamptz NOT NULL DEFAULT now(),
        decision text CHECK (decision IN ('retried', 'dropped')),
        decided_at timestamptz,
        decided_by text,
        decided_why text
    )
    """,
    "CREATE INDEX refused_events_open ON refused_events (outbox_id) WHERE decision IS NULL",
)

_V6 = (
    """
    CREATE TABLE paused_topics (
        topic text PRIMARY KEY,
        reason text NOT NULL,
        paused_at timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE skipped_records (
        topic text NOT NULL,
        partition integer NOT NULL,
        record_offset bigint NOT NULL,
        skipped_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (topic, partition, record_offset)
    )
    """,
    # What persons ordered, and what became of it. Rows are only added.
    """
    CREATE TABLE operations (
        id uuid PRIMARY KEY,
        kind text NOT NULL,
        who text NOT NULL,
        why text NOT NULL,
        body jsonb NOT NULL,
        received_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    """
    CREATE TABLE operation_answers (
        operation uuid PRIMARY KEY,
        outcome text NOT NULL CHECK (outcome IN ('done', 'refused')),
        detail text NOT NULL,
        answered_at timestamptz NOT NULL DEFAULT now()
    )
    """,
)


def create_v1() -> None:
    """Create the first version of the tables. The first migration of each service calls this."""
    for statement in _V1:
        op.execute(text(statement))


def drop_v1() -> None:
    """Undo `create_v1`."""
    op.execute(text("DROP TABLE work, outbox, inbox, streams"))


def create_v2() -> None:
    """Add queues of parked keys, and the settings that keep the outbox and work tables small."""
    for statement in _V2:
        op.execute(text(statement))


def drop_v2() -> None:
    """Undo `create_v2`."""
    op.execute(text("DROP TABLE parked"))
    op.execute(text("DROP INDEX work_finished, outbox_left"))
    op.execute(text("ALTER TABLE outbox RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold)"))
    op.execute(text("ALTER TABLE work RESET (autovacuum_vacuum_scale_factor, fillfactor)"))


def create_v3() -> None:
    """Add the versions of states that were read from topics."""
    for statement in _V3:
        op.execute(text(statement))


def drop_v3() -> None:
    """Undo `create_v3`."""
    op.execute(text("DROP TABLE state_versions"))


def create_v4() -> None:
    """Record the open dead letters of the service: since when, why, and where their records are."""
    for statement in _V4:
        op.execute(text(statement))


def drop_v4() -> None:
    """Undo `create_v4`."""
    op.execute(text("DROP INDEX work_parked"))
    op.execute(text("DELETE FROM parked WHERE key IS NULL"))
    op.execute(text("ALTER TABLE parked ALTER COLUMN key SET NOT NULL"))
    columns = ("since", "letter", "reason", "topic", "partition", "record_offset")
    op.execute(text(f"ALTER TABLE parked {', '.join(f'DROP COLUMN {column}' for column in columns)}"))


def create_v5() -> None:
    """Add the list of events that Kafka refused."""
    for statement in _V5:
        op.execute(text(statement))


def drop_v5() -> None:
    """Undo `create_v5`."""
    op.execute(text("DROP TABLE refused_events"))


def create_v6() -> None:
    """Add paused topics, skipped records, and the log of operators' commands."""
    for statement in _V6:
        op.execute(text(statement))


def drop_v6() -> None:
    """Undo `create_v6`."""
    op.execute(text("DROP TABLE operation_answers, operations, skipped_records, paused_topics"))
