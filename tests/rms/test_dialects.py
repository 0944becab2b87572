from __future__ import annotations

import math
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import Connection, Engine, bindparam, create_engine, func, insert, select, text, update
from sqlalchemy.dialects import mssql
from sqlalchemy.exc import DBAPIError

from data_contracts.errors import ConfigurationError
from tasks.rms import tables as rms
from tasks.rms.dialects import (
    COUNTER,
    RowversionMark,
    create_rowversions,
    current_rowversion,
    read_bound,
    reserve_rowversions,
    rowversion_number,
    ten_thousandths,
)
from tests.databases import Server
from tests.rms_database import RMS_VARIABLE, rms_url

entry, ticket = rms.transaction_entry.c, rms.transaction.c


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An empty database with the RMS tables and working rowversions: SQLite, and the server that is named."""
    with rms_url(request.param, tmp_path) as url:
        if url is None:
            pytest.skip(f"{RMS_VARIABLE} names no server")
        yield from with_tables(url)


@pytest.fixture
def stand_in(postgres_server: Server) -> Iterator[Engine]:
    """The same on PostgreSQL, for what makes it a stand-in."""
    with postgres_server.schema() as url:
        yield from with_tables(url)


def with_tables(url: str) -> Iterator[Engine]:
    engine = create_engine(url)
    with engine.begin() as connection:
        rms.metadata.create_all(connection)
        create_rowversions(connection, rms.metadata)
    yield engine
    engine.dispose()


on_a_server = pytest.mark.parametrize(
    "engine", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True
)
"""For what only several writers at once can show: SQLite's come one after the other."""


def add_ticket(connection: Connection, total: int = 10_000) -> int:
    """Insert a ticket; returns its rowversion."""
    key = connection.execute(insert(rms.transaction).values(Total=total)).inserted_primary_key
    number = ticket.TransactionNumber == (key or [None])[0]
    return int(connection.execute(select(ticket.DBTimeStamp).where(number)).scalar_one())


def sql_server(expression: Any) -> str:
    return str(select(expression).compile(dialect=mssql.dialect())).replace("\n", "")  # type: ignore[no-untyped-call]


# -- amounts ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("amount", [0, 1, -1, 123_456, -922_337_203_685_477, 922_337_203_685_477])
def test_money_comes_back_to_the_ten_thousandth(engine: Engine, amount: int) -> None:
    with engine.begin() as connection:
        connection.execute(insert(rms.transaction).values(Total=amount))
        connection.execute(update(rms.transaction).values(SalesTax=ticket.Total + 0))

        row = connection.execute(
            select(ticket.Total, ten_thousandths(ticket.Total), ten_thousandths(ticket.SalesTax))
        ).one()

    assert tuple(row) == (amount, amount, amount)
    assert [type(value) for value in row] == [int, int, int]


@pytest.mark.parametrize(
    ("quantity", "exact"),
    [
        (0.1 + 0.2, 3_000),
        (1e-9, 0),
        (-1e-9, 0),
        (3.0, 30_000),
        (-3.0, -30_000),
        (0.3333, 3_333),
        (0.00005, 1),
        (-0.00005, -1),
        (1.00004999, 10_000),
        (80_995.0, 809_950_000),
        (2.675, 26_750),
    ],
)
def test_float_quantities_are_rounded_once_at_four_places(
    engine: Engine, quantity: float, exact: int
) -> None:
    with engine.begin() as connection:
        connection.execute(insert(rms.transaction_entry).values(Quantity=quantity))

        found = connection.execute(select(ten_thousandths(entry.Quantity))).scalar_one()

    assert found == exact
    assert type(found) is int


