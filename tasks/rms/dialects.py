"""One vocabulary over three databases: SQL Server (a real RMS), SQLite and PostgreSQL (sample stores).

Money, quantities and rowversions leave every one of them as exact integers; nothing here reads a row of
business data. On SQL Server `DBTimeStamp` is the server's own rowversion; on the other two a counter and
triggers stand in for it, and `read_bound` keeps the promise of MIN_ACTIVE_ROWVERSION() on all three.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, Dialect, MetaData, Numeric, Table, text
from sqlalchemy.dialects import mssql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import BindParameter
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.operators import OperatorType
from sqlalchemy.types import TypeDecorator, TypeEngine

from data_contracts.amounts import from_decimal, to_decimal
from data_contracts.errors import ConfigurationError

COUNTER = "tillbridge_rowversion"
"""Name of the table (SQLite) or sequence (PostgreSQL) that stands in for SQL Server's rowversion."""

ROWVERSION_COLUMN = "DBTimeStamp"

MIN_ACTIVE_SINCE = (10,)
"""First SQL Server version (2008) that documents MIN_ACTIVE_ROWVERSION()."""


# -- column types -----------------------------------------------------------------------------------
class Money(TypeDecorator[int]):
    """RMS `money`: an integer of ten-thousandths in Python, never a float anywhere.

    MONEY on SQL Server, NUMERIC(19,4) on PostgreSQL, an integer of ten-thousandths on SQLite.
    """

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The column type of that database."""
        if dialect.name == "mssql":
            return dialect.type_descriptor(mssql.MONEY())
        if dialect.name == "postgresql":
            return dialect.type_descriptor(Numeric(19, 4))
        return dialect.type_descriptor(BigInteger())

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Selected as DECIMAL from SQL Server: older builds of FreeTDS cut `money` to two decimals."""
        return _ExactMoney(column)

    def process_bind_param(self, value: int | None, dialect: Dialect) -> Any:
        """Ten-thousandths -> what the driver takes."""
        return value if value is None or dialect.name == "sqlite" else to_decimal(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        """What the driver gives -> ten-thousandths."""
        return value if value is None or dialect.name == "sqlite" else from_decimal(Decimal(value))


class RowversionMark(TypeDecorator[int]):
    """An integer that a rowversion is compared with: BINARY(8) on SQL Server, as it is elsewhere.

    `column > 17` takes this type on its own; a named parameter has to say so:
    `bindparam("mark", type_=RowversionMark())`.
    """

    impl = BigInteger
    cache_ok = True

    def bind_expression(self, bindparam: BindParameter[int]) -> ColumnElement[int]:
        """The column stays eight bytes; the parameter becomes eight bytes."""
        return _EightBytes(bindparam)


class Rowversion(TypeDecorator[int]):
    """`DBTimeStamp`: ROWVERSION on SQL Server, BIGINT elsewhere, an integer in Python."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The column type of that database."""
        if dialect.name == "mssql":
            return dialect.type_descriptor(mssql.ROWVERSION(convert_int=True))  # type: ignore[no-untyped-call]
        return dialect.type_descriptor(BigInteger())

    def coerce_compared_value(self, op: OperatorType | None, value: Any) -> TypeEngine[Any]:
        """What stands on the other side of a comparison is a mark."""
        return RowversionMark()


# -- expressions ------------------------------------------------------------------------------------
class _EightBytes(FunctionElement[int]):
    inherit_cache = True
    type = BigInteger()


class _ExactMoney(FunctionElement[int]):
    inherit_cache = True

    def __init__(self, column: ColumnElement[Any]) -> None:
        super().__init__(column)
        self.type = column.type


class _RowversionNumber(FunctionElement[int]):
    inherit_cache = True
    type = BigInteger()


class _TenThousandths(FunctionElement[int]):
    inherit_cache = True
    type = BigInteger()


def ten_thousandths(column: ColumnElement[Any]) -> ColumnElement[int]:
    """The exact whole number of ten-thousandths of a `money` or float column, NULL for NULL.

    A float is rounded once, at four places, half away from zero: noise such as 0.1 + 0.2 or 1e-9 goes,
    and nothing but an integer ever reaches the driver (FreeTDS would cut `money` to two decimals). An
    absurd float (NaN, 1e10 or more) is NULL too: a single one would stop the whole statement.
    """
    return _TenThousandths(column)


def rowversion_number(column: ColumnElement[Any]) -> ColumnElement[int]:
    """A rowversion column as a BIGINT. For selecting; compare the column itself with integers."""
    return _RowversionNumber(column)


def _argument(element: FunctionElement[Any]) -> ColumnElement[Any]:
    return next(iter(element.clauses))


@compiles(_EightBytes)
@compiles(_ExactMoney)
@compiles(_RowversionNumber)
def _as_it_is(element: FunctionElement[int], compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(_argument(element), **kw)


@compiles(_EightBytes, "mssql")
def _eight_bytes_mssql(element: _EightBytes, compiler: SQLCompiler, **kw: Any) -> str:
    return f"CAST(CAST({compiler.process(_argument(element), **kw)} AS BIGINT) AS BINARY(8))"


@compiles(_ExactMoney, "mssql")
def _exact_money_mssql(element: _ExactMoney, compiler: SQLCompiler, **kw: Any) -> str:
    return f"CAST({compiler.process(_argument(element), **kw)} AS DECIMAL(19, 4))"


@compiles(_RowversionNumber, "mssql")
def _rowversion_number_mssql(element: _RowversionNumber, compiler: SQLCompiler, **kw: Any) -> str:
    return f"CAST({compiler.process(_argument(element), **kw)} AS BIGINT)"


def _is_money(element: _TenThousandths) -> bool:
    return isinstance(_argument(element).type, Money)


def _unless_absurd(inner: str, number: str) -> str:
    """NaN is the greatest of all numbers on PostgreSQL; the other two cannot hold it."""
    return f"CASE WHEN ABS({inner}) < 1E10 THEN {number} END"


@compiles(_TenThousandths)
def _ten_thousandths(element: _TenThousandths, compiler: SQLCompiler, **kw: Any) -> str:
    inner = compiler.process(_argument(element), **kw)
    number = f"CAST(CAST({inner} AS DECIMAL(19,4)) * 10000 AS BIGINT)"
    return number if _is_money(element) else _unless_absurd(inner, number)


@compiles(_TenThousandths, "mssql")
def _ten_thousandths_mssql(element: _TenThousandths, compiler: SQLCompiler, **kw: Any) -> str:
    inner = compiler.process(_argument(element), **kw)
    if _is_money(element):
        return f"CAST(CAST({inner} AS DECIMAL(19,4)) * 10000 AS BIGINT)"
    return _unless_absurd(inner, f"CAST(CAST(ROUND({inner}, 4) AS DECIMAL(19,4)) * 10000 AS BIGINT)")


@compiles(_TenThousandths, "sqlite")
def _ten_thousandths_sqlite(element: _TenThousandths, compiler: SQLCompiler, **kw: Any) -> str:
    inner = compiler.process(_argument(element), **kw)
    if _is_money(element):
        return f"({inner})"
    return _unless_absurd(inner, f"CAST(ROUND(({inner}) * 10000) AS INTEGER)")


# -- rowversions ------------------------------------------------------------------------------------
def current_rowversion(connection: Connection) -> int:
    """The last rowversion given out, committed or not (`@@DBTS`)."""
    if connection.dialect.name == "mssql":
        return int(connection.execute(text("SELECT CAST(@@DBTS AS BIGINT)")).scalar_one())
    column = "last_value" if connection.dialect.name == "postgresql" else "value"
    return int(connection.execute(text(f"SELECT {column} FROM {COUNTER}")).scalar_one())  # noqa: S608 - constants


def read_bound(connection: Connection) -> int:
    """The bound of a read: every rowversion below it is committed (or gone) and seen by the next statement.

    Take it before the rows, in READ COMMITTED: a snapshot older than the bound would miss rows below it.

    SQL Server: MIN_ACTIVE_ROWVERSION(); before 2008 `@@DBTS + 1`, which holds because a locking read
    waits at every row that is still being written (so never with NOLOCK or READPAST, and
    `ConfigurationError` where READ_COMMITTED_SNAPSHOT is on).
    SQLite: one above the counter, since writers come one after the other.
    PostgreSQL: one above the lowest of what is given out and what open writers began at. A writer
    publishes that number as a shared advisory lock before it takes its first rowversion, and keeps it
    until after its commit is visible; the counter is read before the locks.
    """
    if connection.dialect.name == "mssql":
        version = connection.dialect.server_version_info or ()
        if version < MIN_ACTIVE_SINCE:
            if connection.execute(text(_ROW_VERSIONING)).scalar_one():
                raise ConfigurationError(
                    "This SQL Server is too old to say which rowversions are still being written, and with "
                    "READ_COMMITTED_SNAPSHOT on a read would pass them by. Retrying cannot clear this; "
                    "nothing was read.",
                    next_step="have READ_COMMITTED_SNAPSHOT of the shop's database turned off",
                )
            return current_rowversion(connection) + 1
        return int(connection.execute(text("SELECT CAST(MIN_ACTIVE_ROWVERSION() AS BIGINT)")).scalar_one())
    given_out = current_rowversion(connection)
    if connection.dialect.name != "postgresql":
        return given_out + 1
    began_at = connection.execute(text(_LOWEST_OPEN_WRITER)).scalar_one()
    return min(given_out, given_out if began_at is None else int(began_at)) + 1


def create_rowversions(connection: Connection, metadata: MetaData) -> None:
    """Make INSERT and UPDATE move `DBTimeStamp` in every table of `metadata`, on SQLite and PostgreSQL.

    Nothing to do on SQL Server. The tables exist; the PostgreSQL objects go into the current schema.
    On SQLite a row inserted with a `DBTimeStamp` of its own keeps it: see `reserve_rowversions`.
    """
    tables = [table for table in metadata.sorted_tables if ROWVERSION_COLUMN in table.c]
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"CREATE TABLE {COUNTER} (value INTEGER NOT NULL)")
        connection.exec_driver_sql(f"INSERT INTO {COUNTER} VALUES (0)")  # noqa: S608 - constant
        for table in tables:
            for statement in _sqlite_triggers(table):
                connection.exec_driver_sql(statement)
    elif connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"CREATE SEQUENCE {COUNTER}")
        # From here on last_value is a number given out, never one about to be.
        connection.execute(text(f"SELECT setval('{COUNTER}', 1, true)"))
        schema = connection.execute(text("SELECT quote_ident(current_schema())")).scalar_one()
        connection.exec_driver_sql(_POSTGRESQL_FUNCTION.format(schema=schema))
        for table in tables:
            quoted = connection.dialect.identifier_preparer.format_table(table)
            connection.exec_driver_sql(_POSTGRESQL_TRIGGER.format(table=quoted, schema=schema))


