"""The documents that travel: their identity and the columns of the files that carry them.

A document is one business fact of one store with its lines, all or nothing. Its identity is
(store, epoch, source, number): `source` is `ticket` for a row of RMS's [Transaction] and `order` for a
row of [Order], because both count their numbers on their own and every store counts its own.

Three files carry tickets, four carry orders (layaways and backorders) as snapshots of their whole present
state. In a frame every amount is an integer of ten-thousandths
(`data_contracts.amounts`); the contract `contracts/orders.odcs.yaml` says the same to a reader without
Python, and a test holds the two together.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

TICKET = "ticket"
ORDER = "order"

STREAM_BASELINE = "baseline"
STREAM_ORDERS = "orders"
STREAM_STATEMENT = "statement"
STREAM_PRODUCTS = "products"
"""Runs the other way: published by the hub, applied and answered by the store."""
STREAMS = (STREAM_BASELINE, STREAM_ORDERS, STREAM_STATEMENT)
"""In the order in which the hub takes them in: a store's baseline before its orders before its statements."""

Kind = Literal["text", "integer", "amount", "timestamp", "date", "boolean"]
"""text: as it is. integer: digits. amount: four decimals in files, ten-thousandths in frames.
timestamp: UTC, `2026-11-23T08:15:30.123Z`. date: `2026-11-23`. boolean: `true` or `false`.
In frames timestamps and dates stay text: they sort and compare as they are."""

KEY = ("store", "epoch", "source", "number")
"""The identity of a document, the first columns of every file of documents."""

TICKETS: dict[str, Kind] = {
    "store": "text",
    "epoch": "integer",
    "source": "text",
    "number": "integer",  # [Transaction].TransactionNumber
    "revision": "text",  # content hash, data_contracts.revisions
    "rowversion": "integer",  # greatest DBTimeStamp over the rows of the ticket
    "occurred_at": "timestamp",  # [Transaction].Time, through the store's zone
    "business_date": "date",
    "z_batch": "integer",  # [Transaction].BatchNumber
    "register": "integer",  # Batch.RegisterID
    "recall_type": "integer",  # [Transaction].RecallType, raw
    "recall_id": "integer",  # [Transaction].RecallID, raw
    "recalled_order_type": "integer",  # [Order].Type of the recalled order, 0 where none was recalled
    "line_count": "integer",
    "tender_count": "integer",
    "units": "amount",  # sum of quantities
    "tax": "amount",  # [Transaction].SalesTax
    "total": "amount",  # [Transaction].Total
    "prices_include_tax": "boolean",
    "flags": "text",  # `;`-separated, see FLAGS
}

TICKET_LINES: dict[str, Kind] = {
    "store": "text",
    "epoch": "integer",
    "source": "text",
    "number": "integer",
    "line": "integer",  # 1.. in the order of entry_id
    "entry_id": "integer",  # TransactionEntry.ID
    "item_id": "integer",  # TransactionEntry.ItemID
    "sku": "text",  # Item.ItemLookupCode, blanks at the end cut off
    "description": "text",  # Item.Description
    "item_type": "integer",  # TransactionEntry.ItemType, as it was when sold
    "quantity": "amount",  # negative: came back
    "unit_price": "amount",
    "tax": "amount",  # per line
}

TENDERS: dict[str, Kind] = {
    "store": "text",
    "epoch": "integer",
    "source": "text",
    "number": "integer",
    "entry_id": "integer",  # TenderEntry.ID
    "tender_id": "integer",
    "tender_code": "text",  # Tender.Code, else Tender.Description
    "amount": "amount",
}

ORDERS: dict[str, Kind] = {
    "store": "text",
    "epoch": "integer",
    "source": "text",
    "number": "integer",  # [Order].ID
    "revision": "text",  # content hash, data_contracts.revisions
    "rowversion": "integer",  # greatest DBTimeStamp over the rows of the order
    "ordered_at": "timestamp",  # [Order].Time, through the store's zone
    "business_date": "date",  # of ordered_at; an order has no Z batch of its own
    "order_type": "integer",  # [Order].Type, raw
    "closed": "boolean",  # [Order].Closed; also true for an order that RMS no longer has
    "expires_on": "date",  # the date of [Order].ExpirationOrDueDate, as RMS has it, without a zone
    "line_count": "integer",
    "history_count": "integer",
    "tender_count": "integer",
    "on_order": "amount",  # sum of QuantityOnOrder
    "taken": "amount",  # sum of QuantityRTD
    "deposit": "amount",  # [Order].Deposit, raw
    "deposit_changes": "amount",  # sum of OrderHistory.DeltaDeposit, raw
    "tax": "amount",  # [Order].Tax
    "total": "amount",  # [Order].Total
    "prices_include_tax": "boolean",
    "flags": "text",  # `;`-separated, see FLAGS
}
"""One row an order: a snapshot of its whole present state. A later batch sequence is newer."""

