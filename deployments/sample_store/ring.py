"""Writes a ticket the way RMS does: header, lines, taxes and tenders, then stock and the Z batch's totals.

All amounts are integers of ten-thousandths. The caller owns the transaction: one ticket, one commit.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Table, bindparam, func, insert, select, update

from data_contracts.amounts import CENT, SCALE
from data_contracts.documents import sku_key
from data_contracts.errors import ConfigurationError
from deployments.sample_store.catalog import WITHOUT_STOCK
from tasks import faults
from tasks.rms import tables as rms

faults.declare("sample.ticket_written", "sample.ticket_committed")

FRESH, RECALLED_RETURN, VOID, RECALLED_ORDER = 0, 1, 3, 4
"""[Transaction].RecallType."""

VAT = 1
"""Configuration.TaxSystem where prices include the tax; 0 adds it on top."""

SPLIT_TENDERS = 0.04
"""How often a ticket of ten or more is paid half in cash and half by card."""

REGULAR_PRICE, PRICE_BY_CASHIER = 1, 10
"""TransactionEntry.PriceSource."""

OPENING_TIME = timedelta(hours=7)
OPENING_FLOAT = 100 * SCALE


@dataclass(frozen=True)
class Shop:
    """What a ticket needs to know of its shop."""

    store_id: int
    tax_system: int
    tax_basis_points: int
    tax_id: int
    return_reason: int
    tenders: dict[str, tuple[int, str]]
    """Code -> ID and description."""


@dataclass(frozen=True)
class StockItem:
    """A row of Item, as far as a ticket needs it."""

    id: int
    sku: str
    item_type: int
    price: int
    cost: int
    taxable: bool

    @property
    def key(self) -> str:
        """The form in which its SKU is compared."""
        return sku_key(self.sku)


@dataclass(frozen=True)
class TicketLine:
    """A line to ring; `tax` is that of the whole line, negative where the line is."""

    item: StockItem
    quantity: int
    price: int
    tax: int

    @property
    def extended(self) -> int:
        """Quantity times price, rounded at the fourth decimal."""
        return extend(self.quantity, self.price)


@dataclass(frozen=True)
class Ticket:
    """A ticket to ring; `tenders` are code and amount and add up to `total(shop, lines)` less `deposit`."""

    time: datetime
    register_id: int
    lines: tuple[TicketLine, ...]
    tenders: tuple[tuple[str, int], ...]
    recall_type: int = FRESH
    recall_id: int = 0
    deposit: int = 0
    """What the deposit of a recalled order pays of it; negative on the void of such a ticket."""


def rounded(numerator: int, denominator: int) -> int:
    """The nearest whole number, halves away from zero, so that a mirrored ticket mirrors its rounding."""
    size = (2 * abs(numerator) + denominator) // (2 * denominator)
    return size if numerator >= 0 else -size


def extend(quantity: int, price: int) -> int:
    """Quantity times price in ten-thousandths: exact for whole quantities."""
    return rounded(quantity * price, SCALE)


def line_tax(extended: int, tax_system: int, basis_points: int) -> int:
    """The tax in a line's amount (VAT), to four decimals, or on top of it, to the cent that is charged."""
    if tax_system == VAT:
        return rounded(extended * basis_points, SCALE + basis_points)
    return rounded(extended * basis_points, SCALE * CENT) * CENT


def ticket_line(shop: Shop, item: StockItem, quantity: int, price: int | None = None) -> TicketLine:
    """A line at a price (default: the item's), with the tax of this shop."""
    at = item.price if price is None else price
    extended = extend(quantity, at)
    tax = line_tax(extended, shop.tax_system, shop.tax_basis_points) if item.taxable else 0
    return TicketLine(item, quantity, at, tax)


def total(shop: Shop, lines: Iterable[TicketLine]) -> int:
    """What the ticket comes to: in a VAT shop the tax is in the prices."""
    return sum(line.extended + (0 if shop.tax_system == VAT else line.tax) for line in lines)


def read_shop(connection: Connection) -> Shop:
    """The facts of this shop from its own tables."""
    store_id, tax_system = connection.execute(
        select(rms.configuration.c.StoreID, rms.configuration.c.TaxSystem)
    ).one()
    tax_id, percentage = connection.execute(select(rms.tax.c.ID, rms.tax.c.Percentage)).one()
    reason = connection.execute(select(rms.reason_code.c.ID).where(rms.reason_code.c.Type == 5)).scalar_one()
    tenders = connection.execute(select(rms.tender.c.Code, rms.tender.c.ID, rms.tender.c.Description))
    return Shop(
        store_id=store_id,
        tax_system=tax_system,
        tax_basis_points=round(percentage * 100),
        tax_id=tax_id,
        return_reason=reason,
        tenders={code: (tender_id, description) for code, tender_id, description in tenders},
    )


