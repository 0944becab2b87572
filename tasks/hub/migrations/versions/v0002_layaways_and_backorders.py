"""Layaways and backorders: life cycles, snapshots, pick-ups, deposits, receipts, and what statements say.

Revision ID: 0002
Revises: 0001
"""

# Every piece put into these statements is a constant of this file.
# ruff: noqa: S608
from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

AMOUNT = sa.BigInteger().with_variant(sa.Numeric(19, 4), "postgresql")

REPLACED_VIEWS = ("reporting_order_lines", "reporting_deposits", "reporting_quarantine")


def upgrade() -> None:
    """Add to the first tables what orders that live longer than a ticket need."""
    postgres = op.get_bind().dialect.name == "postgresql"
    for name in REPLACED_VIEWS:
        op.execute(sa.text(f"DROP VIEW {name}"))
    _columns()
    _tables()
    _hub_store()
    for name, select in _views(postgres).items():
        op.execute(sa.text(f"CREATE VIEW {name} AS {select}"))


def downgrade() -> None:
    """Migrations go forward only."""
    raise NotImplementedError("migrations go forward only; restore a backup instead")


def _columns() -> None:
    op.add_column(
        "stores", sa.Column("start_history_entry", sa.BigInteger(), nullable=False, server_default="0")
    )
    op.add_column("order_lines", sa.Column("reserved_quantity", AMOUNT, nullable=False, server_default="0"))
    op.add_column("orders", sa.Column("linked_document", sa.Text(), nullable=True))
    op.create_index("ix_orders_linked_document", "orders", ["linked_document"])
    # Until now whatever an order was linked to was the order of one ticket, which bears its name.
    op.execute(sa.text("UPDATE orders SET linked_document = linked_order"))


