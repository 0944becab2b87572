"""Every statement that runs against RMS, as SQL Server 2008 R2 gets it. `make golden` renews the files.

The real use cases run on SQLite; what they execute is compiled for `mssql+pyodbc`, with `?` for every value,
and kept under the function that asked for it: `golden/reader.sql`, `golden/sample_store.ring.sql`.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

from sqlalchemy import Connection, Engine, event, insert
from sqlalchemy.dialects.mssql import pyodbc
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.elements import TextClause

from data_contracts.products import Owner
from data_contracts.till_items import TRANSFERABLE, Policy
from deployments.sample_store import bulk
from deployments.sample_store.build import build_store
from deployments.sample_store.store import SampleStore
from deployments.sample_store.tickets import read_invoices
from deployments.sample_store.till import run_till
from tasks.rms import connection as rms_connection
from tasks.rms import sql_server, tables
from tasks.rms.dialects import current_rowversion, read_bound
from tasks.rms.item_writing import ItemWriter, open_items, try_rights
from tasks.settings import Settings
from tasks.use_cases.baselining import baseline_store
from tasks.use_cases.checking import check_installation
from tasks.use_cases.exporting import export_orders
from tasks.use_cases.resending import resend
from tasks.use_cases.stating import publish_statement
from tests.hub_products import product
from tests.rms_database import NOON, Till, stock_up

GOLDEN = Path(__file__).parent / "golden"

ROOMS = {"tasks.rms.": "", "deployments.sample_store.": "sample_store."}
"""Modules that ask -> how the name of their file begins."""

NOT_THE_ASKER = ("tasks.rms.rows", "deployments.sample_store.marker")
"""Modules that only pass a statement on."""

Catalogue = dict[str, dict[str, set[str]]]
"""File -> function -> statements."""


def sql_server_2008() -> Dialect:
    """SQLAlchemy's dialect as it is after connecting to SQL Server 2008 R2."""
    dialect: Any = pyodbc.dialect()  # type: ignore[no-untyped-call]
    dialect.server_version_info = (10, 50, 6000)
    dialect._setup_version_attributes()
    return cast(Dialect, dialect)