def reserve_rowversions(connection: Connection, count: int) -> int | None:
    """First of `count` consecutive rowversions for a bulk load into SQLite, else None (leave them out).

    Triggers cost more than the rows themselves there; on the others the database is quick enough.
    """
    if connection.dialect.name != "sqlite":
        return None
    connection.exec_driver_sql(f"UPDATE {COUNTER} SET value = value + ?", (count,))  # noqa: S608 - constant
    return current_rowversion(connection) - count + 1


def _sqlite_triggers(table: Table) -> tuple[str, str]:
    """The UPDATE trigger answers only to a row whose rowversion did not move, so it never answers itself."""
    body = (
        f"BEGIN UPDATE {COUNTER} SET value = value + 1; "  # noqa: S608 - names of our own metadata
        f'UPDATE "{table.name}" SET "{ROWVERSION_COLUMN}" = (SELECT value FROM {COUNTER}) '
        "WHERE rowid = NEW.rowid; END"
    )
    return (
        f'CREATE TRIGGER "{table.name}_rowversion_insert" AFTER INSERT ON "{table.name}" '
        f'WHEN NEW."{ROWVERSION_COLUMN}" IS NULL {body}',
        f'CREATE TRIGGER "{table.name}_rowversion_update" AFTER UPDATE ON "{table.name}" '
        f'WHEN NEW."{ROWVERSION_COLUMN}" IS OLD."{ROWVERSION_COLUMN}" {body}',
    )


