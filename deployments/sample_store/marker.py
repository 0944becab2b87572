"""The mark of our own databases: nothing here writes to a database that is neither empty nor marked.

Beside the mark a sample database carries its script, so that it can be rung on from anywhere.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Date,
    DateTime,
    Engine,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    Text,
    create_engine,
    event,
    inspect,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from data_contracts.errors import ConfigurationError, StoreUnavailable
from deployments.sample_store.plan import Entry
from deployments.sample_store.tickets import InvoiceLine
from tasks.rms import sql_server
from tasks.rms.connection import WAIT_SECONDS, translated

MARKER = "tillbridge_sample_marker"

marker_metadata = MetaData()

marker = Table(
    MARKER,
    marker_metadata,
    Column("store_id", Integer, nullable=False),
    Column("seed", Integer, nullable=False),
    Column("registers", Integer, nullable=False),
    Column("tax_system", Integer, nullable=False),
    Column("tax_basis_points", Integer, nullable=False),
)
script = Table(
    "tillbridge_sample_script",
    marker_metadata,
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("day", Date, nullable=False),
    Column("time", DateTime, nullable=False),
    Column("register", Integer, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("of", Integer, nullable=True),
    Column("invoice", String(20), nullable=False),
    Column("lines", Text, nullable=False),
    Column("share", Integer, nullable=False),
    Column("rung_as", Integer, nullable=True),
)


@dataclass(frozen=True)
class Mark:
    """What a sample database was built with."""

    store_id: int
    seed: int
    registers: int
    tax_system: int
    tax_basis_points: int


def sample_engine(url: str) -> Engine:
    """An engine for a sample database; an SQLite file waits for other writers instead of failing."""
    parsed = make_url(url)
    try:
        told: dict[str, Any] = {}
        if parsed.get_backend_name() == "mssql":
            told = {"timeout": WAIT_SECONDS, **sql_server.connect_arguments(parsed, "sample")}
        engine = create_engine(parsed, connect_args=told)
    except ImportError as error:
        raise ConfigurationError(
            f"The driver of the sample database is not installed: {error}.",
            next_step=sql_server.how_to_install(),
        ) from error
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def _prepare(connection: object, _: object) -> None:
            connection.execute("PRAGMA busy_timeout = 30000")  # type: ignore[attr-defined]
            connection.execute("PRAGMA synchronous = NORMAL")  # type: ignore[attr-defined]

    return engine


def read_mark(connection: Connection) -> Mark | None:
    """The mark of this database, or None if it is not one of ours."""
    if not inspect(connection).has_table(MARKER):
        return None
    row = connection.execute(marker.select()).one()
    return Mark(*row)


def require_mark(engine: Engine) -> Mark:
    """The mark; `ConfigurationError` if there is none, `StoreUnavailable` if nothing answers."""
    file = engine.url.database
    # Connecting would leave an empty file behind.
    if engine.dialect.name != "sqlite" or (file and Path(file).is_file()):
        with connect(engine) as connection:
            if (found := read_mark(connection)) is not None:
                return found
    raise ConfigurationError(
        f"The database {shown(engine)} is not a sample store; nothing was written to it.",
        next_step="make one with `tillbridge sample build`, or correct the URL",
        database=shown(engine),
    )


def connect(engine: Engine) -> Connection:
    """A connection; `StoreUnavailable` if nothing answers, `ConfigurationError` if we are refused."""
    try:
        return engine.connect()
    except DBAPIError as error:
        if not translated(error, "sample", engine.url).transient:
            raise ConfigurationError(
                f"The sample database {shown(engine)} cannot be opened.",
                next_step="correct the URL and its driver; `tillbridge check` says what is wrong",
            ) from error
        raise StoreUnavailable(
            f"The sample database {shown(engine)} does not answer.",
            next_step="start its server or correct the URL",
        ) from error


def foreign_database(engine: Engine) -> ConfigurationError:
    """The error for a database that is neither empty nor ours."""
    return ConfigurationError(
        f"The database {shown(engine)} is neither empty nor a sample store; nothing was written to it.",
        next_step="name an empty database or one made by `tillbridge sample build`",
        database=shown(engine),
    )


def shown(engine: Engine) -> str:
    """The URL without its password."""
    return engine.url.render_as_string(hide_password=True)


def pack_lines(lines: Sequence[InvoiceLine]) -> str:
    """Lines as the script keeps them: JSON."""
    return json.dumps([[line.code, line.description, line.quantity, line.price] for line in lines])


def unpack_entry(row: Row[Any]) -> Entry:
    """The entry of a row of the script."""
    position, day, time, register, kind, of, invoice, lines, share, _ = row
    return Entry(
        position,
        day,
        time,
        register,
        kind,
        of,
        invoice,
        tuple(InvoiceLine(*line) for line in json.loads(lines)),
        share,
    )
