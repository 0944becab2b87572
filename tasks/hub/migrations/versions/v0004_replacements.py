"""Batches that replace a rejected one.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


BATCHES = sa.table("batches", sa.column("path"), sa.column("manifest"), sa.column("replaces"))


def upgrade() -> None:
    """What a batch replaces stood in its manifest alone; it becomes a column of its own."""
    op.add_column("batches", sa.Column("replaces", sa.BigInteger(), nullable=True))
    connection = op.get_bind()
    c = BATCHES.c
    some = sa.select(c.path, c.manifest).where(
        c.manifest.like('%"replaces":%'), c.manifest.not_like('%"replaces":null%')
    )
    for path, manifest in connection.execute(some).all():
        replaced = json.loads(manifest).get("replaces")
        connection.execute(sa.update(BATCHES).where(c.path == path).values(replaces=replaced))


def downgrade() -> None:
    """Migrations go forward only."""
    raise NotImplementedError("migrations go forward only; restore a backup instead")
