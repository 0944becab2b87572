"""Writes layaways, backorders, work orders and quotes the way RMS does, from opening to pick-up or cancel.

All amounts are integers of ten-thousandths. The caller owns the transaction: one event, one commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from sqlalchemy import Connection, delete, func, insert, select, update

from data_contracts.amounts import SCALE
from data_contracts.errors import ConfigurationError
from deployments.sample_store import ring
from deployments.sample_store.ring import Shop, StockItem, TicketLine
from deployments.sample_store.stock import commit_stock
from tasks import faults
from tasks.rms import tables as rms

faults.declare("sample.order_written")

OrderKind = Literal["layaway", "backorder", "work_order", "quote"]
LAYAWAY: OrderKind = "layaway"
BACKORDER: OrderKind = "backorder"
WORK_ORDER: OrderKind = "work_order"
QUOTE: OrderKind = "quote"

TYPES: dict[OrderKind, int] = {LAYAWAY: 5, BACKORDER: 4, WORK_ORDER: 2, QUOTE: 3}
"""[Order].Type."""
COMMITTING = (LAYAWAY, WORK_ORDER)
"""Kinds that set stock aside in Item.QuantityCommitted."""
TRAVELLING = (LAYAWAY, BACKORDER)
"""Kinds that leave the store; the pick-up of any other is a sale like others."""

FAR_AHEAD = date(2099, 12, 31)
"""When orders expire: their days lie years back, and whoever reads them judges by today's clock."""

DESCRIPTION_LENGTH = 30
"""Characters of OrderEntry.Description."""

Tenders = tuple[tuple[str, int], ...]
"""Codes and amounts."""


@dataclass(frozen=True)
class OrderLine:
    """A row of OrderEntry: units still to hand over and handed over so far."""

    entry: int
    item: StockItem
    price: int
    on_order: int
    taken: int

    @property
    def ordered(self) -> int:
        """All units of the line."""
        return self.on_order + self.taken


@dataclass(frozen=True)
class SampleOrder:
    """An order as RMS has it, lines in the order of their ids."""

    number: int
    kind: OrderKind
    closed: bool
    deposit: int
    """What is held of the customer's money."""
    total: int
    lines: tuple[OrderLine, ...]

    @property
    def commits(self) -> bool:
        """Whether it sets stock aside."""
        return self.kind in COMMITTING

    def committed(self, sign: int = 1) -> list[tuple[StockItem, int]]:
        """What it sets aside, or (sign -1) would give free."""
        return [(line.item, sign * line.on_order) for line in self.lines] if self.commits else []


def read_order(connection: Connection, number: int) -> SampleOrder:
    """The order of that number; `ConfigurationError` if there is none."""
    head, entry, item = rms.order.c, rms.order_entry.c, rms.item.c
    row = connection.execute(
        select(head.Type, head.Closed, head.Deposit, head.Total).where(head["ID"] == number)
    ).first()
    if row is None:
        raise ConfigurationError(
            f"The sample store has no order {number}.", next_step="name one that was opened"
        )
    kinds = {order_type: kind for kind, order_type in TYPES.items()}
    lines = connection.execute(
        select(
            *(entry["ID"], entry.Price, entry.QuantityOnOrder, entry.QuantityRTD),
            *(item["ID"], item.ItemLookupCode, item.ItemType, item.Price, item.Cost, item.Taxable),
        )
        .join_from(rms.order_entry, rms.item, entry.ItemID == item["ID"])
        .where(entry.OrderID == number)
        .order_by(entry["ID"])
    )
    return SampleOrder(
        number,
        kinds[row.Type],
        row.Closed,
        row.Deposit,
        row.Total,
        tuple(
            OrderLine(entry_id, StockItem(*goods), price, round(on_order * SCALE), round(taken * SCALE))
            for entry_id, price, on_order, taken, *goods in lines
        ),
    )


def read_open_order(connection: Connection, number: int) -> SampleOrder:
    """The open order of that number; `ConfigurationError` if there is none or it is closed."""
    found = read_order(connection, number)
    if found.closed:
        raise ConfigurationError(
            f"Order {number} of the sample store is closed.", next_step="name one that is open"
        )
    return found


