"""Takes in a store's baseline: its start mark, what RMS held before it, opening stock, and later epochs."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

import pandas as pd
from sqlalchemy import delete, exists, insert, select, update

from data_contracts.amounts import show_units
from data_contracts.documents import (
    HISTORY_RANGES,
    OPENING_STOCK,
    ORDER,
    STREAM_BASELINE,
    TICKET,
    sku_key,
)
from data_contracts.errors import ContractBroken
from data_contracts.frames import typed
from data_contracts.manifest import EpochStart, Manifest, Reason
from tasks import faults
from tasks.hub.bulk import load, upsert
from tasks.hub.desk import Desk
from tasks.hub.epochs import write_epochs
from tasks.hub.inbox import BatchOutcome
from tasks.hub.ledger import MOVEMENT_COLUMNS, note_level
from tasks.hub.schema import columns_of, history_ranges, orders, quarantine, stock_movements, stores

log = logging.getLogger(__name__)

OPENING = "opening stock"
"""Cause of the movements."""

ENTRY_COLUMNS = (
    "document",
    "revision",
    "store",
    "epoch",
    "sequence",
    "batch_id",
    "batch",
    "stream",
    "kind",
    "rule",
    "message",
    "fix",
    "catalog",
    "units",
    "first_seen_utc",
    "state",
    "rows",
)

faults.declare("hub.baseline.mark", "hub.baseline.stock")


def take_baseline(desk: Desk, manifest: Manifest, rows: Mapping[str, pd.DataFrame]) -> BatchOutcome:
    """Note the start mark and book opening stock; a SKU the catalogue does not know waits in quarantine.

    A store whose RMS database was restored sends another baseline with the same start mark, without stock,
    and one epoch more: what is booked stays as it is, and its numbers mean other documents from then on.
    Opening stock counts once, and only before the store's first ticket: what a later baseline brings would
    hold the effect of tickets booked since, so it is left alone and an event says so.
    """
    stock, faults_of_stock = typed(rows["opening_stock"], OPENING_STOCK)
    ranges, faults_of_ranges = typed(rows["history_ranges"], HISTORY_RANGES)
    if len(faults_of_stock) or len(faults_of_ranges):
        raise ContractBroken(
            f"{manifest.path} holds cells that its verdict did not name. Nothing was imported; retrying "
            "cannot clear this.",
            next_step="validate the batch again",
            batch=manifest.path,
        )
    if (refusal := _second_start(desk, manifest)) is not None:
        log.error("rejected %s: %s", manifest.path, refusal.message)
        return BatchOutcome("rejected", documents=manifest.documents, reasons=(refusal,))
    mark = _note_mark(desk, manifest, ranges)
    if not len(stock):
        return BatchOutcome("accepted", documents=manifest.documents)
    booked = exists(select(orders.c.order_id).where(orders.c.store == desk.store))
    late = mark["opening_stock"] is not None or desk.connection.execute(select(booked)).scalar_one()
    if late:
        desk.log.add("opening_stock_ignored", first=mark["opening_stock"])
        log.warning("%s brings opening stock too late; it was left alone", manifest.path)
        return BatchOutcome("accepted", documents=manifest.documents)
    faults.point("hub.baseline.stock")
    desk.connection.execute(
        update(stores).where(stores.c.code == desk.store).values(opening_stock=manifest.path)
    )
    reasons = _book_stock(desk, manifest, stock)
    return BatchOutcome(
        "accepted", documents=manifest.documents, quarantined=len(reasons), reasons=tuple(reasons)
    )


def _second_start(desk: Desk, manifest: Manifest) -> Reason | None:
    """Why a baseline with another start mark is refused once tickets are booked; None if it is welcome.

    Whoever loses the exchange folder is tempted to baseline anew: tickets rung since the last export
    would become history without a word.
    """
    row = desk.connection.execute(select(stores).where(stores.c.code == desk.store)).mappings().one()
    start = manifest.position.start
    if row["baseline"] is None or (row["start_rowversion"], row["start_number"]) == (
        start.rowversion,
        start.ticket_number,
    ):
        return None
    booked = exists(select(orders.c.order_id).where(orders.c.store == desk.store))
    if not desk.connection.execute(select(booked)).scalar_one():
        return None
    return Reason(
        rule="second_baseline",
        message=(
            f"Store {desk.store} is live since ticket {row['start_number']}; a baseline that begins after "
            f"ticket {start.ticket_number} would turn what was rung in between into history. It was refused."
        ),
        fix=(
            f"bring the exchange folder {desk.store}/orders back from a backup (head.json and the archive), "
            "then export again; nothing in RMS is lost"
        ),
    )


def _note_mark(desk: Desk, manifest: Manifest, ranges: pd.DataFrame) -> dict[str, Any]:
    """Write the start mark unless a newer baseline did; returns the store's row as it was."""
    row = desk.connection.execute(select(stores).where(stores.c.code == desk.store)).mappings().one()
    faults.point("hub.baseline.mark")
    # Baselines sort by sequence and batch id, and so do their paths.
    if row["baseline"] is not None and row["baseline"] > manifest.path:
        return dict(row)
    position = manifest.position
    note_epochs(desk, manifest)
    desk.connection.execute(
        update(stores)
        .where(stores.c.code == desk.store)
        .values(
            baseline=manifest.path,
            start_rowversion=position.start.rowversion,
            start_number=position.start.ticket_number,
            start_history_entry=position.start.order_history_id,
        )
    )
    desk.connection.execute(delete(history_ranges).where(history_ranges.c.store == desk.store))
    columns = ("source", "first_number", "last_number")
    found = set(zip(*(ranges[name].tolist() for name in columns), strict=True))
    found |= {(TICKET, first, last) for first, last in position.history}
    found |= {(ORDER, first, last) for first, last in position.closed_orders}
    widest: dict[tuple[str, int], int] = {}
    for source, first, last in found:
        widest[source, first] = max(last, widest.get((source, first), last))
    for (source, first), last in sorted(widest.items()):
        desk.connection.execute(
            insert(history_ranges).values(
                store=desk.store, source=source, first_number=first, last_number=last
            )
        )
    return dict(row)


