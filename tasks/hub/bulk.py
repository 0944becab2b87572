"""Moves many rows at once, in the caller's transaction: COPY on PostgreSQL, executemany on SQLite."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Column, Connection, MetaData, Table, Text, insert, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

from data_contracts.amounts import format_amount
from tasks.hub.schema import Amount

Row = tuple[Any, ...]


def load(connection: Connection, table: Table, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Insert rows; amounts are ten-thousandths, values stand in the order of `columns`."""
    if not rows:
        return
    names = ", ".join(columns)
    if connection.dialect.name == "postgresql":
        _copy(connection, f"COPY {table.name} ({names}) FROM STDIN", _shown(table, columns, rows))
        return
    marks = ", ".join("?" * len(columns))
    # Names come from the schema, values are bound.
    connection.exec_driver_sql(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", list(rows))  # noqa: S608


def _copy(connection: Connection, command: str, rows: Iterable[Row]) -> None:
    """COPY, past SQLAlchemy: the driver's errors become what they would be within it."""
    raw = connection.connection
    driver_error = connection.dialect.loaded_dbapi.Error
    cursor = raw.cursor()
    try:
        with cursor.copy(command) as copy:
            for row in rows:
                copy.write_row(row)
    except driver_error as error:
        gone = connection.dialect.is_disconnect(error, raw.driver_connection, cursor)
        if gone:
            connection.invalidate(error)
        raise DBAPIError.instance(
            command, None, error, driver_error, hide_parameters=True, connection_invalidated=gone
        ) from error
    finally:
        cursor.close()


def upsert(
    connection: Connection,
    table: Table,
    columns: Sequence[str],
    rows: Sequence[Row],
    *,
    update: Sequence[str],
    add: Sequence[str] = (),
) -> None:
    """Insert rows; where the primary key is there already, replace `update` and add to `add`.

    Rows are written in their order, so that two writers who sort alike never wait for each other in a ring.
    """
    if not rows:
        return
    keys = [column.name for column in table.primary_key.columns]
    changes = ", ".join(
        [f"{name} = excluded.{name}" for name in update]
        + [f"{name} = {table.name}.{name} + excluded.{name}" for name in add]
    )
    names = ", ".join(columns)
    on_conflict = f"ON CONFLICT ({', '.join(keys)}) DO " + (f"UPDATE SET {changes}" if changes else "NOTHING")
    if connection.dialect.name == "postgresql":
        ranked = [(at, *row) for at, row in enumerate(rows)]
        types = {name: table.c[name].type for name in columns}
        staged = stage(connection, f"staged_{table.name}", {"ordinal": postgresql.BIGINT(), **types}, ranked)
        connection.execute(
            text(
                f"INSERT INTO {table.name} ({names}) SELECT {names} FROM {staged.name} "  # noqa: S608
                f"ORDER BY ordinal {on_conflict}"
            )
        )
        return
    marks = ", ".join("?" * len(columns))
    connection.exec_driver_sql(
        f"INSERT INTO {table.name} ({names}) VALUES ({marks}) {on_conflict}",  # noqa: S608
        list(rows),
    )


def stage(
    connection: Connection, name: str, columns: dict[str, TypeEngine[Any]], rows: Sequence[Row]
) -> Table:
    """A temporary table with these rows, for this transaction; it replaces an earlier one of that name."""
    table = Table(
        name,
        MetaData(),
        *(Column(column, kind) for column, kind in columns.items()),
        prefixes=["TEMPORARY"],
        postgresql_on_commit="DROP",
    )
    connection.execute(text(f"DROP TABLE IF EXISTS {name}"))
    table.create(connection, checkfirst=False)
    load(connection, table, list(columns), rows)
    connection.execute(text(f"ANALYZE {name}"))  # how few they are decides which table is looked through
    return table


def stage_keys(connection: Connection, name: str, keys: Iterable[str]) -> Table:
    """A temporary table with one text column `key`, each key once."""
    return stage(connection, name, {"key": Text()}, [(key,) for key in sorted(set(keys))])


def fetch_for(connection: Connection, table: Table, key: str, keys: Iterable[str]) -> list[dict[str, Any]]:
    """The rows of a table whose column `key` is one of `keys`."""
    wanted = set(keys)
    if not wanted:
        return []
    staged = stage_keys(connection, "staged_wanted", wanted)
    found = connection.execute(select(table).join(staged, table.c[key] == staged.c.key))
    return [dict(row) for row in found.mappings()]


def delete_for(connection: Connection, table: Table, key: str, keys: Iterable[str]) -> None:
    """Delete the rows of a table whose column `key` is one of `keys`."""
    wanted = set(keys)
    if wanted:
        staged = stage_keys(connection, "staged_wanted", wanted)
        connection.execute(table.delete().where(table.c[key].in_(select(staged.c.key))))


def insert_one(connection: Connection, table: Table, **values: Any) -> None:
    """Insert a single row."""
    connection.execute(insert(table).values(**values))


def _shown(table: Table, columns: Sequence[str], rows: Sequence[Row]) -> Iterable[Row]:
    """Rows with amounts as PostgreSQL reads them."""
    at = [i for i, name in enumerate(columns) if isinstance(table.c[name].type, Amount)]
    if not at:
        return rows

    def converted() -> Iterable[Row]:
        for row in rows:
            cells = list(row)
            for i in at:
                if cells[i] is not None:
                    cells[i] = format_amount(cells[i])
            yield tuple(cells)

    return converted()
