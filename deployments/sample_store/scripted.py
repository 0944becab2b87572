"""Rings the script's entries of orders: what the script says in shares becomes money, by the order's total.

The caller owns the transaction.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import get_args

from data_contracts.amounts import SCALE
from data_contracts.documents import sku_key
from data_contracts.errors import ConfigurationError
from deployments.sample_store import ring
from deployments.sample_store.orders import (
    FAR_AHEAD,
    TRAVELLING,
    OrderDesk,
    SampleOrder,
    parts_of,
    read_order,
)
from deployments.sample_store.plan import Entry, OpeningKind, OrderEventKind
from deployments.sample_store.stock import available_units, receive_goods

BASIS_POINTS = 10_000

OPENINGS: frozenset[str] = frozenset(get_args(OpeningKind))
EVENTS: frozenset[str] = frozenset(get_args(OrderEventKind))

DEPOSIT, CHANGED, CANCELLED, EXPIRED, RECEIVED, DELETED = (
    *("deposit", "changed", "cancelled", "expired"),
    *("received", "deleted"),
)
"""What an entry that rings no ticket did."""

SPARE = 10
"""Units that a delivery brings beyond what was waited for, at most."""

Lines = Sequence[ring.TicketLine]


def kind_of_pick_up(kind: str) -> str:
    """What the ticket means that takes goods of an order: those of quotes and work orders are sales."""
    return "pickup" if kind in TRAVELLING else "sale"


def open_scripted(desk: OrderDesk, entry: Entry, lines: Lines, rng: random.Random) -> tuple[int, str]:
    """Open the order of an entry; returns its number and kind."""
    if entry.kind not in ("layaway", "backorder", "work_order", "quote"):
        raise ConfigurationError(f"Entry {entry.position} of the script opens no order.")
    deposit = ring.share_of(ring.total(desk.shop, lines), entry.share, BASIS_POINTS)
    return desk.open(entry.kind, lines, ring.choose_tenders(rng, deposit), FAR_AHEAD), entry.kind


def ring_event(
    desk: OrderDesk, entry: Entry, number: int, lines: Lines, rng: random.Random
) -> tuple[int, str]:
    """Ring what the script has for order `number`; returns a number and what it is of.

    A pick-up gives its ticket's number, a receipt that of its purchase order, all else the order's.
    """
    found = read_order(desk.connection, number)
    match entry.kind:
        case "deposit":
            share = ring.share_of(found.total, entry.share, BASIS_POINTS)
            if amount := min(share, found.total - found.deposit):
                desk.pay(number, ring.choose_tenders(rng, amount))
            return number, DEPOSIT
        case "add_line":
            desk.add_lines(number, lines)
        case "change_line":
            entry_id = _entries_of(found, entry)[0]
            desk.change_line(number, entry_id, lines[0].quantity)
        case "remove_line":
            desk.remove_line(number, _entries_of(found, entry)[-1], logged=True)
        case "receipt":
            return _receive(desk, found, rng), RECEIVED
        case "cancel":
            desk.cancel(number, ring.share_of(found.deposit, entry.share, BASIS_POINTS), "CASH")
            return number, CANCELLED
        case "expire":
            desk.expire(number)
            return number, EXPIRED
        case _:
            wanted = [(sku_key(line.code), line.quantity) for line in entry.lines]
            parts = parts_of(found, wanted) if wanted else None
            ticket, kind = desk.pick_up(number, parts, lambda due: ring.choose_tenders(rng, due))
            return ticket, kind_of_pick_up(kind)
    return number, CHANGED


def _entries_of(found: SampleOrder, entry: Entry) -> list[int]:
    """Ids of the order's lines with the item that the entry names."""
    key = sku_key(entry.lines[0].code)
    return [line.entry for line in found.lines if line.item.key == key]


def _receive(desk: OrderDesk, found: SampleOrder, rng: random.Random) -> int:
    """The supplier delivers what the order lacks, and some spare."""
    wanted: Counter[int] = Counter()
    for line in found.lines:
        wanted[line.item.id] += line.on_order
    at_hand = available_units(desk.connection, wanted)
    items = {line.item.id: line.item for line in found.lines}
    goods = [
        (items[item], max(0, units - at_hand[item]) + rng.randint(1, SPARE) * SCALE)
        for item, units in sorted(wanted.items())
    ]
    batch = ring.open_batch(desk.connection, desk.shop, desk.register, desk.at)
    return receive_goods(desk.connection, desk.shop, goods, batch=batch, at=desk.at)