def read_items(connection: Connection) -> dict[str, StockItem]:
    """All items by the key of their SKU."""
    item = rms.item.c
    rows = connection.execute(
        select(item.ID, item.ItemLookupCode, item.ItemType, item.Price, item.Cost, item.Taxable)
    )
    return {sku_key(row[1]): StockItem(*row) for row in rows}


def read_item(connection: Connection, code: str) -> StockItem | None:
    """The item that a till finds by a code, its own or an alias, as it stands now; None if there is none."""
    item, alias = rms.item.c, rms.alias.c
    key = sku_key(code)
    columns = (item.ID, item.ItemLookupCode, item.ItemType, item.Price, item.Cost, item.Taxable)
    own = select(*columns).where(func.upper(func.rtrim(item.ItemLookupCode)) == key)
    by_alias = (
        select(*columns)
        .join_from(rms.item, rms.alias, alias.ItemID == item.ID)
        .where(func.upper(func.rtrim(alias.Alias)) == key)
    )
    for query in (own, by_alias):
        if (row := connection.execute(query.order_by(item.ID).limit(1)).first()) is not None:
            return StockItem(*row)
    return None


def share_of(amount: int, part: int, whole: int) -> int:
    """`part` of `whole` of an amount, to the cent; nothing of nothing."""
    return rounded(amount * part, whole * CENT) * CENT if whole else 0


def choose_tenders(rng: random.Random, due: int) -> tuple[tuple[str, int], ...]:
    """How a total is paid: mostly card or cash, now and then in two parts; nothing if it is nothing."""
    if due == 0:
        return ()
    (code,) = rng.choices(("CARD", "CASH", "CHECK", "VOUCHER"), (55, 38, 4, 3))
    if rng.random() < SPLIT_TENDERS and due >= 10 * SCALE:
        cash = due // 2 // 100 * 100
        return (("CASH", cash), ("CARD", due - cash))
    return ((code, due),)


def ring_ticket(connection: Connection, shop: Shop, ticket: Ticket, *, number: int | None = None) -> int:
    """Write one ticket and return its number: the identity's next one, or `number` for a late ticket.

    `ConfigurationError` if the tenders do not add up to the total: RMS would not have let it through.
    """
    due = total(shop, ticket.lines)
    if sum(amount for _, amount in ticket.tenders) + ticket.deposit != due:
        raise ConfigurationError("The tenders of a sample ticket do not add up to its total.", total=due)
    batch = open_batch(connection, shop, ticket.register_id, ticket.time)
    header = header_row(shop, ticket, batch, due)
    if number is not None:
        header["TransactionNumber"] = number
    number = insert_row(connection, rms.transaction, header)
    taxes = []
    for line in ticket.lines:
        entry_id = insert_row(connection, rms.transaction_entry, line_row(shop, ticket, line, number))
        taxes.append(tax_row(shop, line, number, entry_id))
    connection.execute(insert(rms.tax_entry), taxes)
    if tenders := tender_rows(shop, ticket.tenders, batch, number):
        connection.execute(insert(rms.tender_entry), tenders)
    _move_stock(connection, ticket)
    add_to_batch(connection, batch, batch_totals(ticket, due), ticket.time, customers=1)
    faults.point("sample.ticket_written")
    return number


def insert_row(connection: Connection, table: Table, values: dict[str, Any]) -> int:
    """Insert one row and return the number its identity gave it."""
    key = connection.execute(insert(table), values).inserted_primary_key
    return int(key[0])  # type: ignore[index]


def skip_numbers(connection: Connection, count: int) -> list[int]:
    """Burn ticket numbers as a rolled back sale does; returns them."""
    if connection.dialect.name == "sqlite":
        # A rollback gives SQLite's identity back; RMS's does not, so the sequence is moved by hand.
        last = connection.exec_driver_sql(
            "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'Transaction'"
        ).scalar_one()
        if last == 0:
            connection.exec_driver_sql("DELETE FROM sqlite_sequence WHERE name = 'Transaction'")
            connection.exec_driver_sql("INSERT INTO sqlite_sequence (name, seq) VALUES ('Transaction', 0)")
        connection.exec_driver_sql(
            "UPDATE sqlite_sequence SET seq = seq + ? WHERE name = 'Transaction'", (count,)
        )
        return list(range(last + 1, last + count + 1))
    burned = []
    for _ in range(count):
        attempt = connection.begin_nested()
        burned.append(insert_row(connection, rms.transaction, {"StoreID": 0}))
        attempt.rollback()
    return burned


