"""Reads orders (layaways, backorders) as snapshots of their whole present state, and tells torn ones apart.

Customer, comment and reference columns are never selected. Loads pandas: import it where orders are read,
not before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
from sqlalchemy import ColumnElement, Connection, Select, and_, func, select

from data_contracts.business_dates import Dated, date_times
from data_contracts.documents import (
    DEPOSIT_TENDERS,
    FLAGS,
    ORDER,
    ORDER_HISTORY,
    ORDER_LINES,
    ORDERS,
    Kind,
)
from data_contracts.revisions import order_revisions
from tasks.rms.dialects import rowversion_number, ten_thousandths
from tasks.rms.reader import Keys, StoreReading, in_z_batch, key_chunks
from tasks.rms.rows import (
    DESCRIPTION_LENGTH,
    UNREADABLE_AMOUNT,
    Columns,
    differing,
    fetch,
    fill_unreadable,
    frame,
    joined,
    newest_rowversions,
    positions,
    tender_codes,
    texts,
    with_header,
)
from tasks.rms.tables import batch, item, order, order_entry, order_history, tender, tender_entry

DELETED = "deleted"


@dataclass(frozen=True)
class OrderFrames:
    """Orders as they are in RMS now, columns as in `data_contracts.documents`."""

    orders: pd.DataFrame
    lines: pd.DataFrame
    history: pd.DataFrame
    tenders: pd.DataFrame
    moved: frozenset[int] = field(default_factory=frozenset)
    """Numbers with a row that was written while they were read: what stands here may be torn."""
    incomplete: frozenset[int] = field(default_factory=frozenset)
    """Numbers of open orders without a line."""

    @property
    def unsettled(self) -> frozenset[int]:
        """Numbers that RMS has not finished writing."""
        return self.moved | self.incomplete

    @property
    def numbers(self) -> list[int]:
        """Numbers of the orders, ascending as they were read."""
        return [int(number) for number in self.orders["number"].tolist()]

    def only(self, numbers: Iterable[int]) -> OrderFrames:
        """The part with those numbers."""
        chosen = set(numbers)

        def cut(rows: pd.DataFrame) -> pd.DataFrame:
            return rows[rows["number"].isin(chosen)].reset_index(drop=True)

        return OrderFrames(
            cut(self.orders),
            cut(self.lines),
            cut(self.history),
            cut(self.tenders),
            self.moved & chosen,
            self.incomplete & chosen,
        )

    def with_deleted(self, deleted: OrderFrames) -> OrderFrames:
        """These orders and, behind them, those that RMS no longer has."""
        if deleted.orders.empty:
            return self
        orders = pd.concat([self.orders, deleted.orders], ignore_index=True)
        return OrderFrames(orders, self.lines, self.history, self.tenders, self.moved, self.incomplete)


def read_orders(connection: Connection, reading: StoreReading, numbers: Sequence[int]) -> OrderFrames:
    """Read orders by number, in ascending order; those without a header are left out."""
    queries = (_headers, _lines, _history, _tenders)
    read: tuple[list[Columns], ...] = ([], [], [], [])
    moved: set[int] = set()
    # Without a number the statements still give their columns.
    for keys in list(key_chunks(numbers)) or [Keys(frozenset(), False)]:
        parts = [fetch(connection, query(reading, keys), keys.numbers) for query in queries]
        for query, part in zip(_rowversions(reading, keys), parts, strict=True):
            moved |= differing(part, fetch(connection, query, keys.numbers))
        present = set(parts[0]["number"])
        for kept, part in zip(read, parts, strict=True):
            kept.append(with_header(part, present))
    headers, lines, history, tenders = map(joined, read)
    unreadable = fill_unreadable(lines, "on_order") | fill_unreadable(lines, "taken")
    with_lines = set(lines["number"])
    incomplete = {
        number
        for number, closed in zip(headers["number"], headers["closed"], strict=True)
        if not closed and number not in with_lines
    }
    return OrderFrames(
        *_frames(reading, headers, lines, history, tenders, unreadable),
        moved=frozenset(moved & set(headers["number"])),
        incomplete=frozenset(incomplete),
    )


def deleted_orders(reading: StoreReading, numbers: Iterable[int], now: datetime) -> OrderFrames:
    """Tombstones of orders that were published as open and that RMS no longer has: closed, without lines.

    `now` is aware; RMS does not say when the row was deleted, nor any longer what stood in it.
    """
    gone = sorted(set(numbers))
    written = now.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
    today = now.astimezone(ZoneInfo(reading.zone)).date().isoformat()
    constant: dict[str, Any] = {
        "revision": "",
        "ordered_at": written,
        "business_date": today,
        "closed": True,
        "expires_on": today,
        "prices_include_tax": reading.prices_include_tax,
        "flags": DELETED,
    }
    values: Columns = {name: [constant.get(name, 0)] * len(gone) for name in ORDERS} | {"number": gone}
    orders = _frame(reading, ORDERS, values)
    lines, history, tenders = (
        _frame(reading, columns, {name: [] for name in columns})
        for columns in (ORDER_LINES, ORDER_HISTORY, DEPOSIT_TENDERS)
    )
    orders["revision"] = order_revisions(orders, lines, history, tenders)
    return OrderFrames(orders, lines, history, tenders)


def _headers(reading: StoreReading, keys: Keys) -> Select[Any]:
    o = order.c
    return (
        select(
            o.ID.label("number"),
            rowversion_number(o.DBTimeStamp).label("rowversion"),
            o.Time.label("time"),
            o.Type.label("order_type"),
            o.Closed.label("closed"),
            o.ExpirationOrDueDate.label("expires"),
            ten_thousandths(o.Deposit).label("deposit"),
            ten_thousandths(o.Tax).label("tax"),
            ten_thousandths(o.Total).label("total"),
        )
        .where(o.StoreID == reading.store_id, keys.of(o.ID))
        .order_by(o.ID)
    )


def _lines(reading: StoreReading, keys: Keys) -> Select[Any]:
    e = order_entry.c
    return (
        select(
            e.OrderID.label("number"),
            e.ID.label("entry_id"),
            e.ItemID.label("item_id"),
            func.coalesce(item.c.ItemLookupCode, "").label("sku"),
            func.coalesce(item.c.Description, "").label("description"),
            func.coalesce(item.c.ItemType, 0).label("item_type"),
            ten_thousandths(e.QuantityOnOrder).label("on_order"),
            ten_thousandths(e.QuantityRTD).label("taken"),
            ten_thousandths(e.Price).label("unit_price"),
            rowversion_number(e.DBTimeStamp).label("rowversion"),
        )
        .select_from(order_entry)
        .outerjoin(item, e.ItemID == item.c.ID)
        .where(e.StoreID == reading.store_id, keys.of(e.OrderID))
        .order_by(e.OrderID, e.ID)
    )


def _history(reading: StoreReading, keys: Keys) -> Select[Any]:
    h = order_history.c
    return (
        select(
            h.OrderID.label("number"),
            h.ID.label("entry_id"),
            h.TransactionNumber.label("transaction_number"),
            h.Date.label("time"),
            h.BatchNumber.label("z_batch"),
            batch.c.OpeningTime.label("opening"),
            ten_thousandths(h.DeltaDeposit).label("delta_deposit"),
            rowversion_number(h.DBTimeStamp).label("rowversion"),
        )
        .select_from(order_history)
        .outerjoin(batch, in_z_batch(reading, order_history))
        .where(h.StoreID == reading.store_id, keys.of(h.OrderID))
        .order_by(h.OrderID, h.ID)
    )


def _tenders(reading: StoreReading, keys: Keys) -> Select[Any]:
    e, h = tender_entry.c, order_history.c
    return (
        select(
            h.OrderID.label("number"),
            e.ID.label("entry_id"),
            e.OrderHistoryID.label("history_id"),
            e.TenderID.label("tender_id"),
            func.coalesce(tender.c.Code, "").label("code"),
            func.coalesce(tender.c.Description, "").label("name"),
            ten_thousandths(e.Amount).label("amount"),
            rowversion_number(e.DBTimeStamp).label("rowversion"),
        )
        .select_from(order_history)
        .join(tender_entry, _of_deposit())
        .outerjoin(tender, e.TenderID == tender.c.ID)
        .where(h.StoreID == reading.store_id, keys.of(h.OrderID))
        .order_by(h.OrderID, e.ID)
    )


def _of_deposit() -> ColumnElement[bool]:
    """Joins the history of an order to the tenders of its deposits; those of a pick-up are its ticket's."""
    e, h = tender_entry.c, order_history.c
    return and_(e.OrderHistoryID == h.ID, e.StoreID == h.StoreID, e.TransactionNumber == 0)


