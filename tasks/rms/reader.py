"""What has changed in a store's RMS database, as numbers; `tickets` and `orders` read the documents.

Loads no pandas, so that a cycle that finds nothing stays cheap. Every statement filters on the store's
RMS StoreID, selects allow-listed columns only, and is 2005-level T-SQL with at most 2,100 parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    CursorResult,
    Select,
    Table,
    and_,
    false,
    func,
    or_,
    select,
    true,
)

from data_contracts.business_dates import Rule
from data_contracts.errors import ConfigurationError
from data_contracts.manifest import Mark
from tasks.rms.dialects import rowversion_number, ten_thousandths
from tasks.rms.tables import (
    batch,
    configuration,
    item,
    order,
    order_entry,
    order_history,
    record_deleted_log,
    tender_entry,
    transaction,
    transaction_entry,
)

T = TypeVar("T")

LIST_KEYS = 500
"""Keys in one IN list."""
RANGE_KEYS = 5_000
"""Keys read by one BETWEEN: a statement stays short beside the till."""
ENTRIES_PER_TICKET = 5
"""Lines, and tenders, that a ticket is taken to have where a scan is limited by their ids."""

TICKET_TABLES = (transaction, transaction_entry, tender_entry)

DELETED_FROM = ("order", "orderentry", "orderhistory")
"""Tables in RecordDeletedLog, in lower case, of which a deleted row changes an order."""


@dataclass(frozen=True)
class StoreReading:
    """How a store's documents are read; the same for export and statement, so that both agree."""

    store: str
    store_id: int
    epoch_of: Callable[[int], int]
    epoch_of_order: Callable[[int], int]
    zone: str
    rule: Rule
    day_start: str
    prices_include_tax: bool
    recall_order: int
    """RecallType of a picked-up order, which needs no tender."""
    tolerance: int
    """Ten-thousandths by which a total may differ from its lines, for each line and once for the header."""
    single_store: bool
    """Whether the database is one store's own; then a Z batch is found by its number alone."""


def find_store_id(connection: Connection, store: str, configured: int | None, above_number: int = 0) -> int:
    """The RMS StoreID of a store: the configured one, else the only one among its tickets.

    Looks at tickets above `above_number` first and at all of them only if there is none, so that an
    ordinary cycle stays short. A database without tickets is asked for its Configuration.
    `ConfigurationError` names the StoreIDs if there are several.
    """
    if configured is not None:
        return configured
    column = transaction.c.StoreID
    found: list[int] = []
    for limit in sorted({above_number, 0}, reverse=True):
        query = select(column).where(transaction.c.TransactionNumber > limit).distinct()
        found = sorted(connection.scalars(query))
        if found:
            break
    found = found or sorted(connection.scalars(select(configuration.c.StoreID).distinct()))
    if len(found) > 1:
        raise ConfigurationError(
            f"The RMS database of store `{store}` holds several StoreIDs: "
            f"{', '.join(map(str, found[:20]))}. Retrying cannot clear this; nothing was read.",
            next_step=f"set store_id in [stores.{store}] to the one that is this store",
            store=store,
        )
    return found[0] if found else 0


def prices_include_tax(connection: Connection, configured: bool | None, vat_systems: Sequence[int]) -> bool:
    """Whether item prices include tax: as configured, else by RMS's TaxSystem."""
    if configured is not None:
        return configured
    system = connection.scalar(select(func.max(configuration.c.TaxSystem)))
    return system in vat_systems


def holds_one_store(connection: Connection) -> bool:
    """Whether all tickets (and the Configuration) are of one StoreID: no head office's database."""
    found = set(connection.scalars(select(transaction.c.StoreID).distinct()))
    found |= set(connection.scalars(select(configuration.c.StoreID).distinct()))
    return len(found) <= 1


def has_one_store_s_batches(connection: Connection) -> bool:
    """Whether all Z batches are of one StoreID, so that their numbers do not repeat. A small table."""
    return len(list(connection.scalars(select(batch.c.StoreID).distinct()))) <= 1


