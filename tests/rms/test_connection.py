"""Opening RMS: read-only, and every driver's error becomes one of ours without credentials."""

from __future__ import annotations

import re
import sqlite3
import traceback
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Numeric, SmallInteger, insert, select, text
from sqlalchemy.dialects import mssql
from sqlalchemy.engine import make_url
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.types import TypeEngine

from data_contracts.errors import (
    ConfigurationError,
    SchemaMismatch,
    StoreUnavailable,
    TillbridgeError,
)
from tasks.rms import connection as rms
from tasks.rms import sql_server, tables
from tasks.rms.schema_guard import REQUIRED, _narrower, check_schema
from tests.rms_database import Till


class PsycopgError(Exception):
    """Shaped as psycopg's errors are."""

    def __init__(self, text: str, sqlstate: str | None = None) -> None:
        super().__init__(text)
        self.sqlstate = sqlstate


class PyodbcError(Exception):
    """Shaped as pyodbc's errors are: (SQLSTATE, text)."""


@pytest.mark.parametrize(
    ("kind", "original", "expected"),
    [
        (OperationalError, sqlite3.OperationalError("database is locked"), StoreUnavailable),
        (OperationalError, sqlite3.OperationalError("no such table: Transaction"), SchemaMismatch),
        (OperationalError, sqlite3.OperationalError("unable to open database file"), ConfigurationError),
        (DBAPIError, sqlite3.DatabaseError("file is not a database"), SchemaMismatch),
        (OperationalError, PsycopgError("connection refused"), StoreUnavailable),
        (OperationalError, PsycopgError("password authentication failed for user x"), ConfigurationError),
        (OperationalError, PsycopgError("server closed the connection unexpectedly"), StoreUnavailable),
        (OperationalError, PsycopgError("deadlock detected", "40P01"), StoreUnavailable),
        (OperationalError, PsycopgError("lock not available", "55P03"), StoreUnavailable),
        (OperationalError, PsycopgError("shutting down", "57P01"), StoreUnavailable),
        (ProgrammingError, PsycopgError("relation does not exist", "42P01"), SchemaMismatch),
        (ProgrammingError, PsycopgError("column does not exist", "42703"), SchemaMismatch),
        (ProgrammingError, PsycopgError("permission denied", "42501"), ConfigurationError),
        (OperationalError, PyodbcError("08S01", "communication link failure"), StoreUnavailable),
        (OperationalError, PyodbcError("HYT00", "login timeout expired"), StoreUnavailable),
        (DBAPIError, PyodbcError("40001", "chosen as the deadlock victim (1205)"), StoreUnavailable),
        (DBAPIError, PyodbcError("42000", "Lock request time out (1222)"), StoreUnavailable),
        (InterfaceError, PyodbcError("28000", "Login failed for user 'x' (18456)"), ConfigurationError),
        (InterfaceError, PyodbcError("IM002", "Data source name not found"), ConfigurationError),
        (ProgrammingError, PyodbcError("42S02", "Invalid object name (208)"), SchemaMismatch),
        (ProgrammingError, PyodbcError("42S22", "Invalid column name (207)"), SchemaMismatch),
    ],
)
def test_every_driver_s_error_becomes_one_of_ours(
    kind: type[DBAPIError], original: Exception, expected: type[TillbridgeError]
) -> None:
    error: SQLAlchemyError = kind("SELECT secret", {"p": "secret"}, original)

    ours = rms.translated(error, "S1")

    assert type(ours) is expected
    assert "`S1`" in ours.message
    assert ours.next_step
    assert "secret" not in str(ours)


@pytest.mark.parametrize(
    ("kind", "original", "reason"),
    [
        (
            IntegrityError,
            PyodbcError("23000", "duplicate key value is (X). (2627)"),
            "SQLSTATE 23000, error 2627",
        ),
        (
            ProgrammingError,
            PyodbcError("42000", "Period closed, timeout (50000)"),
            "SQLSTATE 42000, error 50000",
        ),
        (
            ProgrammingError,
            PyodbcError("42000", "ended in the trigger. (3609)"),
            "SQLSTATE 42000, error 3609",
        ),
        (DataError, PyodbcError("22001", "would be truncated (8152)"), "SQLSTATE 22001, error 8152"),
        (InternalError, PsycopgError("the period is closed", "P0001"), "SQLSTATE P0001"),
        (IntegrityError, sqlite3.IntegrityError("closed"), "IntegrityError"),
        (ProgrammingError, PyodbcError("42000", "permission was denied (229)"), None),
        (DBAPIError, PyodbcError("40001", "deadlock victim (1205)"), None),
        (DBAPIError, PyodbcError("42000", "Lock request time out (1222)"), None),
        (OperationalError, PyodbcError("08S01", "link failure"), None),
        (ProgrammingError, PsycopgError("permission denied", "42501"), None),
        (OperationalError, PsycopgError("lock not available", "55P03"), None),
        (OperationalError, sqlite3.OperationalError("database is locked"), None),
    ],
)
def test_a_row_that_is_refused_is_told_from_a_database_that_does_not_answer(
    kind: type[DBAPIError], original: Exception, reason: str | None
) -> None:
    """A trigger's own words do not count: `closed` and `timeout` are not about the connection."""
    found = rms.row_refusal(kind("INSERT secret", {"p": "secret"}, original))

    assert found == reason


