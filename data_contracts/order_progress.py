"""Works out where a layaway or backorder stands, from its snapshots and its pick-ups. Pure functions.

Always from all that is known, never counted up: whatever the order in which snapshots and tickets arrive,
and however often, the same follows. Amounts are ten-thousandths; newness is (sequence, batch id).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from data_contracts.amounts import show_units
from data_contracts.life_cycle import State, may_follow, state_of
from data_contracts.posting import PICKED_UP_BEFORE, Objection
from data_contracts.waiting import WAITING_FOR_ORDER, WAITING_FOR_TICKET

Newness = tuple[int, str]


@dataclass(frozen=True)
class SnapshotLine:
    """A line of an order as a snapshot has it."""

    entry_id: int
    sku: str
    """As RMS has it."""
    product: str
    """The hub's SKU; RMS's own for what the hub need not know because it holds no stock."""
    item_type: int
    holds_stock: bool
    outstanding: int
    """Still to be handed over."""
    taken: int
    unit_price: int
    ordered: int = 0
    """What was ordered when the order was last seen open; filled in by `present`."""


@dataclass(frozen=True)
class Snapshot:
    """One snapshot of an order."""

    revision: str
    newness: Newness
    kind: str
    """layaway or backorder."""
    closed: bool
    """Closed in RMS, gone from it, or turned into a kind that stays in the store."""
    deleted: bool
    lines: tuple[SnapshotLine, ...]
    tickets: frozenset[int] = frozenset()
    """TransactionNumbers in its OrderHistory."""
    left: bool = False
    """Not closed in RMS, but gone from it or turned into a kind that stays in the store: it may come back."""

    @property
    def taken(self) -> int:
        """Units handed over. Lines below nothing (a coupon) hand over nothing."""
        return sum(max(0, line.taken) for line in self.lines)

    @property
    def ordered(self) -> int:
        """Units ordered, likewise."""
        return sum(max(0, line.ordered) for line in self.lines)

    def state(self, waiting: int = 0) -> State:
        """The state it shows; `waiting` are units of it that have no stock yet."""
        return state_of(closed=self.closed, ordered=self.ordered, taken=self.taken, waiting=waiting)

    def taken_by_product(self) -> dict[str, int]:
        """Product -> units handed over."""
        return _by_product((line.product, max(0, line.taken)) for line in self.lines)


@dataclass(frozen=True)
class PickUp:
    """A ticket that picks up an order, with what undid it."""

    number: int
    sequence: int
    """Of the newest batch it came in."""
    items: Mapping[str, int]
    """Product -> units taken."""
    undone: Mapping[str, int]
    """Product -> units of it that were voided or came back."""
    epoch: int = 1
    lost: bool = False
    """Whether RMS lost the ticket when its database was restored."""
    booked: bool = False

    def stands(self, product: str) -> bool:
        """Whether units of the product are still with the customer."""
        return self.items.get(product, 0) > self.undone.get(product, 0)


class TicketLine(NamedTuple):
    """A line of a pick-up."""

    document: str
    line: int
    product: str
    unit_price: int
    quantity: int


class Filled(NamedTuple):
    """A part of a ticket's line and the line of the order that it fills; None for none."""

    document: str
    line: int
    part: int
    order_line: int | None
    quantity: int


def present(snapshots: Iterable[Snapshot]) -> Snapshot:
    """The newest snapshot, with what was ordered on each line.

    RMS sets a closed order's outstanding quantities to 0, and a deleted one has no lines at all: what was
    ordered is then what the newest snapshot before it says that still was open, or what was taken if none
    is known. Nothing is outstanding any more.
    """
    ordered = sorted(snapshots, key=lambda snapshot: snapshot.newness)
    newest = ordered[-1]
    if not newest.closed:
        return _with_ordered(newest)
    before = next((_with_ordered(s) for s in reversed(ordered) if not s.closed), None)
    if newest.deleted:
        last = next((s for s in reversed(ordered) if not s.deleted), None)
        newest = replace(newest, lines=last.lines if last else (), kind=last.kind if last else newest.kind)
    if before is None:
        lines = _with_ordered(newest).lines
        return replace(newest, lines=tuple(replace(line, outstanding=0) for line in lines))
    now = {line.entry_id: line for line in newest.lines}
    lines = tuple(
        replace(line, taken=now[line.entry_id].taken if line.entry_id in now else line.taken, outstanding=0)
        for line in before.lines
    )
    added = [line for line in newest.lines if line.entry_id not in {old.entry_id for old in before.lines}]
    lines += tuple(replace(line, ordered=line.taken, outstanding=0) for line in added)
    return replace(newest, lines=lines)


