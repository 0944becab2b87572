"""Opens a store's RMS database and turns what drivers raise into our errors, once.

Nothing is ever written through a connection that was not opened for writing, which only items are: SQLite
and PostgreSQL refuse it themselves, on SQL Server only SELECTs are sent. All are in READ COMMITTED with a
lock timeout and as the one who gives way in a deadlock, because the till comes first.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from data_contracts.errors import ConfigurationError, SchemaMismatch, StoreUnavailable, TillbridgeError
from tasks import server_versions
from tasks.rms import sql_server

WAIT_SECONDS = 15
"""How long a statement waits for a lock, and how long a connection may take."""

STATEMENT_SECONDS = 300
"""How long a statement may take on SQL Server: then the till has a worse trouble than we have."""

# SQLSTATE classes and codes, as ODBC and PostgreSQL give them.
_TRANSIENT_STATES = ("08", "40", "53", "55P03", "57", "HYT")
_REFUSED_STATES = ("28", "3D000", "42501", "IM", "01000")
_SCHEMA_STATES = ("42P01", "42703", "42S02", "42S22", "3F000")
_TRANSIENT_TEXTS = ("(1205)", "(1222)", "locked", "busy", "timeout", "timed out", "refused", "closed")
_REFUSED_TEXTS = (
    "(4060)",
    "(18456)",
    "(229)",
    "authentication failed",
    "unable to open",
    "permission denied",
)
_NOT_ABOUT_A_ROW = (1205, 1222, 229, 230, 262, 18456, 4060, 9002, 1105)
"""SQL Server's errors for deadlock, lock timeout, missing rights and a full log or disk."""
_SCHEMA_TEXTS = ("no such table", "no such column", "not a database", "(208)", "(207)")


@contextmanager
def open_rms(url: str, store: str, *, writing: bool = False) -> Iterator[Connection]:
    """A connection to the RMS database of a store, closed at the end; each statement sees what is committed.

    One for `writing` is used in short transactions, `with connection.begin()`.

    Raises `StoreUnavailable` (lost, timed out, deadlock, locked), `SchemaMismatch` (a table or column is
    not there) and `ConfigurationError` (URL, driver, login); errors inside the block are translated too.
    """
    parsed = _parse(url, store)
    try:
        engine = _engine(parsed, store, writing)
        try:
            with engine.connect() as connection:
                yield connection
        finally:
            engine.dispose()
    except SQLAlchemyError as error:
        raise translated(error, store, parsed) from error


def server_and_driver(connection: Connection) -> str:
    """Which database answers, and through which driver."""
    if connection.dialect.name == "mssql":
        return sql_server.server_and_driver(connection)
    return server_versions.server_and_driver(connection)


def translated(error: SQLAlchemyError, store: str, url: URL | None = None) -> TillbridgeError:
    """Our error for one of SQLAlchemy's, without statement, parameters or credentials."""
    original: Any = error.orig if isinstance(error, DBAPIError) else error
    state, text = _state_and_text(original)
    reason = _without_credentials(text.splitlines()[0] if text else type(original).__name__, url)[:300]
    said = f"The RMS database of store `{store}` answered: {reason}"
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    low = text.lower()
    if type(original).__module__ == "pyodbc" and (meant := sql_server.meaning(state, text, store)):
        passes = (
            "Nothing was changed; retrying may help" if meant.kind.transient else "Retrying cannot clear this"
        )
        return meant.kind(f"{said}. {meant.sentence}. {passes}.", next_step=meant.next_step, store=store)
    if state.startswith(_SCHEMA_STATES) or any(t in low for t in _SCHEMA_TEXTS):
        return SchemaMismatch(
            f"{said}. Retrying cannot clear this.",
            next_step=f"check that rms_url of [stores.{store}] names a Microsoft RMS store database",
            store=store,
        )
    if state.startswith(_REFUSED_STATES) or any(t in low for t in _REFUSED_TEXTS):
        return ConfigurationError(
            f"{said}. Retrying cannot clear this.",
            next_step=f"correct rms_url of [stores.{store}], its driver, or the rights of its login",
            store=store,
        )
    if (
        lost
        or state.startswith(_TRANSIENT_STATES)
        or any(t in low for t in _TRANSIENT_TEXTS)
        or type(error).__name__ in ("OperationalError", "InterfaceError")
    ):
        return StoreUnavailable(
            f"{said}. Nothing was changed; retrying may help.",
            next_step="wait for the next run; if it stays, see whether the store's SQL Server runs",
            store=store,
        )
    return SchemaMismatch(
        f"{said}. Retrying cannot clear this.",
        next_step="report this with the version of RMS and of its SQL Server",
        store=store,
    )