class Changed(NamedTuple):
    """What has changed of a ticket or an order."""

    rowversion: int = 0
    """The greatest that changed; 0 for a document of which nothing did."""
    entries: tuple[int, ...] = ()
    """Lowest and highest TransactionEntry.ID of the lines that changed."""
    tenders: tuple[int, ...] = ()
    """Lowest and highest TenderEntry.ID of the tenders that changed."""


def find_changed_tickets(
    connection: Connection, store_id: int, above: Mark, bound: int, lookback: int | None
) -> dict[int, Changed]:
    """Numbers of tickets with a changed row -> what changed.

    A row has changed if `above.rowversion < DBTimeStamp < bound`. Lines and tenders count as well: they
    can be written after a header whose rowversion then does not move. `lookback` limits each scan to a
    range of the primary key, that many tickets below the mark; None (a sweep) has no limit.
    """

    def rows(table: Table, key: str, mark: int, below: int) -> CursorResult[Any]:
        number, row = table.c.TransactionNumber, table.c[key]
        query = (
            select(number, func.max(rowversion_number(table.c.DBTimeStamp)), func.min(row), func.max(row))
            .where(
                table.c.StoreID == store_id,
                table.c.DBTimeStamp > above.rowversion,
                table.c.DBTimeStamp < bound,
                row > (0 if lookback is None else max(0, mark - below)),
                number > 0,  # tenders of deposits and account payments belong to no ticket
            )
            .group_by(number)
        )
        return connection.execute(query)

    numbers, entries = lookback or 0, entries_back(lookback or 0)
    headers = rows(transaction, "TransactionNumber", above.ticket_number, numbers)
    changed = {ticket: Changed(rowversion) for ticket, rowversion, *_ in headers}
    for ticket, rowversion, *ids in rows(transaction_entry, "ID", above.entry_id, entries):
        known = changed.get(ticket, Changed())
        changed[ticket] = Changed(max(rowversion, known.rowversion), entries=tuple(ids))
    for ticket, rowversion, *ids in rows(tender_entry, "ID", above.tender_entry_id, entries):
        known = changed.get(ticket, Changed())
        changed[ticket] = Changed(max(rowversion, known.rowversion), known.entries, tenders=tuple(ids))
    return changed


def find_changed_orders(
    connection: Connection, store_id: int, above: Mark, bound: int, lookback: int | None
) -> dict[int, Changed]:
    """Numbers of orders with a changed row -> what changed; `entries` stays empty.

    A row has changed if `above.rowversion < DBTimeStamp < bound`: of the header, the lines, the history, and
    the tenders of its deposits. `lookback` limits only the scan of the tenders, as for tickets; the other
    tables are small. A tender of which the history row is not written yet counts once that row is.
    """
    changed: dict[int, Changed] = {}
    for table, key in ((order, "ID"), (order_entry, "OrderID"), (order_history, "OrderID")):
        number = table.c[key]
        query = (
            select(number, func.max(rowversion_number(table.c.DBTimeStamp)))
            .where(
                table.c.StoreID == store_id,
                table.c.DBTimeStamp > above.rowversion,
                table.c.DBTimeStamp < bound,
            )
            .group_by(number)
        )
        for found, rowversion in connection.execute(query):
            changed[found] = Changed(max(rowversion, changed.get(found, Changed()).rowversion))
    e, h = tender_entry.c, order_history.c
    above_id = 0 if lookback is None else max(0, above.tender_entry_id - entries_back(lookback))
    query = (
        select(h.OrderID, func.max(rowversion_number(e.DBTimeStamp)), func.min(e.ID), func.max(e.ID))
        .select_from(tender_entry)
        .join(order_history, and_(e.OrderHistoryID == h.ID, e.StoreID == h.StoreID))
        .where(
            e.StoreID == store_id,
            e.DBTimeStamp > above.rowversion,
            e.DBTimeStamp < bound,
            above_id < e.ID,
            e.TransactionNumber == 0,  # a tender of a pick-up belongs to its ticket
        )
        .group_by(h.OrderID)
    )
    for found, rowversion, *ids in connection.execute(query):
        known = changed.get(found, Changed())
        changed[found] = Changed(max(rowversion, known.rowversion), tenders=tuple(ids))
    return changed


