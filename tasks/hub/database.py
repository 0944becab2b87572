"""Opens the hub's database: connections, locks, migrations and the translation of their errors.

SQLite runs in WAL mode with full durability, one writer at a time; PostgreSQL locks the rows of the stores
it writes. No error of this module names a password, a parameter or a row.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, Engine, Table, create_engine, event, inspect, make_url, select, text
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, InterfaceError, OperationalError

from data_contracts.errors import (
    ConfigurationError,
    ContractBroken,
    HubUnavailable,
    SchemaMismatch,
    TillbridgeError,
)
from tasks import faults
from tasks.hub.schema import stores

log = logging.getLogger(__name__)

SCHEMA_REVISION = "0005"
"""The newest migration this program knows."""

BUSY_SECONDS = 60
"""How long SQLite waits for another writer."""

PATIENCE = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,  # milliseconds
}
"""How long a server of PostgreSQL may be silent; what `url` says instead counts."""

_HOLD_NO_LOCKS = (
    "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3; "
    "SET tcp_user_timeout = 60000"
)
"""Asked of the server: a machine that loses its power in an import would hold its store for two hours."""

_WRITES = "tillbridge_writes"
_MIGRATING = 7_455_127
"""Key of PostgreSQL's advisory lock: any number that is always the same."""

faults.declare("hub.migrate.before_commit", "hub.migrate.after_commit")


class Hub:
    """The hub's database; close it, or use it as a context manager."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.place = _place(engine)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view of the hub. Raises `HubUnavailable`."""
        level = "REPEATABLE READ" if self.engine.dialect.name == "postgresql" else None
        with self._translated(), self.engine.connect() as connection:
            if level is not None:
                connection = connection.execution_options(isolation_level=level)
            with connection.begin():
                yield connection

    @contextmanager
    def writing(
        self, before_commit: str | None = None, after_commit: str | None = None
    ) -> Iterator[Connection]:
        """One transaction; the names are the fault points around its commit. Raises `HubUnavailable`."""
        with self._translated(), self.engine.connect() as connection:
            with connection.execution_options(**{_WRITES: True}).begin():
                yield connection
                if before_commit is not None:
                    faults.point(before_commit)
            if after_commit is not None:
                faults.point(after_commit)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            ours = _translate(error, self.place)
            if ours is None:
                raise
            raise ours from error


def open_hub(url: str) -> Hub:
    """Open the hub and check its schema. Raises `HubUnavailable`, `SchemaMismatch`, `ConfigurationError`."""
    hub = Hub(_engine(url))
    try:
        check_schema(hub)
    except TillbridgeError:
        hub.close()
        raise
    return hub


def migrate(url: str) -> str:
    """Bring the hub's tables to this program's version, creating them if there are none; returns it.

    Raises `SchemaMismatch` if they are newer, `HubUnavailable`. Doing it twice does nothing.
    """
    # Alembic is needed here alone; the cycles of a working day do not load it.
    from alembic import command
    from alembic.config import Config

    config = Config()
    folder = str(Path(__file__).parent / "migrations")
    config.set_main_option("script_location", folder.replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    with Hub(_engine(url)) as hub:
        found = _version(hub)
        if found == SCHEMA_REVISION:
            return found
        if found is not None and found > SCHEMA_REVISION:
            raise _newer(hub.place, found)
        with hub.writing("hub.migrate.before_commit", "hub.migrate.after_commit") as connection:
            if connection.dialect.name == "postgresql":  # two that migrate at once would both create tables
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATING})"))
            config.attributes["connection"] = connection
            command.upgrade(config, SCHEMA_REVISION)
        log.info("migrated the hub at %s from %s to %s", hub.place, found or "nothing", SCHEMA_REVISION)
    return SCHEMA_REVISION


def schema_version(url: str) -> str | None:
    """Version of the hub's tables, None where there are none. Raises `HubUnavailable`."""
    with Hub(_engine(url)) as hub:
        return _version(hub)


def check_schema(hub: Hub) -> None:
    """Raise `SchemaMismatch` unless the hub's tables are of this program's version."""
    found = _version(hub)
    if found == SCHEMA_REVISION:
        return
    if found is not None and found > SCHEMA_REVISION:
        raise _newer(hub.place, found)
    state = f"is of version {found}, older than" if found else "has no tables yet; this program needs"
    raise SchemaMismatch(
        f"The hub at {hub.place} {state} version {SCHEMA_REVISION}. Nothing was read or written.",
        next_step="run `tillbridge migrate`",
        found=found,
        expected=SCHEMA_REVISION,
    )