def row_refusal(error: SQLAlchemyError) -> str | None:
    """How the database names its refusal of a single row (a trigger, a constraint), without any value.

    None if the error is about the connection, a lock or the login: then no other row would fare better.
    The words of an error do not count here: a trigger may say that a period is closed.
    """
    if not isinstance(error, DBAPIError) or error.connection_invalidated:
        return None
    original: Any = error.orig
    state, text = _state_and_text(original)
    number = next(iter(sql_server.error_numbers(text)), None)
    kind = type(original).__name__
    if not state:  # SQLite
        name = getattr(original, "sqlite_errorname", "")
        return ", ".join(filter(None, (kind, name))) if kind == "IntegrityError" else None
    if state.startswith((*_TRANSIENT_STATES, *_REFUSED_STATES)) or number in _NOT_ABOUT_A_ROW:
        return None
    return ", ".join(part for part in (f"SQLSTATE {state}", number and f"error {number}") if part)


def _without_credentials(reason: str, url: URL | None) -> str:
    """What a driver says, without the password and without what stood before a server's name."""
    if url is not None and url.password:
        for spelled in (str(url.password), quote(str(url.password), safe="")):
            reason = reason.replace(spelled, "***")
    return reason.rpartition("@")[2].strip()


def _parse(url: str, store: str) -> URL:
    next_step = (
        f"correct rms_url in [stores.{store}]: mssql+pyodbc://user:${{RMS_PASSWORD}}@server/"
        "database?driver=ODBC+Driver+17+for+SQL+Server"
    )
    # The parser's errors quote the URL, and they would stand in the traceback as a cause.
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        parsed = None
    if parsed is None:
        raise ConfigurationError(
            f"rms_url of store `{store}` is not a database URL. Retrying cannot clear this.",
            next_step=next_step,
            store=store,
        )
    if "@" in (parsed.host or ""):
        raise ConfigurationError(
            f"rms_url of store `{store}` holds more than one `@`: its password has characters that a URL "
            "cannot hold as they are. Retrying cannot clear this.",
            next_step=f"{next_step}; a password from the environment may hold any character",
            store=store,
        )
    return parsed


def _engine(url: URL, store: str, writing: bool) -> Engine:
    kind = url.get_backend_name()
    try:
        if kind == "sqlite":
            return _sqlite_engine(url, store, writing)
        if kind == "postgresql":
            engine = create_engine(
                url,
                poolclass=NullPool,
                isolation_level="READ COMMITTED",
                execution_options={"postgresql_readonly": not writing},
                connect_args={"connect_timeout": WAIT_SECONDS},
            )
            if writing:
                event.listen(engine, "connect", _limit_lock_waits)
            return engine
        if kind == "mssql":
            engine = create_engine(
                url,
                poolclass=NullPool,
                isolation_level="READ COMMITTED",
                connect_args={"timeout": WAIT_SECONDS, **sql_server.connect_arguments(url, store)},
            )
            # Before SQLAlchemy asks its own first questions: they too must not wait for ever.
            event.listen(engine, "connect", _give_way, insert=True)
            return engine
    except (NoSuchModuleError, ImportError) as error:
        raise ConfigurationError(
            f"The driver that rms_url of store `{store}` asks for is not installed: {error}. "
            "Retrying cannot clear this.",
            next_step=f"for SQL Server take mssql+pyodbc and {sql_server.how_to_install()}",
            store=store,
        ) from error
    raise ConfigurationError(
        f"rms_url of store `{store}` names {kind}, which is no kind of RMS database. "
        "Retrying cannot clear this.",
        next_step="use mssql+pyodbc (a real RMS), or sqlite or postgresql+psycopg (sample stores)",
        store=store,
    )


def _sqlite_engine(url: URL, store: str, writing: bool) -> Engine:
    file = Path(url.database or "")
    if not file.is_file():
        raise ConfigurationError(
            f"The RMS database of store `{store}` is not there: {file}. Retrying cannot clear this.",
            next_step=f"correct rms_url in [stores.{store}], or make a sample store",
            store=store,
        )

    mode = "rw" if writing else "ro"

    def connect() -> sqlite3.Connection:
        opened = sqlite3.connect(file.absolute().as_uri() + f"?mode={mode}", uri=True, timeout=WAIT_SECONDS)
        if writing:
            opened.isolation_level = None  # transactions begin where `_begin_writing` says so
        return opened

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)
    if writing:
        event.listen(engine, "begin", _begin_writing)
    return engine


def _begin_writing(connection: Connection) -> None:
    """One writer at a time from the first read on: what it saw is still so when it writes."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _limit_lock_waits(connection: Any, record: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = {WAIT_SECONDS * 1000}")
    connection.commit()


def _give_way(connection: Any, record: object) -> None:
    connection.timeout = STATEMENT_SECONDS
    cursor = connection.cursor()
    cursor.execute(f"SET LOCK_TIMEOUT {WAIT_SECONDS * 1000}")
    for statement in sql_server.SESSION:
        cursor.execute(statement)
    cursor.close()


def _state_and_text(original: Any) -> tuple[str, str]:
    """SQLSTATE (empty if unknown) and the driver's text. pyodbc: (state, text); psycopg: `.sqlstate`."""
    state = getattr(original, "sqlstate", None)
    arguments: tuple[object, ...] = getattr(original, "args", ())
    if state is None and len(arguments) == 2 and isinstance(arguments[0], str) and len(arguments[0]) == 5:
        return arguments[0], str(arguments[1])
    return state or "", str(original)
