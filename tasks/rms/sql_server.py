"""What only a real SQL Server needs: how to connect beside a till, and what its drivers' errors mean.

Two families of ODBC drivers are known: Microsoft's 17 and 18, and FreeTDS for servers that those no longer
talk to. pyodbc and the system's driver manager are loaded only when a URL asks for them.
"""

from __future__ import annotations

import re
import sys
from typing import Any, NamedTuple

from sqlalchemy import Connection, cast, literal, select
from sqlalchemy.engine import URL

from data_contracts.errors import ConfigurationError, SchemaMismatch, StoreUnavailable, TillbridgeError
from tasks.rms.dialects import Money, RowversionMark, rowversion_number, ten_thousandths

FREETDS_VERSION = "7.2"
"""Version of the protocol that FreeTDS speaks unless the URL says `TDS_Version`: SQL Server 2005 and later.

Left to itself it guesses, and its last guess waits for ever where a server accepts and never answers.
"""

SESSION = (
    # What SQL Server asks of a session before it writes to a table with an indexed view, a computed column's
    # or a filtered index. Drivers differ in what they set; ARITHABORT none of them does.
    "SET ANSI_NULLS, ANSI_PADDING, ANSI_WARNINGS, ARITHABORT, CONCAT_NULL_YIELDS_NULL, QUOTED_IDENTIFIER ON",
    "SET NUMERIC_ROUNDABORT OFF",
    # Half a transaction is never left open, and never committed.
    "SET XACT_ABORT ON",
    "SET DEADLOCK_PRIORITY LOW",
)
"""Sent on every connection, beside its lock timeout. NOCOUNT stays off: a count tells what a write did.

No date travels as text, so neither LANGUAGE nor DATEFORMAT matters.
"""

_INSTALL = {
    "win32": "install Microsoft's ODBC Driver 17 for SQL Server (servers from 2008 R2 to 2022) or 18 (from "
    "2012), in the same 32 or 64 bits as Python",
    "darwin": "`brew install unixodbc freetds`, or Microsoft's msodbcsql18",
    "linux": "`apt-get install unixodbc tdsodbc` for FreeTDS, or Microsoft's msodbcsql17 (servers from 2008 "
    "R2) or msodbcsql18 (from 2012)",
}


class Meaning(NamedTuple):
    """What an error of a driver comes to."""

    kind: type[TillbridgeError]
    sentence: str
    next_step: str
    """May hold `{store}`."""


_BUSY = Meaning(
    StoreUnavailable,
    "The till was at the same rows and comes first",
    "wait for the next run; if it stays, see in SQL Server's activity monitor who holds the locks",
)
_AWAY = Meaning(
    StoreUnavailable,
    "The server does not answer, or hung up",
    "wait for the next run; if it stays, see whether the store's SQL Server runs and accepts TCP connections "
    "at the host and port of rms_url",
)
_SLOW = Meaning(
    StoreUnavailable,
    "The answer did not come in time",
    "wait for the next run; if it stays, see what the store's SQL Server is busy with",
)
_CLOSED_NOW = Meaning(
    StoreUnavailable,
    "The database is not open at the moment: restored, recovered, taken offline or short of memory or disk",
    "wait until whoever works on the store's SQL Server is done",
)
_LOGIN = Meaning(
    ConfigurationError,
    "The login is refused",
    "correct user and password in rms_url of [stores.{store}], or have the login unlocked; where SQL Server "
    "knows Windows accounts only, leave both out and add Trusted_Connection=yes",
)
_DATABASE = Meaning(
    ConfigurationError,
    "The login may not open that database, or it is not there",
    "correct the database in rms_url of [stores.{store}], or give its login a user in it",
)
_RIGHTS = Meaning(
    ConfigurationError,
    "The login lacks a right",
    "give the login of rms_url of [stores.{store}] SELECT on the database's tables (db_datareader)",
)
_SHAPE = Meaning(
    SchemaMismatch,
    "A table, column or function is not there",
    "check that rms_url of [stores.{store}] names a Microsoft RMS store database",
)
_ROW = Meaning(
    SchemaMismatch,
    "The database does not take this row: an index, a constraint or a length is in the way",
    "report this with the version of RMS and what was added to the shop's database",
)
_ENCRYPTION = Meaning(
    ConfigurationError,
    "Driver and server do not agree on encryption",
    "ODBC Driver 18 asks for encryption and a certificate that it trusts: in a shop's own network add "
    "Encrypt=no or TrustServerCertificate=yes to rms_url of [stores.{store}]; a server older than 2012 "
    "speaks TLS 1.0 only, which driver 17 on Windows or FreeTDS (driver=FreeTDS&Encryption=off) still do",
)
_DRIVER = Meaning(ConfigurationError, "The ODBC driver that rms_url names is not installed", "")

_NUMBERS: dict[int, Meaning] = {
    **dict.fromkeys((1204, 1205, 1222), _BUSY),
    **dict.fromkeys((64, 121, 233, 258, 6005, 10053, 10054, 10060, 10061, 17142), _AWAY),
    # FreeTDS's own: closed, read, write, connect, end of file; it gives some of them as 01000.
    **dict.fromkeys((20002, 20004, 20006, 20009, 20017, 20047), _AWAY),
    20003: _SLOW,
    **dict.fromkeys((701, 802, 921, 922, 924, 927, 942, 945, 8645, 8651, 9002, 18401, 18461), _CLOSED_NOW),
    **dict.fromkeys((18452, 18456, 18470, 18486, 18487, 18488), _LOGIN),
    **dict.fromkeys((911, 916, 4060, 4064), _DATABASE),
    **dict.fromkeys((229, 230, 262, 297, 300), _RIGHTS),
    **dict.fromkeys((195, 207, 208, 2812, 4121), _SHAPE),
    **dict.fromkeys((334, 515, 547, 2601, 2627, 2628, 8115, 8152), _ROW),
}
"""By SQL Server's own number, which says more than the SQLSTATE: 42000 is a deadlock here, a right there."""

