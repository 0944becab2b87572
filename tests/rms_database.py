"""A small RMS database for tests, on SQLite, PostgreSQL or SQL Server, and a till that rings tickets into it.

It writes as RMS does where that matters: header, lines and tenders can be committed one by one.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, delete, event, func, insert, select, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from data_contracts.amounts import from_decimal
from tasks.rms import tables
from tasks.rms.dialects import create_rowversions

RMS_VARIABLE = "TILLBRIDGE_TEST_RMS_URL"

NOON = datetime(2026, 11, 23, 12, 0)  # noqa: DTZ001 - RMS keeps local times
IN_FEBRUARY = datetime(2027, 2, 21)  # noqa: DTZ001

WORK_ORDER, QUOTE, BACKORDER, LAYAWAY = 2, 3, 4, 5

Line = tuple[int, float, str]
"""item id, quantity, price"""


class Till:
    """Rings tickets and takes orders into an RMS database.

    Amounts are text (`"12.50"`), quantities floats as in RMS.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = create_engine(url, poolclass=NullPool)

    def create(self, store_id: int = 1, tax_system: int = 0) -> None:
        with self.engine.begin() as connection:
            tables.metadata.create_all(connection)
            create_rowversions(connection, tables.metadata)
            connection.execute(insert(tables.configuration).values(StoreID=store_id, TaxSystem=tax_system))
            connection.execute(insert(tables.tender).values(ID=1, Code="CASH", Description="Cash"))
            connection.execute(insert(tables.tender).values(ID=2, Code="", Description="Card"))
            connection.execute(
                insert(tables.batch).values(
                    BatchNumber=7,
                    StoreID=store_id,
                    RegisterID=3,
                    OpeningTime=datetime(2026, 11, 22, 8, 0),  # noqa: DTZ001
                )
            )
            for number in range(1, 6):
                self.add_item(connection, number)

    def add_item(self, connection: Connection, number: int, **values: object) -> None:
        described = {"ItemLookupCode": f"SKU-{number}", "Description": f"Item {number}", "Quantity": 10.0}
        connection.execute(insert(tables.item).values(ID=number, **{**described, **values}))

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with self.engine.begin() as connection:
            yield connection

    def header(
        self,
        connection: Connection,
        number: int,
        total: str,
        *,
        tax: str = "0",
        store_id: int = 1,
        time: datetime = NOON,
        **values: Any,
    ) -> None:
        connection.execute(
            insert(tables.transaction).values(
                TransactionNumber=number,
                StoreID=store_id,
                Time=time,
                Total=from_decimal(total),
                SalesTax=from_decimal(tax),
                **{"BatchNumber": 7, **values},
            )
        )

    def lines(
        self,
        connection: Connection,
        number: int,
        lines: Sequence[Line],
        *,
        store_id: int = 1,
        **values: Any,
    ) -> None:
        for item_id, quantity, price in lines:
            connection.execute(
                insert(tables.transaction_entry).values(
                    TransactionNumber=number,
                    StoreID=store_id,
                    ItemID=item_id,
                    Quantity=quantity,
                    Price=from_decimal(price),
                    **values,
                )
            )

    def tender(
        self,
        connection: Connection,
        number: int,
        amount: str,
        *,
        store_id: int = 1,
        tender_id: int = 1,
        **values: Any,
    ) -> None:
        connection.execute(
            insert(tables.tender_entry).values(
                TransactionNumber=number,
                StoreID=store_id,
                TenderID=tender_id,
                Amount=from_decimal(amount),
                **values,
            )
        )

    def ring(
        self,
        number: int,
        *,
        quantity: float = 1.0,
        price: str = "10.00",
        item_id: int = 1,
        store_id: int = 1,
        time: datetime = NOON,
        lines: Sequence[Line] | None = None,
        total: str | None = None,
        **values: Any,
    ) -> None:
        """A whole ticket in one commit: one line unless told, paid in cash."""
        rung = lines if lines is not None else [(item_id, quantity, price)]
        if total is None:
            cents = sum(round(q * 10_000) * from_decimal(p) for _, q, p in rung)
            total = f"{cents // 10_000_00 / 100:.2f}"
        with self.writing() as connection:
            self.header(connection, number, total, store_id=store_id, time=time, **values)
            self.lines(connection, number, rung, store_id=store_id)
            self.tender(connection, number, total, store_id=store_id)

    def touch(self, number: int, **values: object) -> None:
        """Change a header."""
        with self.writing() as connection:
            connection.execute(
                update(tables.transaction)
                .where(tables.transaction.c.TransactionNumber == number)
                .values(**values)
            )

    # -- orders: each method is one commit unless it takes a connection --------------------------------
    def order_header(
        self,
        connection: Connection,
        number: int,
        *,
        order_type: int = LAYAWAY,
        store_id: int = 1,
        time: datetime = NOON,
        expires: datetime = IN_FEBRUARY,
        **values: Any,
    ) -> None:
        connection.execute(
            insert(tables.order).values(
                ID=number,
                StoreID=store_id,
                Type=order_type,
                Time=time,
                ExpirationOrDueDate=expires,
                **values,
            )
        )

    def order_lines(
        self, connection: Connection, number: int, lines: Sequence[Line], *, store_id: int = 1, **values: Any
    ) -> None:
        """Lines with a quantity on order each."""
        for item_id, quantity, price in lines:
            connection.execute(
                insert(tables.order_entry).values(
                    OrderID=number,
                    StoreID=store_id,
                    ItemID=item_id,
                    QuantityOnOrder=quantity,
                    Price=from_decimal(price),
                    **values,
                )
            )

    def deposit(
        self,
        connection: Connection,
        number: int,
        amount: str,
        *,
        ticket: int = 0,
        store_id: int = 1,
        time: datetime = NOON,
        **values: Any,
    ) -> None:
        """A change of an order's deposit: with a tender unless a ticket used it."""
        connection.execute(
            insert(tables.order_history).values(
                OrderID=number,
                StoreID=store_id,
                BatchNumber=7,
                TransactionNumber=ticket,
                Date=time,
                DeltaDeposit=from_decimal(amount),
                **values,
            )
        )
        if not ticket:
            history_id = connection.scalar(select(func.max(tables.order_history.c.ID)))
            self.tender(connection, 0, amount, store_id=store_id, OrderHistoryID=history_id)
        connection.execute(
            update(tables.order)
            .where(tables.order.c["ID"] == number)
            .values(Deposit=tables.order.c.Deposit + from_decimal(amount))
        )

    def place_order(
        self,
        number: int,
        lines: Sequence[Line] = ((1, 1.0, "10.00"),),
        *,
        deposit: str | None = None,
        store_id: int = 1,
        **values: Any,
    ) -> None:
        """A layaway unless `order_type` says otherwise."""
        total = sum(round(q * 10_000) * from_decimal(p) for _, q, p in lines) // 10_000
        with self.writing() as connection:
            self.order_header(connection, number, store_id=store_id, **{"Total": total, **values})
            self.order_lines(connection, number, lines, store_id=store_id)
            if deposit is not None:
                self.deposit(connection, number, deposit, store_id=store_id)

    def pay_deposit(self, number: int, amount: str, *, time: datetime = NOON) -> None:
        """One more deposit; a refund where negative."""
        with self.writing() as connection:
            self.deposit(connection, number, amount, time=time)

    def change_order(self, number: int, **values: Any) -> None:
        with self.writing() as connection:
            connection.execute(update(tables.order).where(tables.order.c["ID"] == number).values(**values))

    def entries(self, number: int) -> list[int]:
        """OrderEntry.IDs of an order."""
        entry = tables.order_entry.c
        with self.engine.connect() as connection:
            return sorted(connection.scalars(select(entry.ID).where(entry.OrderID == number)))

    def change_line(self, entry_id: int, **values: Any) -> None:
        with self.writing() as connection:
            entry = tables.order_entry
            connection.execute(update(entry).where(entry.c["ID"] == entry_id).values(**values))

    def delete_line(self, entry_id: int, *, logged: bool = True) -> None:
        with self.writing() as connection:
            connection.execute(delete(tables.order_entry).where(tables.order_entry.c["ID"] == entry_id))
            if logged:
                self._log_deletion(connection, "OrderEntry", entry_id)

    def delete_order(self, number: int, *, logged: bool = True) -> None:
        """The order with all its rows."""
        with self.writing() as connection:
            for table, key in (
                (tables.order_entry, "OrderID"),
                (tables.order_history, "OrderID"),
                (tables.order, "ID"),
            ):
                connection.execute(delete(table).where(table.c[key] == number))
            if logged:
                self._log_deletion(connection, "Order", number)

    def _log_deletion(self, connection: Connection, table: str, record_id: int) -> None:
        connection.execute(
            insert(tables.record_deleted_log).values(
                StoreID=1, TableName=table, IDFieldName="ID", RecordID=record_id
            )
        )

    def pick_up(
        self,
        number: int,
        ticket: int,
        quantity: float | None = None,
        *,
        used: str | None = None,
        recall_type: int = 4,
        time: datetime = NOON,
    ) -> None:
        """Hand over so much of each line (None: all that is left, which closes the order)."""
        entry = tables.order_entry
        with self.writing() as connection:
            query = select(entry.c.ID, entry.c.ItemID, entry.c.QuantityOnOrder, entry.c.Price)
            found = connection.execute(query.where(entry.c.OrderID == number).order_by(entry.c.ID)).all()
            taken = [
                (entry_id, item_id, left if quantity is None else min(quantity, left), price)
                for entry_id, item_id, left, price in found
            ]
            money = sum(round(q * 10_000) * price for *_, q, price in taken) // 10_000
            lines = [(item_id, q, f"{price / 10_000:.4f}") for _, item_id, q, price in taken if q]
            total = f"{money / 10_000:.4f}"
            self.header(connection, ticket, total, time=time, RecallType=recall_type, RecallID=number)
            self.lines(connection, ticket, lines)
            self.tender(connection, ticket, total)
            for entry_id, _, q, _ in taken:
                connection.execute(
                    update(entry)
                    .where(entry.c["ID"] == entry_id)
                    .values(QuantityOnOrder=entry.c.QuantityOnOrder - q, QuantityRTD=entry.c.QuantityRTD + q)
                )
            if used is not None:
                self.deposit(connection, number, f"-{used}", ticket=ticket, time=time)
            if quantity is None:
                connection.execute(
                    update(tables.order).where(tables.order.c["ID"] == number).values(Closed=True)
                )

    def cancel_order(self, number: int, *, refund: str | None = None) -> None:
        """Close an order and give up what is still on it."""
        with self.writing() as connection:
            entry = tables.order_entry
            connection.execute(update(entry).where(entry.c.OrderID == number).values(QuantityOnOrder=0.0))
            if refund is not None:
                self.deposit(connection, number, f"-{refund}")
            connection.execute(update(tables.order).where(tables.order.c["ID"] == number).values(Closed=True))