def open_batch(connection: Connection, shop: Shop, register_id: int, at: datetime) -> int:
    """The Z batch of this register and day; opens it, and closes the one before, if need be."""
    day = at.replace(hour=0, minute=0, second=0, microsecond=0)
    found = connection.execute(
        select(rms.batch.c.BatchNumber).where(
            rms.batch.c.RegisterID == register_id,
            rms.batch.c.OpeningTime >= day,
            rms.batch.c.OpeningTime < day + timedelta(days=1),
        )
    ).scalar()
    if found is not None:
        return int(found)
    opening = opening_of(at)
    _close_batches(connection, register_id, opening)
    number = insert_row(
        connection,
        rms.batch,
        {
            "StoreID": shop.store_id,
            "RegisterID": register_id,
            "OpeningTime": opening,
            "LastUpdated": opening,
            "OpeningTotal": OPENING_FLOAT,
            "ClosingTotal": OPENING_FLOAT,
        },
    )
    connection.execute(
        update(rms.register)
        .where(rms.register.c["ID"] == register_id)
        .values(CurrentBatchNumber=number, ZZBatchNumber=number)
    )
    return number


def opening_of(at: datetime) -> datetime:
    """When a batch whose first ticket is rung at `at` opened: at seven, or with that ticket if earlier."""
    return min(at, at.replace(hour=0, minute=0, second=0, microsecond=0) + OPENING_TIME)


def _close_batches(connection: Connection, register_id: int, until: datetime) -> None:
    """Close what is open on the register and older, five minutes after its last ticket or deposit."""
    open_ones = connection.execute(
        select(rms.batch.c.BatchNumber, rms.batch.c.OpeningTime).where(
            rms.batch.c.RegisterID == register_id,
            rms.batch.c.ClosingTime.is_(None),
            rms.batch.c.OpeningTime < until,
        )
    ).all()
    for number, opened in open_ones:
        written = (
            select(func.max(rms.transaction.c.Time)).where(rms.transaction.c.BatchNumber == number),
            select(func.max(rms.order_history.c.Date)).where(rms.order_history.c.BatchNumber == number),
        )
        times = [time for query in written if (time := connection.execute(query).scalar()) is not None]
        closing = max(times, default=opened) + timedelta(minutes=5)
        connection.execute(
            update(rms.batch)
            .where(rms.batch.c.BatchNumber == number)
            .values(ClosingTime=closing, LastUpdated=closing, Status=1)
        )


def header_row(shop: Shop, ticket: Ticket, batch: int, due: int) -> dict[str, Any]:
    """The [Transaction] row of a ticket, without its number."""
    return {
        "StoreID": shop.store_id,
        "BatchNumber": batch,
        "CashierID": 1,
        "RecallType": ticket.recall_type,
        "RecallID": ticket.recall_id,
        "Time": ticket.time,
        "Total": due,
        "SalesTax": sum(line.tax for line in ticket.lines),
    }


def line_row(shop: Shop, ticket: Ticket, line: TicketLine, number: int) -> dict[str, Any]:
    """The TransactionEntry row of a line."""
    return {
        "StoreID": shop.store_id,
        "TransactionNumber": number,
        "ItemID": line.item.id,
        "ItemType": line.item.item_type,
        "ReturnReasonCodeID": shop.return_reason if line.quantity < 0 else 0,
        "Price": line.price,
        "FullPrice": line.item.price,
        "Cost": line.item.cost,
        "SalesTax": line.tax,
        "Quantity": line.quantity / SCALE,
        "PriceSource": price_source(line),
        "Taxable": line.item.taxable,
        "TransactionTime": ticket.time,
    }


def price_source(line: TicketLine) -> int:
    """Where the price of a line comes from."""
    return REGULAR_PRICE if line.price == line.item.price else PRICE_BY_CASHIER


def tax_row(shop: Shop, line: TicketLine, number: int, entry_id: int) -> dict[str, int]:
    """The TaxEntry of a line."""
    return {
        "StoreID": shop.store_id,
        "TaxID": shop.tax_id if line.item.taxable else 0,
        "TransactionNumber": number,
        "TransactionEntryID": entry_id,
        "Tax": line.tax,
        "TaxableAmount": line.extended - (line.tax if shop.tax_system == VAT else 0),
    }