def _rowversions(reading: StoreReading, keys: Keys) -> list[Select[Any]]:
    """What the rowversions of the same rows are by now, in the order of the frames."""
    o, e, h, t = order.c, order_entry.c, order_history.c, tender_entry.c
    store_id = reading.store_id

    def rows(number: ColumnElement[int], rowversion: ColumnElement[Any]) -> Select[Any]:
        return select(number.label("number"), rowversion_number(rowversion).label("rowversion"))

    return [
        rows(o.ID, o.DBTimeStamp).where(o.StoreID == store_id, keys.of(o.ID)),
        rows(e.OrderID, e.DBTimeStamp).where(e.StoreID == store_id, keys.of(e.OrderID)),
        rows(h.OrderID, h.DBTimeStamp).where(h.StoreID == store_id, keys.of(h.OrderID)),
        rows(h.OrderID, t.DBTimeStamp)
        .select_from(order_history)
        .join(tender_entry, _of_deposit())
        .where(h.StoreID == store_id, keys.of(h.OrderID)),
    ]


def _frames(
    reading: StoreReading,
    headers: Columns,
    lines: Columns,
    history: Columns,
    tenders: Columns,
    unreadable: frozenset[int],
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    numbers = headers["number"]
    parts = {"line_count": lines, "history_count": history, "tender_count": tenders}
    counts = {name: Counter(part["number"]) for name, part in parts.items()}
    ordered = _dated(reading, headers["time"], None)
    written = _dated(reading, history["time"], history["opening"])
    flags: dict[int, set[str]] = {number: set() for number in numbers}
    for number, d in zip((*numbers, *history["number"]), (*ordered, *written), strict=True):
        flags[number].update(d.flags.split(";"))
    for number in unreadable:
        flags[number].add(UNREADABLE_AMOUNT)
    line_frame = _frame(
        reading,
        ORDER_LINES,
        {
            **lines,
            "line": positions(lines["number"]),
            "sku": texts(lines["sku"]),
            "description": texts(lines["description"], DESCRIPTION_LENGTH),
        },
    )
    history_frame = _frame(
        reading,
        ORDER_HISTORY,
        {
            **history,
            "occurred_at": [d.occurred_at for d in written],
            "business_date": [d.business_date for d in written],
        },
    )
    tender_frame = _frame(reading, DEPOSIT_TENDERS, {**tenders, "tender_code": tender_codes(tenders)})
    order_frame = _frame(
        reading,
        ORDERS,
        {
            **headers,
            "revision": [""] * len(numbers),
            "rowversion": newest_rowversions(headers, lines, history, tenders),
            "ordered_at": [d.occurred_at for d in ordered],
            "business_date": [d.business_date for d in ordered],
            "expires_on": [expires.date().isoformat() for expires in headers["expires"]],
            **{name: [count[number] for number in numbers] for name, count in counts.items()},
            "on_order": _summed(numbers, lines, "on_order"),
            "taken": _summed(numbers, lines, "taken"),
            "deposit_changes": _summed(numbers, history, "delta_deposit"),
            "prices_include_tax": [reading.prices_include_tax] * len(numbers),
            "flags": [";".join(flag for flag in FLAGS if flag in flags[number]) for number in numbers],
        },
    )
    order_frame["revision"] = order_revisions(order_frame, line_frame, history_frame, tender_frame)
    return order_frame, line_frame, history_frame, tender_frame


def _dated(
    reading: StoreReading, times: list[datetime], openings: list[datetime | None] | None
) -> list[Dated]:
    """An order has no Z batch of its own: by that rule it counts for its calendar date."""
    rule = "calendar" if openings is None and reading.rule == "z_batch" else reading.rule
    return date_times(
        times,
        openings if openings is not None else [None] * len(times),
        zone=reading.zone,
        rule=rule,
        day_start=reading.day_start,
    )


def _summed(numbers: list[int], part: Columns, name: str) -> list[int]:
    sums = dict.fromkeys(numbers, 0)
    for number, value in zip(part["number"], part[name], strict=True):
        sums[number] += value
    return list(sums.values())


def _frame(reading: StoreReading, columns: dict[str, Kind], values: Columns) -> pd.DataFrame:
    return frame(reading.store, ORDER, reading.epoch_of_order, columns, values)
