"""SQL Server through pyodbc: the real driver manager and FreeTDS against what is no SQL Server, and errors.

The texts of errors are those that Microsoft's drivers and FreeTDS give; the classes are pyodbc's own.
"""

from __future__ import annotations

import re
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, func, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from data_contracts.errors import ConfigurationError, SchemaMismatch, StoreUnavailable, TillbridgeError
from deployments.sample_store.ring import insert_row
from tasks.rms import connection as rms
from tasks.rms import sql_server, tables
from tests.rms.tds_server import Answer, HangUp, Money, Refusal, TdsServer, as_sql_server_2008
from tests.rms_database import NOON, Till

GIVE_UP_SECONDS = 20
"""After that a server that never answers hangs up, so that a driver that waits for ever fails a test."""

SERVER = "[Microsoft][ODBC Driver 17 for SQL Server][SQL Server]"


@pytest.fixture
def pyodbc() -> Any:
    """pyodbc with the system's driver manager."""
    return pytest.importorskip("pyodbc", reason="no unixODBC on this machine", exc_type=ImportError)


@pytest.fixture
def freetds(pyodbc: Any) -> str:
    """The name of the FreeTDS driver."""
    if "FreeTDS" not in pyodbc.drivers():
        pytest.skip("no FreeTDS driver on this machine")
    return "FreeTDS"


@pytest.fixture(autouse=True)
def short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rms, "WAIT_SECONDS", 1)


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[socket.socket], object]], int]]:
    """`serve(answer)` listens on a port and leaves each caller to `answer`; returns the port."""
    listeners: list[socket.socket] = []

    def start(answer: Callable[[socket.socket], object]) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def accept() -> None:
            while True:
                try:
                    caller, _ = listener.accept()
                except OSError:  # closed: the test is over
                    return
                with closing(caller):
                    answer(caller)

        threading.Thread(target=accept, daemon=True).start()
        return int(listener.getsockname()[1])

    yield start
    for listener in listeners:
        listener.close()


def refused(url: str) -> TillbridgeError:
    """What opening that URL comes to; no trace of it shows the password."""
    with pytest.raises(TillbridgeError) as caught, rms.open_rms(url, "S1"):
        pass
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    assert "`S1`" in caught.value.message
    return caught.value


def url_of(port: int, driver: str = "FreeTDS", host: str = "127.0.0.1") -> str:
    return f"mssql+pyodbc://till:hunter2@{host}:{port}/rms?driver={driver}"