ORDER_LINES: dict[str, Kind] = {
    "store": "text",
    "epoch": "integer",
    "source": "text",
    "number": "integer",
    "line": "integer",  # 1.. in the order of entry_id
    "entry_id": "integer",  # OrderEntry.ID: what tells a line apart from one snapshot to the next
    "item_id": "integer",  # OrderEntry.ItemID
    "sku": "text",  # Item.ItemLookupCode, blanks at the end cut off
    "description": "text",  # Item.Description
    "item_type": "integer",  # Item.ItemType: OrderEntry keeps none
    "on_order": "amount",  # QuantityOnOrder, raw
    "taken": "amount",  # QuantityRTD, raw: handed over so far
    "unit_price": "amount",
}

ORDER_HISTORY: dict[str, Kind] = {
    "store": "text",
    "epoch": "integer",
    "source": "text",
    "number": "integer",
    "entry_id": "integer",  # OrderHistory.ID
    "transaction_number": "integer",  # OrderHistory.TransactionNumber, 0 for a deposit without a ticket
    "occurred_at": "timestamp",  # OrderHistory.Date, through the store's zone
    "business_date": "date",
    "z_batch": "integer",  # OrderHistory.BatchNumber
    "delta_deposit": "amount",  # OrderHistory.DeltaDeposit, raw; its sign is configuration
}

DEPOSIT_TENDERS: dict[str, Kind] = {
    "store": "text",
    "epoch": "integer",
    "source": "text",
    "number": "integer",
    "entry_id": "integer",  # TenderEntry.ID
    "history_id": "integer",  # TenderEntry.OrderHistoryID
    "tender_id": "integer",
    "tender_code": "text",
    "amount": "amount",
}

FLAGS = {
    "unsettled": "published although RMS had not finished writing it",
    "ambiguous_hour": "rung in the hour that daylight saving repeats; the first pass is assumed",
    "no_such_hour": "rung in the hour that daylight saving skips; moved forward by the gap",
    "no_z_batch": "RMS does not know when its Z batch was opened; its calendar date is taken",
    "unreadable_amount": "RMS holds an absurd quantity in one of its lines; 0 stands in its place",
    "deleted": "an order that was published as open and that RMS no longer has",
}

# -- baseline: what the hub starts from -------------------------------------------------------------
OPENING_STOCK: dict[str, Kind] = {
    "store": "text",
    "sku": "text",
    "item_type": "integer",
    "quantity": "amount",  # Item.Quantity at the start mark
}
HISTORY_RANGES: dict[str, Kind] = {
    "store": "text",
    "source": "text",
    "first_number": "integer",
    "last_number": "integer",
}
"""Numbers that RMS already held at the start mark: history, never booked. Both ends included."""

# -- statement: what the store says it has ----------------------------------------------------------
STATEMENT_DAYS: dict[str, Kind] = {
    "store": "text",
    "business_date": "date",
    "z_batch": "integer",
    "register": "integer",
    "tickets": "integer",
    "lines": "integer",
    "units": "amount",
    "tax": "amount",
    "total": "amount",
}
STATEMENT_TENDERS: dict[str, Kind] = {
    "store": "text",
    "business_date": "date",
    "z_batch": "integer",
    "tender_code": "text",
    "amount": "amount",
}
STATEMENT_NUMBERS: dict[str, Kind] = {
    "store": "text",
    "epoch": "integer",
    "source": "text",
    "first_number": "integer",
    "last_number": "integer",
    "state": "text",  # present, absent (proven: a gap RMS never filled) or waiting (RMS is still writing it)
}
"""Every number between the start mark and the newest ticket, as ranges, both ends included."""
STATEMENT_DEPOSITS: dict[str, Kind] = {
    "store": "text",
    "business_date": "date",
    "z_batch": "integer",
    "entries": "integer",  # rows of OrderHistory
    "amount": "amount",  # sum of DeltaDeposit, raw
    "tendered": "amount",  # sum of the tenders of these rows
}
"""Deposits written since the start mark, of the business dates that `days` covers."""
STATEMENT_OPEN_ORDERS: dict[str, Kind] = {
    "store": "text",
    "epoch": "integer",
    "source": "text",
    "number": "integer",
    "revision": "text",
    "rowversion": "integer",
    "order_type": "integer",
    "on_order": "amount",
    "taken": "amount",
    "deposit": "amount",
}
"""Every order that is open, of the kinds that travel; those RMS is still writing are left out."""