def _tables() -> None:
    op.drop_table("deposits")  # nothing was ever written into it
    op.create_table(
        "deposits",
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("at_utc", sa.Text(), nullable=False),
        sa.Column("business_date", sa.Text(), nullable=False),
        sa.Column("z_batch", sa.BigInteger(), nullable=False),
        sa.Column("transaction_number", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("amount", AMOUNT, nullable=False),
        sa.Column("raw", AMOUNT, nullable=False),
        sa.Column("tendered", AMOUNT, nullable=False),
        sa.PrimaryKeyConstraint("document", "entry"),
    )
    op.create_index("ix_deposits_store", "deposits", ["store", "business_date"])
    op.create_table(
        "life_cycles",
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("revision", sa.Text(), nullable=False),
        sa.Column("expires_on", sa.Text(), nullable=False),
        sa.Column("expired", sa.Boolean(), nullable=False),
        sa.Column("released", sa.Boolean(), nullable=False),
        sa.Column("deposit", AMOUNT, nullable=False),
        sa.PrimaryKeyConstraint("order_id"),
    )
    op.create_index("ix_life_cycles_store", "life_cycles", ["store", "state"])
    op.create_table(
        "order_snapshots",
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("revision", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.Column("rows", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("document", "revision"),
    )
    op.create_table(
        "pickup_lines",
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("order_line", sa.Integer(), nullable=True),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("source_sku", sa.Text(), nullable=False),
        sa.Column("item_type", sa.Integer(), nullable=False),
        sa.Column("quantity", AMOUNT, nullable=False),
        sa.Column("unit_price", AMOUNT, nullable=False),
        sa.Column("tax", AMOUNT, nullable=False),
        sa.PrimaryKeyConstraint("document", "line", "part"),
    )
    op.create_index("ix_pickup_lines_order_id", "pickup_lines", ["order_id"])
    op.create_table(
        "receipts",
        sa.Column("receipt", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("received_utc", sa.Text(), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("units", AMOUNT, nullable=False),
        sa.PrimaryKeyConstraint("receipt"),
    )
    op.create_table(
        "statement_deposits",
        sa.Column("batch", sa.Text(), nullable=False),
        sa.Column("business_date", sa.Text(), nullable=False),
        sa.Column("z_batch", sa.BigInteger(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("amount", AMOUNT, nullable=False),
        sa.Column("tendered", AMOUNT, nullable=False),
        sa.PrimaryKeyConstraint("batch", "business_date", "z_batch"),
    )
    op.create_table(
        "statement_open_orders",
        sa.Column("batch", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.Text(), nullable=False),
        sa.Column("rowversion", sa.BigInteger(), nullable=False),
        sa.Column("order_type", sa.Integer(), nullable=False),
        sa.Column("on_order", AMOUNT, nullable=False),
        sa.Column("taken", AMOUNT, nullable=False),
        sa.Column("deposit", AMOUNT, nullable=False),
        sa.PrimaryKeyConstraint("batch", "epoch", "number"),
    )


def _hub_store() -> None:
    """The hub's own row among the stores: its lock and its event numbers."""
    op.execute(
        sa.text(
            "INSERT INTO stores (code, company, channel, time_zone, customer, customer_name, epochs, "
            "start_rowversion, start_number, start_history_entry, next_event) "
            "VALUES ('(hub)', '', '', 'UTC', '', '', '[[1, 0, 0]]', 0, 0, 0, 1)"
        )
    )


def _views(postgres: bool) -> dict[str, str]:
    """View -> its SELECT. Amounts show four decimals: exact in PostgreSQL, a REAL for the eye in SQLite."""

    def shown(amount: str, name: str) -> str:
        return f"{amount} AS {name}" if postgres else f"ROUND(({amount}) / 10000.0, 4) AS {name}"

    def summed(column: str, name: str) -> str:
        lines = f"SELECT SUM(l.{column}) FROM order_lines l WHERE l.order_id = c.order_id"
        return shown(f"COALESCE(({lines}), 0)", name)

    return {
        "reporting_order_lines": f"""
            SELECT l.order_id, o.store, o.epoch, o.kind, o.source_order_id, l.line, l.sku, l.source_sku,
                {shown("l.quantity", "quantity")}, {shown("l.reserved_quantity", "reserved_quantity")},
                {shown("l.backorder_quantity", "backorder_quantity")},
                {shown("l.shipped_quantity", "shipped_quantity")},
                {shown("l.returned_quantity", "returned_quantity")},
                {shown("l.unit_price", "unit_price")}, {shown("l.tax", "tax")}, l.warehouse
            FROM order_lines l JOIN orders o ON o.order_id = l.order_id""",
        "reporting_layaways": f"""
            SELECT c.order_id, c.store, c.kind, c.number AS order_number, o.source_order_id, c.state,
                o.ordered_at_utc, o.business_date, c.expires_on, c.expired, c.released, o.warehouse,
                {summed("quantity", "ordered")}, {summed("reserved_quantity", "reserved")},
                {summed("backorder_quantity", "backordered")}, {summed("shipped_quantity", "picked_up")},
                {shown("o.total", "total")}, {shown("o.paid", "paid")}, {shown("c.deposit", "deposit_held")},
                (SELECT MAX(d.at_utc) FROM deposits d WHERE d.order_id = c.order_id AND d.kind = 'taken')
                    AS last_deposit_utc
            FROM life_cycles c JOIN orders o ON o.order_id = c.order_id""",
        "reporting_order_numbers": """
            SELECT o.store, o.source_order_id AS number, o.order_id, o.kind, 'source' AS number_kind
            FROM orders o WHERE NOT EXISTS (SELECT 1 FROM order_aliases a WHERE a.order_id = o.order_id)
            UNION ALL
            SELECT o.store, a.source_order_id, a.order_id, o.kind, a.kind
            FROM order_aliases a JOIN orders o ON o.order_id = a.order_id""",
        "reporting_deposits": f"""
            SELECT d.store, d.order_id, d.at_utc, d.business_date, d.z_batch, d.transaction_number, d.kind,
                {shown("d.amount", "amount")}, {shown("d.tendered", "tendered")}
            FROM deposits d""",
        "reporting_quarantine": f"""
            SELECT q.store, q.epoch, q.document, q.rule, q.message, {shown("q.units", "units")},
                {shown("q.total", "total")}, q.business_date, q.first_seen_utc,
                CASE WHEN q.state = 'open'
                    AND q.rule IN ('waiting_for_ticket', 'waiting_for_order', 'waiting_to_advance')
                    THEN 'pending' ELSE q.state END AS state
            FROM quarantine q""",
    }
