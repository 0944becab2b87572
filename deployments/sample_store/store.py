"""A sample store one can ring in: its script day by day, or single tickets and orders by hand.

Every ticket and every event of an order is one transaction, as at a till. Only for databases with our mark.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from types import TracebackType
from typing import NamedTuple, Self

from sqlalchemy import Connection, Engine, false, func, insert, select, update

from data_contracts.amounts import SCALE
from data_contracts.documents import sku_key
from data_contracts.errors import ConfigurationError
from deployments.sample_store import bulk, marker, orders, ring, scripted
from deployments.sample_store.build import item_row
from deployments.sample_store.catalog import STANDARD, SampleItem
from deployments.sample_store.orders import FAR_AHEAD, OrderDesk, OrderKind, SampleOrder
from deployments.sample_store.plan import Entry, draw_lines, goods_of
from deployments.sample_store.stock import Receipt, read_receipts, receive_goods
from deployments.sample_store.tickets import Invoice, InvoiceLine
from tasks import faults
from tasks.rms import tables as rms

GAP = "gap"

TRIES = 50
"""Invoices looked at for goods that an order could be for."""

TICKET_KINDS = frozenset({"sale", "return", "exchange", "void", "pickup"})

Lines = Iterable[tuple[str, int]]
"""SKUs and whole units."""


class Rung(NamedTuple):
    """What was rung: its RMS number and what it means.

    A ticket is a sale, return, exchange, void or pickup (of a layaway or backorder; the pick-up of a work
    order or quote is a sale), its number the TransactionNumber; a gap is such a number, burned.
    Otherwise: layaway, backorder, work_order, quote (opened), deposit, changed, cancelled, expired or
    deleted with the number of the order; received with the number of a purchase order.
    """

    number: int
    kind: str
    late: bool = False
    """Whether it filled a number of long ago."""

    @property
    def is_ticket(self) -> bool:
        """Whether it left a row in [Transaction]."""
        return self.kind in TICKET_KINDS


class ItemAtTill(NamedTuple):
    """What a till shows of an item; `price` in ten-thousandths."""

    sku: str
    description: str
    price: int
    inactive: bool
    quantity: float


@dataclass
class SampleStore:
    """An open sample store; use it as a context manager, or close it."""

    engine: Engine
    mark: marker.Mark

    def __post_init__(self) -> None:
        self._items: dict[str, ring.StockItem] = {}
        with self.engine.connect() as connection:
            self.shop = ring.read_shop(connection)

    @classmethod
    def open(cls, url: str) -> Self:
        """The store at that URL; `ConfigurationError` if it is not one of ours."""
        engine = marker.sample_engine(url)
        try:
            return cls(engine, marker.require_mark(engine))
        except BaseException:
            engine.dispose()
            raise

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- the script ---------------------------------------------------------------------------------
    def days(self) -> list[date]:
        """Business dates on which the script still has something to ring."""
        day = marker.script.c.day
        with self.engine.connect() as connection:
            return list(
                connection.execute(
                    select(day).where(marker.script.c.rung_as.is_(None)).distinct().order_by(day)
                ).scalars()
            )

    def ring_day(self, day: date) -> list[Rung]:
        """Ring all that is left of the script up to and with that business date."""
        return self._ring_entries(until=day)

    def ring_next(self, count: int) -> list[Rung]:
        """Ring the next `count` entries of the script."""
        return self._ring_entries(count=count)

    def write_history(self, tickets: int, open_orders: int = 0) -> list[int]:
        """Write tickets of the weeks before the script in bulk, and return their numbers.

        They are what a store already holds when tillbridge is set up. With `open_orders` so many layaways
        are open besides, each with a deposit and the second of them partly picked up, and one more is
        picked up and closed; the tickets of these are among `tickets`. `ConfigurationError` if the store
        has tickets or nothing in its script, or if there are too few tickets for the orders.
        """
        picked_up = min(open_orders, 2)
        if picked_up and tickets <= picked_up:
            raise ConfigurationError(
                f"A history of {tickets} tickets has no room for its pick-ups.",
                next_step=f"write at least {picked_up + 1} tickets",
            )
        with self.engine.begin() as connection:
            if connection.execute(select(func.count()).select_from(rms.transaction)).scalar_one():
                raise ConfigurationError(
                    "History can only be written into a sample store without tickets.",
                    next_step="build the store anew",
                )
            self._require_script(connection)
            items = ring.read_items(connection)
            if open_orders:
                self._open_history(connection, open_orders, bulk.history_begins(connection, tickets))
            numbers = bulk.write_tickets(
                connection, self.shop, items, seed=self.mark.seed, tickets=tickets - picked_up, before=True
            )
            return [*range(1, picked_up + 1), *numbers]

    # -- single tickets -----------------------------------------------------------------------------
    def ring_sale(
        self, lines: Iterable[tuple[str, int]], *, at: datetime | None = None, tender: str = "CASH"
    ) -> Rung:
        """Ring `(code, whole units)` lines at the prices the till has now; negative units come back.

        A code is an item's own or an alias, as a scanner reads it.
        """
        with self._ticket() as connection:
            return self._ring_lines(
                connection,
                [
                    ring.ticket_line(self.shop, self._item_now(connection, sku), units * SCALE)
                    for sku, units in lines
                ],
                at=at or self._clock(connection),
                tender=tender,
            )

    def ring_void(self, number: int, *, at: datetime | None = None) -> Rung:
        """Void a ticket: all its lines and tenders with the other sign, RecallID its number.

        What a pick-up took goes back on its order, which is open again, with the deposit that was used.
        """
        with self._ticket() as connection:
            at = at or self._clock(connection)
            return self._void(connection, number, register=1, at=at)

    def ring_return(self, number: int, *, part: bool = False, at: datetime | None = None) -> Rung:
        """Return a sale by recall: all of it, or half the units of its first sold line."""
        with self._ticket() as connection:
            at = at or self._clock(connection)
            return self._recall(connection, number, register=1, at=at, part=part)

    def correct_tender(self, number: int) -> str:
        """Say that a ticket was paid otherwise (cash for card, anything else for cash); returns the code."""
        with self._ticket() as connection:
            t, codes = rms.tender_entry.c, rms.tender.c
            entry = connection.execute(
                select(t.ID, codes.Code)
                .join(rms.tender, t.TenderID == codes.ID)
                .where(t.TransactionNumber == number)
                .order_by(t.ID)
                .limit(1)
            ).first()
            if entry is None:
                raise ConfigurationError(
                    f"The sample store has no tender of ticket {number}.", next_step="name one that was paid"
                )
            wanted = "CARD" if entry.Code == "CASH" else "CASH"
            tender = connection.execute(select(codes.ID, codes.Description).where(codes.Code == wanted)).one()
            connection.execute(
                update(rms.tender_entry)
                .where(t.ID == entry.ID)
                .values(TenderID=tender.ID, Description=tender.Description)
            )
            return wanted

    def ring_unknown_item(self, *, at: datetime | None = None) -> tuple[int, str]:
        """Make a new item at the till and sell one of it; returns the ticket's number and the SKU."""
        with self._ticket() as connection:
            at = at or self._clock(connection)
            count = connection.execute(
                select(func.count()).select_from(rms.item).where(rms.item.c.ItemLookupCode.like("TILL-NEW-%"))
            ).scalar_one()
            new = SampleItem(f"TILL-NEW-{count + 1}", f"New at the till {count + 1}", STANDARD, 99_900, "")
            connection.execute(insert(rms.item), item_row(new, 0, at))
            line = ring.ticket_line(self.shop, self._item(connection, new.sku), SCALE)
            rung = self._ring_lines(connection, [line], at=at, tender="CASH")
            return rung.number, new.sku

    def ring_template(self, rng: random.Random, at: datetime) -> Rung:
        """Ring the lines of a real invoice, drawn from the script, as of `at`."""
        with self._ticket() as connection:
            entry = self._template(connection, rng)
            entry = replace(entry, time=at, register=rng.randint(1, self.mark.registers))
            return self._ring_invoice(connection, entry, rng)

    # -- orders -------------------------------------------------------------------------------------
    def open_layaway(
        self,
        lines: Lines | random.Random,
        *,
        deposit: int = 0,
        at: datetime | None = None,
        tender: str = "CASH",
        expires_on: date = FAR_AHEAD,
    ) -> int:
        """Set goods aside for a customer who pays `deposit` (ten-thousandths) down; the order's number.

        `lines` are as in `ring_sale`; a random generator draws some from a real invoice of the script.
        """
        return self._open(orders.LAYAWAY, lines, deposit, at, tender, expires_on)

    def open_backorder(
        self,
        lines: Lines | random.Random,
        *,
        deposit: int = 0,
        at: datetime | None = None,
        tender: str = "CASH",
        expires_on: date = FAR_AHEAD,
    ) -> int:
        """Order goods for a customer: as `open_layaway`, but RMS sets nothing aside."""
        return self._open(orders.BACKORDER, lines, deposit, at, tender, expires_on)

    def open_work_order(
        self,
        lines: Lines | random.Random,
        *,
        deposit: int = 0,
        at: datetime | None = None,
        tender: str = "CASH",
    ) -> int:
        """Open a work order; its goods are set aside. It never leaves the store."""
        return self._open(orders.WORK_ORDER, lines, deposit, at, tender, FAR_AHEAD)

    def open_quote(self, lines: Lines | random.Random, *, at: datetime | None = None) -> int:
        """Write a quote: nothing is paid, nothing set aside. It never leaves the store."""
        return self._open(orders.QUOTE, lines, 0, at, "CASH", FAR_AHEAD)

    def pay_deposit(
        self, order: int, amount: int, *, at: datetime | None = None, tender: str = "CASH"
    ) -> Rung:
        """Take an instalment of `amount` ten-thousandths."""
        with self._ticket() as connection:
            self._desk(connection, at).pay(order, ((tender, amount),))
            return Rung(order, scripted.DEPOSIT)

    def change_order(self, order: int, lines: Lines, *, at: datetime | None = None) -> Rung:
        """Change what is on order: so many units of the first line of a SKU; a SKU it lacks is a new line."""
        with self._ticket() as connection:
            desk = self._desk(connection, at)
            for sku, units in lines:
                item = self._item(connection, sku)
                known = orders.read_open_order(connection, order).lines
                entry = next((line.entry for line in known if line.item.key == item.key), None)
                if entry is None:
                    desk.add_lines(order, [ring.ticket_line(self.shop, item, units * SCALE)])
                else:
                    desk.change_line(order, entry, units * SCALE)
            return Rung(order, scripted.CHANGED)

    def add_line(self, order: int, sku: str, units: int, *, at: datetime | None = None) -> Rung:
        """Put one more line on an order, also of a SKU that it already has."""
        with self._ticket() as connection:
            line = ring.ticket_line(self.shop, self._item(connection, sku), units * SCALE)
            self._desk(connection, at).add_lines(order, [line])
            return Rung(order, scripted.CHANGED)

    def remove_line(self, order: int, entry: int, *, logged: bool = True, at: datetime | None = None) -> Rung:
        """Delete the line with that OrderEntry.ID (see `read_order`), with or without RecordDeletedLog."""
        with self._ticket() as connection:
            self._desk(connection, at).remove_line(order, entry, logged=logged)
            return Rung(order, scripted.CHANGED)

    def pick_up(
        self,
        order: int,
        parts: Lines | None = None,
        *,
        at: datetime | None = None,
        tender: str = "CASH",
    ) -> Rung:
        """Hand over `(sku, whole units)` of an order, or all that is left; the Rung is the ticket's.

        A share of the deposit pays for parts; the last ones use it up, and what is over is given back.
        """
        with self._ticket() as connection:
            chosen = None
            if parts is not None:
                found = orders.read_open_order(connection, order)
                chosen = orders.parts_of(found, [(sku_key(sku), units * SCALE) for sku, units in parts])
            desk = self._desk(connection, at)
            number, kind = desk.pick_up(order, chosen, lambda due: ((tender, due),) if due else ())
            return Rung(number, scripted.kind_of_pick_up(kind))

    def cancel_order(
        self, order: int, *, keep: int = 0, at: datetime | None = None, tender: str = "CASH"
    ) -> Rung:
        """Give up an order, or what is left of it; the deposit goes back but for `keep` ten-thousandths."""
        with self._ticket() as connection:
            self._desk(connection, at).cancel(order, keep, tender)
            return Rung(order, scripted.CANCELLED)

    def expire(self, order: int, *, at: datetime | None = None) -> Rung:
        """Move an order's date to the day before; RMS does nothing else when one passes."""
        with self._ticket() as connection:
            self._desk(connection, at).expire(order)
            return Rung(order, scripted.EXPIRED)

    def delete_order(self, order: int, *, logged: bool = True, at: datetime | None = None) -> Rung:
        """Delete an order and its lines from RMS, with or without RecordDeletedLog; its history stays."""
        with self._ticket() as connection:
            self._desk(connection, at).delete(order, logged=logged)
            return Rung(order, scripted.DELETED)

    def receive(self, sku: str, units: int, *, at: datetime | None = None) -> Rung:
        """Book whole units of an item that a supplier delivers; orders that wait are left as they are."""
        if units <= 0:
            raise ConfigurationError("A delivery of the sample store brings units above 0.", units=units)
        with self._ticket() as connection:
            desk = self._desk(connection, at)
            batch = ring.open_batch(connection, self.shop, desk.register, desk.at)
            goods = [(self._item(connection, sku), units * SCALE)]
            number = receive_goods(connection, self.shop, goods, batch=batch, at=desk.at)
            return Rung(number, scripted.RECEIVED)

    def receipts(self, after: int = 0) -> list[Receipt]:
        """What came in with purchase orders above `after`: what the hub is to receive as well."""
        with self.engine.connect() as connection:
            return read_receipts(connection, after)

    def read_item(self, code: str) -> ItemAtTill | None:
        """What the till shows under a code, an item's own or an alias; None if it knows none."""
        item = rms.item.c
        with self.engine.connect() as connection:
            found = ring.read_item(connection, code)
            if found is None:
                return None
            columns = (item.ItemLookupCode, item.Description, item.Price, item.Inactive, item.Quantity)
            row = connection.execute(select(*columns).where(item["ID"] == found.id)).one()
            return ItemAtTill(*row)

    def read_order(self, order: int) -> SampleOrder:
        """An order as RMS has it, with the ids of its lines."""
        with self.engine.connect() as connection:
            return orders.read_order(connection, order)

    def open_orders(self) -> list[SampleOrder]:
        """Every order of any kind that is open, by number."""
        head = rms.order.c
        with self.engine.connect() as connection:
            query = select(head["ID"]).where(head.Closed == false()).order_by(head["ID"])
            return [orders.read_order(connection, number) for number in connection.scalars(query).all()]

    # -- how ----------------------------------------------------------------------------------------
    def _ring_entries(self, *, until: date | None = None, count: int | None = None) -> list[Rung]:
        query = (
            select(marker.script)
            .where(marker.script.c.rung_as.is_(None))
            .order_by(marker.script.c.position)
            .limit(count)
        )
        if until is not None:
            query = query.where(marker.script.c.day <= until)
        with self.engine.connect() as connection:
            entries = [marker.unpack_entry(row) for row in connection.execute(query)]
        rungs = []
        for entry in entries:
            with self._ticket() as connection:
                rung = self._ring_entry(connection, entry)
                connection.execute(
                    update(marker.script)
                    .where(marker.script.c.position == entry.position)
                    .values(rung_as=rung.number)
                )
            rungs.append(rung)
        return rungs

    def _ring_entry(self, connection: Connection, entry: Entry) -> Rung:
        rng = random.Random(f"{self.mark.seed}/{entry.position}")  # noqa: S311 - reproducible on purpose
        if entry.kind == "gap":
            ring.open_batch(connection, self.shop, entry.register, entry.time)
            return Rung(ring.skip_numbers(connection, 1)[0], GAP)
        if entry.kind == "void":
            number = self._rung_as(connection, entry.of)
            return self._void(connection, number, register=entry.register, at=entry.time)
        if entry.kind in ("recall", "recall_part"):
            number = self._rung_as(connection, entry.of)
            part = entry.kind == "recall_part"
            return self._recall(connection, number, register=entry.register, at=entry.time, part=part)
        if entry.kind == "late":
            number = self._rung_as(connection, entry.of)
            return self._ring_invoice(connection, entry, rng, number=number)
        if entry.kind in scripted.OPENINGS or entry.kind in scripted.EVENTS:
            return self._ring_order(connection, entry, rng)
        return self._ring_invoice(connection, entry, rng)

    def _ring_order(self, connection: Connection, entry: Entry, rng: random.Random) -> Rung:
        desk = OrderDesk(connection, self.shop, entry.register, entry.time)
        lines = [self._line(connection, line) for line in entry.lines]
        if entry.kind in scripted.OPENINGS:
            return Rung(*scripted.open_scripted(desk, entry, lines, rng))
        number = self._rung_as(connection, entry.of)
        return Rung(*scripted.ring_event(desk, entry, number, lines, rng))

    def _ring_invoice(
        self, connection: Connection, entry: Entry, rng: random.Random, *, number: int | None = None
    ) -> Rung:
        lines = tuple(self._line(connection, line) for line in entry.lines)
        tenders = ring.choose_tenders(rng, ring.total(self.shop, lines))
        ticket = ring.Ticket(entry.time, entry.register, lines, tenders)
        number_rung = ring.ring_ticket(connection, self.shop, ticket, number=number)
        return Rung(number_rung, kind_of(lines), late=number is not None)

    def _void(self, connection: Connection, number: int, *, register: int, at: datetime) -> Rung:
        lines, tenders = self._read(connection, number)
        back, paid_back = ring.mirrored(lines, tenders)
        recall_type, order = ring.read_recall(connection, number)
        recalled = recall_type == ring.RECALLED_ORDER
        # What the tenders of a pick-up lack was paid from its order's deposit.
        used = ring.total(self.shop, lines) - sum(amount for _, amount in tenders) if recalled else 0
        ticket = ring.Ticket(at, register, back, paid_back, ring.VOID, number, deposit=-used)
        void = ring.ring_ticket(connection, self.shop, ticket)
        if recalled:
            OrderDesk(connection, self.shop, register, at).put_back(order, lines, used, void=void)
        return Rung(void, "void")

    def _recall(
        self, connection: Connection, number: int, *, register: int, at: datetime, part: bool
    ) -> Rung:
        lines, tenders = self._read(connection, number)
        if part:
            first = next((line for line in lines if line.quantity > 0), None)
            if first is None:
                raise ConfigurationError(
                    f"Ticket {number} of the sample store sold nothing that could come back.",
                    next_step="name a sale",
                )
            units = -(-first.quantity // (2 * SCALE)) * SCALE
            returned: Sequence[ring.TicketLine] = [
                ring.ticket_line(self.shop, first.item, -units, first.price)
            ]
        else:
            returned, _ = ring.mirrored(lines, tenders)
        due = ring.total(self.shop, returned)
        paid_back = ((tenders[0][0] if tenders else "CASH", due),) if due else ()
        ticket = ring.Ticket(at, register, tuple(returned), paid_back, ring.RECALLED_RETURN, number)
        return Rung(ring.ring_ticket(connection, self.shop, ticket), "return")

    def _open(
        self,
        kind: OrderKind,
        lines: Lines | random.Random,
        deposit: int,
        at: datetime | None,
        tender: str,
        expires_on: date,
    ) -> int:
        with self._ticket() as connection:
            if isinstance(lines, random.Random):
                drawn = [self._line(connection, line) for line in self._draw_lines(connection, lines)]
            else:
                goods = [(self._item(connection, sku), units * SCALE) for sku, units in lines]
                drawn = [ring.ticket_line(self.shop, item, units) for item, units in goods]
            tenders = ((tender, deposit),) if deposit else ()
            return self._desk(connection, at).open(kind, drawn, tenders, expires_on)

    def _open_history(self, connection: Connection, count: int, begins: datetime) -> None:
        """Layaways of the week before the history: one picked up, then `count` open ones."""
        rng = random.Random(f"{self.mark.seed}/history")  # noqa: S311 - reproducible on purpose
        for place in range(count + 1):
            desk = OrderDesk(connection, self.shop, 1, begins - timedelta(days=7, minutes=-place))
            lines = [self._line(connection, line) for line in self._draw_lines(connection, rng)]
            deposit = ring.share_of(ring.total(self.shop, lines), 1, 4)
            number = desk.open(orders.LAYAWAY, lines, (("CASH", deposit),), FAR_AHEAD)
            later = replace(desk, at=desk.at + timedelta(days=1))
            if place == 0:
                later.pick_up(number, None, lambda due: (("CASH", due),))
            elif place == 2:
                first = orders.read_order(connection, number).lines[0]
                later.pick_up(number, {first.entry: SCALE}, lambda due: (("CASH", due),))

    def _desk(self, connection: Connection, at: datetime | None) -> OrderDesk:
        return OrderDesk(connection, self.shop, 1, at or self._clock(connection))

    def _template(self, connection: Connection, rng: random.Random) -> Entry:
        """Some invoice of the script."""
        self._require_script(connection)
        positions = connection.execute(
            select(marker.script.c.position)
            .where(marker.script.c.kind == "invoice")
            .order_by(marker.script.c.position)
        ).scalars()
        return self._entry(connection, rng.choice(list(positions)))

    def _draw_lines(self, connection: Connection, rng: random.Random) -> list[InvoiceLine]:
        """Lines for an order from an invoice of the script that sells goods."""
        for _ in range(TRIES):
            entry = self._template(connection, rng)
            if goods := goods_of(Invoice(entry.invoice, entry.time, entry.lines)):
                return draw_lines(rng, goods)
        raise ConfigurationError(
            "The script of the sample store sells no goods that an order could be for.",
            next_step="build the store with more invoices",
        )

    def _ring_lines(
        self, connection: Connection, lines: Sequence[ring.TicketLine], *, at: datetime, tender: str
    ) -> Rung:
        due = ring.total(self.shop, lines)
        ticket = ring.Ticket(at, 1, tuple(lines), ((tender, due),) if due else ())
        return Rung(ring.ring_ticket(connection, self.shop, ticket), kind_of(lines))

    def _read(
        self, connection: Connection, number: int
    ) -> tuple[list[ring.TicketLine], list[tuple[str, int]]]:
        lines, tenders = ring.read_ticket(connection, number)
        if not lines:
            raise ConfigurationError(
                f"The sample store has no ticket {number}.", next_step="name one that was rung"
            )
        return lines, tenders

    def _line(self, connection: Connection, line: InvoiceLine) -> ring.TicketLine:
        return ring.ticket_line(self.shop, self._item(connection, line.code), line.quantity, line.price)

    def _item(self, connection: Connection, sku: str) -> ring.StockItem:
        key = sku_key(sku)
        if key not in self._items:
            self._items = ring.read_items(connection)
        found = self._items.get(key)
        if found is None:
            raise ConfigurationError(f"The sample store has no item `{sku}`.", next_step="name one it has")
        return found

    def _item_now(self, connection: Connection, code: str) -> ring.StockItem:
        """The item as it stands at this moment: products arrive and prices change while a store is open."""
        found = ring.read_item(connection, code)
        if found is None:
            raise ConfigurationError(f"The sample store has no item `{code}`.", next_step="name one it has")
        return found

    def _entry(self, connection: Connection, position: int) -> Entry:
        row = connection.execute(select(marker.script).where(marker.script.c.position == position)).one()
        return marker.unpack_entry(row)

    def _rung_as(self, connection: Connection, position: int | None) -> int:
        """The number an earlier entry was rung under, or burned."""
        rung_as = marker.script.c.rung_as
        return int(
            connection.execute(select(rung_as).where(marker.script.c.position == position)).scalar_one()
        )

    def _clock(self, connection: Connection) -> datetime:
        """A minute after the newest ticket or order; nine o'clock of the script's first day before any."""
        columns = (rms.transaction.c.Time, rms.order.c.LastUpdated)
        found = [connection.execute(select(func.max(column))).scalar() for column in columns]
        times: list[datetime] = [time for time in found if time is not None]
        if times:
            return max(times) + timedelta(minutes=1)
        first = connection.execute(select(func.min(marker.script.c.day))).scalar()
        return datetime.fromisoformat(f"{first or '2010-12-01'} 09:00")

    def _require_script(self, connection: Connection) -> None:
        if connection.execute(select(func.count()).select_from(marker.script)).scalar_one() == 0:
            raise ConfigurationError(
                "The sample store has an empty script: there are no invoices to take lines from.",
                next_step="build the store with invoices",
            )

    @contextmanager
    def _ticket(self) -> Iterator[Connection]:
        """One transaction for one ticket or one event of an order."""
        with self.engine.begin() as connection:
            yield connection
        faults.point("sample.ticket_committed")


def kind_of(lines: Sequence[ring.TicketLine]) -> str:
    """What a fresh ticket means by the signs of its lines."""
    back = any(line.quantity < 0 for line in lines)
    out = any(line.quantity > 0 for line in lines)
    if back:
        return "exchange" if out else "return"
    return "sale" if out or sum(line.extended for line in lines) >= 0 else "return"
