"""Reads tickets with their lines and tenders, whole, and tells which of them RMS is still writing.

Customer, card, comment and reference columns are never selected. Loads pandas: import it where tickets
are read, not before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from sqlalchemy import Connection, Select, and_, func, select

from data_contracts.amounts import SCALE
from data_contracts.business_dates import date_times
from data_contracts.documents import TENDERS, TICKET, TICKET_LINES, TICKETS, Kind
from data_contracts.revisions import ticket_revisions
from tasks.rms.dialects import rowversion_number, ten_thousandths
from tasks.rms.reader import TICKET_TABLES, Keys, StoreReading, in_z_batch, key_chunks
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
from tasks.rms.tables import batch, item, order, tender, tender_entry, transaction, transaction_entry


@dataclass(frozen=True)
class TicketFrames:
    """Tickets as they are in RMS now, columns as in `data_contracts.documents`."""

    tickets: pd.DataFrame
    lines: pd.DataFrame
    tenders: pd.DataFrame
    moved: frozenset[int] = field(default_factory=frozenset)
    """Numbers with a row that was written while they were read: what stands here may be torn."""
    incomplete: frozenset[int] = field(default_factory=frozenset)
    """Numbers whose lines do not make up the header's total, or that lack a tender."""
    untendered: frozenset[int] = field(default_factory=frozenset)
    """Those of the incomplete ones that add up: they lack nothing but a tender."""

    @property
    def unsettled(self) -> frozenset[int]:
        """Numbers that RMS has not finished writing."""
        return self.moved | self.incomplete

    def only(self, numbers: Iterable[int]) -> TicketFrames:
        """The part with those numbers."""
        chosen = set(numbers)

        def cut(frame: pd.DataFrame) -> pd.DataFrame:
            return frame[frame["number"].isin(chosen)].reset_index(drop=True)

        return TicketFrames(
            cut(self.tickets),
            cut(self.lines),
            cut(self.tenders),
            self.moved & chosen,
            self.incomplete & chosen,
            self.untendered & chosen,
        )


def read_tickets(connection: Connection, reading: StoreReading, numbers: Sequence[int]) -> TicketFrames:
    """Read tickets by number (at least one), in ascending order; those without a header are left out."""
    headers: list[Columns] = []
    lines: list[Columns] = []
    tenders: list[Columns] = []
    moved: set[int] = set()
    for keys in key_chunks(numbers):
        parts = [
            fetch(connection, query(reading, keys), keys.numbers) for query in (_headers, _lines, _tenders)
        ]
        for table, part in zip(TICKET_TABLES, parts, strict=True):
            query = select(
                table.c.TransactionNumber.label("number"),
                rowversion_number(table.c.DBTimeStamp).label("rowversion"),
            ).where(table.c.StoreID == reading.store_id, keys.of(table.c.TransactionNumber))
            moved |= differing(part, fetch(connection, query, keys.numbers))
        present = set(parts[0]["number"])
        headers.append(parts[0])
        lines.append(with_header(parts[1], present))
        tenders.append(with_header(parts[2], present))
    fetched = joined(headers), joined(lines), joined(tenders)
    known = set(fetched[0]["number"])
    unreadable = fill_unreadable(fetched[1], "quantity")
    disagreeing, untendered = _incomplete(reading, *fetched)
    return TicketFrames(
        *_frames(reading, *fetched, unreadable),
        moved=frozenset(moved & known),
        # What cannot be read does not get better by waiting.
        incomplete=frozenset(disagreeing | untendered) - unreadable,
        untendered=frozenset(untendered - disagreeing) - unreadable,
    )


def _headers(reading: StoreReading, keys: Keys) -> Select[Any]:
    t = transaction.c
    return (
        select(
            t.TransactionNumber.label("number"),
            rowversion_number(t.DBTimeStamp).label("rowversion"),
            t.Time.label("time"),
            t.BatchNumber.label("z_batch"),
            func.coalesce(batch.c.RegisterID, 0).label("register"),
            batch.c.OpeningTime.label("opening"),
            t.RecallType.label("recall_type"),
            t.RecallID.label("recall_id"),
            func.coalesce(order.c.Type, 0).label("recalled_order_type"),
            ten_thousandths(t.SalesTax).label("tax"),
            ten_thousandths(t.Total).label("total"),
        )
        .select_from(transaction)
        .outerjoin(batch, in_z_batch(reading))
        .outerjoin(
            order,
            and_(
                t.RecallType == reading.recall_order, t.RecallID == order.c.ID, order.c.StoreID == t.StoreID
            ),
        )
        .where(t.StoreID == reading.store_id, keys.of(t.TransactionNumber))
        .order_by(t.TransactionNumber)
    )