def compiled(clause: Any, dialect: Dialect, parameters: Sequence[Mapping[str, Any]] = ()) -> str:
    """The text that SQL Server gets, on one line a clause, `?` for lists of any length."""
    options: dict[str, Any] = {"dialect": dialect}
    if parameters:
        options |= {"column_keys": list(parameters[0]), "for_executemany": len(parameters) > 1}
    text = str(clause.compile(**options))
    text = re.sub(r"\(?__\[POSTCOMPILE_\w+\]\)?", lambda found: "(?)" if found[0][0] == "(" else "?", text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


@contextmanager
def recording(catalogue: Catalogue) -> Iterator[None]:
    """Put what any engine executes meanwhile into the catalogue, if RMS or a sample store asked for it.

    `AssertionError` where a statement is sent before the rows of the one before it are all fetched.
    """
    dialect = sql_server_2008()

    def record(
        conn: object, clause: Any, multiparams: Any, params: Mapping[str, Any], options: object
    ) -> None:
        asker = _asker()
        if asker is None or isinstance(clause, TextClause):
            return  # what is said as text is said to one kind of database
        given = list(multiparams) or ([params] if params else [])
        file, function = asker
        catalogue.setdefault(file, {}).setdefault(function, set()).add(compiled(clause, dialect, given))

    still_open: dict[int, tuple[str, Any]] = {}

    def one_at_a_time(conn: Connection, cursor: object, statement: str, *rest: object) -> None:
        """SQL Server's connections give the rows of one statement before they take the next."""
        before, result = still_open.pop(id(conn.connection.dbapi_connection), ("", None))
        if result is not None and not result._soft_closed and _asker() is not None:
            raise AssertionError(f"rows of `{before}` are still to come when `{statement}` is sent")

    def remember(
        conn: Connection, clause: Any, multiparams: object, params: object, options: object, result: Any
    ) -> None:
        still_open[id(conn.connection.dbapi_connection)] = (str(clause), result)

    event.listen(Engine, "before_execute", record)
    event.listen(Engine, "before_cursor_execute", one_at_a_time)
    event.listen(Engine, "after_execute", remember)
    try:
        # As on SQL Server, which numbers the rows of a bulk load itself.
        with patch.object(bulk, "reserve_rowversions", lambda connection, count: None):
            yield
    finally:
        event.remove(Engine, "before_execute", record)
        event.remove(Engine, "before_cursor_execute", one_at_a_time)
        event.remove(Engine, "after_execute", remember)


def _asker() -> tuple[str, str] | None:
    frame = sys._getframe(2)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        for room, begins in ROOMS.items():
            if module.startswith(room) and module not in NOT_THE_ASKER:
                name = frame.f_code.co_qualname.split(".<locals>")[0]
                return begins + module.removeprefix(room), name
        frame = frame.f_back  # type: ignore[assignment]
    return None


def collect(folder: Path) -> Catalogue:
    """Run everything that reads or writes RMS, in a folder, and return what was asked."""
    catalogue: Catalogue = {}
    with recording(catalogue):
        for place, act in enumerate((_a_shop, _a_sample_store, _products)):
            (folder / str(place)).mkdir()
            act(folder / str(place))
    _said_as_text(catalogue)
    return catalogue


def _settings(folder: Path, **store: Any) -> Settings:
    section = {"rms_url": f"sqlite:///{folder / 'rms.db'}", "time_zone": "Europe/London", **store}
    return Settings.model_validate(
        {"folder": folder, "stores": {"S1": section}, "exchange": {"url": "exchange"}}
    )


def _a_shop(folder: Path) -> None:
    """Exports, statements and re-sends by every rule of dates, with numbers dense and wide apart."""
    till = Till(f"sqlite:///{folder / 'rms.db'}")
    till.create()
    for number in (1, 2, 3, 900):
        till.ring(number)
    till.place_order(70, deposit="5.00")
    till.place_order(71, order_type=2)
    clock = NOON.replace(tzinfo=UTC) + timedelta(hours=1)

    def now() -> datetime:
        return clock

    settings = _settings(folder)
    check_installation(settings)
    baseline_store(settings, "S1", stock_from_rms=True, now=now)
    for number in (1_000, 1_001, 1_002, 40_000):
        till.ring(number)
    till.place_order(72, deposit="5.00")
    till.place_order(9_000)
    till.pick_up(72, 40_001, used="5.00")
    entry = till.entries(70)[0]
    till.delete_line(entry)
    for rule in ("calendar", "day_start", "z_batch"):
        chosen = _settings(folder, business_date=rule)
        export_orders(chosen, "S1", now=now)
        till.touch(2, RecallID=1)
        export_orders(chosen, "S1", sweep=True, now=now)
        publish_statement(chosen, "S1", days=None, now=now)
        publish_statement(chosen, "S1", days=7, now=now)
        day = date(2026, 11, 23)
        resend(chosen, "S1", dates=(day, day), now=now)
    resend(settings, "S1", numbers=(1_000, 40_001), now=now)
    resend(settings, "S1", orders=(70, 9_000), now=now)
    resend(settings, "S1", batch=1, now=now)
    with till.engine.begin() as connection:  # another database than the one that was read
        connection.exec_driver_sql('DELETE FROM "Transaction" WHERE "TransactionNumber" > 40000')
    baseline_store(settings, "S1", again=True, now=now)


def _a_sample_store(folder: Path) -> None:
    """A built store, all that can be rung in it, its till, and tickets in bulk."""
    url = f"sqlite:///{folder / 'rms.db'}"
    invoices = [invoice for invoice in read_invoices() if len(invoice.lines) <= 3]
    build_store(url, store_id=1, invoices=invoices, seed=1)
    with SampleStore.open(url) as store:
        store.write_history(5, open_orders=2)
        for day in store.days():
            store.ring_day(day)
        sale = store.ring_unknown_item()[0]
        store.correct_tender(sale)
        store.ring_return(sale)
        store.ring_void(sale)
        sku = next(line.code for invoice in invoices for line in invoice.lines if line.code[:5].isdigit())
        store.receive(sku, 50)
        for order in (store.open_layaway([(sku, 2)]), store.open_backorder([(sku, 2)])):
            store.pay_deposit(order, 10_000)
            store.change_order(order, [(sku, 3)])
            store.add_line(order, sku, 1)
            store.remove_line(order, store.read_order(order).lines[-1].entry)
            store.expire(order)
            picked_up = store.pick_up(order, [(sku, 1)])
            store.ring_void(picked_up.number)
            store.cancel_order(order)
            store.delete_order(order)
        store.receipts()
        store.open_orders()
    run_till(url, 60_000, 1, max_tickets=20)


def _products(folder: Path) -> None:
    """Products created, changed, found by an alias, filed anew and made inactive."""
    url = f"sqlite:///{folder / 'rms.db'}"
    till = Till(url)
    till.create()
    stock_up(till)
    with till.writing() as connection:
        connection.execute(insert(tables.alias).values(ItemID=2, Alias="HUB-2"))
    everything = dict.fromkeys(TRANSFERABLE, Owner.HUB)
    filed: dict[str, Any] = {"department_code": "GARDEN", "category_code": "LAMPS", "supplier_code": "ACME"}
    offered = (
        product("NEW", "4006381333931", price="1.00", reorder_number="A1", **filed),
        product("SKU-1", "111", price="2.00", reorder_number="A2", **filed),
        product("HUB-2", active=False),
    )
    for owners in ({}, everything):
        policy = Policy("S1", owners=owners, create_suppliers=True)
        with open_items(url, "S1") as connection:
            try_rights(connection)
            ItemWriter(connection, policy, NOON).apply(offered)


def _said_as_text(catalogue: Catalogue) -> None:
    """What is asked of SQL Server alone: the session, the driver's proof, the bounds."""
    said: list[str] = []
    cursor = SimpleNamespace(execute=said.append, close=lambda: None)
    rms_connection._give_way(SimpleNamespace(timeout=0, cursor=lambda: cursor), None)
    catalogue["connection"] = {"_give_way": set(said)}
    catalogue["sql_server"] = {"check_driver": {compiled(sql_server.SELF_TEST, sql_server_2008())}}
    catalogue["dialects"] = {}
    for version in ((10, 50), (9, 0)):
        for function in (current_rowversion, read_bound):
            asked: list[str] = []

            def execute(statement: object, into: list[str] = asked) -> Any:
                into.append(str(statement))
                return SimpleNamespace(scalar_one=lambda: 0)

            fake = SimpleNamespace(
                dialect=SimpleNamespace(name="mssql", server_version_info=version), execute=execute
            )
            function(cast(Connection, fake))
            catalogue["dialects"].setdefault(function.__name__, set()).update(asked)


def render(functions: Mapping[str, set[str]]) -> str:
    """A golden file: functions in order of name, their statements below them."""
    parts = []
    for name in sorted(functions):
        parts.append(f"-- {name}")
        parts += [f"{statement};\n" for statement in sorted(functions[name])]
    return "\n".join(parts)


def read(file: Path) -> dict[str, list[str]]:
    """A golden file: function -> statements."""
    found: dict[str, list[str]] = {}
    for part in re.split(r"^-- (?=[\w.]+$)", file.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        name, _, body = part.partition("\n")
        found[name] = [one.strip() for one in body.split(";\n") if one.strip()]
    return found


def renew() -> None:
    """Write the golden files anew; those of modules that ask nothing any more are deleted."""
    GOLDEN.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        catalogue = collect(Path(folder))
    for file in GOLDEN.glob("*.sql"):
        file.unlink()
    for name, functions in catalogue.items():
        (GOLDEN / f"{name}.sql").write_text(render(functions), encoding="utf-8")


if __name__ == "__main__":
    renew()
