"""The first tables, their append-only triggers and the reporting views.

Revision ID: 0001
Revises:
"""

# Every piece put into these statements is a constant of this file.
# ruff: noqa: S608
from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

AMOUNT = sa.BigInteger().with_variant(sa.Numeric(19, 4), "postgresql")

APPEND_ONLY = ("stock_movements", "events")

ORDER_STATUS = {
    -1: "Canceled",
    1: "ShoppingCart",
    2: "InProcess",
    3: "Completed",
    100: "ProblemOrder",
    200: "OnHold",
    300: "Quote",
    999: "Void",
}
PAYMENT_STATUS = {
    10: "NoPayment",
    20: "Authorized",
    30: "Charged",
    40: "Uncleared",
    50: "PartiallyRefund",
    60: "FullRefund",
    70: "PartialPayment",
    99: "PaymentError",
}
SHIPPING_STATUS = {
    0: "Unknown",
    1: "Unshipped",
    2: "PartiallyShipped",
    3: "FullyShipped",
    4: "ReadyForPickup",
}


def upgrade() -> None:
    """Create everything."""
    _tables()
    postgres = op.get_bind().dialect.name == "postgresql"
    _append_only(postgres)
    for name, select in _views(postgres).items():
        op.execute(sa.text(f"CREATE VIEW {name} AS {select}"))


def downgrade() -> None:
    """Migrations go forward only."""
    raise NotImplementedError("migrations go forward only; restore a backup instead")


def _append_only(postgres: bool) -> None:
    """The database itself refuses to change what has been posted."""
    if postgres:
        op.execute(
            sa.text(
                "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                "RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
            )
        )
    for table in APPEND_ONLY:
        if postgres:
            op.execute(
                sa.text(
                    f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
                    "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
                )
            )
            continue
        for change in ("UPDATE", "DELETE"):
            op.execute(
                sa.text(
                    f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
                    f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
                )
            )


def _views(postgres: bool) -> dict[str, str]:
    """View -> its SELECT. Amounts show four decimals: exact in PostgreSQL, a REAL for the eye in SQLite."""

    def shown(amount: str, name: str) -> str:
        return f"{amount} AS {name}" if postgres else f"ROUND(({amount}) / 10000.0, 4) AS {name}"

    def named(column: str, names: dict[int, str]) -> str:
        cases = " ".join(f"WHEN {code} THEN '{name}'" for code, name in names.items())
        return f"CASE {column} {cases} ELSE CAST({column} AS TEXT) END AS {column.split('.')[-1]}"

    aliases = (
        "json_agg(a.source_order_id ORDER BY a.position)::text"
        if postgres
        else "json_group_array(a.source_order_id)"
    )
    return {
        "reporting_orders": f"""
            SELECT o.order_id, o.store, o.epoch, o.kind, o.source_order_id,
                COALESCE((SELECT CASE WHEN COUNT(*) = 0 THEN '[]' ELSE {aliases} END
                    FROM (SELECT * FROM order_aliases x WHERE x.order_id = o.order_id ORDER BY x.position) a
                ), '[]') AS past_source_order_ids,
                o.channel, o.order_type,
                {named("o.order_status", ORDER_STATUS)},
                {named("o.payment_status", PAYMENT_STATUS)},
                {named("o.shipping_status", SHIPPING_STATUS)},
                o.ordered_at_utc, o.shipped_at_utc, o.business_date, o.customer, o.warehouse,
                {shown("o.total - o.tax", "subtotal")}, {shown("o.tax", "tax")}, {shown("o.total", "total")},
                {shown("o.paid", "paid")}, {shown("o.refunded", "refunded")}
            FROM orders o""",
        "reporting_order_lines": f"""
            SELECT l.order_id, o.store, o.epoch, o.kind, o.source_order_id, l.line, l.sku, l.source_sku,
                {shown("l.quantity", "quantity")}, {shown("l.backorder_quantity", "backorder_quantity")},
                {shown("l.shipped_quantity", "shipped_quantity")},
                {shown("l.returned_quantity", "returned_quantity")},
                {shown("l.unit_price", "unit_price")}, {shown("l.tax", "tax")}, l.warehouse
            FROM order_lines l JOIN orders o ON o.order_id = l.order_id""",
        "reporting_tickets": f"""
            SELECT d.store, d.epoch, d.number AS transaction_number, d.kind, d.order_id,
                r.business_date, r.z_batch, r.register, r.lines,
                {shown("r.units", "units")}, {shown("r.total - r.tax", "net")}, {shown("r.tax", "tax")},
                {shown("r.total", "total")}, d.state, d.batch
            FROM documents d
            JOIN document_revisions r ON r.document = d.document AND r.revision = d.revision
            WHERE d.source = 'ticket'""",
        "reporting_tenders": f"""
            SELECT d.store, d.epoch, d.number AS transaction_number, t.tender_code,
                {shown("t.amount", "amount")}, r.business_date, r.z_batch
            FROM documents d
            JOIN document_revisions r ON r.document = d.document AND r.revision = d.revision
            JOIN tenders t ON t.document = d.document AND t.revision = d.revision
            WHERE d.source = 'ticket' AND d.state = 'accepted'""",
        "reporting_deposits": f"""
            SELECT d.store, d.order_id, d.at_utc, d.kind, {shown("d.amount", "amount")}
            FROM deposits d""",
        "reporting_stock": f"""
            SELECT s.warehouse, s.sku, {shown("s.physical", "physical")}, {shown("s.reserved", "reserved")},
                {shown("CASE WHEN w.is_sellable THEN s.physical - s.reserved ELSE 0 END", "available")}
            FROM stock_levels s JOIN warehouses w ON w.code = s.warehouse""",
        "reporting_stock_movements": f"""
            SELECT m.warehouse, m.sku, {shown("m.physical_delta", "physical_delta")},
                {shown("m.reserved_delta", "reserved_delta")}, m.cause, m.store, m.document,
                m.order_id, m.at_utc
            FROM stock_movements m""",
        "reporting_quarantine": f"""
            SELECT q.store, q.epoch, q.document, q.rule, q.message, {shown("q.units", "units")},
                {shown("q.total", "total")}, q.business_date, q.first_seen_utc,
                CASE WHEN q.state = 'open' AND q.rule IN ('waiting_for_ticket', 'waiting_for_order')
                    THEN 'pending' ELSE q.state END AS state
            FROM quarantine q""",
    }


