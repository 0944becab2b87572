"""Fixes the mark at which the bridge takes a store over, and says what the hub starts from.

What RMS holds at that mark is history: it is never booked. Run it while the tills are quiet.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from data_contracts.documents import FILES, STREAM_BASELINE, STREAM_ORDERS, TICKET
from data_contracts.errors import ConfigurationError, NotBaselined, StoreUnavailable
from data_contracts.manifest import Head, Manifest, Mark, Position
from tasks import faults
from tasks.exchange import batches
from tasks.exchange.folder import Folder, open_folder
from tasks.rms import reader
from tasks.rms.dialects import read_bound
from tasks.settings import Settings
from tasks.use_cases.store_session import (
    StoreSession,
    compact,
    open_store,
    program_version,
    utc_now,
    utc_text,
)

logger = logging.getLogger(__name__)

faults.declare("baseline.read", "baseline.batch_published")

QUIET_TRIES = 5
"""How often stock is read until nothing was sold meanwhile."""


@dataclass(frozen=True)
class BaselineReport:
    """What a baseline fixed. Units in ten-thousandths."""

    store: str
    batch: str
    start: Mark
    history_tickets: int
    items: int
    units: int
    completed: bool = False
    """An earlier baseline had published its batch and was killed before the head; its mark was kept."""


def baseline_store(
    settings: Settings,
    store: str,
    *,
    stock_from_rms: bool = False,
    again: bool = False,
    now: Callable[[], datetime] = utc_now,
) -> BaselineReport:
    """Publish the store's baseline batch, then begin its orders stream there.

    `stock_from_rms` takes Item.Quantity as the hub's opening stock. Killed between the two writes, the
    next call completes with the mark that was published. The same brings back an orders stream of which
    nothing can be read any more: all since the start mark is exported again, which changes nothing.

    Raises `ConfigurationError` if the store has its baseline already, holds open orders, or has no stock
    of its own to take (a head office's database, an absurd quantity), `StoreUnavailable` if the tills did
    not rest while stock was read, and what `open_store` raises.
    """
    if again:
        raise ConfigurationError(
            "A store cannot be baselined again in this version. Retrying cannot clear this.",
            next_step="leave --again out; a restored RMS database needs a later version",
            store=store,
        )
    folder = open_folder(settings.exchange_url)
    folder.take_into_use()
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
    published = _published(folder, store)
    if published is not None:
        logger.info("%s/baseline: completing %s", store, published.path)
        _begin_orders(folder, published)
        return _report(published, completed=True)
    with open_store(settings, store) as session:
        _refuse_open_orders(settings, session)
        if stock_from_rms:
            _refuse_shared_stock(session)
        start, history, stock = _read(settings, session, stock_from_rms)
    faults.point("baseline.read")
    manifest = _publish(folder, store, start, history, stock, utc_text(now()))
    faults.point("baseline.batch_published")
    _begin_orders(folder, manifest)
    return _report(manifest)


History = list[tuple[int, int]]
Stock = list[tuple[str, int, int]]


def _published(folder: Folder, store: str) -> Manifest | None:
    head = batches.newest_position(folder, store, STREAM_BASELINE)
    if head is None:
        return None
    return batches.fetch_manifest(folder, store, STREAM_BASELINE, head.sequence, head.batch_id)


def _refuse_open_orders(settings: Settings, session: StoreSession) -> None:
    home = settings.store(session.store).codes.home_order_types
    count = reader.open_orders(session.connection, session.store_id, home)
    if count:
        raise ConfigurationError(
            f"Store `{session.store}` has {count:,} open layaways or backorders; taking them over comes in a "
            "later version. Retrying cannot clear this; nothing was published.",
            next_step="close them in RMS before the baseline, or list their types in "
            f"[stores.{session.store}.codes] home_order_types to leave them in the store",
            store=session.store,
            open_orders=count,
        )


def _refuse_shared_stock(session: StoreSession) -> None:
    if not reader.holds_one_store(session.connection):
        raise ConfigurationError(
            f"The RMS database of store `{session.store}` holds several StoreIDs, as a head office's does: "
            "its Item.Quantity is no store's own stock. Retrying cannot clear this; nothing was published.",
            next_step="let rms_url name the store's own database, or run "
            f"`tillbridge baseline {session.store}` without --stock-from-rms",
            store=session.store,
        )


def _read(settings: Settings, session: StoreSession, stock_from_rms: bool) -> tuple[Mark, History, Stock]:
    """Start mark, history and stock as of one moment: with stock, one in which nothing was sold.

    History is what was there before the bound was read, and what lies below it: a ticket that is written
    later is exported whatever its number, one that is only touched meanwhile stays history.
    """
    without_stock = settings.store(session.store).codes.without_stock_item_types
    for _ in range(QUIET_TRIES if stock_from_rms else 1):
        connection, store_id = session.connection, session.store_id
        numbers = reader.existing_numbers(connection, store_id)
        bound = read_bound(connection)
        numbers |= reader.existing_numbers(connection, store_id, below=bound)
        entry_id, tender_entry_id = reader.highest_entry_ids(connection, store_id, below=bound)
        stock = _stock(session, without_stock) if stock_from_rms else []
        if not stock_from_rms or not reader.written_since(connection, bound):
            start = Mark(
                rowversion=bound - 1,
                ticket_number=max(numbers, default=0),
                entry_id=entry_id,
                tender_entry_id=tender_entry_id,
            )
            return start, compact(sorted(numbers)), stock
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


def _publish(
    folder: Folder, store: str, start: Mark, history: History, stock: Stock, created_utc: str
) -> Manifest:
    import pandas as pd

    from data_contracts.frames import write_csv

    columns = FILES[STREAM_BASELINE]
    by_sku: dict[str, tuple[int, int]] = {}
    for sku, kind, quantity in stock:  # RMS does not forbid two items with one lookup code
        by_sku[sku] = (kind, by_sku.get(sku, (kind, 0))[1] + quantity)
    frames = {
        "opening_stock": pd.DataFrame(
            [(store, sku, kind, quantity) for sku, (kind, quantity) in by_sku.items() if sku],
            columns=list(columns["opening_stock"]),
        ),
        "history_ranges": pd.DataFrame(
            [(store, TICKET, first, last) for first, last in history],
            columns=list(columns["history_ranges"]),
        ),
    }
    position = Position(resume=start, swept=start, start=start, history=tuple(history))
    return batches.publish_batch(
        folder,
        batches.Draft(
            program_version=program_version(),
            store=store,
            epoch=position.epochs[-1].epoch,
            stream=STREAM_BASELINE,
            created_utc=created_utc,
            documents=0,
            units=sum(quantity for sku, (_, quantity) in by_sku.items() if sku),
            bound=start.rowversion + 1,
            range_to=start,
            position=position,
        ),
        {
            role: batches.Content(write_csv(frame, columns[role]), len(frame))
            for role, frame in frames.items()
        },
    )


def _begin_orders(folder: Folder, manifest: Manifest) -> None:
    """The head of the orders stream at the start mark, in front of whatever is left of the stream."""
    sequence = batches.newest_sequence(folder, manifest.store, STREAM_ORDERS)
    batches.replace_head(
        folder,
        Head(
            store=manifest.store,
            stream=STREAM_ORDERS,
            sequence=sequence,
            batch_id="",
            position=manifest.position,
            checked_utc=manifest.created_utc,
        ),
    )


def _report(manifest: Manifest, *, completed: bool = False) -> BaselineReport:
    return BaselineReport(
        store=manifest.store,
        batch=manifest.path,
        start=manifest.position.start,
        history_tickets=sum(last - first + 1 for first, last in manifest.position.history),
        items=manifest.file("opening_stock").rows,
        units=manifest.units,
        completed=completed,
    )
