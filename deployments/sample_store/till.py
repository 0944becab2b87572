"""A till that rings by itself: real invoices again, as of now, at a steady rate, into a sample store only."""

from __future__ import annotations

import logging
import random
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from data_contracts.errors import ConfigurationError
from deployments.sample_store.store import Rung, SampleStore

log = logging.getLogger(__name__)

VOIDS = 0.04
RETURNS = 0.04
"""How often the till undoes one of its own last sales instead of ringing a new ticket."""

REMEMBERED = 20
"""Sales it can still undo."""

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

    Ticket times are now, in `time_zone`, without a zone, as RMS writes them. A rate that the database
    cannot follow is rung as fast as it goes. `ConfigurationError` for a rate of 0 or less, for a till
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
    sales: list[int] = []
    with SampleStore.open(url) as store:
        started = time.monotonic()
        while (max_tickets is None or rung.total() < max_tickets) and not (stop is not None and stop()):
            due = started + rung.total() * 60 / rate_per_minute
            if (wait := due - time.monotonic()) > 0:
                time.sleep(min(wait, NAP))
                continue
            at = datetime.now(zone).replace(tzinfo=None, microsecond=0)
            ticket = _ring_one(store, rng, sales, at)
            rung[ticket.kind] += 1
            log.debug("till: ticket %s, %s", ticket.number, ticket.kind)
            if on_ticket is not None:
                on_ticket(ticket)
    log.info("till closed after %s tickets", rung.total())
    return rung


def _ring_one(store: SampleStore, rng: random.Random, sales: list[int], at: datetime) -> Rung:
    chance = rng.random()
    if sales and chance < VOIDS:
        return store.ring_void(sales.pop(rng.randrange(len(sales))), at=at)
    if sales and chance < VOIDS + RETURNS:
        number = sales.pop(rng.randrange(len(sales)))
        return store.ring_return(number, part=rng.random() < 0.5, at=at)
    ticket = store.ring_template(rng, at)
    if ticket.kind == "sale":
        sales.append(ticket.number)
        del sales[:-REMEMBERED]
    return ticket