def deletions_logged(connection: Connection, store_id: int, above_rowversion: int, bound: int) -> bool:
    """Whether RMS logged that a row of an order was deleted, with a rowversion between the two.

    The log names the row, not the order it belonged to.
    """
    log = record_deleted_log.c
    query = (
        select(func.count())
        .select_from(record_deleted_log)
        .where(
            log.StoreID == store_id,
            func.lower(log.TableName).in_(DELETED_FROM),
            log.DBTimeStamp > above_rowversion,
            log.DBTimeStamp < bound,
        )
    )
    return bool(connection.scalar(query))


def open_order_numbers(connection: Connection, store_id: int, home_types: Sequence[int]) -> set[int]:
    """Numbers of the open orders that do not stay in the store (layaways, backorders, unknown types)."""
    query = select(order.c.ID).where(
        order.c.StoreID == store_id, order.c.Closed == false(), order.c.Type.not_in(home_types)
    )
    return set(connection.scalars(query))


def closed_order_numbers(connection: Connection, store_id: int, below: int | None = None) -> set[int]:
    """Numbers of the closed orders of any type, of headers with a rowversion below `below` where given."""
    query = select(order.c.ID).where(order.c.StoreID == store_id, order.c.Closed == true())
    if below is not None:
        query = query.where(order.c.DBTimeStamp < below)
    return set(connection.scalars(query))


def highest_order_history_id(connection: Connection, store_id: int, below: int) -> int:
    """The highest OrderHistory.ID with a rowversion below `below`; 0 if there is none."""
    history = order_history.c
    query = select(func.max(history.ID)).where(history.StoreID == store_id, history.DBTimeStamp < below)
    return connection.scalar(query) or 0


def order_types(connection: Connection, store_id: int, numbers: Iterable[int]) -> dict[int, int]:
    """number -> [Order].Type, of those of the orders that RMS has."""
    types: dict[int, int] = {}
    for keys in key_chunks(numbers):
        query = select(order.c.ID, order.c.Type).where(order.c.StoreID == store_id, keys.of(order.c.ID))
        found = dict(connection.execute(query).tuples().all())
        types.update((number, found[number]) for number in keys.numbers & found.keys())
    return types


def types_of_orders_between(connection: Connection, store_id: int, first: int, last: int) -> dict[int, int]:
    """number -> [Order].Type of the orders from `first` to `last`, both ends included."""
    query = select(order.c.ID, order.c.Type).where(
        order.c.StoreID == store_id, order.c.ID.between(first, last)
    )
    return dict(connection.execute(query).tuples().all())


def existing_orders(connection: Connection, store_id: int, numbers: Iterable[int]) -> set[int]:
    """Those of the orders that RMS has."""
    return set(order_types(connection, store_id, numbers))


def recalled_orders(
    connection: Connection, store_id: int, numbers: Iterable[int], recall_order: int
) -> dict[int, int]:
    """Numbers of tickets that picked up an order, among those given -> number of that order."""
    t = transaction.c
    recalled: dict[int, int] = {}
    for keys in key_chunks(numbers):
        query = select(t.TransactionNumber, t.RecallID).where(
            t.StoreID == store_id, t.RecallType == recall_order, keys.of(t.TransactionNumber)
        )
        found = dict(connection.execute(query).tuples().all())
        recalled.update((number, found[number]) for number in keys.numbers & found.keys())
    return recalled


def entries_back(lookback: int) -> int:
    """How far below the highest id of a line or tender a cycle looks that looks back so many tickets."""
    return ENTRIES_PER_TICKET * lookback