def note_epochs(desk: Desk, manifest: Manifest) -> bool:
    """Learn of epochs that a batch knows and the hub does not yet; whether there were any."""
    known = {e.epoch: e for e in desk.epochs}
    new = [e for e in manifest.position.epochs if e.epoch not in known]
    if not new:
        return False
    for begun in new:
        desk.log.add(
            "epoch_begun",
            epoch=begun.epoch,
            after_number=begun.after_number,
            after_order=begun.after_order,
        )
    known |= {e.epoch: e for e in new}
    desk.epochs = tuple(sorted(known.values(), key=_epoch))
    desk.connection.execute(
        update(stores).where(stores.c.code == desk.store).values(epochs=write_epochs(desk.epochs))
    )
    return True


def _epoch(start: EpochStart) -> int:
    return start.epoch


def _book_stock(desk: Desk, manifest: Manifest, stock: pd.DataFrame) -> list[Reason]:
    stocked = stock[~stock["item_type"].isin(desk.rules.codes.without_stock_item_types)]
    stocked = stocked[stocked["quantity"] != 0]
    products = desk.products(stocked["sku"].tolist())
    movements: list[tuple[Any, ...]] = []
    entries: list[tuple[Any, ...]] = []
    reasons: list[Reason] = []
    for index, sku, quantity in zip(
        stocked.index.tolist(), stocked["sku"].tolist(), stocked["quantity"].tolist(), strict=True
    ):
        line = index + 1
        product = products.get(sku_key(sku, ignore_case=desk.rules.ignore_case))
        if product is not None:
            movements.append(_movement(desk, manifest.path, manifest.created_utc, line, product, quantity))
            continue
        document = f"{desk.store}/{manifest.epoch}/opening/{line}"
        message = f"Opening stock of {show_units(quantity)} of `{sku}`, unknown to the hub's catalogue."
        fix = "add the product, or an alias for it, to the catalogue; it clears itself then"
        reasons.append(Reason(document=document, rule="unknown_sku", message=message, fix=fix))
        stored = {"line": line, "sku": sku, "quantity": quantity, "at": manifest.created_utc}
        entries.append((document, manifest, message, fix, quantity, json.dumps(stored, ensure_ascii=False)))
        desk.log.add("document_quarantined", document=document, rule="unknown_sku")
    load(desk.connection, stock_movements, MOVEMENT_COLUMNS, movements)
    load(
        desk.connection,
        quarantine,
        ENTRY_COLUMNS,
        [
            (
                document,
                of.batch_id,
                desk.store,
                of.epoch,
                of.sequence,
                of.batch_id,
                of.path,
                STREAM_BASELINE,
                "opening",
                "unknown_sku",
                message,
                fix,
                desk.catalog,
                units,
                desk.now,
                "open",
                rows,
            )
            for document, of, message, fix, units, rows in entries
        ],
    )
    return reasons


def recheck_stock(desk: Desk) -> int:
    """Book opening stock whose product has arrived; returns how many lines."""
    q = quarantine.c
    waiting = (
        desk.connection.execute(
            select(quarantine).where(
                q.store == desk.store,
                q.stream == STREAM_BASELINE,
                q.state == "open",
                q.catalog < desk.catalog,
            )
        )
        .mappings()
        .all()
    )
    if not waiting:
        return 0
    stored = {row["document"]: json.loads(row["rows"]) for row in waiting}
    products = desk.products(cells["sku"] for cells in stored.values())
    movements: list[tuple[Any, ...]] = []
    changed: list[tuple[Any, ...]] = []
    columns = columns_of(quarantine)
    for row in waiting:
        cells = stored[row["document"]]
        product = products.get(sku_key(cells["sku"], ignore_case=desk.rules.ignore_case))
        new = dict(row) | {"catalog": desk.catalog}
        if product is not None:
            new |= {"state": "cleared", "closed_utc": desk.now}
            movements.append(
                _movement(desk, row["batch"], cells["at"], cells["line"], product, cells["quantity"])
            )
            desk.log.add("quarantine_cleared", document=row["document"], rule=row["rule"])
        changed.append(tuple(new[name] for name in columns))
    load(desk.connection, stock_movements, MOVEMENT_COLUMNS, movements)
    upsert(desk.connection, quarantine, columns, changed, update=("catalog", "state", "closed_utc"))
    return len(movements)


def _movement(desk: Desk, batch: str, at: str, line: int, sku: str, quantity: int) -> tuple[Any, ...]:
    """A movement of opening stock; it has no document, its origin is the batch."""
    place = desk.placement
    note_level(desk, place.warehouse, sku, quantity)
    key = (batch, 1, line, OPENING, place.warehouse, sku)
    return (*key, quantity, 0, place.rule, desk.store, None, None, batch, at)
