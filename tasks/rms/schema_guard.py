"""Stops before the first read of business data when the database is not the RMS this program knows.

A missing or narrowed column is named. Additional tables and columns, which vendors leave behind, and wider
ones do not matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    DATE,
    REAL,
    Connection,
    DateTime,
    Float,
    Integer,
    Numeric,
    SmallInteger,
    String,
    Text,
    inspect,
)
from sqlalchemy.dialects import mssql
from sqlalchemy.types import TypeEngine

from data_contracts.errors import SchemaMismatch
from tasks.rms.dialects import Money, Rowversion
from tasks.rms.sql_server import check_driver
from tasks.rms.tables import metadata

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
    """`SchemaMismatch` if this is not Microsoft RMS or lacks something that we read (or write).

    `ConfigurationError` where the driver does not give back what passes through it.
    """
    if connection.dialect.name == "mssql":
        check_driver(connection, store)
    names = list({**required, "Transaction": ()})
    live: dict[str, dict[str, TypeEngine[Any]]] = {
        name.lower(): {column["name"].lower(): column["type"] for column in columns}
        for (_, name), columns in inspect(connection).get_multi_columns(filter_names=names).items()
    }
    tickets = live.get("transaction", {})
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
        if column.lower() not in live.get(table.lower(), {})
    ]
    if missing:
        raise SchemaMismatch(
            f"The RMS database of store `{store}` lacks {', '.join(missing[:8])}. "
            "Retrying cannot clear this; nothing was read.",
            next_step=f"check that rms_url of [stores.{store}] names the store's RMS database and that "
            "its login may see these columns",
            store=store,
        )
    narrowed = [
        f"{table}.{column} ({reason})"
        for table, columns in required.items()
        for column in columns
        if (reason := _narrower(metadata.tables[table].c[column].type, live[table.lower()][column.lower()]))
    ]
    if narrowed:
        raise SchemaMismatch(
            f"The RMS database of store `{store}` has {', '.join(narrowed[:8])}: not as RMS makes it. "
            "Retrying cannot clear this; nothing was read.",
            next_step="ask who changed the shop's tables, and have the columns given back their RMS types",
            store=store,
        )


def _narrower(ours: TypeEngine[Any], found: TypeEngine[Any]) -> str:
    """In what way a column holds less than RMS's own; empty if it does not."""
    said = str(found).lower()
    if isinstance(ours, Rowversion):
        return "" if isinstance(found, mssql.TIMESTAMP | Integer) else f"{said}, no rowversion"
    if isinstance(ours, Money):
        short = isinstance(found, mssql.SMALLMONEY | SmallInteger) or (
            isinstance(found, Numeric) and not isinstance(found, Float) and (found.scale or 0) < 4
        )
    elif isinstance(ours, String):
        length = None if isinstance(found, Text) else getattr(found, "length", None)
        short = length is not None and length < (ours.length or 0)
    elif isinstance(ours, DateTime):
        short = isinstance(found, DATE | mssql.SMALLDATETIME)
    elif isinstance(ours, Float):
        short = isinstance(found, REAL) or not isinstance(found, Float | Numeric)
    elif isinstance(ours, Integer) and not isinstance(ours, SmallInteger):
        short = isinstance(found, SmallInteger | mssql.TINYINT | mssql.BIT)
    else:
        short = False
    return said if short else ""
