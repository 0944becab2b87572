"""Which waiting backorders are given the stock that is free: the oldest first, never more than there is.

What was given is never taken back, so nothing here makes a quantity smaller.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple


class WaitingLine(NamedTuple):
    """A line of a backorder that waits for stock."""

    order_id: str
    line: int
    warehouse: str
    sku: str
    ordered_at_utc: str
    store: str
    number: int
    """[Order].ID."""
    units: int
    """What waits, in ten-thousandths."""

    @property
    def age(self) -> tuple[str, str, int, str, int]:
        """Sorts the oldest first; no two lines are alike."""
        return (self.ordered_at_utc, self.store, self.number, self.order_id, self.line)


class GivenLine(NamedTuple):
    """What a waiting line is given, always more than nothing, in ten-thousandths."""

    waiting: WaitingLine
    units: int


def give_out(waiting: Iterable[WaitingLine], free: Mapping[tuple[str, str], int]) -> list[GivenLine]:
    """What each waiting line is given of the free units of its (warehouse, SKU), oldest first.

    A place that is not in `free`, or has less than nothing there, gives nothing.
    """
    left = dict(free)
    given: list[GivenLine] = []
    for line in sorted(waiting, key=lambda line: line.age):
        place = (line.warehouse, line.sku)
        units = min(line.units, left.get(place, 0))
        if units > 0:
            left[place] -= units
            given.append(GivenLine(line, units))
    return given
