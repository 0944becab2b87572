"""The whole catalogue, and where each product stands at each till.

Revision ID: 0005
Revises: 0004
"""

# Every piece put into these statements is a constant of this file.
# ruff: noqa: S608
from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


AMOUNT = sa.BigInteger().with_variant(sa.Numeric(19, 4), "postgresql")

TEXTS = (
    "long_description",
    "sub_description_1",
    "sub_description_2",
    "sub_description_3",
    "unit_of_measure",
    "department_code",
    "department_name",
    "category_code",
    "category_name",
    "supplier_code",
    "supplier_name",
    "reorder_number",
    "tax_code",
    "shadow_of",
)
AMOUNTS = ("store_price", "price_a", "price_b", "price_c", "msrp", "cost")


def upgrade() -> None:
    """Products get all that a till needs, and each store notes what of them is at its till."""
    _products()
    _catalogs()
    _stores()
    shown = _shown(op.get_bind().dialect.name == "postgresql")
    op.execute(
        sa.text(
            f"""CREATE VIEW reporting_products AS
            SELECT p.sku, p.name, p.upc, {shown("p.price", "price")}, {shown("p.store_price", "store_price")},
                {shown("p.msrp", "msrp")}, {shown("p.cost", "cost")}, p.item_type, p.department_name,
                p.category_name, p.supplier_name, p.shadow_of, p.is_kit, p.active, p.changed_utc
            FROM products p"""
        )
    )
    op.execute(
        sa.text(
            """CREATE VIEW reporting_store_products AS
            SELECT s.store, s.sku, s.state, s.sent_utc, s.attempts, s.till_utc AS at_till_utc,
                s.waiting_since_utc, s.rule, s.message, s.fix, s.notes
            FROM store_products s"""
        )
    )


def downgrade() -> None:
    """Migrations go forward only."""
    raise NotImplementedError("migrations go forward only; restore a backup instead")


def _products() -> None:
    for name in TEXTS:
        op.add_column("products", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    for name in AMOUNTS:
        op.add_column("products", sa.Column(name, AMOUNT, nullable=False, server_default="0"))
    op.add_column("products", sa.Column("taxable", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column("products", sa.Column("is_kit", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column(
        "products", sa.Column("changed_version", sa.BigInteger(), nullable=False, server_default="0")
    )
    op.add_column("products", sa.Column("changed_utc", sa.Text(), nullable=False, server_default=""))
    op.create_index("ix_products_changed_version", "products", ["changed_version"])
    op.add_column("product_aliases", sa.Column("alias", sa.Text(), nullable=False, server_default=""))
    op.execute(sa.text("UPDATE product_aliases SET alias = alias_key"))
    op.create_index("ix_product_aliases_sku_key", "product_aliases", ["sku_key"])


def _catalogs() -> None:
    for name in ("file", "digest"):
        op.add_column("catalogs", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    for name in ("created", "changed", "refused"):
        op.add_column("catalogs", sa.Column(name, sa.Integer(), nullable=False, server_default="0"))


def _stores() -> None:
    op.create_table(
        "product_exports",
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("catalog", sa.BigInteger(), nullable=False),
        sa.Column("rules", sa.Text(), nullable=False),
        sa.Column("exported_utc", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("store"),
    )
    op.create_table(
        "product_batches",
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("products", sa.Integer(), nullable=False),
        sa.Column("at_till", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.Column("noted_utc", sa.Text(), nullable=False),
        sa.Column("answered_utc", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("store", "batch_id"),
    )
    op.create_index("ix_product_batches_state", "product_batches", ["store", "state"])
    op.create_table(
        "store_products",
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("sku_key", sa.Text(), nullable=False),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("sent_revision", sa.Text(), nullable=False),
        sa.Column("sent_batch", sa.Text(), nullable=False),
        sa.Column("sent_utc", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("waiting_since_utc", sa.Text(), nullable=True),
        sa.Column("till_revision", sa.Text(), nullable=True),
        sa.Column("till_sequence", sa.BigInteger(), nullable=True),
        sa.Column("till_utc", sa.Text(), nullable=True),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("fix", sa.Text(), nullable=False),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("answered_utc", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("store", "sku_key"),
    )
    op.create_index("ix_store_products_state", "store_products", ["store", "state"])
    op.create_index("ix_store_products_sent_batch", "store_products", ["store", "sent_batch"])


def _shown(postgres: bool) -> Callable[[str, str], str]:
    """Amounts show four decimals: exact in PostgreSQL, a REAL for the eye in SQLite."""

    def shown(amount: str, name: str) -> str:
        return f"{amount} AS {name}" if postgres else f"ROUND({amount} / 10000.0, 4) AS {name}"

    return shown
