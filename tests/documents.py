"""Tickets and orders for tests: valid ones in one call, with sums and revision as the export makes them.

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
from data_contracts.documents import FILES, ORDER_ROLES, STREAM_ORDERS, Kind
from data_contracts.frames import read_rows, write_csv
from data_contracts.revisions import order_revisions, ticket_revisions

Number = Decimal | int | str
Line = tuple[str, Number, Number] | tuple[str, Number, Number, dict[str, Any]]
Ticket = dict[str, list[dict[str, Any]]]
"""The rows of one document, ticket or order, by role."""
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


def make_order(
    number: int,
    lines: Sequence[Line] = (("SKU-1", 1, "10.00"),),
    *,
    kind: str = "layaway",
    taken: Sequence[Number] | None = None,
    closed: bool = False,
    deposits: Sequence[tuple[Number, int]] = (),
    store: str = "S1",
    epoch: int = 1,
    ordered_on: str = "2026-11-20",
    expires_on: str = "2027-02-18",
    **overrides: Any,
) -> Ticket:
    """The rows of one order snapshot by role. A line is (sku, quantity still on order, price), cells at will.

    `taken` is what was handed over of each line (default nothing); `deposits` are (change, number of the
    ticket or 0), each with one cash tender unless it belongs to a ticket. `kind` is layaway or backorder.
    """
    key = {"store": store, "epoch": epoch, "source": "order", "number": number}
    rows: list[dict[str, Any]] = []
    for at, line in enumerate(lines, start=1):
        sku, on_order, price = line[0], from_decimal(line[1]), from_decimal(line[2])
        row: dict[str, Any] = {
            **key,
            "line": at,
            "entry_id": number * 1_000 + at,
            "item_id": zlib.crc32(sku.encode()) % 1_000_000 + 1,
            "sku": sku,
            "description": f"Item {sku}"[:30],
            "item_type": 0,
            "on_order": on_order,
            "taken": from_decimal(taken[at - 1]) if taken is not None else 0,
            "unit_price": price,
        }
        rows.append(row | (line[3] if len(line) == 4 else {}))
    history: list[dict[str, Any]] = []
    tenders: list[dict[str, Any]] = []
    for at, (change, ticket) in enumerate(deposits, start=1):
        entry = {**key, "entry_id": number * 100 + at}
        amount = from_decimal(change)
        history.append(
            {
                **entry,
                "transaction_number": ticket,
                "occurred_at": f"{ordered_on}T12:00:00.000Z",
                "business_date": ordered_on,
                "z_batch": 1,
                "delta_deposit": amount,
            }
        )
        if not ticket:
            tenders.append(
                {
                    **entry,
                    "history_id": entry["entry_id"],
                    "tender_id": 1,
                    "tender_code": "CASH",
                    "amount": amount,
                }
            )
    on_order, handed = (sum(row[name] for row in rows) for name in ("on_order", "taken"))
    changes = sum(entry["delta_deposit"] for entry in history)
    header = {
        **key,
        "revision": "",  # filled in by make_batch
        "rowversion": 1_000 + number,
        "ordered_at": f"{ordered_on}T12:00:00.000Z",
        "business_date": ordered_on,
        "order_type": {"layaway": 5, "backorder": 4}[kind],
        "closed": closed,
        "expires_on": expires_on,
        "line_count": len(rows),
        "history_count": len(history),
        "tender_count": len(tenders),
        "on_order": on_order,
        "taken": handed,
        "deposit": changes,
        "deposit_changes": changes,
        "tax": 0,
        "total": sum(
            _rounded(Fraction((row["on_order"] + row["taken"]) * row["unit_price"], 10_000)) for row in rows
        ),
        "prices_include_tax": True,
        "flags": "",
    }
    return {
        "orders": [header | overrides],
        "order_lines": rows,
        "order_history": history,
        "deposit_tenders": tenders,
    }


def make_batch(documents: Iterable[Ticket]) -> Frames:
    """Typed frames by role of an `orders` batch; revisions that are not given are computed."""
    marked = [
        {role: [{**row, "_of": at} for row in rows] for role, rows in document.items()}
        for at, document in enumerate(documents)
    ]
    frames = {
        role: _frame([row for document in marked for row in document.get(role, ())], columns)
        for role, columns in FILES[STREAM_ORDERS].items()
    }
    tickets, orders = frames["tickets"], frames["orders"]
    revisions = {
        "tickets": ticket_revisions(tickets, frames["ticket_lines"], frames["tenders"], key="_of"),
        "orders": order_revisions(*(frames[role] for role in ORDER_ROLES), key="_of"),
    }
    for role, headers in (("tickets", tickets), ("orders", orders)):
        given = headers["revision"]
        frames[role] = headers.assign(revision=given.where(given != "", revisions[role]))
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