def lock_store(connection: Connection, store: str) -> None:
    """Hold the store until the transaction ends.

    Raises `HubUnavailable` if another run holds it, `ConfigurationError` if the hub does not know it.
    """
    statement = select(stores.c.code).where(stores.c.code == store).with_for_update(nowait=True)
    try:
        found = connection.execute(statement).scalar_one_or_none()
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != "55P03":
            raise
        raise HubUnavailable(
            f"Another run is writing store {store} into the hub. Nothing was changed; retrying helps once "
            "that run has ended.",
            next_step="wait for the other run",
            store=store,
        ) from error
    if found is None:
        raise ConfigurationError(
            f"The hub does not know the store `{store}`. Nothing was changed; retrying cannot clear this.",
            next_step=f"add [stores.{store}] to the hub's tillbridge.toml and run `tillbridge migrate`",
            store=store,
        )


def lock_table(connection: Connection, table: Table) -> None:
    """Hold a table of the hub itself against other writers until the transaction ends; waits for them.

    SQLite has a single writer anyway.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"LOCK TABLE {table.name} IN SHARE ROW EXCLUSIVE MODE"))


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() not in ("sqlite", "postgresql"):
            raise ConfigurationError(
                f"The hub cannot run on `{parsed.get_backend_name()}`; it runs on sqlite and postgresql.",
                next_step="correct `url` in [hub] of tillbridge.toml",
            )
        of_server = parsed.get_backend_name() == "postgresql"
        patience = {name: value for name, value in PATIENCE.items() if name not in parsed.query}
        engine = create_engine(
            parsed, hide_parameters=True, pool_pre_ping=True, connect_args=patience if of_server else {}
        )
    except (ArgumentError, ImportError) as error:
        raise ConfigurationError(
            "The hub's database URL cannot be used: it is not a URL of sqlite or postgresql+psycopg.",
            next_step="correct `url` in [hub] of tillbridge.toml",
        ) from error
    if of_server:
        event.listen(engine, "connect", _prepare_postgresql)
    else:
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_postgresql(connection: Any, _record: object) -> None:
    connection.autocommit = True  # what is set in a transaction that is rolled back is forgotten
    connection.execute(_HOLD_NO_LOCKS)
    connection.autocommit = False


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions begin in _begin_sqlite
    cursor = connection.cursor()
    try:
        cursor.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA temp_store=MEMORY")
        cursor.execute("PRAGMA cache_size=-65536")
    finally:
        cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes its lock at once: two that both read first could neither of them go on.
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _version(hub: Hub) -> str | None:
    with hub.reading() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
        return None if found is None else str(found)


def _newer(place: str, found: str) -> SchemaMismatch:
    return SchemaMismatch(
        f"The hub at {place} is of version {found}, newer than version {SCHEMA_REVISION} of this program. "
        "Nothing was read or written.",
        next_step="update tillbridge on this machine; `tillbridge migrate` cannot go back",
        found=found,
        expected=SCHEMA_REVISION,
    )


def _place(engine: Engine) -> str:
    url = engine.url
    if url.get_backend_name() == "sqlite":
        return url.database or "memory"
    return f"{url.host or 'localhost'}/{url.database or ''}"


_UNDEFINED = ("42P01", "42703")
"""PostgreSQL's codes of an unknown table and an unknown column."""


def _translate(error: DBAPIError, place: str) -> TillbridgeError | None:
    said = str(error.orig).lower()
    unknown = "no such table" in said or "no such column" in said
    if unknown or getattr(error.orig, "sqlstate", None) in _UNDEFINED:
        return SchemaMismatch(
            f"The hub at {place} lacks a table or column of this program. Retrying cannot clear this.",
            next_step="run `tillbridge migrate`",
        )
    if "not a database" in said or "malformed" in said:
        return SchemaMismatch(
            f"The file {place} is no SQLite database, or it is damaged. Retrying cannot clear this.",
            next_step="correct `url` in [hub] of tillbridge.toml, or restore the hub from a backup",
        )
    if isinstance(error, OperationalError) and (
        "authentication failed" in said or ("fatal" in said and "does not exist" in said)
    ):
        return ConfigurationError(
            f"The server of the hub at {place} refuses the connection: there is no such database or user, or "
            "the password is wrong. Retrying cannot clear this.",
            next_step="correct `url` in [hub] of tillbridge.toml, or create the database",
        )
    if isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated:
        return HubUnavailable(
            f"The hub's database at {place} did not answer or was busy. What was being written is in the hub "
            "whole or not at all; retrying is safe and may help.",
            next_step="see that the database runs and that no other program holds it",
        )
    if isinstance(error, DataError):
        return ContractBroken(
            f"The hub's database at {place} cannot hold a value that was to be written. Nothing was changed; "
            "retrying cannot clear this.",
            next_step="look at the cause in the log; a rule of the contract should have refused that value",
        )
    return None