def held_back(
    connection: Connection, store_id: int, bound: int, given_out: int, above_number: int
) -> list[int]:
    """Numbers of tickets that are committed, but at or above the bound: something before them is open.

    `given_out` is the last rowversion given out before the bound was read: what came later is not held
    back, only new. Nothing is asked where nothing is open. Looks at numbers above `above_number`.
    """
    if bound > given_out:
        return []
    query = select(transaction.c.TransactionNumber).where(
        transaction.c.StoreID == store_id,
        transaction.c.TransactionNumber > above_number,
        transaction.c.DBTimeStamp >= bound,
        transaction.c.DBTimeStamp <= given_out,
    )
    return sorted(connection.scalars(query))


def highest_ticket(connection: Connection, store_id: int) -> int:
    """The highest TransactionNumber; 0 if there is none."""
    query = select(func.max(transaction.c.TransactionNumber)).where(transaction.c.StoreID == store_id)
    return connection.scalar(query) or 0


def highest_entry_ids(connection: Connection, store_id: int, below: int) -> tuple[int, int]:
    """The highest ids of a line and of a tender with a rowversion below `below`; 0 where there is none."""
    found = [
        connection.scalar(
            select(func.max(table.c.ID)).where(table.c.StoreID == store_id, table.c.DBTimeStamp < below)
        )
        for table in (transaction_entry, tender_entry)
    ]
    return found[0] or 0, found[1] or 0


def ticket_time(connection: Connection, store_id: int, number: int) -> str | None:
    """The local time of a ticket, to the second since drivers round ticks differently; None without one."""
    query = select(transaction.c.Time).where(
        transaction.c.StoreID == store_id, transaction.c.TransactionNumber == number
    )
    found: datetime | None = connection.scalar(query)
    return None if found is None else found.isoformat(timespec="seconds")


def ticket_of_line(connection: Connection, store_id: int, entry_id: int) -> int | None:
    """The number of the ticket that a line belongs to; None if there is no such line."""
    line = transaction_entry.c
    key = line.ID
    return connection.scalar(select(line.TransactionNumber).where(line.StoreID == store_id, key == entry_id))


def count_lines(connection: Connection, store_id: int, numbers: Iterable[int]) -> dict[int, int]:
    """number -> lines; tickets without a line are left out."""
    return _counted_lines(connection, store_id, numbers, transaction_entry, "TransactionNumber")


def count_order_lines(connection: Connection, store_id: int, numbers: Iterable[int]) -> dict[int, int]:
    """number -> lines; orders without a line are left out."""
    return _counted_lines(connection, store_id, numbers, order_entry, "OrderID")


def _counted_lines(
    connection: Connection, store_id: int, numbers: Iterable[int], table: Table, key: str
) -> dict[int, int]:
    column = table.c[key]
    counts: dict[int, int] = {}
    for keys in key_chunks(numbers):
        query = (
            select(column, func.count()).where(table.c.StoreID == store_id, keys.of(column)).group_by(column)
        )
        found = dict(connection.execute(query).tuples().all())
        counts.update((number, found[number]) for number in keys.numbers & found.keys())
    return counts


def existing_numbers(connection: Connection, store_id: int, below: int | None = None) -> set[int]:
    """All TransactionNumbers, of headers with a rowversion below `below` where given."""
    query = select(transaction.c.TransactionNumber).where(transaction.c.StoreID == store_id)
    if below is not None:
        query = query.where(transaction.c.DBTimeStamp < below)
    return set(connection.scalars(query))


def numbers_since(connection: Connection, store_id: int, start: Mark) -> dict[int, int]:
    """Numbers that came after a start mark -> the rowversion of their header.

    Above the start's number all count, below it those that were written since.
    """
    query = select(transaction.c.TransactionNumber, rowversion_number(transaction.c.DBTimeStamp)).where(
        _came_after(store_id, start)
    )
    return dict(connection.execute(query).tuples().all())


def numbers_counted_since(
    connection: Connection, reading: StoreReading, start: Mark, local: datetime | None
) -> set[int]:
    """Numbers as in `numbers_since` that count for a local time not before `local`; None takes all.

    By the rule `z_batch` a ticket counts for the opening of its Z batch, however long before it that was.
    """
    query = _counted(reading, start, transaction.c.TransactionNumber)
    if local is not None:
        query = query.where(_counted_time(reading) >= local)
    return set(connection.scalars(query))


