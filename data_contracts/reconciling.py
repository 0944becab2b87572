"""Compares a store's statement with the hub: figures per day, numbers as ranges, open orders one by one.

Pure functions. All amounts are ten-thousandths. A number range has both ends included.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Range = tuple[int, int]


@dataclass(frozen=True)
class Figures:
    """Control totals of some tickets."""

    tickets: int = 0
    lines: int = 0
    units: int = 0
    tax: int = 0
    total: int = 0

    def __add__(self, other: Figures) -> Figures:
        return Figures(
            self.tickets + other.tickets,
            self.lines + other.lines,
            self.units + other.units,
            self.tax + other.tax,
            self.total + other.total,
        )

    def __neg__(self) -> Figures:
        return Figures(-self.tickets, -self.lines, -self.units, -self.tax, -self.total)

    def __sub__(self, other: Figures) -> Figures:
        return self + -other

    def __bool__(self) -> bool:
        return any((self.tickets, self.lines, self.units, self.tax, self.total))


@dataclass(frozen=True)
class TenderDifference:
    """A tender of which store and hub show different sums on one day."""

    tender_code: str
    store: int
    hub: int


@dataclass(frozen=True)
class Day:
    """One business date and Z batch: what the store says, and what the hub has of these tickets, by state."""

    business_date: str
    z_batch: int
    store: Figures
    accepted: Figures = Figures()
    quarantined: Figures = Figures()
    pending: Figures = Figures()
    discarded: Figures = Figures()
    edited: Figures = Figures()
    """What the store states of tickets beyond what the hub has of them because people edited them."""
    tenders: tuple[TenderDifference, ...] = ()

    @property
    def difference(self) -> Figures:
        """What the store has beyond the hub, whatever its state there, and beyond what edits explain."""
        in_hub = self.accepted + self.quarantined + self.pending + self.discarded
        return self.store - in_hub - self.edited

    @property
    def agrees(self) -> bool:
        """Whether figures and tenders are the same on both sides."""
        return not self.difference and not self.tenders


@dataclass(frozen=True)
class DepositFigures:
    """Control totals of some changes of deposits, as RMS has them."""

    entries: int = 0
    amount: int = 0
    tendered: int = 0

    def __add__(self, other: DepositFigures) -> DepositFigures:
        return DepositFigures(
            self.entries + other.entries, self.amount + other.amount, self.tendered + other.tendered
        )

    def __neg__(self) -> DepositFigures:
        return DepositFigures(-self.entries, -self.amount, -self.tendered)

    def __sub__(self, other: DepositFigures) -> DepositFigures:
        return self + -other

    def __bool__(self) -> bool:
        return any((self.entries, self.amount, self.tendered))


@dataclass(frozen=True)
class DepositDay:
    """Deposits of one business date and Z batch: what the store says, and what the hub has of it."""

    business_date: str
    z_batch: int
    store: DepositFigures
    hub: DepositFigures

    @property
    def difference(self) -> DepositFigures:
        """What the store has beyond the hub."""
        return self.store - self.hub


@dataclass(frozen=True)
class OrderDifference:
    """An open order (layaway, backorder) of which store and hub do not say the same."""

    epoch: int
    number: int
    what: Literal["missing", "changed", "extra"]
    """missing: the hub does not have it. changed: it has, but not as the store states it.
    extra: it is open in the hub, and the store does not state it."""
    deposit: int = 0
    """What the store holds of its deposits beyond what the hub has of them."""


@dataclass(frozen=True)
class OpenDocument:
    """A ticket, an order, or a line of opening stock that is explained: in the hub, but not booked."""

    document: str
    state: str
    rule: str
    message: str
    business_date: str | None
    units: int
    total: int
    decision: str = ""
    """Who discarded it, when and why."""


@dataclass(frozen=True)
class EditedDocument:
    """A ticket of which the hub differs from the store because people edited it: explained."""

    document: str
    by: str
    at_utc: str
    why: str
    apart: Figures
    """What the hub has beyond the store."""
    day: tuple[str, int]
    """Business date and Z batch in the hub."""
    stated_day: tuple[str, int]
    """The same at the store."""
    tenders: tuple[tuple[str, int], ...] = ()
    """(tender code, what the hub has beyond the store)."""


@dataclass(frozen=True)
class NumberRange:
    """Numbers of tickets, or of orders, of one epoch; both ends included."""

    epoch: int
    first: int
    last: int

    @property
    def count(self) -> int:
        """How many numbers."""
        return self.last - self.first + 1

    def __str__(self) -> str:
        return f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}"


@dataclass(frozen=True)
class ReconcileReport:
    """What a statement and the hub say of one store."""

    store: str
    statement: str
    """Path of the statement's batch."""
    bound: int
    created_utc: str
    days: tuple[Day, ...] = ()
    missing: tuple[NumberRange, ...] = ()
    """Tickets that the store has and the hub does not."""
    extra: tuple[NumberRange, ...] = ()
    """Tickets that the hub has and the store does not."""
    waiting: tuple[NumberRange, ...] = ()
    """Tickets that RMS is still writing: explained."""
    extra_money: int = 0
    """Totals of the extra tickets, each counted as positive; they stand in no day."""
    lost: tuple[NumberRange, ...] = ()
    """Tickets that RMS lost when its database was restored: booked in the hub, explained, in no day."""
    newer: int = 0
    """Tickets in the hub that are newer than the statement: left out of the comparison."""
    deposit_days: tuple[DepositDay, ...] = ()
    orders: tuple[OrderDifference, ...] = ()
    """Open orders that differ."""
    waiting_orders: tuple[NumberRange, ...] = ()
    """Orders that RMS is still writing: explained."""
    open_orders: int = 0
    """Layaways and backorders that are open, as the store states them."""
    reserved: int = 0
    """Units that the hub holds for the layaways and backorders of the store."""
    deposits_held: int = 0
    """What the hub holds of their deposits."""
    open: tuple[OpenDocument, ...] = ()
    edited: tuple[EditedDocument, ...] = ()
    """Tickets that differ because people edited them: explained."""
    broken_proofs: tuple[str, ...] = ()
    """What does not add up inside the hub itself."""

    @property
    def unexplained(self) -> int:
        """Missing and extra tickets, orders that differ, days that do for another reason, broken proofs."""
        numbers = sum(numbers.count for numbers in (*self.missing, *self.extra))
        days = len(self.unexplained_days) + len(self.unexplained_deposits)
        return numbers + days + len(self.orders) + len(self.broken_proofs)

    @property
    def unexplained_days(self) -> tuple[Day, ...]:
        """Days that differ beyond what missing tickets explain: nobody knows their day, but their number is.

        A day on which the store has fewer tickets is never explained by them; days on which it has more
        are, unless they lack more tickets than are missing.
        """
        apart = tuple(day for day in self.days if not day.agrees)
        lacking = sum(max(day.difference.tickets, 0) for day in apart)
        if lacking > sum(numbers.count for numbers in self.missing):
            return apart
        return tuple(day for day in apart if day.difference.tickets <= 0)

    @property
    def unexplained_deposits(self) -> tuple[DepositDay, ...]:
        """Days on which deposits differ beyond what orders that are missing or differ explain.

        As with days and missing tickets: those days on which the store has more, unless they lack more
        money than these orders do.
        """
        apart = tuple(day for day in self.deposit_days if day.difference)
        lacking = sum(day.difference.amount for day in apart if day.difference.entries > 0)
        if not self.orders or abs(lacking) > sum(max(order.deposit, 0) for order in self.orders):
            return apart
        return tuple(day for day in apart if day.difference.entries <= 0)

    @property
    def unexplained_money(self) -> int:
        """Differences in totals and deposits, each counted as positive."""
        deposits = sum(abs(day.difference.amount) for day in self.deposit_days)
        return sum(abs(day.difference.total) for day in self.days) + self.extra_money + deposits

    @property
    def agrees(self) -> bool:
        """Whether every ticket, cent and unit is explained."""
        return not self.unexplained and not self.unexplained_money


def missing_numbers(present: Iterable[Range], numbers: Sequence[int]) -> list[Range]:
    """The parts of `present` that are not in the sorted `numbers`, as ranges in their order."""
    missing: list[Range] = []
    for first, last in sorted(present):
        expected = first
        for number in numbers[bisect_left(numbers, first) : bisect_right(numbers, last)]:
            if number > expected:
                missing.append((expected, number - 1))
            expected = number + 1
        if expected <= last:
            missing.append((expected, last))
    return missing


def extra_numbers(known: Iterable[Range], numbers: Iterable[int]) -> list[Range]:
    """Those of the sorted `numbers` that lie in no range of `known`, as ranges."""
    ranges = sorted(known)
    starts = [first for first, _ in ranges]
    extra: list[Range] = []
    for number in numbers:
        at = bisect_right(starts, number) - 1
        if at >= 0 and number <= ranges[at][1]:
            continue
        if extra and extra[-1][1] == number - 1:
            extra[-1] = (extra[-1][0], number)
        else:
            extra.append((number, number))
    return extra