def objection(
    number: int,
    now: Snapshot,
    before: Snapshot | None,
    state_before: State | None,
    pickups: Sequence[PickUp],
    *,
    unknown_tickets: Iterable[int],
    held_tickets: Iterable[int],
) -> Objection | None:
    """Why an order cannot move to its newest snapshot yet, or at all; None if it may.

    `before` is what was applied last (`present`), None if nothing was. `pickups` are its good tickets,
    applied or waiting. `unknown_tickets` are numbers in its OrderHistory that the hub has not taken in,
    `held_tickets` its pick-ups that stand in quarantine.

    The two wait for each other by quantity: taken units without their ticket wait for it, a ticket newer
    than the snapshot waits for the next one. Where both are of one moment and still differ, that is a fact
    of RMS and holds nothing up.
    """
    taken, gross, undone = now.taken_by_product(), _summed(p.items for p in pickups), _undone(pickups)
    missing = sorted({*unknown_tickets, *held_tickets})
    if missing and any(units > gross.get(product, 0) for product, units in taken.items()):
        named = ", ".join(map(str, missing[:5])) + (" and more" if len(missing) > 5 else "")
        return Objection(
            WAITING_FOR_TICKET,
            f"Order {number} shows more taken than its tickets; ticket {named} is not booked in the hub.",
            "nothing to do if that ticket is on its way: it clears itself when it is booked",
        )
    newest_ticket = max((p.sequence for p in pickups), default=0)
    if newest_ticket > now.newness[0] and any(
        units < gross.get(product, 0) - undone.get(product, 0) for product, units in taken.items()
    ):
        return Objection(
            WAITING_FOR_ORDER,
            f"Order {number} was picked up since its newest snapshot here was read.",
            "nothing to do: it clears itself when the order's newer snapshot arrives",
        )
    if before is None or state_before is None:
        return None
    was, after = before.taken_by_product(), now.state()
    if any(_fell(units, taken.get(product, 0), gross, undone, product) for product, units in was.items()):
        return _illegal(
            number,
            state_before,
            after,
            f"its taken quantity falls from {show_units(before.taken)} to {show_units(now.taken)}",
            pickups,
        )
    if before.left:
        state_before = State.PARTLY_PICKED_UP if before.taken else State.OPEN
    if not may_follow(state_before, after, undone=any(undone.values())):
        return _illegal(number, state_before, after, "it moves back", pickups)
    return None


def _fell(was: int, now: int, gross: Mapping[str, int], undone: Mapping[str, int], product: str) -> bool:
    back = undone.get(product, 0)
    return now < was and (now < gross.get(product, 0) - back or now < was - back)


def rung_again(pickup: PickUp, pickups: Sequence[PickUp], now: Snapshot) -> Objection | None:
    """Why a person has to look at a pick-up that waits, if `pickups` (all of its order, it too) ask for it.

    A till whose database was restored knows nothing of what was picked up after the backup, and the shop
    rings that again so that RMS has it too: the goods have left once. Whether they have shows in what RMS
    counts as taken, which is less than all tickets come to; which of them it is, only the shop knows.
    """
    gross, undone, taken = _summed(p.items for p in pickups), _undone(pickups), now.taken_by_product()
    beyond = [
        product
        for product, units in gross.items()
        if pickup.stands(product) and units - undone.get(product, 0) > taken.get(product, 0)
    ]
    for other in pickups:
        earlier, later = sorted((other, pickup), key=lambda p: p.epoch)
        comes_first = other.booked or other is earlier
        repeats = later.epoch > earlier.epoch and earlier.lost and comes_first
        if repeats and any(other.stands(product) for product in beyond):
            return _picked_up_before(pickup, other, lost=earlier)
    return None


