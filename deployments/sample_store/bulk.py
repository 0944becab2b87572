"""Many tickets at once, for histories and benchmarks: the rows a till would have written, in bulk."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, bindparam, func, insert, select, text, update

from data_contracts.amounts import SCALE
from data_contracts.documents import sku_key
from deployments.sample_store import marker, ring
from deployments.sample_store.build import BuildReport, build_store
from deployments.sample_store.catalog import WITHOUT_STOCK
from deployments.sample_store.plan import Entry
from deployments.sample_store.tickets import SLICE, read_invoices
from tasks.rms import tables as rms
from tasks.rms.dialects import ROWVERSION_COLUMN, reserve_rowversions

LINES_AT_ONCE = 20_000
"""Lines held in memory before they are written."""


def build_large(
    url: str, *, lines: int = 200_000, seed: int, store_id: int = 1, path: str | Path = SLICE
) -> BuildReport:
    """A store with exactly `lines` TransactionEntry rows: its invoices over and over, with new numbers.

    The last ticket is cut where the lines are reached. Refuses the databases that `build_store` refuses.
    """
    report = build_store(url, store_id=store_id, invoices=read_invoices(path), seed=seed)
    engine = marker.sample_engine(url)
    try:
        with engine.begin() as connection:
            shop = ring.read_shop(connection)
            write_tickets(connection, shop, ring.read_items(connection), seed=seed, lines=lines)
    finally:
        engine.dispose()
    return report


def write_tickets(
    connection: Connection,
    shop: ring.Shop,
    items: Mapping[str, ring.StockItem],
    *,
    seed: int,
    tickets: int | None = None,
    lines: int | None = None,
    before: bool = False,
) -> list[int]:
    """Write the script's invoices, again and again, until so many tickets or lines are there.

    Each repetition lies whole weeks after the one before; with `before` the last of them ends before the
    script begins. `items` are keyed by `sku_key`. Returns the numbers.
    """
    templates = _templates(connection)
    lap = _lap(templates)
    laps = -(-tickets // len(templates)) if before and tickets is not None else 0
    writer = _BulkWriter(connection, shop, random.Random(f"{seed}/bulk"))  # noqa: S311 - reproducible
    for entry, time in _laps(templates, lap, first=-laps):
        chosen = entry.lines if lines is None else entry.lines[: lines - writer.lines_written]
        writer.add(
            time,
            entry.register,
            tuple(
                ring.ticket_line(shop, items[sku_key(line.code)], line.quantity, line.price)
                for line in chosen
            ),
        )
        if len(writer.numbers) == tickets or writer.lines_written == lines:
            break
    writer.finish()
    return writer.numbers


def history_begins(connection: Connection, tickets: int) -> datetime:
    """When the first of so many tickets before the script is rung."""
    templates = _templates(connection)
    return min(entry.time for entry in templates) - -(-tickets // len(templates)) * _lap(templates)


def _templates(connection: Connection) -> list[Entry]:
    """The script's invoices."""
    invoices = marker.script.c.kind.in_(["invoice", "late"])
    rows = connection.execute(select(marker.script).where(invoices).order_by(marker.script.c.position))
    return [marker.unpack_entry(row) for row in rows]


