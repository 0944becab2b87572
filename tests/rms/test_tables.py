from __future__ import annotations

import re

import pytest
from sqlalchemy import Identity, insert
from sqlalchemy.dialects import mssql
from sqlalchemy.schema import CreateTable

from tasks.rms import tables as rms
from tasks.rms.tables import READABLE, metadata, readable_columns

CARD_COLUMNS = {
    *("CreditCardNumber", "CreditCardExpiration", "CreditCardApprovalCode", "AccountHolder", "BankNumber"),
    *("SerialNumber", "License", "TransitNumber", "State", "BirthDate", "VisaNetAuthorizationID"),
}
PERSONAL_COLUMNS = {"CustomerID", "ShipToID", "Comment", "ReferenceNumber", "CashierID", "SalesRepID"}
FORBIDDEN_TABLES = {
    *("QuoteTenderEntry", "VisaNetAuthorization", "VisaNetBatch", "DynamicsOnlineAuthorizations", "Check"),
    *("SignatureCapture", "PasswordHistory"),
}


def test_no_card_or_personal_column_may_be_read() -> None:
    for table, columns in READABLE.items():
        assert not CARD_COLUMNS & set(columns), table
        assert not PERSONAL_COLUMNS & set(columns), table

    assert "Customer" not in READABLE


def test_card_columns_exist_where_a_real_rms_has_them() -> None:
    assert set(rms.tender_entry.c.keys()) >= CARD_COLUMNS


def test_no_table_or_column_holds_passwords_or_authorisations() -> None:
    assert not FORBIDDEN_TABLES & set(metadata.tables)
    assert [
        (table.name, column.name)
        for table in metadata.sorted_tables
        for column in table.c
        if "password" in column.name.lower()
    ] == []


def test_what_may_be_read_exists() -> None:
    for name in READABLE:
        columns = readable_columns(metadata.tables[name])

        assert [column.name for column in columns] == list(READABLE[name])
        assert len(set(READABLE[name])) == len(columns)


def test_every_table_ends_with_its_rowversion_and_has_no_index() -> None:
    for table in metadata.sorted_tables:
        assert list(table.c.keys())[-1] == "DBTimeStamp"
        assert table.indexes == set()
        assert table.foreign_keys == set()


def test_identities_start_at_one_and_are_the_only_keys() -> None:
    without_key = {table.name for table in metadata.sorted_tables if not table.primary_key.columns}
    keys = {
        table.name: next(iter(table.primary_key.columns)).name
        for table in metadata.sorted_tables
        if table.primary_key.columns
    }

    assert without_key == {"Store", "RecordDeletedLog"}
    assert keys.pop("Transaction") == "TransactionNumber"
    assert keys.pop("Batch") == "BatchNumber"
    assert set(keys.values()) == {"ID"}
    for name, key in keys.items():
        identity = metadata.tables[name].c[key].identity
        assert isinstance(identity, Identity)
        assert (identity.start, identity.increment) == (1, 1)


def test_transaction_is_created_on_sql_server_as_rms_has_it() -> None:
    statement = str(CreateTable(rms.transaction).compile(dialect=mssql.dialect()))  # type: ignore[no-untyped-call]

    assert "CREATE TABLE [Transaction]" in statement
    assert "[TransactionNumber] INTEGER NOT NULL IDENTITY(1,1)" in statement
    assert "[Total] MONEY NOT NULL DEFAULT 0" in statement
    assert "[Comment] NVARCHAR(255) NOT NULL DEFAULT ''" in statement
    assert "[Time] DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP" in statement
    assert "[DBTimeStamp] ROWVERSION NULL" in statement
    assert "PRIMARY KEY NONCLUSTERED ([TransactionNumber])" in statement


@pytest.mark.parametrize(
    ("table", "column", "kind"),
    [
        ("Item", "ItemLookupCode", "NVARCHAR(25) NOT NULL DEFAULT ''"),
        ("Item", "Description", "NVARCHAR(30) NOT NULL DEFAULT ''"),
        ("Item", "ExtendedDescription", "NTEXT NOT NULL DEFAULT ''"),
        ("Item", "Notes", "NTEXT NULL"),
        ("Item", "Quantity", "FLOAT(53) NOT NULL DEFAULT 0"),
        ("Item", "Taxable", "BIT NOT NULL DEFAULT 1"),
        ("Item", "Inactive", "BIT NOT NULL DEFAULT 0"),
        ("Item", "LastSold", "DATETIME NULL"),
        ("Item", "ItemType", "SMALLINT NOT NULL DEFAULT 0"),
        ("Item", "CommissionPercentSale", "REAL NOT NULL DEFAULT 0"),
        ("TransactionEntry", "Quantity", "FLOAT(53) NOT NULL DEFAULT 0"),
        ("TransactionEntry", "ComputedQuantity", "FLOAT(53) NULL"),
        ("TransactionEntry", "SalesTax", "MONEY NOT NULL DEFAULT 0"),
        ("OrderEntry", "Taxable", "INTEGER NOT NULL DEFAULT 0"),
        ("SupplierList", "MasterPackQuantity", "INTEGER NOT NULL DEFAULT 1"),
        ("Tax", "BracketValue30", "MONEY NOT NULL DEFAULT 0"),
        ("Store", "Name", "VARCHAR(50) NOT NULL DEFAULT ''"),
        ("Batch", "ClosingTime", "DATETIME NULL"),
    ],
)
def test_column_has_the_type_of_rms(table: str, column: str, kind: str) -> None:
    statement = str(CreateTable(metadata.tables[table]).compile(dialect=mssql.dialect()))  # type: ignore[no-untyped-call]

    assert re.search(rf"\[{column}\] {re.escape(kind)}\s*[,\n]", statement)


def test_inserts_never_ask_sql_server_for_output() -> None:
    """Vendors' triggers stand on real tables: OUTPUT without INTO is error 334 there."""
    for table in metadata.sorted_tables:
        statement = str(insert(table).values({table.c.keys()[-2]: None}).compile(dialect=mssql.dialect()))  # type: ignore[no-untyped-call]

        assert "OUTPUT" not in statement
