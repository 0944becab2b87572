"""What has changed in a store's RMS database, as numbers; the tickets themselves are read in `tickets`.

Loads no pandas, so that a cycle that finds nothing stays cheap. Every statement filters on the store's
RMS StoreID, selects allow-listed columns only, and is 2005-level T-SQL with at most 2,100 parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, false, func, or_, select

from data_contracts.business_dates import Rule
from data_contracts.errors import ConfigurationError
from data_contracts.manifest import Mark
from tasks.rms.dialects import rowversion_number, ten_thousandths
from tasks.rms.tables import configuration, item, order, tender_entry, transaction, transaction_entry

LIST_KEYS = 500
"""Keys in one IN list."""
RANGE_KEYS = 5_000
"""Keys read by one BETWEEN: a statement stays short beside the till."""

TICKET_TABLES = (transaction, transaction_entry, tender_entry)


@dataclass(frozen=True)
class StoreReading:
    """How a store's tickets are read; the same for export and statement, so that both agree."""

    store: str
    store_id: int
    epoch_of: Callable[[int], int]
    zone: str
    rule: Rule
    day_start: str
    prices_include_tax: bool
    recall_order: int
    """RecallType of a picked-up order, which needs no tender."""


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


def find_changed_tickets(
    connection: Connection, store_id: int, above: Mark, bound: int, lookback: int | None
) -> dict[int, int]:
    """Numbers of tickets with a changed row -> the greatest changed rowversion of each.

    A row has changed if `above.rowversion < DBTimeStamp < bound`. Lines and tenders count as well: they
    can be written after a header whose rowversion then does not move. `lookback` limits the scan to
    numbers above `above.ticket_number - lookback`; None (a sweep) has no limit.
    """
    changed: dict[int, int] = {}
    for table in TICKET_TABLES:
        number = table.c.TransactionNumber
        query = (
            select(number, func.max(rowversion_number(table.c.DBTimeStamp)))
            .where(
                table.c.StoreID == store_id,
                table.c.DBTimeStamp > above.rowversion,
                table.c.DBTimeStamp < bound,
                # Tenders of deposits and account payments belong to no ticket: number 0.
                number > (0 if lookback is None else max(0, above.ticket_number - lookback)),
            )
            .group_by(number)
        )
        for ticket, rowversion in connection.execute(query):
            changed[ticket] = max(rowversion, changed.get(ticket, 0))
    return changed


def highest_ticket(connection: Connection, store_id: int, below: int | None = None) -> int:
    """The highest TransactionNumber, of headers with a rowversion below `below` where given; 0 if none."""
    query = select(func.max(transaction.c.TransactionNumber)).where(transaction.c.StoreID == store_id)
    if below is not None:
        query = query.where(transaction.c.DBTimeStamp < below)
    return connection.scalar(query) or 0


def has_ticket(connection: Connection, store_id: int, number: int) -> bool:
    """Whether there is a ticket of that number."""
    query = select(transaction.c.StoreID).where(
        transaction.c.StoreID == store_id, transaction.c.TransactionNumber == number
    )
    return connection.scalar(query) is not None


def count_lines(connection: Connection, store_id: int, numbers: Iterable[int]) -> dict[int, int]:
    """number -> lines; tickets without a line are left out."""
    column = transaction_entry.c.TransactionNumber
    counts: dict[int, int] = {}
    for keys in key_chunks(numbers):
        query = (
            select(column, func.count())
            .where(transaction_entry.c.StoreID == store_id, keys.of(column))
            .group_by(column)
        )
        found = dict(connection.execute(query).tuples().all())
        counts.update((number, found[number]) for number in keys.numbers & found.keys())
    return counts


def existing_numbers(connection: Connection, store_id: int, up_to: int) -> Iterator[int]:
    """All TransactionNumbers up to one, ascending."""
    number = transaction.c.TransactionNumber
    query = select(number).where(transaction.c.StoreID == store_id, number <= up_to).order_by(number)
    yield from connection.scalars(query)


def numbers_since(connection: Connection, store_id: int, start: Mark, bound: int) -> dict[int, bool]:
    """Numbers that came after a start mark -> whether their header lies below the bound.

    Above the start's number all count, below it those that were written since.
    """
    query = select(transaction.c.TransactionNumber, rowversion_number(transaction.c.DBTimeStamp)).where(
        _came_after(store_id, start)
    )
    return {number: at < bound for number, at in connection.execute(query)}


def numbers_rung_since(
    connection: Connection, store_id: int, start: Mark, local: datetime | None
) -> set[int]:
    """Numbers as in `numbers_since` whose local time is not before `local`; None takes all."""
    query = select(transaction.c.TransactionNumber).where(_came_after(store_id, start))
    if local is not None:
        query = query.where(transaction.c.Time >= local)
    return set(connection.scalars(query))


def newest_time(connection: Connection, store_id: int, start: Mark, before: datetime) -> datetime | None:
    """The newest local time of a ticket as in `numbers_since` that lies before `before`."""
    query = select(func.max(transaction.c.Time)).where(
        _came_after(store_id, start), transaction.c.Time < before
    )
    found: datetime | None = connection.scalar(query)
    return found


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


def stock_on_hand(connection: Connection, without_stock: Sequence[int]) -> list[tuple[str, int, int]]:
    """(SKU, item type, quantity in ten-thousandths) of every item that is kept in stock, in SKU order."""
    query = (
        select(item.c.ItemLookupCode, item.c.ItemType, ten_thousandths(item.c.Quantity))
        .where(item.c.ItemType.not_in(without_stock))
        .order_by(item.c.ItemLookupCode, item.c.ID)
    )
    return [(sku.rstrip(), kind, quantity) for sku, kind, quantity in connection.execute(query)]


def written_since(connection: Connection, bound: int) -> bool:
    """Whether a line or an item has been written at or above a bound."""
    return any(
        connection.scalar(select(func.count()).select_from(table).where(table.c.DBTimeStamp >= bound))
        for table in (transaction_entry, item)
    )


class Keys(NamedTuple):
    """Some ticket numbers that one statement reads."""

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