# -- the real drivers -------------------------------------------------------------------------------
def test_a_port_where_nobody_listens_is_a_store_that_is_away(freetds: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    error = refused(url_of(port))

    assert type(error) is StoreUnavailable
    assert "(20009)" in error.message
    assert "host and port of rms_url" in error.next_step


def test_a_host_that_is_not_there_is_a_store_that_is_away(freetds: str) -> None:
    assert type(refused(url_of(1433, host="no-such-host.invalid"))) is StoreUnavailable


def test_a_server_that_accepts_and_never_answers_is_given_up(freetds: str, serve: Callable[..., int]) -> None:
    """FreeTDS left to guess the version of the protocol waits for ever here."""

    def say_nothing(caller: socket.socket) -> None:
        caller.settimeout(GIVE_UP_SECONDS)
        try:
            while caller.recv(4_096):
                pass
        except OSError:
            pass

    error = refused(url_of(serve(say_nothing)))

    assert type(error) is StoreUnavailable
    assert "[HYT00]" in error.message
    assert "did not come in time" in error.message


def test_a_server_that_hangs_up_is_away(freetds: str, serve: Callable[..., int]) -> None:
    error = refused(url_of(serve(lambda caller: caller.recv(4_096))))

    assert type(error) is StoreUnavailable
    assert "hung up" in error.message


def test_a_server_that_speaks_something_else_is_away(freetds: str, serve: Callable[..., int]) -> None:
    """Wrong port: what answers is no SQL Server."""
    error = refused(url_of(serve(lambda caller: caller.sendall(b"SSH-2.0-OpenSSH_9.2\r\n" * 20))))

    assert type(error) is StoreUnavailable


# -- the real driver and a server that lets it in ---------------------------------------------------
@pytest.mark.parametrize(
    ("refusal", "meant"),
    [
        (Refusal(18456, "Login failed for user 'till'."), "login is refused"),
        (
            Refusal(4060, 'Cannot open database "rms" requested by the login.', 11),
            "may not open that database",
        ),
    ],
)
def test_a_refused_login_is_known_by_its_number(freetds: str, refusal: Refusal, meant: str) -> None:
    """Its SQLSTATE does not tell: FreeTDS gives 42000 for both, Microsoft's drivers 28000 and 42000."""
    with TdsServer(login=refusal) as server:
        error = refused(url_of(server.port))

    assert type(error) is ConfigurationError
    assert meant in error.message
    assert "[42000]" in error.message


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Refusal(1205, "Transaction (Process ID 52) was deadlocked.", 13), StoreUnavailable),
        (Refusal(1222, "Lock request time out period exceeded.", 16), StoreUnavailable),
        (Refusal(229, "The SELECT permission was denied on the object 'Transaction'."), ConfigurationError),
        (Refusal(208, "Invalid object name 'Transaction'.", 16), SchemaMismatch),
        (HangUp(), StoreUnavailable),
    ],
)
def test_what_goes_wrong_with_a_statement_is_one_of_our_errors(
    freetds: str, answer: Refusal | HangUp, expected: type[TillbridgeError]
) -> None:
    def answered(text: str) -> Answer:
        return answer if "[Transaction]" in text else as_sql_server_2008(text)

    with (
        TdsServer(answer=answered) as server,
        pytest.raises(TillbridgeError) as caught,
        rms.open_rms(url_of(server.port), "S1") as connection,
    ):
        connection.execute(select(func.max(tables.transaction.c.TransactionNumber)))

    assert type(caught.value) is expected
    assert "SELECT max" not in str(caught.value)


