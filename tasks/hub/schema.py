"""The tables of the hub. Migrations create them; this module only names them for queries.

Identities are text: a document is `S1/1/ticket/10452`, and an order carries the id of the document that
created it, so that a replay in any order of arrival gives the same ids. Times are UTC text
(`2026-11-23T08:15:30.123Z`), dates `2026-11-23`: both sort as they are. A batch is named by its path
(`S1/orders/000412-9f2c51d07ab3`). JSON is kept as text.

Amounts are whole ten-thousandths on the Python side, INTEGER in SQLite and NUMERIC(19,4) in PostgreSQL.
SQL may add, subtract and compare them; the only number that may stand beside one is 0.
"""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Index,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeDecorator, TypeEngine

from data_contracts.amounts import to_decimal


class Amount(TypeDecorator[int]):
    """Exact money or quantity: an int of ten-thousandths in Python."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[int]:
        """NUMERIC(19,4) in PostgreSQL, INTEGER elsewhere."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(Numeric(19, 4))  # type: ignore[arg-type]
        return dialect.type_descriptor(BigInteger())

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | Decimal | None:
        """To the column's own form."""
        if value is None or dialect.name != "postgresql":
            return value
        return to_decimal(int(value))

    def process_result_value(self, value: int | Decimal | None, dialect: Dialect) -> int | None:
        """Back to ten-thousandths."""
        if isinstance(value, Decimal):
            return int(value.scaleb(4))
        return value


metadata = MetaData()


def columns_of(table: Table) -> tuple[str, ...]:
    """The names of a table's columns, in their order."""
    return tuple(column.name for column in table.columns)


HUB_STORE = "(hub)"
"""What the hub changes by itself counts as a store of its own, whose row this is; no code looks like it."""