def test_ten_thousandths_of_nothing_and_of_an_expression(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(insert(rms.transaction_entry).values(Quantity=1.5, ComputedQuantity=None))

        row = connection.execute(
            select(ten_thousandths(entry.ComputedQuantity), ten_thousandths(entry.Quantity + entry.Quantity))
        ).one()

    assert tuple(row) == (None, 30_000)


@pytest.mark.parametrize("quantity", [1e10, -1e10, 1e18, -1e300, float("inf"), float("-inf")])
def test_an_absurd_quantity_is_null_and_not_an_overflow(engine: Engine, quantity: float) -> None:
    if engine.dialect.name == "mssql" and math.isinf(quantity):
        with engine.begin() as connection, pytest.raises(DBAPIError):  # it refuses them itself
            connection.execute(insert(rms.transaction_entry).values(Quantity=quantity))
        return
    with engine.begin() as connection:
        connection.execute(insert(rms.transaction_entry).values(Quantity=quantity))
        connection.execute(insert(rms.transaction_entry).values(Quantity=9_999_999_999.0))

        found = connection.scalars(select(ten_thousandths(entry.Quantity)).order_by(entry.ID)).all()

    assert found == [None, 99_999_999_990_000]


@pytest.mark.postgres
def test_what_is_not_a_number_is_null(stand_in: Engine) -> None:
    with stand_in.begin() as connection:
        connection.execute(insert(rms.transaction_entry).values(Quantity=float("nan")))

        assert connection.execute(select(ten_thousandths(entry.Quantity))).scalar_one() is None


def test_sql_server_never_hands_a_float_or_money_to_the_driver() -> None:
    assert "CAST(CAST([Transaction].[Total] AS DECIMAL(19,4)) * 10000 AS BIGINT)" in sql_server(
        ten_thousandths(ticket.Total)
    )
    assert (
        "CASE WHEN ABS([TransactionEntry].[Quantity]) < 1E10 THEN "
        "CAST(CAST(ROUND([TransactionEntry].[Quantity], 4) AS DECIMAL(19,4)) * 10000 AS BIGINT) END"
        in sql_server(ten_thousandths(entry.Quantity))
    )


# -- rowversions ------------------------------------------------------------------------------------
def test_sql_server_compares_rowversions_as_eight_bytes() -> None:
    eight_bytes = "AS BIGINT) AS BINARY(8))"
    statement = (
        select(rowversion_number(ticket.DBTimeStamp))
        .where(ticket.DBTimeStamp > 17, ticket.DBTimeStamp < bindparam("bound", type_=RowversionMark()))
        .compile(dialect=mssql.dialect())  # type: ignore[no-untyped-call]
    )

    assert "SELECT CAST([Transaction].[DBTimeStamp] AS BIGINT)" in str(statement)
    assert f"[Transaction].[DBTimeStamp] > CAST(CAST(:DBTimeStamp_1 {eight_bytes}" in str(statement)
    assert f"[Transaction].[DBTimeStamp] < CAST(CAST(:bound {eight_bytes}" in str(statement)
    assert statement.params["DBTimeStamp_1"] == 17


def test_every_insert_and_update_moves_the_rowversion_in_every_table(engine: Engine) -> None:
    seen = []
    with engine.begin() as connection:
        for table in rms.metadata.sorted_tables:
            connection.execute(insert(table).values())
            seen.append(connection.execute(select(table.c.DBTimeStamp)).scalar_one())
            column = table.c.StoreID if "StoreID" in table.c else table.c[table.c.keys()[1]]
            connection.execute(update(table).values({column: column}))
            seen.append(connection.execute(select(table.c.DBTimeStamp)).scalar_one())
        last = current_rowversion(connection)

    assert seen == list(range(seen[0], seen[0] + 2 * len(rms.metadata.sorted_tables)))
    assert last == seen[-1]


def test_update_of_many_rows_gives_each_its_own_rowversion(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(insert(rms.item), [{"ItemLookupCode": str(n)} for n in range(5)])
        before = current_rowversion(connection)

        connection.execute(update(rms.item).values(Quantity=rms.item.c.Quantity - 1))

        moved = connection.execute(select(rms.item.c.DBTimeStamp)).scalars()
        assert sorted(moved) == [before + step for step in range(1, 6)]


def test_bulk_rows_keep_the_rowversions_reserved_for_them(engine: Engine) -> None:
    with engine.begin() as connection:
        add_ticket(connection)
        before = current_rowversion(connection)
        first = reserve_rowversions(connection, 3)

    if engine.dialect.name != "sqlite":
        assert first is None
        return
    assert first == before + 1
    with engine.begin() as connection:
        connection.execute(insert(rms.item), [{"DBTimeStamp": first + place} for place in range(3)])
        assert sorted(connection.execute(select(rms.item.c.DBTimeStamp)).scalars()) == [2, 3, 4]
        assert add_ticket(connection) == 5


def test_bound_is_one_above_the_last_committed_row(engine: Engine) -> None:
    with engine.begin() as connection:
        empty = read_bound(connection)
    with engine.begin() as connection:
        rowversion = add_ticket(connection)
    with engine.begin() as connection:
        assert read_bound(connection) == rowversion + 1
        assert empty <= rowversion
        assert (
            connection.execute(
                select(func.count()).where(ticket.DBTimeStamp < read_bound(connection))
            ).scalar_one()
            == 1
        )


@on_a_server
def test_rows_of_an_open_transaction_stay_above_the_bound(engine: Engine) -> None:
    """The earlier writer commits last: its row must not be passed by."""
    with engine.connect() as early, engine.connect() as later, engine.connect() as reader:
        first = add_ticket(early)
        second = add_ticket(later)
        later.commit()

        while_open = read_bound(reader)
        reader.rollback()
        early.commit()
        afterwards = read_bound(reader)

    assert first < second
    assert while_open == first
    assert afterwards == second + 1


@on_a_server
def test_first_rowversion_of_all_is_held_back_too(engine: Engine) -> None:
    with engine.connect() as writer, engine.connect() as reader:
        rowversion = add_ticket(writer)

        assert read_bound(reader) <= rowversion
        writer.rollback()
        assert read_bound(reader) == rowversion + 1


@pytest.mark.postgres
def test_rollback_to_a_savepoint_keeps_what_came_before_it_held_back(stand_in: Engine) -> None:
    with stand_in.connect() as writer, stand_in.connect() as reader:
        inner = writer.begin_nested()
        add_ticket(writer)
        inner.rollback()
        kept = add_ticket(writer)
        with stand_in.begin() as other:
            add_ticket(other)

        assert read_bound(reader) == kept
        writer.commit()
        assert read_bound(reader) == kept + 2


@pytest.mark.postgres
def test_large_transaction_takes_one_lock(stand_in: Engine) -> None:
    held = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()")
    with stand_in.begin() as connection:
        connection.execute(insert(rms.item), [{"ItemLookupCode": str(n)} for n in range(2_000)])

        assert connection.execute(held).scalar_one() == 1


@pytest.mark.postgres
def test_writer_of_another_schema_holds_nothing_back(stand_in: Engine) -> None:
    with stand_in.connect() as writer, stand_in.begin() as reader:
        writer.execute(text("SELECT pg_advisory_xact_lock_shared(1, 0)"))

        assert read_bound(reader) == current_rowversion(reader) + 1


@on_a_server
def test_reading_by_bounds_while_many_write_sees_every_row_once(engine: Engine) -> None:
    """Four writers commit and roll back in any order; a reader takes slices up to each bound."""
    committed: list[int] = []

    def write(seed: int) -> None:
        rng = random.Random(seed)
        with engine.connect() as connection:
            for _ in range(40):
                rows = [add_ticket(connection) for _ in range(rng.randint(1, 3))]
                time.sleep(rng.random() / 500)
                if rng.random() < 0.2:
                    connection.rollback()
                else:
                    connection.commit()
                    committed.extend(rows)

    writers = [threading.Thread(target=write, args=(seed,)) for seed in range(4)]
    for writer in writers:
        writer.start()
    read: list[int] = []
    resume, bounds = 0, []
    rowversion = ticket.DBTimeStamp
    with engine.connect().execution_options(isolation_level="READ COMMITTED") as reader:
        while True:
            alive = any(writer.is_alive() for writer in writers)
            bound = read_bound(reader)
            bounds.append(bound)
            read += reader.execute(
                select(rowversion).where(rowversion >= resume, rowversion < bound)
            ).scalars()
            reader.commit()
            resume = bound
            if not alive:
                break
    for writer in writers:
        writer.join()

    assert sorted(read) == sorted(committed)
    assert bounds == sorted(bounds)
    assert len(set(bounds)) > 2  # in slices


def test_update_trigger_does_not_answer_itself_even_where_triggers_recurse() -> None:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA recursive_triggers = ON")
        rms.metadata.create_all(connection)
        create_rowversions(connection, rms.metadata)
        add_ticket(connection)
        connection.execute(update(rms.transaction).values(Total=1))

        assert connection.exec_driver_sql(f"SELECT value FROM {COUNTER}").scalar_one() == 2
    engine.dispose()


def old_sql_server(version: tuple[int, ...], said: list[str], *, row_versioning: int = 0) -> Connection:
    """A connection to SQL Server of that version, with 41 as its last rowversion."""

    def execute(statement: Any) -> Any:
        said.append(str(statement))
        return SimpleNamespace(scalar_one=lambda: row_versioning if "snapshot" in said[-1] else 41)

    dialect = SimpleNamespace(name="mssql", server_version_info=version)
    return cast(Connection, SimpleNamespace(dialect=dialect, execute=execute))


@pytest.mark.parametrize(
    ("version", "asked", "bound"),
    [
        ((10, 50, 1600), "SELECT CAST(MIN_ACTIVE_ROWVERSION() AS BIGINT)", 41),
        ((9, 0, 5000), "SELECT CAST(@@DBTS AS BIGINT)", 42),
    ],
)
def test_sql_server_before_2008_falls_back_to_the_last_rowversion(
    version: tuple[int, ...], asked: str, bound: int
) -> None:
    said: list[str] = []

    assert read_bound(old_sql_server(version, said)) == bound
    assert said[-1] == asked


def test_an_old_server_whose_reads_wait_for_nobody_is_refused() -> None:
    """Its last rowversion would be no bound: rows below it may not be visible yet."""
    with pytest.raises(ConfigurationError, match="READ_COMMITTED_SNAPSHOT"):
        read_bound(old_sql_server((9, 0, 5000), [], row_versioning=1))


def test_neither_pyodbc_nor_pandas_is_imported_for_the_tables() -> None:
    code = "import sys, tasks.rms.tables; print([m for m in ('pyodbc', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