def parts_of(found: SampleOrder, wanted: Iterable[tuple[str, int]]) -> dict[int, int]:
    """(SKU key, units) -> OrderEntry.ID -> units, from the lines with that item in the order of their ids.

    `ConfigurationError` if so many are not on order.
    """
    parts: dict[int, int] = {}
    for key, units in wanted:
        left = units
        for line in found.lines:
            if line.item.key == key and left > 0:
                take = min(left, line.on_order - parts.get(line.entry, 0))
                parts[line.entry] = parts.get(line.entry, 0) + take
                left -= take
        if left > 0 or units <= 0:
            raise ConfigurationError(
                f"Order {found.number} of the sample store has not so many of `{key}` on order.",
                next_step="take at most what is on order",
            )
    return {entry: units for entry, units in parts.items() if units}


def lines_to_take(shop: Shop, found: SampleOrder, parts: Mapping[int, int]) -> tuple[TicketLine, ...]:
    """The lines of the ticket that takes these units of its entries."""
    return tuple(
        ring.ticket_line(shop, line.item, parts[line.entry], line.price)
        for line in found.lines
        if parts.get(line.entry)
    )


@dataclass(frozen=True)
class OrderDesk:
    """A till that writes orders, at one moment: every method is one event."""

    connection: Connection
    shop: Shop
    register: int
    at: datetime

    def open(self, kind: OrderKind, lines: Sequence[TicketLine], tenders: Tenders, expires_on: date) -> int:
        """Write an order with its lines and what is paid down; returns its number. No ticket, no tax yet."""
        if not lines or any(line.quantity <= 0 for line in lines):
            raise ConfigurationError(
                "An order of the sample store has at least one line and only units that go out.",
                next_step="name goods and units above 0",
            )
        number = ring.insert_row(
            self.connection,
            rms.order,
            {
                "StoreID": self.shop.store_id,
                "Type": TYPES[kind],
                "Time": self.at,
                "LastUpdated": self.at,
                "ExpirationOrDueDate": datetime(*expires_on.timetuple()[:3]),  # noqa: DTZ001 - RMS has no zones
                "Taxable": True,
            },
        )
        for line in lines:
            self._insert_line(number, line)
        if tenders:
            self._add_history(number, sum(amount for _, amount in tenders), tenders)
        self._settle(number)
        commit_stock(self.connection, read_order(self.connection, number).committed(), self.at)
        faults.point("sample.order_written")
        return number

    def pay(self, number: int, tenders: Tenders) -> None:
        """Take a further deposit."""
        read_open_order(self.connection, number)
        self._add_history(number, sum(amount for _, amount in tenders), tenders)
        self._settle(number)
        faults.point("sample.order_written")

    def add_lines(self, number: int, lines: Iterable[TicketLine]) -> None:
        """Put more lines on an open order."""
        before = read_open_order(self.connection, number)
        for line in lines:
            self._insert_line(number, line)
        self._lines_changed(before)

    def change_line(self, number: int, entry: int, on_order: int) -> None:
        """Set the units that a line still has on order."""
        before = read_open_order(self.connection, number)
        _check_line(before, entry)
        if on_order < 0:
            raise ConfigurationError(
                f"Order {number} of the sample store cannot have less than nothing on order.",
                next_step="name units of 0 or more",
            )
        self._update_line(entry, QuantityOnOrder=on_order / SCALE)
        self._lines_changed(before)

    def remove_line(self, number: int, entry: int, *, logged: bool) -> None:
        """Delete a line; `logged` leaves the row in RecordDeletedLog that RMS may or may not write."""
        before = read_open_order(self.connection, number)
        _check_line(before, entry)
        self._delete_line(entry, logged=logged)
        self._lines_changed(before)

    def pick_up(
        self, number: int, parts: Mapping[int, int] | None, pay: Callable[[int], Tenders]
    ) -> tuple[int, OrderKind]:
        """Hand goods over on a ticket and return its number and the order's kind.

        `parts` are units by OrderEntry.ID, None for all that is left. The deposit pays its share of them,
        all of it on the last ones; what it exceeds these by is given back. `pay` chooses the tenders of
        the remainder.
        """
        found = read_open_order(self.connection, number)
        left = {line.entry: line.on_order for line in found.lines if line.on_order > 0}
        taken = left if parts is None else dict(parts)
        lines = lines_to_take(self.shop, found, taken)
        if not lines:
            raise ConfigurationError(
                f"Order {number} of the sample store has nothing on order.", next_step="cancel it"
            )
        due = ring.total(self.shop, lines)
        whole = taken == left
        outstanding = ring.total(self.shop, lines_to_take(self.shop, found, left))
        used = min(found.deposit if whole else ring.share_of(found.deposit, due, outstanding), due)
        ticket = ring.Ticket(
            self.at, self.register, lines, pay(due - used), ring.RECALLED_ORDER, number, deposit=used
        )
        rung = ring.ring_ticket(self.connection, self.shop, ticket)
        for line in found.lines:
            if line.entry in taken:
                self._move_line(line, -taken[line.entry])
        if found.commits:
            commit_stock(self.connection, [(line.item, -line.quantity) for line in lines], self.at)
        self._add_history(number, -used, (), ticket=rung)
        if whole:
            self._refund(number, found.deposit - used)
        self._settle(number, closed=whole, reprice=False)
        faults.point("sample.order_written")
        return rung, found.kind

    def put_back(self, number: int, lines: Iterable[TicketLine], used: int, *, void: int) -> None:
        """Undo on the order what a ticket took that is voided by ticket `void`: the order is open again."""
        found = read_order(self.connection, number)
        back: dict[int, int] = {}
        for line in lines:
            left = line.quantity
            for entry in found.lines:
                if (entry.item.id, entry.price) == (line.item.id, line.price) and left > 0:
                    units = min(left, entry.taken - back.get(entry.entry, 0))
                    back[entry.entry] = back.get(entry.entry, 0) + units
                    left -= units
            if left > 0:
                raise ConfigurationError(
                    f"Order {number} of the sample store has not handed over what ticket {void} takes back.",
                    next_step="void each pick-up once",
                )
        for entry in found.lines:
            if entry.entry in back:
                self._move_line(entry, back[entry.entry])
        if found.commits:
            items = {entry.entry: entry.item for entry in found.lines}
            commit_stock(self.connection, [(items[entry], units) for entry, units in back.items()], self.at)
        self._add_history(number, used, (), ticket=void)
        self._settle(number, closed=False, reprice=False)
        faults.point("sample.order_written")

    def cancel(self, number: int, keep: int, tender: str) -> None:
        """Close an order, or the rest of one: nothing on order, the deposit given back less `keep`."""
        found = read_open_order(self.connection, number)
        if not 0 <= keep <= found.deposit:
            raise ConfigurationError(
                f"Order {number} of the sample store holds less than is to be kept.",
                next_step="keep at most its deposit",
            )
        for line in found.lines:
            if line.on_order:
                self._update_line(line.entry, QuantityOnOrder=0.0)
        commit_stock(self.connection, found.committed(-1), self.at)
        self._refund(number, found.deposit - keep, tender)
        self._settle(number, closed=True, reprice=False)
        faults.point("sample.order_written")

    def expire(self, number: int) -> None:
        """Let an order's date be yesterday: nothing else happens in RMS."""
        read_open_order(self.connection, number)
        day = self.at.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
        self._update_order(number, ExpirationOrDueDate=day)
        faults.point("sample.order_written")

    def delete(self, number: int, *, logged: bool) -> None:
        """Delete an order and its lines, as clean-up tools do; what it set aside is given free.

        Its history and the tenders of its deposits stay.
        """
        found = read_order(self.connection, number)
        for line in found.lines:
            self._delete_line(line.entry, logged=logged)
        self.connection.execute(delete(rms.order).where(rms.order.c["ID"] == number))
        if logged:
            self._log_deleted("Order", number)
        commit_stock(self.connection, found.committed(-1), self.at)
        faults.point("sample.order_written")

    # -- how ----------------------------------------------------------------------------------------
    def _insert_line(self, number: int, line: TicketLine) -> None:
        item = rms.item.c
        name = self.connection.execute(
            select(item.Description).where(item["ID"] == line.item.id)
        ).scalar_one()
        ring.insert_row(
            self.connection,
            rms.order_entry,
            {
                "StoreID": self.shop.store_id,
                "OrderID": number,
                "ItemID": line.item.id,
                "Taxable": int(line.item.taxable),
                "Price": line.price,
                "FullPrice": line.item.price,
                "Cost": line.item.cost,
                "QuantityOnOrder": line.quantity / SCALE,
                "QuantityRTD": 0.0,
                "PriceSource": ring.price_source(line),
                "Description": name[:DESCRIPTION_LENGTH],
                "LastUpdated": self.at,
                "TransactionTime": self.at,
            },
        )

    def _move_line(self, line: OrderLine, units: int) -> None:
        """So many more units on order, so many fewer handed over."""
        self._update_line(
            line.entry,
            QuantityOnOrder=(line.on_order + units) / SCALE,
            QuantityRTD=(line.taken - units) / SCALE,
        )

    def _update_line(self, entry: int, **values: float) -> None:
        self.connection.execute(
            update(rms.order_entry)
            .where(rms.order_entry.c["ID"] == entry)
            .values(LastUpdated=self.at, **values)
        )

    def _delete_line(self, entry: int, *, logged: bool) -> None:
        self.connection.execute(delete(rms.order_entry).where(rms.order_entry.c["ID"] == entry))
        if logged:
            self._log_deleted("OrderEntry", entry)

    def _log_deleted(self, table: str, row: int) -> None:
        log = rms.record_deleted_log
        newest = self.connection.execute(select(func.coalesce(func.max(log.c["ID"]), 0))).scalar_one()
        self.connection.execute(
            insert(log),
            {
                "ID": newest + 1,
                "RecordID": row,
                "StoreID": self.shop.store_id,
                "TableName": table,
                "IDFieldName": "ID",
                "WhenDeleted": self.at,
            },
        )

    def _lines_changed(self, before: SampleOrder) -> None:
        """The order's totals again, and what it sets aside by the difference."""
        self._settle(before.number)
        after = read_order(self.connection, before.number)
        commit_stock(self.connection, [*before.committed(-1), *after.committed()], self.at)
        faults.point("sample.order_written")

    def _add_history(self, number: int, delta: int, tenders: Tenders, *, ticket: int = 0) -> None:
        """An entry in the order's history, with its tenders where money changes hands without a ticket."""
        batch = ring.open_batch(self.connection, self.shop, self.register, self.at)
        history = ring.insert_row(
            self.connection,
            rms.order_history,
            {
                "StoreID": self.shop.store_id,
                "BatchNumber": batch,
                "OrderID": number,
                "CashierID": 1,
                "TransactionNumber": ticket,
                "Date": self.at,
                "DeltaDeposit": delta,
            },
        )
        if not tenders:
            return
        for row in ring.tender_rows(self.shop, tenders, batch, 0, history):
            ring.insert_row(self.connection, rms.tender_entry, row)
        amounts = {"CustomerDepositMade": delta, "TotalTendered": delta, "ClosingTotal": delta}
        ring.add_to_batch(self.connection, batch, amounts, self.at, customers=0)

    def _refund(self, number: int, amount: int, tender: str = "CASH") -> None:
        if amount:
            self._add_history(number, -amount, ((tender, -amount),))

    def _settle(self, number: int, *, closed: bool = False, reprice: bool = True) -> None:
        """What the header says after an event: the deposit held and, if lines changed, the totals."""
        history = rms.order_history.c
        held = self.connection.execute(
            select(func.coalesce(func.sum(history.DeltaDeposit), 0)).where(history.OrderID == number)
        ).scalar_one()
        values: dict[str, object] = {"Deposit": int(held), "Closed": closed}
        if reprice:
            lines = [
                ring.ticket_line(self.shop, line.item, line.ordered, line.price)
                for line in read_order(self.connection, number).lines
            ]
            values |= {"Total": ring.total(self.shop, lines), "Tax": sum(line.tax for line in lines)}
        self._update_order(number, **values)

    def _update_order(self, number: int, **values: object) -> None:
        self.connection.execute(
            update(rms.order).where(rms.order.c["ID"] == number).values(LastUpdated=self.at, **values)
        )


def _check_line(found: SampleOrder, entry: int) -> None:
    if entry not in {line.entry for line in found.lines}:
        raise ConfigurationError(
            f"Order {found.number} of the sample store has no line {entry}.", next_step="name one it has"
        )