def _tables() -> None:
    op.create_table(
        "stores",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("company", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("returns_warehouse", sa.Text(), nullable=True),
        sa.Column("customer", sa.Text(), nullable=False),
        sa.Column("customer_name", sa.Text(), nullable=False),
        sa.Column("epochs", sa.Text(), nullable=False),
        sa.Column("baseline", sa.Text(), nullable=True),
        sa.Column("opening_stock", sa.Text(), nullable=True),
        sa.Column("start_rowversion", sa.BigInteger(), nullable=False),
        sa.Column("start_number", sa.BigInteger(), nullable=False),
        sa.Column("next_event", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("code"),
    )
    op.create_table(
        "streams",
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("last_sequence", sa.BigInteger(), nullable=False),
        sa.Column("last_batch", sa.Text(), nullable=False),
        sa.Column("imported_utc", sa.Text(), nullable=False),
        sa.Column("waiting", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("store", "stream"),
    )
    op.create_table(
        "history_ranges",
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("first_number", sa.BigInteger(), nullable=False),
        sa.Column("last_number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("store", "source", "first_number"),
    )
    op.create_table(
        "warehouses",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("is_sellable", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("code"),
    )
    op.create_table(
        "channel_warehouses",
        sa.Column("company", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("warehouse", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("company", "channel", "store"),
    )
    op.create_table(
        "catalogs",
        sa.Column("version", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("imported_utc", sa.Text(), nullable=False),
        sa.Column("products", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("version"),
    )
    op.create_table(
        "products",
        sa.Column("sku_key", sa.Text(), nullable=False),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("upc", sa.Text(), nullable=False),
        sa.Column("price", AMOUNT, nullable=False),
        sa.Column("item_type", sa.Integer(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("sku_key"),
        sa.UniqueConstraint("sku"),
    )
    op.create_index("ix_products_upc", "products", ["upc"])
    op.create_table(
        "product_aliases",
        sa.Column("alias_key", sa.Text(), nullable=False),
        sa.Column("sku_key", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("alias_key"),
    )
    op.create_table(
        "batches",
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("manifest", sa.Text(), nullable=False),
        sa.Column("documents", sa.Integer(), nullable=False),
        sa.Column("accepted", sa.Integer(), nullable=False),
        sa.Column("quarantined", sa.Integer(), nullable=False),
        sa.Column("pending", sa.Integer(), nullable=False),
        sa.Column("seen_before", sa.Integer(), nullable=False),
        sa.Column("superseded", sa.Integer(), nullable=False),
        sa.Column("reasons", sa.Text(), nullable=False),
        sa.Column("imported_utc", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("path"),
    )
    op.create_index("ix_batches_stream", "batches", ["store", "stream", "sequence"])
    op.create_table(
        "verdicts",
        sa.Column("batch", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("stored_utc", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("batch"),
    )
    op.create_table(
        "documents",
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("revision", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("batch", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=True),
        sa.Column("postings", sa.Integer(), nullable=False),
        sa.Column("warehouse", sa.Text(), nullable=True),
        sa.Column("warehouse_rule", sa.Text(), nullable=True),
        sa.Column("returns_to", sa.Text(), nullable=True),
        sa.Column("returns_rule", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("document"),
    )
    op.create_index("ix_documents_number", "documents", ["store", "source", "number"])
    op.create_index("ix_documents_state", "documents", ["store", "state"])
    op.create_table(
        "document_revisions",
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("revision", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("batch", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("rowversion", sa.BigInteger(), nullable=True),
        sa.Column("occurred_at", sa.Text(), nullable=True),
        sa.Column("business_date", sa.Text(), nullable=True),
        sa.Column("z_batch", sa.BigInteger(), nullable=True),
        sa.Column("register", sa.BigInteger(), nullable=True),
        sa.Column("lines", sa.BigInteger(), nullable=True),
        sa.Column("units", AMOUNT, nullable=True),
        sa.Column("tax", AMOUNT, nullable=True),
        sa.Column("total", AMOUNT, nullable=True),
        sa.Column("mirror", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("document", "revision"),
    )
    op.create_table(
        "tenders",
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("revision", sa.Text(), nullable=False),
        sa.Column("entry_id", sa.BigInteger(), nullable=False),
        sa.Column("tender_id", sa.BigInteger(), nullable=False),
        sa.Column("tender_code", sa.Text(), nullable=False),
        sa.Column("amount", AMOUNT, nullable=False),
        sa.PrimaryKeyConstraint("document", "revision", "entry_id"),
    )
    op.create_table(
        "orders",
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("source_order_id", sa.Text(), nullable=False),
        sa.Column("company", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("order_type", sa.Text(), nullable=False),
        sa.Column("order_status", sa.Integer(), nullable=False),
        sa.Column("payment_status", sa.Integer(), nullable=False),
        sa.Column("shipping_status", sa.Integer(), nullable=False),
        sa.Column("ordered_at_utc", sa.Text(), nullable=False),
        sa.Column("shipped_at_utc", sa.Text(), nullable=True),
        sa.Column("business_date", sa.Text(), nullable=False),
        sa.Column("customer", sa.Text(), nullable=False),
        sa.Column("customer_name", sa.Text(), nullable=False),
        sa.Column("warehouse", sa.Text(), nullable=False),
        sa.Column("tax", AMOUNT, nullable=False),
        sa.Column("total", AMOUNT, nullable=False),
        sa.Column("rounding", AMOUNT, nullable=False),
        sa.Column("paid", AMOUNT, nullable=False),
        sa.Column("refunded", AMOUNT, nullable=False),
        sa.Column("refundable", AMOUNT, nullable=False),
        sa.Column("refunds", AMOUNT, nullable=False),
        sa.Column("linked_order", sa.Text(), nullable=True),
        sa.Column("voided_by", sa.Text(), nullable=True),
        sa.Column("flags", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("order_id"),
    )
    op.create_index("ix_orders_linked_order", "orders", ["linked_order"])
    op.create_index("ix_orders_source_order_id", "orders", ["store", "source_order_id"])
    op.create_index("ix_orders_store", "orders", ["store", "business_date"])
    op.create_table(
        "order_aliases",
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("source_order_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("valid_from_utc", sa.Text(), nullable=False),
        sa.Column("valid_to_utc", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("order_id", "position"),
    )
    op.create_index("ix_order_aliases_source_order_id", "order_aliases", ["source_order_id"])
    op.create_table(
        "order_lines",
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("source_sku", sa.Text(), nullable=False),
        sa.Column("item_type", sa.Integer(), nullable=False),
        sa.Column("quantity", AMOUNT, nullable=False),
        sa.Column("backorder_quantity", AMOUNT, nullable=False),
        sa.Column("shipped_quantity", AMOUNT, nullable=False),
        sa.Column("returned_quantity", AMOUNT, nullable=False),
        sa.Column("unit_price", AMOUNT, nullable=False),
        sa.Column("tax", AMOUNT, nullable=False),
        sa.Column("warehouse", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("order_id", "line"),
    )
    op.create_table(
        "payments",
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("posting", sa.Integer(), nullable=False),
        sa.Column("method", sa.Integer(), nullable=False),
        sa.Column("type", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("amount", AMOUNT, nullable=False),
        sa.Column("at_utc", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("order_id", "document", "posting"),
    )
    op.create_index("ix_payments_document", "payments", ["document"])
    op.create_table(
        "stock_movements",
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("posting", sa.Integer(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("warehouse", sa.Text(), nullable=False),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("physical_delta", AMOUNT, nullable=False),
        sa.Column("reserved_delta", AMOUNT, nullable=False),
        sa.Column("warehouse_rule", sa.Text(), nullable=False),
        sa.Column("store", sa.Text(), nullable=True),
        sa.Column("document", sa.Text(), nullable=True),
        sa.Column("order_id", sa.Text(), nullable=True),
        sa.Column("batch", sa.Text(), nullable=True),
        sa.Column("at_utc", sa.Text(), nullable=False),
        sa.UniqueConstraint(
            "origin", "posting", "line", "cause", "warehouse", "sku", name="uq_stock_movements"
        ),
    )
    op.create_index("ix_stock_movements_sku", "stock_movements", ["warehouse", "sku"])
    op.create_table(
        "stock_levels",
        sa.Column("warehouse", sa.Text(), nullable=False),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("physical", AMOUNT, nullable=False),
        sa.Column("reserved", AMOUNT, nullable=False),
        sa.PrimaryKeyConstraint("warehouse", "sku"),
    )
    op.create_table(
        "events",
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("at_utc", sa.Text(), nullable=False),
        sa.Column("batch", sa.Text(), nullable=True),
        sa.Column("document", sa.Text(), nullable=True),
        sa.Column("order_id", sa.Text(), nullable=True),
        sa.Column("warehouse", sa.Text(), nullable=True),
        sa.Column("sku", sa.Text(), nullable=True),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("store", "number"),
    )
    op.create_table(
        "quarantine",
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("revision", sa.Text(), nullable=False),
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("batch", sa.Text(), nullable=False),
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("fix", sa.Text(), nullable=False),
        sa.Column("waits_for", sa.Text(), nullable=True),
        sa.Column("catalog", sa.BigInteger(), nullable=False),
        sa.Column("units", AMOUNT, nullable=True),
        sa.Column("total", AMOUNT, nullable=True),
        sa.Column("business_date", sa.Text(), nullable=True),
        sa.Column("first_seen_utc", sa.Text(), nullable=False),
        sa.Column("closed_utc", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("rows", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("document", "revision"),
    )
    op.create_index("ix_quarantine_state", "quarantine", ["store", "state"])
    op.create_index("ix_quarantine_waits_for", "quarantine", ["waits_for"])
    op.create_table(
        "deposits",
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("at_utc", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("amount", AMOUNT, nullable=False),
        sa.PrimaryKeyConstraint("document", "entry"),
    )
    op.create_table(
        "statements",
        sa.Column("batch", sa.Text(), nullable=False),
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("bound", sa.BigInteger(), nullable=False),
        sa.Column("created_utc", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("batch"),
    )
    op.create_index("ix_statements_store", "statements", ["store", "sequence"])
    op.create_table(
        "statement_days",
        sa.Column("batch", sa.Text(), nullable=False),
        sa.Column("business_date", sa.Text(), nullable=False),
        sa.Column("z_batch", sa.BigInteger(), nullable=False),
        sa.Column("register", sa.BigInteger(), nullable=False),
        sa.Column("tickets", sa.Integer(), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("units", AMOUNT, nullable=False),
        sa.Column("tax", AMOUNT, nullable=False),
        sa.Column("total", AMOUNT, nullable=False),
        sa.PrimaryKeyConstraint("batch", "business_date", "z_batch", "register"),
    )
    op.create_table(
        "statement_tenders",
        sa.Column("batch", sa.Text(), nullable=False),
        sa.Column("business_date", sa.Text(), nullable=False),
        sa.Column("z_batch", sa.BigInteger(), nullable=False),
        sa.Column("tender_code", sa.Text(), nullable=False),
        sa.Column("amount", AMOUNT, nullable=False),
        sa.PrimaryKeyConstraint("batch", "business_date", "z_batch", "tender_code"),
    )
    op.create_table(
        "statement_numbers",
        sa.Column("batch", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("first_number", sa.BigInteger(), nullable=False),
        sa.Column("last_number", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("batch", "epoch", "source", "first_number"),
    )
