"""Tickets for tests: valid ones in one call, with sums, tax and revision as RMS and the export make them.

Quantities, prices and rates are given as people write them (`2`, `"12.50"`); frames hold ten-thousandths.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pandas as pd

from data_contracts.amounts import from_decimal
from data_contracts.documents import FILES, STREAM_ORDERS, Kind
from data_contracts.frames import read_rows, write_csv
from data_contracts.revisions import ticket_revisions

Number = Decimal | int | str
Line = tuple[str, Number, Number] | tuple[str, Number, Number, dict[str, Any]]
Ticket = dict[str, list[dict[str, Any]]]
Frames = dict[str, pd.DataFrame]


def make_ticket(
    number: int,
    lines: Sequence[Line] = (("SKU-1", 1, "10.00"),),
    *,
    store: str = "S1",
    epoch: int = 1,
    recall_type: int = 0,
    recall_id: int = 0,
    recalled_order_type: int = 0,
    tax_rate: Number = 0,
    prices_include_tax: bool = False,
    tenders: Sequence[tuple[str, Number]] | None = None,
    business_date: str = "2026-11-23",
    occurred_at: str | None = None,
    **overrides: Any,
) -> Ticket:
    """The rows of one ticket by role. A line is (sku, quantity, price) and, at will, cells to replace.

    `tenders` is [(tender code, amount)], one cash tender of the total if left out; `overrides` replace
    cells of the header after all sums are made.
    """
    key = {"store": store, "epoch": epoch, "source": "ticket", "number": number}
    rows = [_line(key, at, line, tax_rate, prices_include_tax) for at, line in enumerate(lines, start=1)]
    tax = sum(row["tax"] for row in rows)
    gross = sum(row["quantity"] * row["unit_price"] for row in rows)
    total = _rounded(Fraction(gross, 10_000)) + (0 if prices_include_tax else tax)
    paid = [("CASH", Decimal(total).scaleb(-4))] if tenders is None else tenders
    tender_rows = [
        {
            **key,
            "entry_id": number * 10 + at,
            "tender_id": zlib.crc32(code.encode()) % 100 + 1,
            "tender_code": code,
            "amount": from_decimal(amount),
        }
        for at, (code, amount) in enumerate(paid, start=1)
    ]
    header = {
        **key,
        "revision": "",  # filled in by make_batch
        "rowversion": 1_000 + number,
        "occurred_at": occurred_at or f"{business_date}T12:00:00.000Z",
        "business_date": business_date,
        "z_batch": 1,
        "register": 1,
        "recall_type": recall_type,
        "recall_id": recall_id,
        "recalled_order_type": recalled_order_type,
        "line_count": len(rows),
        "tender_count": len(tender_rows),
        "units": sum(row["quantity"] for row in rows),
        "tax": tax,
        "total": total,
        "prices_include_tax": prices_include_tax,
        "flags": "",
    }
    return {"tickets": [header | overrides], "ticket_lines": rows, "tenders": tender_rows}


def make_batch(tickets: Iterable[Ticket]) -> Frames:
    """Typed frames by role of an `orders` batch; revisions that are not given are computed."""
    marked = [
        {role: [{**row, "_of": at} for row in rows] for role, rows in ticket.items()}
        for at, ticket in enumerate(tickets)
    ]
    frames = {
        role: _frame([row for ticket in marked for row in ticket[role]], columns)
        for role, columns in FILES[STREAM_ORDERS].items()
    }
    headers = frames["tickets"]
    revisions = ticket_revisions(headers, frames["ticket_lines"], frames["tenders"], key="_of")
    frames["tickets"] = headers.assign(
        revision=headers["revision"].where(headers["revision"] != "", revisions)
    )
    return {role: frame.drop(columns="_of") for role, frame in frames.items()}


def to_rows(frames: Frames, stream: str = STREAM_ORDERS) -> Frames:
    """The frames as they come out of the files: text, cell by cell."""
    return {
        role: read_rows(write_csv(frames[role], columns), columns, f"{role}.csv")
        for role, columns in FILES[stream].items()
    }


def _line(
    key: dict[str, Any], at: int, line: Line, tax_rate: Number, prices_include_tax: bool
) -> dict[str, Any]:
    sku, quantity, price = line[0], from_decimal(line[1]), from_decimal(line[2])
    extended = Fraction(quantity * price, 10_000)
    rate = Fraction(tax_rate)
    row = {
        **key,
        "line": at,
        "entry_id": key["number"] * 1_000 + at,
        "item_id": zlib.crc32(sku.encode()) % 1_000_000 + 1,
        "sku": sku,
        "description": f"Item {sku}"[:30],
        "item_type": 0,
        "quantity": quantity,
        "unit_price": price,
        "tax": _rounded(extended * rate / (1 + rate) if prices_include_tax else extended * rate),
    }
    return row | (line[3] if len(line) == 4 else {})


def _frame(rows: list[dict[str, Any]], columns: dict[str, Kind]) -> pd.DataFrame:
    dtypes = {"integer": "int64", "amount": "int64", "boolean": "bool"}
    data = {
        name: pd.Series([row[name] for row in rows], dtype=dtypes.get(kind, "str"))
        for name, kind in columns.items()
    }
    return pd.DataFrame({**data, "_of": pd.Series([row["_of"] for row in rows], dtype="int64")})


def _rounded(value: Fraction) -> int:
    """Half away from zero, of numbers of any size."""
    top, bottom = value.as_integer_ratio()
    half_up = (2 * abs(top) + bottom) // (2 * bottom)
    return half_up if top >= 0 else -half_up