def tender_rows(
    shop: Shop, tenders: Iterable[tuple[str, int]], batch: int, number: int, history: int = 0
) -> list[dict[str, object]]:
    """The TenderEntry rows of a ticket, or (number 0) of an entry in an order's history."""
    return [
        {
            "StoreID": shop.store_id,
            "BatchNumber": batch,
            "TransactionNumber": number,
            "OrderHistoryID": history,
            "TenderID": shop.tenders[code][0],
            "Description": shop.tenders[code][1],
            "Amount": amount,
            "AmountForeign": amount,
        }
        for code, amount in tenders
    ]


_move_item = (
    update(rms.item)
    .where(bindparam("item_id") == rms.item.c.ID)
    .values(
        Quantity=rms.item.c.Quantity - bindparam("sold"),
        LastSold=bindparam("at"),
        LastUpdated=bindparam("at"),
    )
)


def _move_stock(connection: Connection, ticket: Ticket) -> None:
    connection.execute(
        _move_item,
        [
            {
                "item_id": line.item.id,
                "sold": 0.0 if line.item.item_type in WITHOUT_STOCK else line.quantity / SCALE,
                "at": ticket.time,
            }
            for line in ticket.lines
        ],
    )


def batch_totals(ticket: Ticket, due: int) -> dict[str, int]:
    """What a ticket adds to the totals of its Z batch."""
    amounts = [line.extended for line in ticket.lines]
    tendered = sum(amount for _, amount in ticket.tenders)
    return {
        "Sales": sum(amount for amount in amounts if amount > 0),
        "Returns": -sum(amount for amount in amounts if amount < 0),
        "Tax": sum(line.tax for line in ticket.lines),
        "SalesPlusTax": due,
        "TotalTendered": tendered,
        "ClosingTotal": tendered,
        "CustomerDepositRedeemed": ticket.deposit,
        "CostOfGoods": sum(extend(line.quantity, line.item.cost) for line in ticket.lines),
    }


def add_to_batch(
    connection: Connection, batch: int, totals: Mapping[str, int], at: datetime, *, customers: int
) -> None:
    """Add to the totals of a Z batch, by the names of its columns."""
    connection.execute(
        update(rms.batch)
        .where(rms.batch.c.BatchNumber == batch)
        .values(
            CustomerCount=rms.batch.c.CustomerCount + customers,
            LastUpdated=at,
            **{name: rms.batch.c[name] + amount for name, amount in totals.items()},
        )
    )


def read_ticket(connection: Connection, number: int) -> tuple[list[TicketLine], list[tuple[str, int]]]:
    """Lines and tenders of a ticket as RMS has them, in the order of their ids; empty if there is none."""
    entry, item = rms.transaction_entry.c, rms.item.c
    lines = [
        TicketLine(
            StockItem(item_id, sku, item_type, full_price, cost, taxable),
            round(quantity * SCALE),
            price,
            tax,
        )
        for item_id, sku, item_type, full_price, cost, taxable, quantity, price, tax in connection.execute(
            select(
                *(entry.ItemID, item.ItemLookupCode, entry.ItemType, entry.FullPrice, entry.Cost),
                *(entry.Taxable, entry.Quantity, entry.Price, entry.SalesTax),
            )
            .join_from(rms.transaction_entry, rms.item, entry.ItemID == item.ID)
            .where(entry.TransactionNumber == number)
            .order_by(entry.ID)
        )
    ]
    tenders = [
        (code, amount)
        for code, amount in connection.execute(
            select(rms.tender.c.Code, rms.tender_entry.c.Amount)
            .join_from(rms.tender_entry, rms.tender, rms.tender_entry.c.TenderID == rms.tender.c.ID)
            .where(rms.tender_entry.c.TransactionNumber == number)
            .order_by(rms.tender_entry.c.ID)
        )
    ]
    return lines, tenders


def read_recall(connection: Connection, number: int) -> tuple[int, int]:
    """RecallType and RecallID of a ticket that is there."""
    t = rms.transaction.c
    query = select(t.RecallType, t.RecallID).where(t.TransactionNumber == number)
    recall_type, recall_id = connection.execute(query).one()
    return int(recall_type), int(recall_id)


def mirrored(
    lines: Sequence[TicketLine], tenders: Sequence[tuple[str, int]]
) -> tuple[tuple[TicketLine, ...], tuple[tuple[str, int], ...]]:
    """The same lines and tenders with every sign turned: what a void writes."""
    return (
        tuple(TicketLine(line.item, -line.quantity, line.price, -line.tax) for line in lines),
        tuple((code, -amount) for code, amount in tenders),
    )
