"""A small RMS database for tests, on SQLite or PostgreSQL, and a till that rings tickets into it.

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

from sqlalchemy import Connection, create_engine, event, insert, text, update
from sqlalchemy.pool import NullPool

from data_contracts.amounts import from_decimal
from tasks.rms import tables
from tasks.rms.dialects import create_rowversions

RMS_VARIABLE = "TILLBRIDGE_TEST_RMS_URL"

NOON = datetime(2026, 11, 23, 12, 0)  # noqa: DTZ001 - RMS keeps local times

Line = tuple[int, float, str]
"""item id, quantity, price"""


class Till:
    """Rings tickets into an RMS database. Amounts are text (`"12.50"`), quantities floats as in RMS."""

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


@contextmanager
def rms_url(kind: str, folder: Path) -> Iterator[str | None]:
    """URL of an empty database of this test alone; None where no server is named."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'rms.db'}"
        return
    server = os.environ.get(RMS_VARIABLE)
    if not server:
        yield None
        return
    schema = f"tb_rms_{uuid.uuid4().hex[:12]}"
    engine = create_engine(server, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    try:
        yield f"{server}{'&' if '?' in server else '?'}options=-csearch_path%3D{schema}"
    finally:
        with engine.begin() as connection:
            connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))


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
