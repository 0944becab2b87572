"""Fixes the mark at which the bridge takes a store over, and says what the hub starts from.

What RMS holds at that mark is history: it is never booked. Run it while the tills are quiet.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from data_contracts.documents import ORDER, STREAM_ORDERS
from data_contracts.errors import ConfigurationError, NotBaselined, StoreUnavailable
from data_contracts.manifest import Mark, Position, Waiting
from tasks import faults
from tasks.exchange import batches
from tasks.exchange.folder import Folder, open_folder
from tasks.rms import reader
from tasks.rms.dialects import read_bound
from tasks.settings import Settings
from tasks.use_cases.baseline_batches import (
    BaselineReport,
    Stock,
    begin_orders,
    newest_baseline,
    publish_baseline,
    report_of,
)
from tasks.use_cases.store_session import StoreSession, compact, open_store, utc_now, utc_text
from tasks.use_cases.taking_over import take_over

logger = logging.getLogger(__name__)

faults.declare("baseline.read", "baseline.batch_published")

QUIET_TRIES = 5
"""How often stock is read until nothing was sold meanwhile."""


def baseline_store(
    settings: Settings,
    store: str,
    *,
    stock_from_rms: bool = False,
    again: bool = False,
    now: Callable[[], datetime] = utc_now,
) -> BaselineReport:
    """Publish the store's baseline batch, then begin its orders stream there.

    Layaways and backorders that are open wait for the first export, which publishes them; those that are
    closed are history, as all tickets are. `stock_from_rms` takes Item.Quantity as the hub's opening
    stock. Killed between the two writes, the next call completes with the mark that was published. The
    same brings back an orders stream of which nothing can be read any more: all since the start mark is
    exported again, which changes nothing.

    `again` is another matter: it takes over a database that was restored or replaced (`take_over`), and
    leaves start mark and stock alone.

    Raises `ConfigurationError` if the store has its baseline already or has no stock of its own to take
    (a head office's database, an absurd quantity), `StoreUnavailable` if the tills did not rest while
    stock was read, and what `open_store` raises; with `again` what `take_over` raises.
    """
    if again and stock_from_rms:
        raise ConfigurationError(
            f"Stock of store `{store}` cannot be taken from RMS again: the hub's own stands, and holds what "
            "was booked since. Nothing was changed; retrying cannot clear this.",
            next_step=f"run `tillbridge baseline {store} --again` without --stock-from-rms",
            store=store,
        )
    if again:
        return take_over(settings, store, now=now)
    with open_folder(settings) as folder:
        folder.take_into_use()
        return _baseline(settings, folder, store, stock_from_rms, now)


def _baseline(
    settings: Settings, folder: Folder, store: str, stock_from_rms: bool, now: Callable[[], datetime]
) -> BaselineReport:
    try:
        begun = batches.newest_position(folder, store, STREAM_ORDERS)
    except NotBaselined:
        begun = None
    if begun is not None:
        raise ConfigurationError(
            f"Store `{store}` has its baseline already: its tickets are exported from number "
            f"{begun.position.start.ticket_number + 1} on. Nothing was changed.",
            next_step=f"run `tillbridge export {store}`",
            store=store,
        )
    published = newest_baseline(folder, store)
    if published is not None:
        logger.info("%s/baseline: completing %s", store, published.path)
        begin_orders(folder, published)
        return report_of(published, completed=True)
    created_utc = utc_text(now())
    with open_store(settings, store) as session:
        if stock_from_rms:
            _refuse_shared_stock(session)
        position, stock = _read(settings, session, stock_from_rms, created_utc)
    faults.point("baseline.read")
    manifest = publish_baseline(folder, store, position, stock, created_utc)
    faults.point("baseline.batch_published")
    begin_orders(folder, manifest)
    return report_of(manifest)


def _refuse_shared_stock(session: StoreSession) -> None:
    if not reader.holds_one_store(session.connection):
        raise ConfigurationError(
            f"The RMS database of store `{session.store}` holds several StoreIDs, as a head office's does: "
            "its Item.Quantity is no store's own stock. Retrying cannot clear this; nothing was published.",
            next_step="let rms_url name the store's own database, or run "
            f"`tillbridge baseline {session.store}` without --stock-from-rms",
            store=session.store,
        )


def _read(
    settings: Settings, session: StoreSession, stock_from_rms: bool, now_utc: str
) -> tuple[Position, Stock]:
    """Where the orders stream begins, and stock, of one moment: with stock, one in which nothing was sold.

    History is what was there before the bound was read, and what lies below it: a ticket that is written
    later is exported whatever its number, one that is only touched meanwhile stays history. So it is with
    orders that are closed; those that are open are read after the bound, which a later closing lies above.
    """
    codes = settings.store(session.store).codes
    for _ in range(QUIET_TRIES if stock_from_rms else 1):
        connection, store_id = session.connection, session.store_id
        numbers = reader.existing_numbers(connection, store_id)
        closed = reader.closed_order_numbers(connection, store_id)
        bound = read_bound(connection)
        numbers |= reader.existing_numbers(connection, store_id, below=bound)
        closed |= reader.closed_order_numbers(connection, store_id, below=bound)
        entry_id, tender_entry_id = reader.highest_entry_ids(connection, store_id, below=bound)
        still_open = reader.open_order_numbers(connection, store_id, codes.home_order_types) - closed
        history_id = reader.highest_order_history_id(connection, store_id, below=bound)
        stock = _stock(session, codes.without_stock_item_types) if stock_from_rms else []
        if not stock_from_rms or not reader.written_since(connection, bound):
            start = Mark(
                rowversion=bound - 1,
                ticket_number=max(numbers, default=0),
                entry_id=entry_id,
                tender_entry_id=tender_entry_id,
                order_history_id=history_id,
            )
            position = Position(
                resume=start,
                swept=start,
                start=start,
                waiting=tuple(
                    Waiting(source=ORDER, number=number, first_seen_utc=now_utc)
                    for number in sorted(still_open)
                ),
                history=tuple(compact(sorted(numbers))),
                closed_orders=tuple(compact(sorted(closed))),
            )
            return position, stock
    raise StoreUnavailable(
        f"Store `{session.store}` sold something each of the {QUIET_TRIES} times stock was read, so stock "
        "and tickets are not of one moment. Nothing was published; retrying may help.",
        next_step="run the baseline when the tills are quiet",
        store=session.store,
    )


def _stock(session: StoreSession, without_stock: Sequence[int]) -> Stock:
    stock = reader.stock_on_hand(session.connection, without_stock)
    absurd = [sku for sku, _, quantity in stock if quantity is None]
    if absurd:
        raise ConfigurationError(
            f"Store `{session.store}` has {len(absurd)} items of which RMS holds an absurd quantity: "
            f"{', '.join(absurd[:5])}. Retrying cannot clear this; nothing was published.",
            next_step="count them and correct their quantity in RMS",
            store=session.store,
        )
    return [(sku, kind, quantity) for sku, kind, quantity in stock if quantity is not None]
