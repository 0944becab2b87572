"""The script of a sample shop: real invoices, with what happens around them in any shop mixed in.

Pure and seeded: the same invoices and seed give the same script, entry for entry. Layaways and other
orders have a seed of their own, so that a script with them holds the same tickets around them.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Literal

from data_contracts.amounts import SCALE
from data_contracts.documents import sku_key
from deployments.sample_store.catalog import NOT_GOODS
from deployments.sample_store.tickets import Invoice, InvoiceLine

TicketKind = Literal["invoice", "exchange", "void", "recall", "recall_part", "gap", "late"]
"""invoice: as the source has it. exchange: one thing back, another out. void: mirrors an earlier ticket.
recall, recall_part: return of an earlier sale, all or some of it. gap: a number RMS burns.
late: an invoice of an offline register, merged under a number and time of long ago."""

OpeningKind = Literal["layaway", "backorder", "work_order", "quote"]
"""An order is opened with its lines and a deposit."""

OrderEventKind = Literal[
    "deposit",
    "add_line",
    "change_line",
    "remove_line",
    "receipt",
    "pickup",
    "pickup_part",
    "cancel",
    "expire",
]
"""deposit: an instalment. change_line: the units still on order of the first line of an item.
remove_line: the last line of an item. receipt: what an order waits for comes in from the supplier.
pickup, pickup_part: all that is left, or the named lines. expire: its date passes, nothing else."""

EntryKind = TicketKind | OpeningKind | OrderEventKind

VOIDS = 0.025
RECALLS = 0.03
EXCHANGES = 0.025
LATE = 0.015
BURNED = 0.015
"""How often each comes up, per invoice."""

REACH = 60
"""How many entries back a void or a return may reach."""

ORDERS = 0.055
"""How often an order is opened, per invoice."""

Step = OrderEventKind | Literal["void", "recall", "cancel_keeping"]
"""What comes next for an order; void and recall undo its last pick-up, cancel_keeping keeps some deposit."""

FATES: tuple[tuple[OpeningKind, tuple[Step, ...]], ...] = (
    ("layaway", ("pickup",)),
    ("layaway", ("deposit", "deposit", "pickup")),
    ("layaway", ("pickup_part", "pickup")),
    ("layaway", ("deposit", "pickup_part", "cancel")),
    ("layaway", ("cancel",)),
    ("layaway", ("deposit", "cancel_keeping")),
    ("layaway", ("expire",)),
    ("layaway", ("add_line", "change_line", "remove_line", "pickup")),
    ("layaway", ("pickup", "void", "pickup")),
    ("layaway", ("pickup_part", "void", "cancel")),
    ("layaway", ("pickup", "recall")),
    ("layaway", ()),
    ("backorder", ("receipt", "pickup")),
    ("backorder", ("deposit", "receipt", "pickup_part", "pickup")),
    ("backorder", ("add_line", "receipt", "pickup")),
    ("backorder", ("cancel",)),
    ("backorder", ()),
    ("quote", ("pickup",)),
    ("quote", ()),
    ("work_order", ("pickup",)),
    ("work_order", ()),
)
"""What becomes of orders; each comes up once before any comes up again. What is not due when the script
ends does not happen: the order stays open."""

SHARES: dict[OpeningKind, tuple[int, ...]] = {
    "layaway": (1_000, 2_000, 2_500, 3_000),
    "backorder": (0, 2_000, 10_000),
    "work_order": (0, 2_500),
    "quote": (0,),
}
"""What is paid down of an order's total, in basis points."""
INSTALMENT = 2_000
KEPT = 2_500
"""An instalment is a share of the total, what is kept is one of the deposit; basis points."""

SOONEST, LATEST = 3, 30
"""Invoices between two events of an order."""

SAME_ITEM_AGAIN = 0.3
"""How often a line is added with an item that the order already has."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One step of the script. `day` is when it is rung; `time` is what the ticket will say."""

    position: int
    day: date
    time: datetime
    register: int
    kind: EntryKind
    of: int | None = None
    """Position of the entry it voids, returns from or (late) whose number it fills, or its order's."""
    invoice: str = ""
    lines: tuple[InvoiceLine, ...] = ()
    share: int = 0
    """Basis points: of the order's total that is paid, of its deposit that is kept."""


def plan_tickets(
    invoices: Sequence[Invoice], *, seed: int | str, registers: int, orders: bool = True
) -> list[Entry]:
    """The script for one store: every invoice exactly once, in order of time, and the rest between.

    Without `orders` there are tickets only.
    """
    return _Planner(seed, registers, orders=orders).plan(invoices)