_TEXTS: tuple[tuple[str, Meaning], ...] = (
    ("ssl provider", _ENCRYPTION),
    ("ssl security error", _ENCRYPTION),
    ("encryption not supported", _ENCRYPTION),
    ("can't open lib", _DRIVER),
    ("login timeout expired", _AWAY),
)
"""Where neither number nor SQLSTATE tells: a refused certificate is 08001 like a server that is away."""

_STATES: tuple[tuple[str, Meaning], ...] = (
    ("40", _BUSY),
    ("HYT", _SLOW),
    ("HY008", _SLOW),
    ("08", _AWAY),
    ("28", _LOGIN),
    ("IM", _DRIVER),
    ("42S", _SHAPE),
    ("22001", _ROW),
    ("23", _ROW),
)


def meaning(state: str, text: str, store: str) -> Meaning | None:
    """What a driver's error means, by number, then by text, then by SQLSTATE; None if none is known."""
    low = text.lower()
    numbers = error_numbers(text)
    found = (
        next((_NUMBERS[number] for number in numbers if number in _NUMBERS), None)
        or next((meant for words, meant in _TEXTS if words in low), None)
        or next((meant for begins, meant in _STATES if state.startswith(begins)), None)
    )
    if found is None:
        return None
    if found is _DRIVER:
        named = ", ".join(f"`{name}`" for name in installed_drivers()) or "none"
        found = found._replace(
            next_step=f"name one that is installed in rms_url of [stores.{{store}}] (here: {named}), or "
            f"{how_to_install()}"
        )
    return found._replace(next_step=found.next_step.format(store=store))


def error_numbers(text: str) -> list[int]:
    """SQL Server's own numbers in a driver's text, the one that began it first."""
    return [int(found) for found in re.findall(r"\((\d{1,6})\)(?: \(SQL|;|$)", text)]


def installed_drivers() -> list[str]:
    """Names of the ODBC drivers of this machine that can be asked for; empty without a driver manager."""
    try:
        import pyodbc

        return sorted(pyodbc.drivers())
    except ImportError:
        return []
    except pyodbc.Error:
        return []


def how_to_install() -> str:
    """The command or package that brings an ODBC driver to this system."""
    return _INSTALL.get(sys.platform, _INSTALL["linux"])


def connect_arguments(url: URL, store: str) -> dict[str, Any]:
    """What `pyodbc.connect` is told beside the URL; `ConfigurationError` if that names no driver.

    Turns the driver manager's own pool off, which would hand a session's settings to the next one.
    Raises `ImportError` without pyodbc or without the system's driver manager.
    """
    if url.drivername not in ("mssql", "mssql+pyodbc"):
        return {}
    import pyodbc

    pyodbc.pooling = False
    query = {name.lower(): str(value) for name, value in url.query.items()}
    if not query.keys() & {"driver", "odbc_connect", "dsn"} and url.database:
        named = ", ".join(f"`{name}`" for name in installed_drivers()) or "none"
        raise ConfigurationError(
            f"rms_url of store `{store}` names no ODBC driver. Retrying cannot clear this.",
            next_step=f"add ?driver=... to rms_url of [stores.{store}] with one of those installed here "
            f"({named}), or {how_to_install()}",
            store=store,
        )
    if "tds" in query.get("driver", "").lower() and "tds_version" not in query:
        return {"TDS_Version": FREETDS_VERSION}
    return {}


_RELEASES = {
    (8,): "2000",
    (9,): "2005",
    (10, 50): "2008 R2",
    (10,): "2008",
    (11,): "2012",
    (12,): "2014",
    (13,): "2016",
    (14,): "2017",
    (15,): "2019",
    (16,): "2022",
    (17,): "2025",
}


def server_and_driver(connection: Connection) -> str:
    """`SQL Server 2008 R2 (10.50.6000.34) through libtdsodbc.so 01.03.0017`."""
    import pyodbc

    dialect: Any = connection.dialect
    version: tuple[int, ...] = dialect.server_version_info
    release = next((name for begins, name in _RELEASES.items() if version[: len(begins)] == begins), "")
    opened: Any = connection.connection.driver_connection
    name, number = (opened.getinfo(what) for what in (pyodbc.SQL_DRIVER_NAME, pyodbc.SQL_DRIVER_VER))
    return f"SQL Server {release} ({'.'.join(map(str, version))}) through {name} {number}"


_AMOUNT, _MARK = 1_234, 0x0123_4567_89AB_CDEF

SELF_TEST = select(
    ten_thousandths(cast(literal(_AMOUNT, Money()), Money())),
    rowversion_number(literal(_MARK, RowversionMark())),
)
"""0.1234 as `money` and a rowversion of eight different bytes, to the server and back."""


def check_driver(connection: Connection, store: str) -> None:
    """`ConfigurationError` if an amount or a rowversion does not come back as it was sent.

    Older builds of FreeTDS cut `money` to two decimals; nothing is ever fetched as such, and this proves it.
    """
    amount, mark = connection.execute(SELF_TEST).one()
    if (amount, mark) != (_AMOUNT, _MARK):
        raise ConfigurationError(
            f"The ODBC driver of store `{store}` alters what passes through it: 0.1234 came back as "
            f"{amount} ten-thousandths, rowversion {_MARK} as {mark}. Retrying cannot clear this; nothing "
            "was read.",
            next_step=f"name another driver in rms_url of [stores.{store}], or {how_to_install()}",
            store=store,
        )