stores = Table(
    "stores",
    metadata,
    Column("code", Text, primary_key=True),
    Column("company", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("returns_warehouse", Text),
    Column("customer", Text, nullable=False),
    Column("customer_name", Text, nullable=False),
    Column("epochs", Text, nullable=False),  # JSON: [[epoch, after_number, after_order], ...]
    Column("baseline", Text),  # path of the newest baseline batch; null: not baselined
    Column("opening_stock", Text),  # path of the baseline that brought it
    Column("start_rowversion", BigInteger, nullable=False),
    Column("start_number", BigInteger, nullable=False),
    Column("start_history_entry", BigInteger, nullable=False),  # deposits up to it are from before
    Column("next_event", BigInteger, nullable=False),
)

streams = Table(
    "streams",
    metadata,
    Column("store", Text, primary_key=True),
    Column("stream", Text, primary_key=True),
    Column("last_sequence", BigInteger, nullable=False),
    Column("last_batch", Text, nullable=False),
    Column("imported_utc", Text, nullable=False),
    Column("waiting", Text, nullable=False),  # JSON: the newest manifest's waiting list
)

history_ranges = Table(
    "history_ranges",
    metadata,
    Column("store", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("first_number", BigInteger, primary_key=True),
    Column("last_number", BigInteger, nullable=False),
)

warehouses = Table(
    "warehouses",
    metadata,
    Column("code", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("is_default", Boolean, nullable=False),
    Column("is_sellable", Boolean, nullable=False),
)

channel_warehouses = Table(
    "channel_warehouses",
    metadata,
    Column("company", Text, primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("store", Text, primary_key=True),  # empty: every store of the channel
    Column("warehouse", Text, nullable=False),
)

catalogs = Table(
    "catalogs",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("imported_utc", Text, nullable=False),
    Column("products", Integer, nullable=False),  # rows of the file
    Column("file", Text, nullable=False),
    Column("digest", Text, nullable=False),  # of the newest file that is in the hub, and how it was read
    Column("created", Integer, nullable=False),
    Column("changed", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
)

products = Table(
    "products",
    metadata,
    Column("sku_key", Text, primary_key=True),
    Column("sku", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("upc", Text, nullable=False),
    Column("price", Amount, nullable=False),
    Column("item_type", Integer, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("long_description", Text, nullable=False),
    Column("sub_description_1", Text, nullable=False),
    Column("sub_description_2", Text, nullable=False),
    Column("sub_description_3", Text, nullable=False),
    Column("unit_of_measure", Text, nullable=False),
    Column("department_code", Text, nullable=False),
    Column("department_name", Text, nullable=False),
    Column("category_code", Text, nullable=False),
    Column("category_name", Text, nullable=False),
    Column("supplier_code", Text, nullable=False),
    Column("supplier_name", Text, nullable=False),
    Column("reorder_number", Text, nullable=False),
    Column("tax_code", Text, nullable=False),
    Column("shadow_of", Text, nullable=False),
    Column("store_price", Amount, nullable=False),
    Column("price_a", Amount, nullable=False),
    Column("price_b", Amount, nullable=False),
    Column("price_c", Amount, nullable=False),
    Column("msrp", Amount, nullable=False),
    Column("cost", Amount, nullable=False),
    Column("taxable", Boolean, nullable=False),
    Column("is_kit", Boolean, nullable=False),
    Column("changed_version", BigInteger, nullable=False),  # of the catalogue that last changed it
    Column("changed_utc", Text, nullable=False),  # empty: before the hub kept it
)
Index("ix_products_upc", products.c.upc)
Index("ix_products_changed_version", products.c.changed_version)

product_aliases = Table(
    "product_aliases",
    metadata,
    Column("alias_key", Text, primary_key=True),
    Column("sku_key", Text, nullable=False),
    Column("alias", Text, nullable=False),  # as the catalogue writes it
)
Index("ix_product_aliases_sku_key", product_aliases.c.sku_key)

product_exports = Table(
    "product_exports",
    metadata,
    Column("store", Text, primary_key=True),
    Column("catalog", BigInteger, nullable=False),  # products changed up to this version were looked at ...
    Column("rules", Text, nullable=False),  # ... by these settings
    Column("exported_utc", Text, nullable=False),
)

product_batches = Table(
    "product_batches",
    metadata,
    Column("store", Text, primary_key=True),
    Column("batch_id", Text, primary_key=True),
    Column("sequence", BigInteger),  # null until it is known to be published
    Column("state", Text, nullable=False),  # noted, published, answered, rejected or lost
    Column("products", Integer, nullable=False),
    Column("at_till", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
    Column("noted_utc", Text, nullable=False),
    Column("answered_utc", Text),
)
Index("ix_product_batches_state", product_batches.c.store, product_batches.c.state)

store_products = Table(
    "store_products",
    metadata,
    Column("store", Text, primary_key=True),
    Column("sku_key", Text, primary_key=True),
    Column("sku", Text, nullable=False),
    Column("state", Text, nullable=False),  # on_the_way, at_till, refused or to_send
    Column("sent_revision", Text, nullable=False),  # the newest one sent
    Column("sent_batch", Text, nullable=False),  # its batch id
    Column("sent_utc", Text, nullable=False),
    Column("attempts", Integer, nullable=False),  # how often it was sent since it was last at the till
    Column("waiting_since_utc", Text),  # null: the till shows what was sent
    Column("till_revision", Text),  # what the till shows; null: it never had the product
    Column("till_sequence", BigInteger),
    Column("till_utc", Text),
    Column("rule", Text, nullable=False),  # why it was refused
    Column("message", Text, nullable=False),
    Column("fix", Text, nullable=False),
    Column("notes", Text, nullable=False),  # JSON: what was cut or left out at the till
    Column("answered_utc", Text),
)
Index("ix_store_products_state", store_products.c.store, store_products.c.state)
Index("ix_store_products_sent_batch", store_products.c.store, store_products.c.sent_batch)

batches = Table(
    "batches",
    metadata,
    Column("path", Text, primary_key=True),
    Column("store", Text, nullable=False),
    Column("stream", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("batch_id", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("state", Text, nullable=False),  # accepted or rejected
    Column("manifest", Text, nullable=False),
    Column("documents", Integer, nullable=False),
    Column("accepted", Integer, nullable=False),
    Column("quarantined", Integer, nullable=False),
    Column("pending", Integer, nullable=False),
    Column("seen_before", Integer, nullable=False),
    Column("superseded", Integer, nullable=False),
    Column("reasons", Text, nullable=False),
    Column("imported_utc", Text, nullable=False),
    Column("replaces", BigInteger),  # sequence of the rejected or lost batch it stands for
)
Index("ix_batches_stream", batches.c.store, batches.c.stream, batches.c.sequence)

verdicts = Table(
    "verdicts",
    metadata,
    Column("batch", Text, primary_key=True),
    Column("verdict", Text, nullable=False),
    Column("stored_utc", Text, nullable=False),
)

documents = Table(
    "documents",
    metadata,
    Column("document", Text, primary_key=True),
    Column("store", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("source", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),  # accepted, quarantined, pending or discarded
    Column("revision", Text, nullable=False),  # the booked one, else the newest that waits
    Column("sequence", BigInteger, nullable=False),
    Column("batch_id", Text, nullable=False),
    Column("batch", Text, nullable=False),
    Column("order_id", Text),
    Column("postings", Integer, nullable=False),  # how often the ledger was written for it
    Column("warehouse", Text),  # where its goods went out, fixed at the first posting
    Column("warehouse_rule", Text),
    Column("returns_to", Text),  # where its goods came back to
    Column("returns_rule", Text),
)
Index("ix_documents_number", documents.c.store, documents.c.source, documents.c.number)
Index("ix_documents_state", documents.c.store, documents.c.state)

document_revisions = Table(
    "document_revisions",
    metadata,
    Column("document", Text, primary_key=True),
    Column("revision", Text, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("batch_id", Text, nullable=False),
    Column("batch", Text, nullable=False),
    Column("state", Text, nullable=False),  # accepted, replaced, superseded or quarantined
    Column("rowversion", BigInteger),
    Column("occurred_at", Text),
    Column("business_date", Text),
    Column("z_batch", BigInteger),
    Column("register", BigInteger),
    Column("lines", BigInteger),  # as the header says: of a refused ticket it may be any number
    Column("units", Amount),
    Column("tax", Amount),
    Column("total", Amount),
    Column("mirror", Text),  # what a void of it must mirror
)

tenders = Table(
    "tenders",
    metadata,
    Column("document", Text, primary_key=True),
    Column("revision", Text, primary_key=True),
    Column("entry_id", BigInteger, primary_key=True),
    Column("tender_id", BigInteger, nullable=False),
    Column("tender_code", Text, nullable=False),
    Column("amount", Amount, nullable=False),
)

orders = Table(
    "orders",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("store", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("source_order_id", Text, nullable=False),
    Column("company", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("order_type", Text, nullable=False),
    Column("order_status", Integer, nullable=False),
    Column("payment_status", Integer, nullable=False),
    Column("shipping_status", Integer, nullable=False),
    Column("ordered_at_utc", Text, nullable=False),
    Column("shipped_at_utc", Text),
    Column("business_date", Text, nullable=False),
    Column("customer", Text, nullable=False),
    Column("customer_name", Text, nullable=False),
    Column("warehouse", Text, nullable=False),
    Column("tax", Amount, nullable=False),
    Column("total", Amount, nullable=False),
    Column("rounding", Amount, nullable=False),  # header total less what its lines come to
    Column("paid", Amount, nullable=False),
    Column("refunded", Amount, nullable=False),
    Column("refundable", Amount, nullable=False),  # what was sold: refunded up to here is a full refund
    Column("refunds", Amount, nullable=False),  # what it gives back on the order it is linked to
    Column("linked_order", Text),  # the order that it returns or voids, known here or not
    Column("linked_document", Text),  # the ticket that it returns or voids, known here or not
    Column("voided_by", Text),
    Column("flags", Text, nullable=False),
)
Index("ix_orders_linked_order", orders.c.linked_order)
Index("ix_orders_linked_document", orders.c.linked_document)
Index("ix_orders_store", orders.c.store, orders.c.business_date)
Index("ix_orders_source_order_id", orders.c.store, orders.c.source_order_id)

order_aliases = Table(
    "order_aliases",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("position", Integer, primary_key=True),  # 1.. oldest first
    Column("source_order_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("valid_from_utc", Text, nullable=False),
    Column("valid_to_utc", Text),
)
Index("ix_order_aliases_source_order_id", order_aliases.c.source_order_id)

order_lines = Table(
    "order_lines",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("line", Integer, primary_key=True),  # of a layaway or backorder: OrderEntry.ID
    Column("sku", Text, nullable=False),
    Column("source_sku", Text, nullable=False),
    Column("item_type", Integer, nullable=False),
    Column("quantity", Amount, nullable=False),
    Column("reserved_quantity", Amount, nullable=False),
    Column("backorder_quantity", Amount, nullable=False),
    Column("shipped_quantity", Amount, nullable=False),
    Column("returned_quantity", Amount, nullable=False),
    Column("unit_price", Amount, nullable=False),
    Column("tax", Amount, nullable=False),
    Column("warehouse", Text, nullable=False),
)

payments = Table(
    "payments",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("document", Text, primary_key=True),
    Column("posting", Integer, primary_key=True),
    Column("method", Integer, nullable=False),
    Column("type", Integer, nullable=False),
    Column("status", Integer, nullable=False),
    Column("amount", Amount, nullable=False),
    Column("at_utc", Text, nullable=False),
)
Index("ix_payments_document", payments.c.document)

stock_movements = Table(
    "stock_movements",
    metadata,
    Column("origin", Text, nullable=False),  # the document, or the batch of opening stock
    Column("posting", Integer, nullable=False),
    Column("line", Integer, nullable=False),
    Column("cause", Text, nullable=False),
    Column("warehouse", Text, nullable=False),
    Column("sku", Text, nullable=False),
    Column("physical_delta", Amount, nullable=False),
    Column("reserved_delta", Amount, nullable=False),
    Column("warehouse_rule", Text, nullable=False),
    Column("store", Text),
    Column("document", Text),
    Column("order_id", Text),
    Column("batch", Text),
    Column("at_utc", Text, nullable=False),
    UniqueConstraint("origin", "posting", "line", "cause", "warehouse", "sku", name="uq_stock_movements"),
)
Index("ix_stock_movements_sku", stock_movements.c.warehouse, stock_movements.c.sku)

stock_levels = Table(
    "stock_levels",
    metadata,
    Column("warehouse", Text, primary_key=True),
    Column("sku", Text, primary_key=True),
    Column("physical", Amount, nullable=False),
    Column("reserved", Amount, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("store", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("type", Text, nullable=False),
    Column("at_utc", Text, nullable=False),
    Column("batch", Text),
    Column("document", Text),
    Column("order_id", Text),
    Column("warehouse", Text),
    Column("sku", Text),
    Column("payload", Text, nullable=False),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("document", Text, primary_key=True),
    Column("revision", Text, primary_key=True),
    Column("store", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("batch_id", Text, nullable=False),
    Column("batch", Text, nullable=False),
    Column("stream", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("fix", Text, nullable=False),
    Column("waits_for", Text),  # the document whose arrival may clear it
    Column("catalog", BigInteger, nullable=False),  # version of the catalogue it was judged by
    Column("units", Amount),
    Column("total", Amount),
    Column("business_date", Text),
    Column("first_seen_utc", Text, nullable=False),
    Column("closed_utc", Text),
    Column("state", Text, nullable=False),  # open, cleared, released, discarded or superseded
    Column("rows", Text, nullable=False),  # JSON: role -> rows as exported
)
Index("ix_quarantine_state", quarantine.c.store, quarantine.c.state)
Index("ix_quarantine_waits_for", quarantine.c.waits_for)

quarantine_decisions = Table(
    "quarantine_decisions",
    metadata,
    Column("store", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),  # 1.. without gaps per store
    Column("document", Text, nullable=False),
    Column("revision", Text, nullable=False),
    Column("action", Text, nullable=False),  # tasks.hub.decisions
    Column("rule", Text),  # of a rule that was waived
    Column("role", Text),  # of an edit: file, row, column ...
    Column("row_name", Text),
    Column("column_name", Text),
    Column("exported", Text),  # ... what was exported there ...
    Column("old", Text),  # ... what counted there until then ...
    Column("new", Text),  # ... and what counts from then on
    Column("ends", BigInteger),  # number of the edit that was undone or has lapsed
    Column("decided_by", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("at_utc", Text, nullable=False),
)
Index("ix_quarantine_decisions_document", quarantine_decisions.c.document, quarantine_decisions.c.revision)
"""What people decided about documents in quarantine; append-only: the database refuses to change it."""

life_cycles = Table(
    "life_cycles",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("store", Text, nullable=False),
    Column("number", BigInteger, nullable=False),  # [Order].ID
    Column("kind", Text, nullable=False),  # layaway or backorder
    Column("state", Text, nullable=False),  # data_contracts.life_cycle
    Column("revision", Text, nullable=False),  # the snapshot that was applied last
    Column("expires_on", Text, nullable=False),
    Column("expired", Boolean, nullable=False),
    Column("released", Boolean, nullable=False),  # its stock was given back when it expired
    Column("deposit", Amount, nullable=False),  # what is held of its deposits
)
Index("ix_life_cycles_store", life_cycles.c.store, life_cycles.c.state)
"""One row beside each order that is a layaway or backorder: where it stands."""

order_snapshots = Table(
    "order_snapshots",
    metadata,
    Column("document", Text, primary_key=True),
    Column("revision", Text, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("batch_id", Text, nullable=False),
    Column("closed", Boolean, nullable=False),
    Column("rows", Text, nullable=False),  # JSON: role -> rows as exported, with edits that were released
)
"""Every snapshot of an order that passed its contract and was not discarded, applied or not.

Sequence and batch are those in which it came first, its rows those of the batch in which it came last.
"""

pickup_lines = Table(
    "pickup_lines",
    metadata,
    Column("document", Text, primary_key=True),  # the ticket that picked up
    Column("line", Integer, primary_key=True),
    Column("part", Integer, primary_key=True),  # 1.., where a line fills several lines of the order
    Column("order_id", Text, nullable=False),
    Column("order_line", Integer),  # null: voided since, or sold besides what was ordered
    Column("sku", Text, nullable=False),
    Column("source_sku", Text, nullable=False),
    Column("item_type", Integer, nullable=False),
    Column("quantity", Amount, nullable=False),
    Column("unit_price", Amount, nullable=False),
    Column("tax", Amount, nullable=False),
)
Index("ix_pickup_lines_order_id", pickup_lines.c.order_id)

deposits = Table(
    "deposits",
    metadata,
    Column("document", Text, primary_key=True),  # of the order
    Column("entry", BigInteger, primary_key=True),  # OrderHistory.ID; 0 for what was kept at the end
    Column("store", Text, nullable=False),
    Column("order_id", Text, nullable=False),
    Column("at_utc", Text, nullable=False),
    Column("business_date", Text, nullable=False),
    Column("z_batch", BigInteger, nullable=False),
    Column("transaction_number", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),  # taken, used, refunded or kept
    Column("amount", Amount, nullable=False),  # what is held rises by it: taken is positive
    Column("raw", Amount, nullable=False),  # OrderHistory.DeltaDeposit as it came; 0 for what was kept
    Column("tendered", Amount, nullable=False),
)
Index("ix_deposits_store", deposits.c.store, deposits.c.business_date)

receipts = Table(
    "receipts",
    metadata,
    Column("receipt", Text, primary_key=True),
    Column("sha256", Text, nullable=False),
    Column("received_utc", Text, nullable=False),
    Column("lines", Integer, nullable=False),
    Column("units", Amount, nullable=False),
)
"""Stock that was received into warehouses; a receipt counts once."""

statements = Table(
    "statements",
    metadata,
    Column("batch", Text, primary_key=True),
    Column("store", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("batch_id", Text, nullable=False),
    Column("bound", BigInteger, nullable=False),
    Column("created_utc", Text, nullable=False),
)
Index("ix_statements_store", statements.c.store, statements.c.sequence)

statement_days = Table(
    "statement_days",
    metadata,
    Column("batch", Text, primary_key=True),
    Column("business_date", Text, primary_key=True),
    Column("z_batch", BigInteger, primary_key=True),
    Column("register", BigInteger, primary_key=True),
    Column("tickets", Integer, nullable=False),
    Column("lines", Integer, nullable=False),
    Column("units", Amount, nullable=False),
    Column("tax", Amount, nullable=False),
    Column("total", Amount, nullable=False),
)

statement_tenders = Table(
    "statement_tenders",
    metadata,
    Column("batch", Text, primary_key=True),
    Column("business_date", Text, primary_key=True),
    Column("z_batch", BigInteger, primary_key=True),
    Column("tender_code", Text, primary_key=True),
    Column("amount", Amount, nullable=False),
)

statement_numbers = Table(
    "statement_numbers",
    metadata,
    Column("batch", Text, primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("first_number", BigInteger, primary_key=True),
    Column("last_number", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
)

statement_deposits = Table(
    "statement_deposits",
    metadata,
    Column("batch", Text, primary_key=True),
    Column("business_date", Text, primary_key=True),
    Column("z_batch", BigInteger, primary_key=True),
    Column("entries", Integer, nullable=False),
    Column("amount", Amount, nullable=False),
    Column("tendered", Amount, nullable=False),
)

statement_open_orders = Table(
    "statement_open_orders",
    metadata,
    Column("batch", Text, primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("revision", Text, nullable=False),
    Column("rowversion", BigInteger, nullable=False),
    Column("order_type", Integer, nullable=False),
    Column("on_order", Amount, nullable=False),
    Column("taken", Amount, nullable=False),
    Column("deposit", Amount, nullable=False),
)
