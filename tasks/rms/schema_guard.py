"""Stops before the first read of business data when the database is not the RMS this program knows.

A missing column is named. Additional tables and columns, which vendors leave behind, do not matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, inspect

from data_contracts.errors import SchemaMismatch

REQUIRED: dict[str, tuple[str, ...]] = {
    "Transaction": (
        *("TransactionNumber", "StoreID", "BatchNumber", "RecallType", "RecallID", "Time", "Total"),
        *("SalesTax", "DBTimeStamp"),
    ),
    "TransactionEntry": (
        *("ID", "StoreID", "TransactionNumber", "ItemID", "ItemType", "Quantity", "Price", "SalesTax"),
        "DBTimeStamp",
    ),
    "TenderEntry": (
        *("ID", "StoreID", "TransactionNumber", "OrderHistoryID", "TenderID", "Amount", "DBTimeStamp"),
    ),
    "Item": ("ID", "ItemLookupCode", "Description", "ItemType", "Quantity", "DBTimeStamp"),
    "Tender": ("ID", "Code", "Description"),
    "Batch": ("BatchNumber", "StoreID", "RegisterID", "OpeningTime"),
    "Order": (
        *("ID", "StoreID", "Type", "Closed", "Time", "ExpirationOrDueDate", "Deposit", "Tax", "Total"),
        "DBTimeStamp",
    ),
    "OrderEntry": (
        *("ID", "StoreID", "OrderID", "ItemID", "QuantityOnOrder", "QuantityRTD", "Price", "DBTimeStamp"),
    ),
    "OrderHistory": (
        *("ID", "StoreID", "OrderID", "TransactionNumber", "BatchNumber", "Date", "DeltaDeposit"),
        "DBTimeStamp",
    ),
    "RecordDeletedLog": ("TableName", "StoreID", "DBTimeStamp"),
    "Configuration": ("StoreID", "TaxSystem"),
}
"""Every column that tillbridge reads from a store; all of them stand in `tables.READABLE`."""


def check_schema(
    connection: Connection, store: str, required: Mapping[str, Sequence[str]] = REQUIRED
) -> None:
    """`SchemaMismatch` if this is not Microsoft RMS or lacks something that we read (or write)."""
    names = list({**required, "Transaction": ()})
    live = {
        name.lower(): {column["name"].lower() for column in columns}
        for (_, name), columns in inspect(connection).get_multi_columns(filter_names=names).items()
    }
    tickets = live.get("transaction", set())
    if "syncguid" in tickets and "dbtimestamp" not in tickets:
        raise SchemaMismatch(
            f"The database of store `{store}` is Retail Management Hero (RMH), not Microsoft RMS: its tables "
            "have SyncGuid and no DBTimeStamp. Retrying cannot clear this; nothing was read.",
            next_step="RMH stores are not supported in this version",
            store=store,
        )
    missing = [
        f"{table}.{column}" if table.lower() in live else table
        for table, columns in required.items()
        for column in (columns if table.lower() in live else columns[:1])
        if column.lower() not in live.get(table.lower(), set())
    ]
    if missing:
        raise SchemaMismatch(
            f"The RMS database of store `{store}` lacks {', '.join(missing[:8])}. "
            "Retrying cannot clear this; nothing was read.",
            next_step=f"check that rms_url of [stores.{store}] names the store's RMS database and that "
            "its login may see these columns",
            store=store,
        )
