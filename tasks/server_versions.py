"""Which database answers, and through which driver: the first thing that who helps asks for."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection


def server_and_driver(connection: Connection) -> str:
    """`PostgreSQL 15.4 through psycopg 3.2.1`, or the same of SQLite; nothing is asked of the server."""
    dialect: Any = connection.dialect
    if dialect.name == "sqlite":
        return f"SQLite {dialect.dbapi.sqlite_version}"
    version = ".".join(map(str, dialect.server_version_info))
    return f"PostgreSQL {version} through {dialect.driver} {dialect.dbapi.__version__}"