def stock_up(till: Till) -> None:
    """What new products are filed under: item tax TAX, department HOME with category LAMPS, supplier ACME."""
    with till.writing() as connection:
        connection.execute(insert(tables.item_tax).values(Code="TAX", Description="VAT"))
        connection.execute(insert(tables.department).values(code="HOME", Name="Home"))
        connection.execute(insert(tables.category).values(DepartmentID=1, Code="LAMPS", Name="Lamps"))
        connection.execute(insert(tables.supplier).values(Code="ACME", SupplierName="Acme Ltd"))
        connection.execute(update(tables.item).values(TaxID=1, DepartmentID=1))
        if connection.dialect.name == "postgresql":  # the till has given out numbers of its own
            connection.execute(text('ALTER TABLE "Item" ALTER COLUMN "ID" RESTART WITH 6'))


def rms_rows(till: Till) -> dict[str, dict[int, dict[str, Any]]]:
    """table -> ID -> row, of every table with an ID."""
    found = {}
    with till.engine.connect() as connection:
        for table in tables.metadata.sorted_tables:
            if "ID" in table.c:
                rows = connection.execute(select(table)).mappings()
                found[table.name] = {row["ID"]: dict(row) for row in rows}
    return found


@contextmanager
def rms_url(kind: str, folder: Path) -> Iterator[str | None]:
    """URL of an empty database of this test alone; None where no server is named.

    Every kind but `sqlite` is the server that the variable names: PostgreSQL, or SQL Server.
    """
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'rms.db'}"
        return
    server = os.environ.get(RMS_VARIABLE)
    if not server:
        yield None
        return
    schema = f"tb_rms_{uuid.uuid4().hex[:12]}"
    if make_url(server).get_backend_name() == "mssql":
        with _sql_server_database(server, schema) as url:
            yield url
        return
    engine = create_engine(server, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    try:
        yield f"{server}{'&' if '?' in server else '?'}options=-csearch_path%3D{schema}"
    finally:
        with engine.begin() as connection:
            connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))


@contextmanager
def _sql_server_database(server: str, name: str) -> Iterator[str]:
    """A database as a 2008 R2 server has it, on any later one.

    Tests hold a transaction open and read beside it in one thread: with READ_COMMITTED_SNAPSHOT a read does
    not wait for it.
    """
    engine = create_engine(server, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
        for option in ("COMPATIBILITY_LEVEL = 100", "READ_COMMITTED_SNAPSHOT ON", "RECOVERY SIMPLE"):
            connection.exec_driver_sql(f"ALTER DATABASE {name} SET {option}")
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"ALTER DATABASE {name} SET SINGLE_USER WITH ROLLBACK IMMEDIATE")
            connection.exec_driver_sql(f"DROP DATABASE {name}")
        engine.dispose()


@contextmanager
def recorded(connection: Connection) -> Iterator[list[str]]:
    """The statements that a connection sends meanwhile."""
    sent: list[str] = []

    def record(conn: object, cursor: object, statement: str, *rest: object) -> None:
        sent.append(statement)

    event.listen(connection, "before_cursor_execute", record)
    try:
        yield sent
    finally:
        event.remove(connection, "before_cursor_execute", record)
