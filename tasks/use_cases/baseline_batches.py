"""The batch of a baseline, and the head that begins a store's orders stream where it says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from data_contracts.documents import FILES, ORDER, STREAM_BASELINE, STREAM_ORDERS, TICKET
from data_contracts.manifest import Head, Manifest, Mark, Position
from tasks.exchange import batches
from tasks.exchange.folder import Folder
from tasks.use_cases.store_session import program_version

Stock = list[tuple[str, int, int]]
"""(SKU, item type, quantity in ten-thousandths)"""


@dataclass(frozen=True)
class BaselineReport:
    """What a baseline fixed. Units in ten-thousandths."""

    store: str
    batch: str
    start: Mark
    history_tickets: int
    items: int
    units: int
    open_orders: int
    """Layaways and backorders that are open in RMS; the next export publishes them."""
    completed: bool = False
    """An earlier baseline had published its batch and was killed before the head; its mark was kept."""
    epoch: int = 1
    """The epoch that begins ..."""
    after_number: int = 0
    """... above this ticket number, the last one common to hub and database ..."""
    after_order: int = 0
    """... and above this order number."""
    gone_orders: int = 0
    """Open orders that a restored database no longer has; they are closed in the hub."""
    proven: bool = True
    """False if tickets were published and none of them was found in the database.

    Then all that it holds since the start mark counts as new, whatever the hub has booked.
    """


def newest_baseline(folder: Folder, store: str) -> Manifest | None:
    """The newest baseline that was published; None if there is none."""
    head = batches.newest_position(folder, store, STREAM_BASELINE)
    if head is None:
        return None
    return batches.fetch_manifest(folder, store, STREAM_BASELINE, head.sequence, head.batch_id)


def publish_baseline(
    folder: Folder, store: str, position: Position, stock: Stock, created_utc: str
) -> Manifest:
    """Publish a baseline batch: where the store's orders stream begins, its history, its opening stock."""
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
            [(store, source, first, last) for source, first, last in _history(position)],
            columns=list(columns["history_ranges"]),
        ),
    }
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
            bound=position.start.rowversion + 1,
            range_to=position.start,
            position=position,
        ),
        {
            role: batches.Content(write_csv(frame, columns[role]), len(frame))
            for role, frame in frames.items()
        },
    )


def _history(position: Position) -> Iterator[tuple[str, int, int]]:
    """(source, first, last) of what never travels."""
    for source, ranges in ((TICKET, position.history), (ORDER, position.closed_orders)):
        for first, last in ranges:
            yield source, first, last


def begin_orders(folder: Folder, manifest: Manifest) -> None:
    """The head of the orders stream where a baseline says, in front of whatever is left of the stream."""
    batches.replace_head(
        folder,
        Head(
            store=manifest.store,
            stream=STREAM_ORDERS,
            sequence=batches.newest_sequence(folder, manifest.store, STREAM_ORDERS),
            batch_id="",
            position=manifest.position,
            checked_utc=manifest.created_utc,
        ),
    )


def report_of(manifest: Manifest, *, completed: bool = False) -> BaselineReport:
    """What a baseline that was published says."""
    position = manifest.position
    newest = position.epochs[-1]
    return BaselineReport(
        store=manifest.store,
        batch=manifest.path,
        start=position.start,
        history_tickets=sum(last - first + 1 for first, last in position.history),
        items=manifest.file("opening_stock").rows,
        units=manifest.units,
        open_orders=len(position.waiting_numbers(ORDER)),
        completed=completed,
        epoch=newest.epoch,
        after_number=newest.after_number,
        after_order=newest.after_order,
    )
