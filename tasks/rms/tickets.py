"""Reads tickets with their lines and tenders, whole, and tells which of them RMS is still writing.

Customer, card, comment and reference columns are never selected. Loads pandas: import it where tickets
are read, not before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain, compress
from typing import Any

import pandas as pd
from sqlalchemy import Connection, Select, and_, func, select

from data_contracts.amounts import SCALE
from data_contracts.business_dates import date_times
from data_contracts.documents import TENDERS, TICKET, TICKET_LINES, TICKETS, Kind
from data_contracts.revisions import ticket_revisions
from tasks.rms.dialects import rowversion_number, ten_thousandths
from tasks.rms.reader import TICKET_TABLES, Keys, StoreReading, in_z_batch, key_chunks
from tasks.rms.tables import batch, item, order, tender, tender_entry, transaction, transaction_entry

DESCRIPTION_LENGTH = 30
TENDER_CODE_LENGTH = 25
"""Characters that RMS gives these texts; where a vendor's tool has widened the column they are cut."""

UNREADABLE_AMOUNT = "unreadable_amount"


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


Columns = dict[str, list[Any]]
"""What was fetched, by column: rows would cost twice the time."""


def read_tickets(connection: Connection, reading: StoreReading, numbers: Sequence[int]) -> TicketFrames:
    """Read tickets by number (at least one), in ascending order; those without a header are left out."""
    headers: list[Columns] = []
    lines: list[Columns] = []
    tenders: list[Columns] = []
    moved: set[int] = set()
    for keys in key_chunks(numbers):
        parts = [
            _fetch(connection, query(reading, keys), keys.numbers) for query in (_headers, _lines, _tenders)
        ]
        for table, part in zip(TICKET_TABLES, parts, strict=True):
            query = select(
                table.c.TransactionNumber.label("number"),
                rowversion_number(table.c.DBTimeStamp).label("rowversion"),
            ).where(table.c.StoreID == reading.store_id, keys.of(table.c.TransactionNumber))
            moved |= _differing(part, _fetch(connection, query, keys.numbers))
        present = set(parts[0]["number"])
        headers.append(parts[0])
        lines.append(_with_header(parts[1], present))
        tenders.append(_with_header(parts[2], present))
    fetched = _joined(headers), _joined(lines), _joined(tenders)
    known = set(fetched[0]["number"])
    unreadable = _fill_unreadable(fetched[1], "quantity")
    disagreeing, untendered = _incomplete(reading, *fetched)
    return TicketFrames(
        *_frames(reading, *fetched, unreadable),
        moved=frozenset(moved & known),
        # What cannot be read does not get better by waiting.
        incomplete=frozenset(disagreeing | untendered) - unreadable,
        untendered=frozenset(untendered - disagreeing) - unreadable,
    )


def _fill_unreadable(part: Columns, name: str) -> frozenset[int]:
    """Put 0 where RMS holds an absurd amount; the numbers of the tickets it belongs to."""
    found = frozenset(
        number for number, value in zip(part["number"], part[name], strict=True) if value is None
    )
    if found:
        part[name] = [value or 0 for value in part[name]]
    return found


def _fetch(connection: Connection, query: Select[Any], wanted: frozenset[int]) -> Columns:
    """Columns of the rows whose number, which stands first, is wanted."""
    result = connection.execute(query)
    names = list(result.keys())
    rows = [row for row in result.all() if row[0] in wanted]
    return (
        dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)) if rows else {n: [] for n in names}
    )


def _differing(read: Columns, now: Columns) -> set[int]:
    """Numbers of which a row came, went or moved since they were read."""
    before = sorted(zip(read["number"], read["rowversion"], strict=True))
    after = sorted(zip(now["number"], now["rowversion"], strict=True))
    if before == after:
        return set()
    old, new = Counter(before), Counter(after)
    return {number for number, _ in (old - new) + (new - old)}


def _with_header(part: Columns, present: set[int]) -> Columns:
    if present.issuperset(part["number"]):
        return part
    keep = [number in present for number in part["number"]]
    return {name: list(compress(values, keep)) for name, values in part.items()}


def _joined(parts: list[Columns]) -> Columns:
    return {name: list(chain.from_iterable(part[name] for part in parts)) for name in parts[0]}


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
    rowversion = dict(zip(numbers, headers["rowversion"], strict=True))
    for part in (lines, tenders):
        for number, written in zip(part["number"], part["rowversion"], strict=True):
            if written > rowversion[number]:
                rowversion[number] = written
    units = dict.fromkeys(numbers, 0)
    line_count = dict.fromkeys(numbers, 0)
    positions: list[int] = []
    for number, quantity in zip(lines["number"], lines["quantity"], strict=True):
        units[number] += quantity
        line_count[number] += 1
        positions.append(line_count[number])
    tender_count = Counter(tenders["number"])
    line_frame = _frame(
        reading,
        TICKET_LINES,
        {
            **lines,
            "line": positions,
            "sku": _texts(lines["sku"]),
            "description": _texts(lines["description"], DESCRIPTION_LENGTH),
        },
    )
    codes, names = (_texts(tenders[name], TENDER_CODE_LENGTH) for name in ("code", "name"))
    tender_frame = _frame(
        reading,
        TENDERS,
        {**tenders, "tender_code": [code or name for code, name in zip(codes, names, strict=True)]},
    )
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
            "rowversion": list(rowversion.values()),
            "occurred_at": [d.occurred_at for d in dated],
            "business_date": [d.business_date for d in dated],
            "line_count": list(line_count.values()),
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


_DTYPES: dict[Kind, str] = {"integer": "int64", "amount": "int64", "boolean": "bool"}


def _frame(reading: StoreReading, columns: dict[str, Kind], values: Columns) -> pd.DataFrame:
    numbers = values["number"]
    epochs = {number: reading.epoch_of(number) for number in set(numbers)}
    filled = {
        **values,
        "store": [reading.store] * len(numbers),
        "epoch": [epochs[number] for number in numbers],
        "source": [TICKET] * len(numbers),
    }
    return pd.DataFrame(
        {name: pd.Series(filled[name], dtype=_DTYPES.get(kind, "str")) for name, kind in columns.items()}
    )


def _texts(values: list[str], length: int | None = None) -> list[str]:
    """Without blanks at the end, and without what no UTF-8 file can carry (vendors' tools write both)."""
    cut = {
        value: value.replace("\0", "").encode("utf-8", "replace").decode()[:length].rstrip()
        for value in set(values)
    }
    return [cut[value] for value in values]