def _picked_up_before(pickup: PickUp, other: PickUp, *, lost: PickUp) -> Objection:
    return Objection(
        PICKED_UP_BEFORE,
        f"Ticket {pickup.number} picks up what ticket {other.number} of epoch {other.epoch} has picked up; "
        f"RMS lost ticket {lost.number} when its database was restored, and counts one of them only.",
        "if both are the same goods, rung again, discard this one with a reason; if goods left the shop "
        "twice, release it",
    )


def _illegal(number: int, before: State, after: State, what: str, pickups: Iterable[PickUp]) -> Objection:
    lost = sorted(p.number for p in pickups if p.lost and any(p.stands(product) for product in p.items))
    if lost:
        named = ", ".join(map(str, lost))
        return Objection(
            "illegal_move",
            f"Order {number} was `{before}` and shows as `{after}`: {what}. RMS lost its pick-up by "
            f"ticket {named} when its database was restored.",
            "if the goods have left the shop, pick the order up again in RMS: that clears this, and you are "
            "asked about the new ticket; else discard this snapshot with a reason",
        )
    return Objection(
        "illegal_move",
        f"Order {number} was `{before}` and shows as `{after}`: {what}, with no void or return of a pick-up.",
        "look at the order in RMS; a void or return that is on its way, or a corrected order, clears this",
    )


def fill_lines(lines: Sequence[SnapshotLine], tickets: Iterable[TicketLine]) -> list[Filled]:
    """Which line of the order each line of its tickets fills: what RMS shows as taken, by product and price.

    RMS links no line of a pick-up to a line of the order. Lines of the same product and price come first,
    in the order of their ids, then lines of the same product; a ticket's line may fill several of them.
    What exceeds what was ordered fills none, and neither do lines that come back.
    """
    room = {line.entry_id: line.taken for line in lines}
    spare = {line.entry_id: line.ordered - line.taken for line in lines}
    filled: list[Filled] = []
    for ticket in tickets:
        left, part = ticket.quantity, 0
        same = [line for line in lines if line.product == ticket.product]
        # A stable sort: among the same price the order of ids stays.
        same.sort(key=lambda line: (line.unit_price != ticket.unit_price, line.entry_id))
        for space in (room, spare):
            for line in same:
                units = min(left, space[line.entry_id])
                if units > 0:
                    part += 1
                    space[line.entry_id] -= units
                    left -= units
                    filled.append(Filled(ticket.document, ticket.line, part, line.entry_id, units))
        if left or not part:
            filled.append(Filled(ticket.document, ticket.line, part + 1, None, left))
    return filled


class Held(NamedTuple):
    """What is held for a line."""

    reserved: int
    backordered: int


def hold(line: SnapshotLine, kind: str, before: Held, taken_before: int, *, released: bool) -> Held:
    """What of a line is reserved and what waits for stock, given what was reserved for it `before`.

    A layaway reserves all that is outstanding. A backorder keeps what it was allocated, less what was taken
    since; the rest waits. Nothing is held for an expired order whose stock was given back.
    """
    outstanding = max(0, line.outstanding) if line.holds_stock else 0
    if kind == "layaway":
        return Held(0 if released else outstanding, 0)
    left = max(0, before.reserved - max(0, line.taken - taken_before))
    reserved = 0 if released else min(outstanding, left)
    return Held(reserved, outstanding - reserved)


def _with_ordered(snapshot: Snapshot) -> Snapshot:
    lines = tuple(replace(line, ordered=line.outstanding + line.taken) for line in snapshot.lines)
    return replace(snapshot, lines=lines)


def _undone(pickups: Iterable[PickUp]) -> dict[str, int]:
    return _summed(pickup.undone for pickup in pickups)


def _summed(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    return _by_product(pair for part in parts for pair in part.items())


def _by_product(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for product, units in pairs:
        sums[product] = sums.get(product, 0) + units
    return sums