# -- products: what the hub tells a store's till to sell ---------------------------------------------
PRODUCTS: dict[str, Kind] = {
    "store": "text",
    "sku": "text",  # the hub's SKU -> Item.ItemLookupCode
    "revision": "text",  # `revision_of`
    "name": "text",
    "long_description": "text",
    "sub_description_1": "text",
    "sub_description_2": "text",
    "sub_description_3": "text",
    "item_type": "integer",  # RMS's own number, 0 for standard
    "unit_of_measure": "text",
    "department_code": "text",
    "department_name": "text",
    "category_code": "text",
    "category_name": "text",
    "supplier_code": "text",
    "supplier_name": "text",
    "reorder_number": "text",  # the supplier's own number of the product
    "tax_code": "text",  # ItemTax.Code at the store; empty: the store's default
    "taxable": "boolean",
    "price": "amount",  # the till price, chosen by the hub's settings
    "price_a": "amount",
    "price_b": "amount",
    "price_c": "amount",
    "msrp": "amount",
    "cost": "amount",
    "active": "boolean",
}
"""One row a product."""

PRODUCT_CODES: dict[str, Kind] = {
    "store": "text",
    "sku": "text",
    "code": "text",  # UPC or alias, leading zeros kept -> Alias.Alias
}
"""Further codes under which a till finds the product; one row a code."""

# -- catalogue: what people bring to the hub ------------------------------------------------------------
CATALOG_FILE = "catalog"
"""No stream: a file that is imported by hand or from a folder. It has a contract like them."""

CATALOG: dict[str, Kind] = {
    "line": "integer",  # of the file, the header is line 1
    "sku": "text",
    "name": "text",
    "long_description": "text",
    "sub_description_1": "text",
    "sub_description_2": "text",
    "sub_description_3": "text",
    "upc": "text",
    "aliases": "text",  # further codes, `a|b|c`
    "price": "text",  # the hub's default price
    "store_price": "text",  # the price in the shops, 0 for none of their own
    "price_a": "text",
    "price_b": "text",
    "price_c": "text",
    "msrp": "text",
    "cost": "text",
    "item_type": "text",  # RMS's own number, 0 for standard
    "unit_of_measure": "text",
    "department_code": "text",
    "department_name": "text",
    "category_code": "text",
    "category_name": "text",
    "supplier_code": "text",
    "supplier_name": "text",
    "reorder_number": "text",
    "tax_code": "text",
    "taxable": "text",
    "shadow_of": "text",  # SKU of the product whose stock this one sells
    "is_kit": "text",
    "active": "text",
}
"""One row a product, cells as they stand in the file: that they can be read is what the contract checks."""

FILES: dict[str, dict[str, dict[str, Kind]]] = {
    STREAM_BASELINE: {"opening_stock": OPENING_STOCK, "history_ranges": HISTORY_RANGES},
    STREAM_ORDERS: {
        "tickets": TICKETS,
        "ticket_lines": TICKET_LINES,
        "tenders": TENDERS,
        "orders": ORDERS,
        "order_lines": ORDER_LINES,
        "order_history": ORDER_HISTORY,
        "deposit_tenders": DEPOSIT_TENDERS,
    },
    STREAM_STATEMENT: {
        "days": STATEMENT_DAYS,
        "day_tenders": STATEMENT_TENDERS,
        "numbers": STATEMENT_NUMBERS,
        "deposits": STATEMENT_DEPOSITS,
        "open_orders": STATEMENT_OPEN_ORDERS,
    },
    STREAM_PRODUCTS: {"products": PRODUCTS, "product_codes": PRODUCT_CODES},
    CATALOG_FILE: {"catalog": CATALOG},
}
"""stream -> role of the file in the manifest -> its columns, in their order."""

TICKET_ROLES = ("tickets", "ticket_lines", "tenders")
ORDER_ROLES = ("orders", "order_lines", "order_history", "deposit_tenders")
"""The files of tickets, and of orders, in a batch of the orders stream; the first holds the headers."""

MAX_BATCH_LINES = 50_000
"""Lines in a batch at most; a larger single document still travels whole."""


class DocumentKey(NamedTuple):
    """The identity of a document."""

    store: str
    epoch: int
    source: str
    number: int

    def __str__(self) -> str:
        """As the hub writes it everywhere: `S1/1/ticket/10452`."""
        return f"{self.store}/{self.epoch}/{self.source}/{self.number}"

    @classmethod
    def parse(cls, text: str) -> DocumentKey:
        """The inverse of `str`; ValueError for another form."""
        store, epoch, source, number = text.split("/")
        return cls(store, int(epoch), source, int(number))


def sku_key(sku: str, *, ignore_case: bool = True) -> str:
    """The form in which SKUs are compared: blanks at the end never count, case by configuration."""
    cut = sku.rstrip()
    return cut.upper() if ignore_case else cut