@dataclass
class _Order:
    """An order that is on its way: lines as they stand (quantity: still on order), steps to come."""

    opened: int
    lines: list[InvoiceLine]
    steps: list[Step]
    wait: int
    pickup: int | None = None
    """Position of its last pick-up."""


class _Planner:
    def __init__(self, seed: int | str, registers: int, *, orders: bool) -> None:
        self._orders = _Orders(self, seed) if orders else None
        self._random = random.Random(seed)  # noqa: S311 - a reproducible script is wanted
        self.registers = registers
        self._entries: list[Entry] = []
        self._targets: list[int] = []  # entries that a later void or return may still name
        self._offline: list[tuple[int, Invoice, Entry]] = []  # invoices left to run, what is late, its gap

    def plan(self, invoices: Sequence[Invoice]) -> list[Entry]:
        for invoice in invoices:
            self._merge_offline(invoice.time.date())
            if self._random.random() < LATE:
                gap = self._add("gap", invoice)
                self._offline.append((self._random.randint(5, REACH), invoice, gap))
                continue
            entry = self._add("invoice", invoice, invoice=invoice.number, lines=invoice.lines)
            self._targets.append(entry.position)
            self._around(invoice)
            if self._orders is not None:
                self._orders.around(invoice)
        self._offline = [(0, invoice, gap) for _, invoice, gap in self._offline]
        if invoices:
            self._merge_offline(invoices[-1].time.date())
        return self._entries

    def _around(self, invoice: Invoice) -> None:
        """What else happens at about the time of an invoice."""
        chance = self._random.random
        if chance() < VOIDS and (target := self._take_target()) is not None:
            self._add("void", invoice, of=target.position)
        if chance() < RECALLS and (target := self._take_target(sales_only=True)) is not None:
            kind: EntryKind = "recall_part" if chance() < 0.5 else "recall"
            self._targets.append(self._add(kind, invoice, of=target.position).position)
        if chance() < EXCHANGES and (lines := self._exchange(invoice)):
            self._targets.append(self._add("exchange", invoice, lines=lines).position)
        if chance() < BURNED:
            self._add("gap", invoice)

    def _exchange(self, invoice: Invoice) -> tuple[InvoiceLine, ...]:
        """Something of this invoice comes back, something else of it goes out instead."""
        goods = [line for line in invoice.lines if line.quantity > 0 and line.price > 0]
        if len(goods) < 2:
            return ()
        back, out = self._random.sample(goods, 2)
        return (
            InvoiceLine(back.code, back.description, -SCALE, back.price),
            InvoiceLine(out.code, out.description, SCALE * self._random.randint(1, 2), out.price),
        )

    def _take_target(self, *, sales_only: bool = False) -> Entry | None:
        """An earlier ticket that nothing has undone yet; it will not be given again."""
        recent = [self._entries[position] for position in self._targets[-REACH:]]
        if sales_only:
            recent = [
                entry
                for entry in recent
                if entry.kind == "invoice" and all(line.quantity > 0 for line in entry.lines)
            ]
        if not recent:
            return None
        target = self._random.choice(recent)
        self._targets.remove(target.position)
        return target

    def _merge_offline(self, day: date) -> None:
        still: list[tuple[int, Invoice, Entry]] = []
        for left, invoice, gap in self._offline:
            if left > 0:
                still.append((left - 1, invoice, gap))
                continue
            self._entries.append(
                Entry(
                    position=len(self._entries),
                    day=day,
                    time=invoice.time,
                    register=gap.register,
                    kind="late",
                    of=gap.position,
                    invoice=invoice.number,
                    lines=invoice.lines,
                )
            )
        self._offline = still

    def _add(
        self,
        kind: EntryKind,
        around: Invoice,
        *,
        of: int | None = None,
        invoice: str = "",
        lines: tuple[InvoiceLine, ...] = (),
    ) -> Entry:
        register = self._random.randint(1, self.registers)
        return self.add(
            Entry(self.position, around.time.date(), around.time, register, kind, of, invoice, lines)
        )

    @property
    def position(self) -> int:
        """Of the next entry."""
        return len(self._entries)

    def add(self, entry: Entry) -> Entry:
        """Put an entry at the end of the script."""
        self._entries.append(entry)
        return entry