_ROW_VERSIONING = "SELECT is_read_committed_snapshot_on FROM sys.databases WHERE database_id = DB_ID()"

# One lock a transaction: the setting is local to it, and a rollback to a savepoint takes lock and setting
# back together. The sequence's oid is the lock's class, so that writers of other schemas do not count.
_POSTGRESQL_FUNCTION = """
CREATE FUNCTION tillbridge_next_rowversion() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    counter oid := '{schema}.tillbridge_rowversion'::regclass::oid;
    began_at bigint;
BEGIN
    IF coalesce(current_setting('tillbridge.writer_of_' || counter, true), '') <> 'on' THEN
        SELECT last_value INTO began_at FROM {schema}.tillbridge_rowversion;
        PERFORM pg_advisory_xact_lock_shared(counter::integer, began_at::integer);
        PERFORM set_config('tillbridge.writer_of_' || counter, 'on', true);
    END IF;
    NEW."DBTimeStamp" := nextval(counter::regclass);
    RETURN NEW;
END $$
"""

_POSTGRESQL_TRIGGER = """
CREATE TRIGGER tillbridge_rowversion BEFORE INSERT OR UPDATE ON {table}
FOR EACH ROW EXECUTE FUNCTION {schema}.tillbridge_next_rowversion()
"""

_LOWEST_OPEN_WRITER = f"""
SELECT min(objid::bigint) FROM pg_locks
WHERE locktype = 'advisory' AND objsubid = 2 AND granted AND classid = '{COUNTER}'::regclass::oid
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""  # noqa: S608 - constants