def newest_counted(
    connection: Connection, reading: StoreReading, start: Mark, before: datetime
) -> datetime | None:
    """The newest local time that tickets as in `numbers_since` count for, of those before `before`."""
    time = _counted_time(reading)
    return connection.scalar(_counted(reading, start, func.max(time)).where(time < before))


def _counted(reading: StoreReading, start: Mark, what: ColumnElement[T]) -> Select[tuple[T]]:
    query = select(what).select_from(transaction).where(_came_after(reading.store_id, start))
    return query.outerjoin(batch, in_z_batch(reading)) if reading.rule == "z_batch" else query


def _counted_time(reading: StoreReading) -> ColumnElement[datetime]:
    if reading.rule == "z_batch":
        return func.coalesce(batch.c.OpeningTime, transaction.c.Time)
    return transaction.c.Time


def in_z_batch(reading: StoreReading, table: Table = transaction) -> ColumnElement[bool]:
    """Joins a ticket, or a row of another table, to its Z batch.

    A store's own database may write another StoreID into the batch.
    """
    same_number = batch.c.BatchNumber == table.c.BatchNumber
    if reading.single_store:
        return same_number
    return and_(same_number, batch.c.StoreID == table.c.StoreID)


def _came_after(store_id: int, start: Mark) -> ColumnElement[bool]:
    return and_(
        transaction.c.StoreID == store_id,
        or_(
            transaction.c.TransactionNumber > start.ticket_number,
            transaction.c.DBTimeStamp > start.rowversion,
        ),
    )


def open_orders(connection: Connection, store_id: int, home_types: Sequence[int]) -> int:
    """How many open orders there are that do not stay in the store (layaways, backorders, unknown types)."""
    query = (
        select(func.count())
        .select_from(order)
        .where(order.c.StoreID == store_id, order.c.Closed == false(), order.c.Type.not_in(home_types))
    )
    return connection.scalar(query) or 0


def stock_on_hand(connection: Connection, without_stock: Sequence[int]) -> list[tuple[str, int, int | None]]:
    """(SKU, item type, quantity in ten-thousandths) of every item that is kept in stock, in SKU order.

    The quantity is None where RMS holds an absurd one.
    """
    query = (
        select(item.c.ItemLookupCode, item.c.ItemType, ten_thousandths(item.c.Quantity))
        .where(item.c.ItemType.not_in(without_stock))
        .order_by(item.c.ItemLookupCode, item.c.ID)
    )
    return [(sku.rstrip(), kind, quantity) for sku, kind, quantity in connection.execute(query)]


def written_since(connection: Connection, bound: int) -> bool:
    """Whether a ticket, a line or an item has been written at or above a bound."""
    return any(
        connection.scalar(select(func.count()).select_from(table).where(table.c.DBTimeStamp >= bound))
        for table in (transaction, transaction_entry, item)
    )


class Keys(NamedTuple):
    """Some numbers that one statement reads."""

    numbers: frozenset[int]
    dense: bool

    def of(self, column: ColumnElement[int]) -> ColumnElement[bool]:
        """The condition on a column of numbers; where they lie dense it also finds what lies among them."""
        if self.dense:
            return column.between(min(self.numbers), max(self.numbers))
        return column.in_(sorted(self.numbers))


def key_chunks(numbers: Iterable[int]) -> Iterator[Keys]:
    """Split numbers into statements: a BETWEEN where they lie dense, else IN lists."""
    ordered = sorted(set(numbers))
    while ordered:
        chunk = ordered[:RANGE_KEYS]
        dense = chunk[-1] - chunk[0] < 2 * len(chunk)
        if not dense:
            chunk = ordered[:LIST_KEYS]
            dense = chunk[-1] - chunk[0] < 2 * len(chunk)
        yield Keys(frozenset(chunk), dense)
        ordered = ordered[len(chunk) :]