def test_a_lost_connection_is_never_a_refused_row() -> None:
    error = IntegrityError("INSERT", {}, PyodbcError("23000", "x"), connection_invalidated=True)

    assert rms.row_refusal(error) is None


def test_server_and_driver_are_named(till: Till) -> None:
    with rms.open_rms(till.url, "S1") as connection:
        assert re.match(
            r"SQLite 3\.|PostgreSQL \d+\.\d+ through psycopg 3\.|SQL Server .* through ",
            rms.server_and_driver(connection),
        )


def test_nothing_can_be_written_through_it(till: Till) -> None:
    if till.engine.dialect.name == "mssql":
        return  # there only the rights of the login refuse; test_golden shows that SELECTs are all it gets
    with (
        pytest.raises(TillbridgeError, match=r"read-?only"),
        rms.open_rms(till.url, "S1") as connection,
    ):
        connection.execute(insert(tables.tender).values(ID=99))
    with till.engine.connect() as connection:
        assert connection.scalar(select(tables.tender.c.ID).where(tables.tender.c.ID == 99)) is None


def test_a_database_that_is_not_there_names_the_setting(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigurationError, match=r"is not there: .*none\.db") as caught,
        rms.open_rms(f"sqlite:///{tmp_path / 'none.db'}", "S1"),
    ):
        pass
    assert "[stores.S1]" in caught.value.next_step


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("not a url", "not a database URL"),
        ("mssql+pyodbc//sa:hunter2@till/rms", "not a database URL"),
        ("mssql+pyodbc://sa:p@ss:hunter2@till/rms", "not a database URL"),
        ("mssql+pyodbc://sa:ss@hunter2@till/rms", "more than one `@`"),
        ("postgresql+psycopg://u:p@hunter2@127.0.0.1:1/rms", "more than one `@`"),
        ("mysql+pymysql://u:hunter2@host/db", "no kind of RMS database"),
        ("mssql+nosuch://u:hunter2@host/db", "not installed"),
        ("postgresql+nosuch://u:hunter2@host/db", "not installed"),
    ],
)
def test_a_wrong_url_is_a_matter_of_configuration_and_never_shown(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught, rms.open_rms(url, "S1"):
        pass
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_a_server_that_does_not_answer_is_unavailable() -> None:
    url = "postgresql+psycopg://u:hunter2@127.0.0.1:1/rms"
    with pytest.raises(StoreUnavailable) as caught, rms.open_rms(url, "S1"):
        pass
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('could not translate host name "word@till" to address', 'till" to address'),
        ("login of sa with pass/word failed", "login of sa with *** failed"),
        ("login of sa with pass%2Fword failed", "login of sa with *** failed"),
        ("cannot open postgresql://sa:pass@till", "till"),
    ],
)
def test_what_a_driver_says_is_told_without_credentials(text: str, said: str) -> None:
    url = make_url("postgresql+psycopg://till/rms").set(password="pass/word")

    ours = rms.translated(OperationalError("SELECT", {}, PsycopgError(text)), "S1", url)

    assert ours.message.startswith(f"The RMS database of store `S1` answered: {said}. ")


def test_on_sql_server_a_connection_gives_way_to_the_till() -> None:
    """Its statements and lock waits end, and in a deadlock it is the victim."""
    sent: list[str] = []
    cursor = SimpleNamespace(execute=sent.append, close=lambda: None)
    connection = SimpleNamespace(timeout=0, cursor=lambda: cursor)

    rms._give_way(connection, None)

    assert connection.timeout == 300
    assert sent == ["SET LOCK_TIMEOUT 15000", *sql_server.SESSION]
    assert "SET DEADLOCK_PRIORITY LOW" in sent
    assert "SET XACT_ABORT ON" in sent


def test_an_rms_database_passes_the_guard(till: Till) -> None:
    with rms.open_rms(till.url, "S1") as connection:
        check_schema(connection, "S1")