def _lap(templates: Sequence[Entry]) -> timedelta:
    """Whole weeks that the script's invoices fit in."""
    times = [entry.time for entry in templates]
    return timedelta(weeks=(max(times) - min(times)).days // 7 + 1)


def _laps(templates: Sequence[Entry], lap: timedelta, first: int) -> Iterator[tuple[Entry, datetime]]:
    while True:
        for entry in templates:
            yield entry, entry.time + first * lap
        first += 1


@dataclass
class _BatchSums:
    number: int
    opened: datetime
    last: datetime
    tickets: int = 0
    sums: dict[str, int] = field(default_factory=dict)


class _BulkWriter:
    """Collects rows as they would lie in the tables and writes them in blocks."""

    def __init__(self, connection: Connection, shop: ring.Shop, rng: random.Random) -> None:
        self._connection, self._shop, self._random = connection, shop, rng
        self._next = {
            table.name: _highest(connection, table)
            for table in (rms.transaction, rms.transaction_entry, rms.tender_entry, rms.tax_entry, rms.batch)
        }
        self._rows: dict[str, list[dict[str, Any]]] = {}
        self._pending = 0
        self._batches: dict[tuple[int, date], _BatchSums] = {}
        self._sold: dict[int, tuple[int, datetime]] = {}
        self.numbers: list[int] = []
        self.lines_written = 0

    def add(self, time: datetime, register: int, lines: tuple[ring.TicketLine, ...]) -> None:
        """One fresh ticket."""
        due = ring.total(self._shop, lines)
        ticket = ring.Ticket(time, register, lines, ring.choose_tenders(self._random, due))
        number, batch = self._identity(rms.transaction), self._batch(ticket, due)
        self._row(rms.transaction, number, ring.header_row(self._shop, ticket, batch, due))
        for line in lines:
            entry_id = self._identity(rms.transaction_entry)
            self._row(rms.transaction_entry, entry_id, ring.line_row(self._shop, ticket, line, number))
            tax = ring.tax_row(self._shop, line, number, entry_id)
            self._row(rms.tax_entry, self._identity(rms.tax_entry), tax)
            units = 0 if line.item.item_type in WITHOUT_STOCK else line.quantity
            sold, _ = self._sold.get(line.item.id, (0, time))
            self._sold[line.item.id] = (sold + units, time)
        for row in ring.tender_rows(self._shop, ticket.tenders, batch, number):
            self._row(rms.tender_entry, self._identity(rms.tender_entry), row)
        self.numbers.append(number)
        self.lines_written += len(lines)
        if len(self._rows[rms.transaction_entry.name]) >= LINES_AT_ONCE:
            self._flush()

    def finish(self) -> None:
        """Write what is left, the Z batches and the stock; give identities their next number."""
        for (register, _), batch in self._batches.items():
            closed = batch.last + timedelta(minutes=5)
            row = {
                "StoreID": self._shop.store_id,
                "RegisterID": register,
                "CustomerCount": batch.tickets,
                "OpeningTime": batch.opened,
                "ClosingTime": closed,
                "LastUpdated": closed,
                "Status": 1,
                "OpeningTotal": ring.OPENING_FLOAT,
                **batch.sums,
                "ClosingTotal": ring.OPENING_FLOAT + batch.sums["ClosingTotal"],
            }
            self._row(rms.batch, batch.number, row)
        self._flush()
        self._connection.execute(
            update(rms.item)
            .where(rms.item.c["ID"] == bindparam("item_id"))
            .values(
                Quantity=rms.item.c.Quantity - bindparam("sold"),
                LastSold=bindparam("at"),
                LastUpdated=bindparam("at"),
            ),
            [
                {"item_id": item_id, "sold": units / SCALE, "at": at}
                for item_id, (units, at) in sorted(self._sold.items())
            ],
        )
        if self._connection.dialect.name == "postgresql":
            for name, highest in self._next.items():
                key = rms.metadata.tables[name].primary_key.columns.keys()[0]
                self._connection.execute(
                    text("SELECT setval(pg_get_serial_sequence(:name, :key), :highest)"),
                    {"name": f'"{name}"', "key": key, "highest": highest},
                )

    def _batch(self, ticket: ring.Ticket, due: int) -> int:
        key = (ticket.register_id, ticket.time.date())
        batch = self._batches.get(key)
        if batch is None:
            opened = ring.opening_of(ticket.time)
            batch = self._batches[key] = _BatchSums(self._identity(rms.batch), opened, ticket.time)
        batch.tickets += 1
        batch.last = max(batch.last, ticket.time)
        for name, amount in ring.batch_totals(ticket, due).items():
            batch.sums[name] = batch.sums.get(name, 0) + amount
        return batch.number

    def _identity(self, table: Table) -> int:
        self._next[table.name] += 1
        return self._next[table.name]

    def _row(self, table: Table, identity: int, values: dict[str, Any]) -> None:
        """Keep a row; its rowversion is its place in the block until the block's first one is known."""
        key = table.primary_key.columns.keys()[0]
        self._rows.setdefault(table.name, []).append(
            {key: identity, **values, ROWVERSION_COLUMN: self._pending}
        )
        self._pending += 1

    def _flush(self) -> None:
        first = reserve_rowversions(self._connection, self._pending)
        for name, rows in self._rows.items():
            for row in rows:
                if first is None:
                    del row[ROWVERSION_COLUMN]
                else:
                    row[ROWVERSION_COLUMN] += first
            if rows:
                self._connection.execute(insert(rms.metadata.tables[name]), rows)
        self._rows = {name: [] for name in self._rows}
        self._pending = 0


def _highest(connection: Connection, table: Table) -> int:
    key = next(iter(table.primary_key.columns))
    return int(connection.execute(select(func.coalesce(func.max(key), 0))).scalar_one())
