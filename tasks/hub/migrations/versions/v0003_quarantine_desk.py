"""The quarantine desk: the log of what people decided, and what reads it.

Revision ID: 0003
Revises: 0002
"""

# Every piece put into these statements is a constant of this file.
# ruff: noqa: S608
from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

LOG = "quarantine_decisions"


def upgrade() -> None:
    """The log, which the database refuses to change, and the views of the quarantine."""
    postgres = op.get_bind().dialect.name == "postgresql"
    op.create_table(
        LOG,
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("revision", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=True),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("row_name", sa.Text(), nullable=True),
        sa.Column("column_name", sa.Text(), nullable=True),
        sa.Column("exported", sa.Text(), nullable=True),
        sa.Column("old", sa.Text(), nullable=True),
        sa.Column("new", sa.Text(), nullable=True),
        sa.Column("ends", sa.BigInteger(), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("at_utc", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("store", "number"),
    )
    op.create_index("ix_quarantine_decisions_document", LOG, ["document", "revision"])
    _append_only(postgres)
    op.execute(sa.text("DROP VIEW reporting_quarantine"))
    for name, select in _views(postgres).items():
        op.execute(sa.text(f"CREATE VIEW {name} AS {select}"))


def downgrade() -> None:
    """Migrations go forward only."""
    raise NotImplementedError("migrations go forward only; restore a backup instead")


def _append_only(postgres: bool) -> None:
    if postgres:  # the function came with the first tables
        op.execute(
            sa.text(
                f"CREATE TRIGGER {LOG}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {LOG} "
                "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
            )
        )
        return
    for change in ("UPDATE", "DELETE"):
        op.execute(
            sa.text(
                f"CREATE TRIGGER {LOG}_no_{change.lower()} BEFORE {change} ON {LOG} "
                f"BEGIN SELECT RAISE(ABORT, '{LOG} is append-only'); END"
            )
        )


def _views(postgres: bool) -> dict[str, str]:
    """View -> its SELECT. Amounts show four decimals: exact in PostgreSQL, a REAL for the eye in SQLite."""

    def shown(amount: str, name: str) -> str:
        return f"{amount} AS {name}" if postgres else f"ROUND(({amount}) / 10000.0, 4) AS {name}"

    def last(column: str, name: str) -> str:
        return f"""(SELECT d.{column} FROM {LOG} d
                WHERE d.document = q.document AND d.revision = q.revision AND d.action <> 'edit_lapsed'
                ORDER BY d.number DESC LIMIT 1) AS {name}"""

    return {
        "reporting_quarantine": f"""
            SELECT q.store, q.epoch, q.document, q.rule, q.message, {shown("q.units", "units")},
                {shown("q.total", "total")}, q.business_date, q.first_seen_utc,
                CASE WHEN q.state = 'open'
                    AND q.rule IN ('waiting_for_ticket', 'waiting_for_order', 'waiting_to_advance')
                    THEN 'pending' ELSE q.state END AS state,
                q.kind, q.revision, q.fix, q.waits_for, q.closed_utc,
                {last("decided_by", "decided_by")}, {last("why", "why")}
            FROM quarantine q""",
        "reporting_quarantine_decisions": f"""
            SELECT d.store, d.number, d.document, d.revision, d.action, d.rule, d.role, d.row_name,
                d.column_name, d.exported, d.old, d.new, d.ends, d.decided_by, d.why, d.at_utc
            FROM {LOG} d""",
    }