def _lines(reading: StoreReading, keys: Keys) -> Select[Any]:
    e = transaction_entry.c
    return (
        select(
            e.TransactionNumber.label("number"),
            e.ID.label("entry_id"),
            e.ItemID.label("item_id"),
            func.coalesce(item.c.ItemLookupCode, "").label("sku"),
            func.coalesce(item.c.Description, "").label("description"),
            e.ItemType.label("item_type"),
            ten_thousandths(e.Quantity).label("quantity"),
            ten_thousandths(e.Price).label("unit_price"),
            ten_thousandths(e.SalesTax).label("tax"),
            rowversion_number(e.DBTimeStamp).label("rowversion"),
        )
        .select_from(transaction_entry)
        .outerjoin(item, e.ItemID == item.c.ID)
        .where(e.StoreID == reading.store_id, keys.of(e.TransactionNumber))
        .order_by(e.TransactionNumber, e.ID)
    )


def _tenders(reading: StoreReading, keys: Keys) -> Select[Any]:
    e = tender_entry.c
    return (
        select(
            e.TransactionNumber.label("number"),
            e.ID.label("entry_id"),
            e.TenderID.label("tender_id"),
            func.coalesce(tender.c.Code, "").label("code"),
            func.coalesce(tender.c.Description, "").label("name"),
            ten_thousandths(e.Amount).label("amount"),
            rowversion_number(e.DBTimeStamp).label("rowversion"),
        )
        .select_from(tender_entry)
        .outerjoin(tender, e.TenderID == tender.c.ID)
        .where(e.StoreID == reading.store_id, keys.of(e.TransactionNumber))
        .order_by(e.TransactionNumber, e.ID)
    )


def _incomplete(
    reading: StoreReading, headers: Columns, lines: Columns, tenders: Columns
) -> tuple[set[int], set[int]]:
    """(numbers whose lines do not make up the total, numbers that lack a tender although they need one)."""
    expected: dict[int, int] = dict.fromkeys(headers["number"], 0)
    count = Counter(lines["number"])
    # Python's integers: a product of two amounts may leave 64 bits.
    for number, quantity, price in zip(lines["number"], lines["quantity"], lines["unit_price"], strict=True):
        expected[number] += quantity * price
    tendered = set(tenders["number"])
    disagreeing: set[int] = set()
    untendered: set[int] = set()
    for number, recall_type, tax, total in zip(
        headers["number"], headers["recall_type"], headers["tax"], headers["total"], strict=True
    ):
        due = total if reading.prices_include_tax else total - tax
        if abs(expected[number] - due * SCALE) > reading.tolerance * (count[number] + 1) * SCALE:
            disagreeing.add(number)
        if total != 0 and number not in tendered and recall_type != reading.recall_order:
            untendered.add(number)
    return disagreeing, untendered


def _frames(
    reading: StoreReading,
    headers: Columns,
    lines: Columns,
    tenders: Columns,
    unreadable: frozenset[int],
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    numbers = headers["number"]
    units = dict.fromkeys(numbers, 0)
    for number, quantity in zip(lines["number"], lines["quantity"], strict=True):
        units[number] += quantity
    line_count = Counter(lines["number"])
    tender_count = Counter(tenders["number"])
    line_frame = _frame(
        reading,
        TICKET_LINES,
        {
            **lines,
            "line": positions(lines["number"]),
            "sku": texts(lines["sku"]),
            "description": texts(lines["description"], DESCRIPTION_LENGTH),
        },
    )
    tender_frame = _frame(reading, TENDERS, {**tenders, "tender_code": tender_codes(tenders)})
    dated = date_times(
        headers["time"],
        headers["opening"],
        zone=reading.zone,
        rule=reading.rule,
        day_start=reading.day_start,
    )
    ticket_frame = _frame(
        reading,
        TICKETS,
        {
            **headers,
            "revision": [""] * len(numbers),
            "rowversion": newest_rowversions(headers, lines, tenders),
            "occurred_at": [d.occurred_at for d in dated],
            "business_date": [d.business_date for d in dated],
            "line_count": [line_count[number] for number in numbers],
            "tender_count": [tender_count[number] for number in numbers],
            "units": list(units.values()),
            "prices_include_tax": [reading.prices_include_tax] * len(numbers),
            "flags": [
                ";".join(filter(None, (d.flags, UNREADABLE_AMOUNT if number in unreadable else "")))
                for number, d in zip(numbers, dated, strict=True)
            ],
        },
    )
    ticket_frame["revision"] = ticket_revisions(ticket_frame, line_frame, tender_frame)
    return ticket_frame, line_frame, tender_frame


def _frame(reading: StoreReading, columns: dict[str, Kind], values: Columns) -> pd.DataFrame:
    return frame(reading.store, TICKET, reading.epoch_of, columns, values)
