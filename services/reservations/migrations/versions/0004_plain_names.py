"""Plain names: columns of reservations, and the state of a request that the gateway decides.

Entries of `history` stay as they are, since their hashes cover their text; readers know their former names.

Revision ID: 0004
"""

from alembic import op

revision = "0004"
down_revision = "0003"

_COLUMNS = (
    ("rule", "term"),
    ("since", "term_set_on"),
    ("told_step", "previous_step"),
    ("earlier", "earlier_terms"),
)


def upgrade() -> None:
    for former, current in _COLUMNS:
        op.alter_column("reservations", former, new_column_name=current)
    _rename_request_state("asked", "forwarded")


def downgrade() -> None:
    _rename_request_state("forwarded", "asked")
    for former, current in _COLUMNS:
        op.alter_column("reservations", current, new_column_name=former)


def _rename_request_state(former: str, current: str) -> None:
    op.execute(
        f"UPDATE facts SET value = jsonb_set(value, '{{state}}', '\"{current}\"')"
        f" WHERE kind = 'request' AND value->>'state' = '{former}'"
    )