class _Orders:
    """Opens orders now and then and lets each run its course among the tickets."""

    def __init__(self, planner: _Planner, seed: int | str) -> None:
        self._planner = planner
        self._random = random.Random(f"{seed}/orders")  # noqa: S311 - a reproducible script is wanted
        self._deck: list[tuple[OpeningKind, tuple[Step, ...]]] = []
        self._running: list[_Order] = []

    def around(self, invoice: Invoice) -> None:
        """What happens to orders at about the time of an invoice."""
        for order in self._running:
            order.wait -= 1
            if order.wait <= 0:
                self._take_step(order, order.steps.pop(0), invoice)
                order.wait = self._wait()
        self._running = [order for order in self._running if order.steps]
        if self._random.random() < ORDERS and (goods := goods_of(invoice)):
            self._open(invoice, goods)

    def _open(self, invoice: Invoice, goods: Sequence[InvoiceLine]) -> None:
        if not self._deck:
            self._deck = self._random.sample(FATES, len(FATES))
        kind, steps = self._deck.pop()
        lines = draw_lines(self._random, goods)
        share = self._random.choice(SHARES[kind])
        opened = self._add(kind, invoice, None, tuple(lines), share)
        self._running.append(_Order(opened.position, lines, list(steps), self._wait()))

    def _take_step(self, order: _Order, step: Step, invoice: Invoice) -> None:
        """Write the entry of a step; one that the order has no lines for is left out."""
        match step:
            case "add_line":
                if line := self._line_to_add(order, invoice):
                    self._add("add_line", invoice, order.opened, (line,))
                    order.lines.append(line)
            case "change_line":
                first = order.lines[0]
                more = first.quantity + self._random.randint(1, 2) * SCALE
                order.lines[0] = replace(first, quantity=more)
                self._add("change_line", invoice, order.opened, (order.lines[0],))
            case "remove_line":
                if len(order.lines) > 1:
                    self._add("remove_line", invoice, order.opened, (order.lines.pop(),))
            case "pickup_part":
                place = self._random.randrange(len(order.lines))
                line = order.lines[place]
                part = replace(line, quantity=SCALE)
                if sum(line.quantity for line in order.lines) > SCALE:
                    order.lines[place] = replace(line, quantity=line.quantity - SCALE)
                    order.lines = [line for line in order.lines if line.quantity > 0]
                    order.pickup = self._add("pickup_part", invoice, order.opened, (part,)).position
            case "pickup":
                order.pickup = self._add("pickup", invoice, order.opened).position
            case "void" | "recall":
                if order.pickup is not None:
                    self._add(step, invoice, order.pickup)
            case "deposit":
                self._add("deposit", invoice, order.opened, share=INSTALMENT)
            case "cancel_keeping":
                self._add("cancel", invoice, order.opened, share=KEPT)
            case _:
                self._add(step, invoice, order.opened)

    def _line_to_add(self, order: _Order, invoice: Invoice) -> InvoiceLine | None:
        if self._random.random() < SAME_ITEM_AGAIN:
            return replace(self._random.choice(order.lines), quantity=SCALE)
        known = {sku_key(line.code) for line in order.lines}
        goods = [line for line in goods_of(invoice) if sku_key(line.code) not in known]
        return replace(self._random.choice(goods), quantity=SCALE) if goods else None

    def _add(
        self,
        kind: EntryKind,
        around: Invoice,
        of: int | None,
        lines: tuple[InvoiceLine, ...] = (),
        share: int = 0,
    ) -> Entry:
        register = self._random.randint(1, self._planner.registers)
        day, position = around.time.date(), self._planner.position
        return self._planner.add(
            Entry(position, day, around.time, register, kind, of, lines=lines, share=share)
        )

    def _wait(self) -> int:
        return self._random.randint(SOONEST, LATEST)


def goods_of(invoice: Invoice) -> list[InvoiceLine]:
    """Lines of an invoice that sell goods."""
    return [
        line
        for line in invoice.lines
        if line.quantity > 0 and line.price > 0 and sku_key(line.code) not in NOT_GOODS
    ]


def draw_lines(rng: random.Random, goods: Sequence[InvoiceLine]) -> list[InvoiceLine]:
    """Up to three of these lines with one to four units each, at least two units together."""
    chosen = rng.sample(goods, min(len(goods), rng.randint(1, 3)))
    fewest = 2 if len(chosen) == 1 else 1
    return [replace(line, quantity=rng.randint(fewest, 4) * SCALE) for line in chosen]