@pytest.mark.parametrize("silent", ["[Transaction]", "schema_name()", "LOCK_TIMEOUT"])
def test_a_statement_that_is_never_answered_is_given_up(
    freetds: str, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those that SQLAlchemy and we ourselves send before the first of the use case."""
    monkeypatch.setattr(rms, "STATEMENT_SECONDS", 1)
    over = threading.Event()

    def answer(text: str) -> Answer:
        if silent in text:
            over.wait(GIVE_UP_SECONDS)
            return HangUp()
        return as_sql_server_2008(text)

    with (
        TdsServer(answer=answer) as server,
        pytest.raises(StoreUnavailable, match=r"\[HYT00\].*did not come in time"),
        rms.open_rms(url_of(server.port), "S1") as connection,
    ):
        connection.execute(select(func.max(tables.transaction.c.TransactionNumber)))
    over.set()


def test_a_session_gives_way_before_it_asks_anything(freetds: str) -> None:
    with TdsServer() as server, rms.open_rms(url_of(server.port), "S1") as connection:
        version = connection.dialect.server_version_info

    asked = [text for text in server.said if not text.startswith("sp_datatype_info")]  # pyodbc's own
    assert asked[:5] == ["SET LOCK_TIMEOUT 1000", *sql_server.SESSION]
    assert "SET TRANSACTION ISOLATION LEVEL READ COMMITTED" in asked
    assert version == (10, 50, 6000, 34)


def test_server_and_driver_are_named(freetds: str) -> None:
    with TdsServer() as server, rms.open_rms(url_of(server.port), "S1") as connection:
        named = rms.server_and_driver(connection)

    assert re.fullmatch(r"SQL Server 2008 R2 \(10\.50\.6000\.34\) through libtdsodbc\.so [\d.]+", named)


@pytest.mark.parametrize("value", [1_234, -1_234, 7, 2**63 - 1, -(2**63)])
def test_integers_and_money_come_through_the_driver_as_they_are(freetds: str, value: int) -> None:
    """Older builds of FreeTDS cut money to two decimals; no amount is fetched as money."""
    answers: dict[str, Answer] = {"SELECT whole": value, "SELECT money": Money(value)}
    with (
        TdsServer(answer=lambda text: answers.get(text) or as_sql_server_2008(text)) as server,
        rms.open_rms(url_of(server.port), "S1") as connection,
    ):
        whole, money = (connection.exec_driver_sql(text).scalar_one() for text in answers)

    assert whole == value
    assert money == Decimal(value).scaleb(-4)


def test_a_parameter_travels_in_the_type_of_its_column(freetds: str) -> None:
    """No amount as a float, no date as a text that LANGUAGE or DATEFORMAT could turn round."""
    t, i = tables.transaction.c, tables.item.c
    query = (
        select(func.max(t.TransactionNumber))
        .select_from(tables.transaction.join(tables.item, t.StoreID == i.ID))
        .where(t.StoreID == 3, t.DBTimeStamp < 2**40, t.Total == 12_345, t.Time >= NOON)
        .where(i.ItemLookupCode == "Käse", i.Quantity > 0.5)
    )

    def answered(text: str) -> Answer:
        return 17 if "SELECT max" in text else as_sql_server_2008(text)

    with TdsServer(answer=answered) as server, rms.open_rms(url_of(server.port), "S1") as connection:
        found = connection.scalar(query)

    assert found == 17
    assert "@P1 INT,@P2 BIGINT,@P3 NUMERIC(5,4),@P4 DATETIME,@P5 NVARCHAR(8),@P6 FLOAT" in server.said[-1]
    assert "[DBTimeStamp] < CAST(CAST(@P2 AS BIGINT) AS BINARY(8))" in server.said[-1]


@pytest.mark.parametrize(
    "url",
    [
        "mssql+pyodbc://till:hunter2@127.0.0.1:1/rms?driver=No+Such+Driver",
        "mssql+pyodbc://till:hunter2@no-such-source",
        "mssql+pyodbc:///?odbc_connect=DRIVER%3D%7BNo+Such%7D%3BPWD%3Dhunter2",
        "mssql+pyodbc://till:hunter2@127.0.0.1:1/rms",
    ],
)
def test_a_driver_that_is_not_there_says_which_are_and_what_to_install(freetds: str, url: str) -> None:
    error = refused(url)

    assert type(error) is ConfigurationError
    assert "driver" in error.message
    assert "`FreeTDS`" in error.next_step
    assert sql_server.how_to_install() in error.next_step


def test_without_a_driver_manager_the_package_to_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyodbc", None)

    error = refused(url_of(1))

    assert type(error) is ConfigurationError
    assert "not installed" in error.message
    assert sql_server.how_to_install() in error.next_step
    assert sql_server.installed_drivers() == []


@pytest.mark.parametrize(
    ("platform", "named"), [("win32", "in the same 32 or 64 bits"), ("darwin", "brew"), ("linux", "apt-get")]
)
def test_every_system_has_its_package(platform: str, named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", platform)

    assert named in sql_server.how_to_install()


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("driver=FreeTDS", {"TDS_Version": "7.2"}),
        ("driver=freetds&tds_version=7.1", {}),
        ("driver=ODBC+Driver+17+for+SQL+Server", {}),
    ],
)
def test_freetds_is_told_the_protocol_unless_the_url_does(
    pyodbc: Any, query: str, told: dict[str, str]
) -> None:
    assert sql_server.connect_arguments(make_url(f"mssql+pyodbc://till/rms?{query}"), "S1") == told
    assert pyodbc.pooling is False


# -- errors -----------------------------------------------------------------------------------------
DRIVER_ERRORS = [
    line.split(" | ", 3)
    for line in (Path(__file__).parent / "driver_errors.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]


@pytest.mark.parametrize(("expected", "meant", "kind", "text"), DRIVER_ERRORS)
def test_what_a_driver_says_becomes_one_of_our_errors_once(
    pyodbc: Any, expected: str, meant: str, kind: str, text: str
) -> None:
    original = getattr(pyodbc, kind)(text[1:6], text)

    ours = rms.translated(DBAPIError("SELECT secret", {"p": "secret"}, original), "S1")

    assert (type(ours).__name__, meant in ours.message) == (expected, True), ours
    assert ("retrying may help" in ours.message) is ours.transient
    assert ours.next_step
    assert "{" not in ours.next_step
    assert "secret" not in str(ours)


def test_an_error_without_a_known_number_is_told_as_it_is(pyodbc: Any) -> None:
    text = f"[42000] {SERVER}Incorrect syntax near 'FROM'. (102) (SQLExecDirectW)"
    error = DBAPIError("SELECT", {}, pyodbc.ProgrammingError("42000", text))

    ours = rms.translated(error, "S1")

    assert type(ours) is SchemaMismatch
    assert "(102)" in ours.message
    assert "report this" in ours.next_step


# -- the driver's arithmetic ------------------------------------------------------------------------
def test_a_driver_that_gives_back_what_was_sent_passes(till: Till) -> None:
    with till.engine.connect() as connection:
        sql_server.check_driver(connection, "S1")


@pytest.mark.parametrize("row", [(1_200, sql_server._MARK), (1_234, 0x2301), (None, sql_server._MARK)])
def test_a_driver_that_cuts_money_or_turns_bytes_round_is_refused(
    row: tuple[object, ...], tmp_path: Path
) -> None:
    class Cutting:
        def execute(self, statement: object) -> Any:
            assert statement is sql_server.SELF_TEST
            return self

        def one(self) -> tuple[object, ...]:
            return row

    with pytest.raises(ConfigurationError, match=r"alters what passes through it") as caught:
        sql_server.check_driver(Cutting(), "S1")  # type: ignore[arg-type]
    assert "[stores.S1]" in caught.value.next_step


# -- what goes over the wire ------------------------------------------------------------------------
class Wire:
    """A connection of pyodbc's shape that answers every question with 41 and keeps what it is sent."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.timeout = 0
        self.autocommit = False
        self.description = [("", int, None, None, None, None, None)]
        self.rowcount = 1

    def cursor(self) -> Wire:
        return self

    def execute(self, statement: str, *parameters: object) -> Wire:
        self.sent.append(statement)
        return self

    def setinputsizes(self, sizes: object) -> None:
        pass

    def fetchall(self) -> list[tuple[int]]:
        return [(41,)]

    def fetchone(self) -> tuple[int]:
        return (41,)

    def commit(self) -> None:
        self.sent.append("COMMIT")

    def rollback(self) -> None:
        """The pool's, when a connection is given back."""

    def close(self) -> None:
        pass


@pytest.fixture
def wire(pyodbc: Any) -> Iterator[tuple[Wire, Engine]]:
    """An engine for SQL Server 2008 R2 that has connected already."""
    connection = Wire()
    engine = create_engine("mssql+pyodbc://", creator=lambda: connection, _initialize=False)
    engine.dialect.server_version_info = (10, 50, 6000)
    engine.dialect._setup_version_attributes()  # type: ignore[attr-defined]
    yield connection, engine
    engine.dispose()


def test_a_new_row_s_number_comes_by_scope_identity_and_never_by_output(wire: tuple[Wire, Engine]) -> None:
    """A vendor's trigger on the table would refuse OUTPUT (334), and would give its own @@IDENTITY."""
    sent, engine = wire
    with engine.begin() as connection:
        number = insert_row(connection, tables.order, {"StoreID": 1})

    assert number == 41
    assert sent.sent == ["INSERT INTO [Order] ([StoreID]) VALUES (?); select scope_identity()", "COMMIT"]


def test_a_number_of_one_s_own_is_allowed_for_that_row_alone(wire: tuple[Wire, Engine]) -> None:
    """A late ticket of the sample store."""
    sent, engine = wire
    with engine.begin() as connection:
        number = insert_row(connection, tables.transaction, {"TransactionNumber": 7, "StoreID": 1})

    assert number == 7
    assert sent.sent == [
        "SET IDENTITY_INSERT [Transaction] ON",
        "INSERT INTO [Transaction] ([TransactionNumber], [StoreID]) VALUES (?, ?)",
        "SET IDENTITY_INSERT [Transaction] OFF",
        "COMMIT",
    ]
