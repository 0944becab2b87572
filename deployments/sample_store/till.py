"""A till that rings by itself: real invoices again, as of now, at a steady rate, into a sample store only."""

from __future__ import annotations

import logging
import random
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from data_contracts.amounts import SCALE
from data_contracts.errors import ConfigurationError
from deployments.sample_store import ring
from deployments.sample_store.store import TICKET_KINDS, Rung, SampleStore

log = logging.getLogger(__name__)

VOIDS = 0.04
RETURNS = 0.04
"""How often the till undoes one of its own last sales instead of ringing a new ticket."""

OPENED = 0.03
ORDER_EVENTS = 0.06
"""How often it opens a layaway or, more rarely, a backorder, and how often something happens to one of its
own: an instalment, a pick-up of all or of one unit, or its end."""
BACKORDERS = 0.3
DOWN_PAYMENT = 2_000
"""The share of what it opens that are backorders; what is paid at a time, in basis points of the total."""

REMEMBERED = 20
"""Sales it can still undo, and orders it has open."""

NAP = 0.25
"""Seconds slept at a time, so that `stop` is heard soon."""


def run_till(
    url: str,
    rate_per_minute: float,
    seed: int,
    *,
    stop: Callable[[], bool] | None = None,
    max_tickets: int | None = None,
    time_zone: str = "Europe/London",
    on_ticket: Callable[[Rung], None] | None = None,
) -> Counter[str]:
    """Ring tickets until `stop()` is true or `max_tickets` are rung; returns how many of each kind.

    Layaways and backorders come and go between them: see `tickets_among` for tickets alone. Times are
    now, in `time_zone`, without a zone, as RMS writes them. A rate that the database cannot follow is
    rung as fast as it goes. `ConfigurationError` for a rate of 0 or less, for a till
    without an end and for a database that is not a sample store.
    """
    if rate_per_minute <= 0 or (stop is None and max_tickets is None):
        raise ConfigurationError(
            f"A till with {rate_per_minute} tickets a minute and no end cannot run.",
            next_step="give a rate above 0, and `stop` or `max_tickets`",
        )
    rng = random.Random(f"{seed}/till")  # noqa: S311 - a reproducible sequence is wanted
    zone = ZoneInfo(time_zone)
    rung: Counter[str] = Counter()
    own = _Own([], [])
    with SampleStore.open(url) as store:
        started = time.monotonic()
        while (max_tickets is None or tickets_among(rung) < max_tickets) and not (stop and stop()):
            due = started + rung.total() * 60 / rate_per_minute
            if (wait := due - time.monotonic()) > 0:
                time.sleep(min(wait, NAP))
                continue
            at = datetime.now(zone).replace(tzinfo=None, microsecond=0)
            ticket = _ring_one(store, rng, own, at)
            rung[ticket.kind] += 1
            log.debug("till: %s %s", ticket.kind, ticket.number)
            if on_ticket is not None:
                on_ticket(ticket)
    log.info("till closed after %s tickets", tickets_among(rung))
    return rung


def tickets_among(rung: Counter[str]) -> int:
    """How many of these are tickets, not events of orders."""
    return sum(count for kind, count in rung.items() if kind in TICKET_KINDS)


class _Own(NamedTuple):
    """Numbers of what this till did and can still act on."""

    sales: list[int]
    orders: list[int]


def _ring_one(store: SampleStore, rng: random.Random, own: _Own, at: datetime) -> Rung:
    chance = rng.random()
    sales = own.sales
    if sales and chance < VOIDS:
        return store.ring_void(sales.pop(rng.randrange(len(sales))), at=at)
    if sales and chance < VOIDS + RETURNS:
        number = sales.pop(rng.randrange(len(sales)))
        return store.ring_return(number, part=rng.random() < 0.5, at=at)
    chance -= VOIDS + RETURNS
    if 0 <= chance < OPENED and len(own.orders) < REMEMBERED:
        return _open_one(store, rng, own, at)
    if own.orders and OPENED <= chance < OPENED + ORDER_EVENTS:
        return _move_one(store, rng, own, at)
    ticket = store.ring_template(rng, at)
    if ticket.kind == "sale":
        sales.append(ticket.number)
        del sales[:-REMEMBERED]
    return ticket


def _open_one(store: SampleStore, rng: random.Random, own: _Own, at: datetime) -> Rung:
    backorder = rng.random() < BACKORDERS
    number = (store.open_backorder if backorder else store.open_layaway)(rng, at=at)
    own.orders.append(number)
    return Rung(number, "backorder" if backorder else "layaway")


def _move_one(store: SampleStore, rng: random.Random, own: _Own, at: datetime) -> Rung:
    """An instalment, one unit taken, or the end of an order: mostly its pick-up."""
    number = rng.choice(own.orders)
    order = store.read_order(number)
    instalment = min(ring.share_of(order.total, DOWN_PAYMENT, 10_000), order.total - order.deposit)
    first = next(line for line in order.lines if line.on_order)
    chance = rng.random()
    if chance < 0.3 and instalment > 0:
        return store.pay_deposit(number, instalment, at=at, tender="CARD")
    if chance < 0.5 and sum(line.on_order for line in order.lines) > SCALE:
        return store.pick_up(number, [(first.item.sku, 1)], at=at)
    own.orders.remove(number)
    if chance < 0.85:
        return store.pick_up(number, at=at, tender="CARD")
    return store.cancel_order(number, at=at)