def test_a_missing_column_or_table_is_named_and_additional_ones_do_not_matter(tmp_path: Path) -> None:
    till = Till(f"sqlite:///{tmp_path / 'rms.db'}")
    till.create()
    with till.writing() as connection:
        connection.execute(text('ALTER TABLE "TransactionEntry" RENAME COLUMN "SalesTax" TO "Vendor"'))
        connection.execute(text('DROP TABLE "Tender"'))
        connection.execute(text('CREATE TABLE "VendorTable" (x)'))

    with (
        pytest.raises(SchemaMismatch, match=r"lacks TransactionEntry\.SalesTax, Tender\. "),
        rms.open_rms(till.url, "S1") as opened,
    ):
        check_schema(opened, "S1")


def test_a_narrowed_column_is_named_and_a_wider_one_does_not_matter(tmp_path: Path) -> None:
    till = Till(f"sqlite:///{tmp_path / 'rms.db'}")
    till.create()
    with till.writing() as connection:
        for table, column, kind in (
            ("Item", "ItemLookupCode", "NVARCHAR(12)"),
            ("Item", "Description", "NVARCHAR(80)"),
            ("TransactionEntry", "Quantity", "REAL"),
        ):
            connection.execute(text(f'ALTER TABLE "{table}" DROP COLUMN "{column}"'))
            connection.execute(text(f'ALTER TABLE "{table}" ADD COLUMN "{column}" {kind}'))

    with (
        pytest.raises(
            SchemaMismatch,
            match=r"has TransactionEntry\.Quantity \(real\), Item\.ItemLookupCode \(nvarchar\(12\)\):",
        ),
        rms.open_rms(till.url, "S1") as opened,
    ):
        check_schema(opened, "S1")


@pytest.mark.parametrize(
    ("table", "column", "found", "narrower"),
    [
        ("Transaction", "Total", mssql.MONEY(), False),
        ("Transaction", "Total", mssql.SMALLMONEY(), True),
        ("Transaction", "Total", Numeric(19, 4), False),
        ("Transaction", "Total", Numeric(10, 2), True),
        ("Transaction", "DBTimeStamp", mssql.TIMESTAMP(), False),  # type: ignore[no-untyped-call]
        ("Transaction", "DBTimeStamp", mssql.DATETIME2(), True),  # type: ignore[no-untyped-call]
        ("Transaction", "DBTimeStamp", mssql.VARBINARY(8), True),  # type: ignore[no-untyped-call]
        ("Transaction", "Time", mssql.DATETIME2(), False),  # type: ignore[no-untyped-call]
        ("Transaction", "Time", mssql.SMALLDATETIME(), True),
        ("Transaction", "BatchNumber", SmallInteger(), True),
        ("TransactionEntry", "Quantity", mssql.DOUBLE_PRECISION(), False),  # type: ignore[no-untyped-call]
        ("TransactionEntry", "Quantity", Numeric(19, 4), False),
        ("TransactionEntry", "Quantity", mssql.REAL(), True),  # type: ignore[no-untyped-call]
        ("Item", "ItemType", SmallInteger(), False),
        ("Item", "ItemLookupCode", mssql.NVARCHAR(25), False),
        ("Item", "ItemLookupCode", mssql.NVARCHAR(None), False),
        ("Item", "ItemLookupCode", mssql.NVARCHAR(24), True),
        ("Order", "Closed", mssql.BIT(), False),
    ],
)
def test_what_sql_server_says_of_a_column_is_compared_with_rms_s_own(
    table: str, column: str, found: TypeEngine[Any], narrower: bool
) -> None:
    assert bool(_narrower(tables.metadata.tables[table].c[column].type, found)) is narrower


def test_retail_management_hero_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "rmh.db"
    connection = sqlite3.connect(file)
    connection.execute('CREATE TABLE "Transaction" (TransactionNumber INTEGER, SyncGuid TEXT)')
    connection.close()

    with (
        pytest.raises(SchemaMismatch, match="Retail Management Hero"),
        rms.open_rms(f"sqlite:///{file}", "S1") as opened,
    ):
        check_schema(opened, "S1")


def test_a_file_that_is_no_database_is_said_so(tmp_path: Path) -> None:
    file = tmp_path / "rms.db"
    file.write_text("this is not a database, it only looks like a file\n" * 20)

    with (
        pytest.raises(SchemaMismatch, match="not a database"),
        rms.open_rms(f"sqlite:///{file}", "S1") as opened,
    ):
        check_schema(opened, "S1")


def test_all_that_is_required_may_be_read() -> None:
    forbidden: Any = [
        (table, column)
        for table, columns in REQUIRED.items()
        for column in columns
        if column not in tables.READABLE[table]
    ]
    assert forbidden == []
