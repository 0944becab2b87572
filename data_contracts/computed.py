"""Columns worked out from the rows before the rules of a contract run. Exact integers, no float.

What they hold stands in the contracts under `computed`. Sums that leave 64 bits are cut to the bound: no
amount in a file can equal them, so the rule that compares them fails as it should.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from data_contracts.amounts import SCALE
from data_contracts.documents import STREAM_ORDERS, STREAM_PRODUCTS, sku_key

_LIMIT = 2**63 - 1

Frames = Mapping[str, pd.DataFrame]


def add_computed(
    stream: str, frames: Frames, tolerance_per_line: int, published: Sequence[str]
) -> dict[str, pd.DataFrame]:
    """The typed frames of a stream with their computed columns.

    The frames carry `batch` and `row`, in a stream of documents `document` too, as integers.
    `tolerance_per_line` is the difference per line, in ten-thousandths, that is taken as rounding;
    `published` says of each batch when that was, or is empty.
    """
    if stream == STREAM_ORDERS:
        return _tickets(frames, tolerance_per_line, published) | _orders(frames, published)
    if stream == STREAM_PRODUCTS:
        return _products(frames)
    return {
        role: frame.assign(overlaps=_overlaps(frame)) if "first_number" in frame.columns else frame
        for role, frame in frames.items()
    }


def _tickets(frames: Frames, tolerance_per_line: int, published: Sequence[str]) -> dict[str, pd.DataFrame]:
    tickets, lines, tenders = frames["tickets"], frames["ticket_lines"], frames["tenders"]
    documents = tickets["document"].tolist()
    headers = Counter(documents)
    line_documents = lines["document"].tolist()
    quantities, taxes = lines["quantity"].tolist(), lines["tax"].tolist()
    # Ten-thousandths times ten-thousandths leave 64 bits; the integers of `tolist` have no bound.
    products = [q * p for q, p in zip(quantities, lines["unit_price"].tolist(), strict=True)]
    lines_found, tenders_found = Counter(line_documents), Counter(tenders["document"].tolist())
    units_of = _sums(line_documents, quantities)
    tax_of = _sums(line_documents, taxes)
    product_of = _sums(line_documents, products)

    total_of_lines, total_gap, total_beyond, tax_gap, tax_beyond = [], [], [], [], []
    for document, tax, total, included in zip(
        documents,
        tickets["tax"].tolist(),
        tickets["total"].tolist(),
        tickets["prices_include_tax"].tolist(),
        strict=True,
    ):
        tolerated = tolerance_per_line * max(lines_found[document], 1)
        expected = product_of.get(document, 0) + (0 if included else tax * SCALE)
        gap = abs(total * SCALE - expected)
        total_of_lines.append((2 * expected + SCALE) // (2 * SCALE))  # half up, for people
        total_gap.append(_up(gap, SCALE))
        total_beyond.append(_up(max(gap - tolerated * SCALE, 0), SCALE))
        tax_gap.append(abs(tax - tax_of.get(document, 0)))
        tax_beyond.append(max(tax_gap[-1] - tolerated, 0))

    return {
        "tickets": tickets.assign(
            copies=_column(headers[document] for document in documents),
            lines_found=_column(lines_found[document] for document in documents),
            tenders_found=_column(tenders_found[document] for document in documents),
            units_of_lines=_column(units_of.get(document, 0) for document in documents),
            tax_of_lines=_column(tax_of.get(document, 0) for document in documents),
            total_of_lines=_column(total_of_lines),
            total_gap=_column(total_gap),
            total_beyond=_column(total_beyond),
            tax_gap=_column(tax_gap),
            tax_beyond=_column(tax_beyond),
            days_apart=_days_apart(tickets, "occurred_at"),
            minutes_ahead=_minutes_ahead(tickets, "occurred_at", published),
        ),
        "ticket_lines": lines.assign(headers_found=_column(headers[d] for d in line_documents)),
        "tenders": tenders.assign(
            headers_found=_column(headers[document] for document in tenders["document"].tolist())
        ),
    }


def _orders(frames: Frames, published: Sequence[str]) -> dict[str, pd.DataFrame]:
    orders, lines = frames["orders"], frames["order_lines"]
    history, tenders = frames["order_history"], frames["deposit_tenders"]
    documents = orders["document"].tolist()
    headers = Counter(documents)
    of_line, of_entry, of_tender = (rows["document"].tolist() for rows in (lines, history, tenders))
    lines_found, history_found, tenders_found = Counter(of_line), Counter(of_entry), Counter(of_tender)
    on_order_of = _sums(of_line, lines["on_order"].tolist())
    taken_of = _sums(of_line, lines["taken"].tolist())
    changes, entries = history["delta_deposit"].tolist(), history["entry_id"].tolist()
    changes_of = _sums(of_entry, changes)
    deposits = zip(orders["deposit"].tolist(), orders["deposit_changes"].tolist(), strict=True)
    closed, flags = orders["closed"].tolist(), [text.split(";") for text in orders["flags"].tolist()]
    still = zip(closed, orders["on_order"].tolist(), strict=True)
    counts = zip(orders["line_count"].tolist(), flags, strict=True)
    dates = zip(orders["expires_on"].tolist(), orders["business_date"].tolist(), strict=True)

    rows_of = Counter(zip(of_entry, entries, strict=True))
    pays = list(zip(of_tender, tenders["history_id"].tolist(), strict=True))
    paid_of: dict[tuple[int, int], int] = {}
    for key, amount in zip(pays, tenders["amount"].tolist(), strict=True):
        paid_of[key] = paid_of.get(key, 0) + amount
    tendered = [paid_of.get(key, 0) for key in zip(of_entry, entries, strict=True)]
    with_ticket = history["transaction_number"].tolist()

    return {
        "orders": orders.assign(
            copies=_column(headers[document] for document in documents),
            lines_found=_column(lines_found[document] for document in documents),
            history_found=_column(history_found[document] for document in documents),
            tenders_found=_column(tenders_found[document] for document in documents),
            on_order_of_lines=_column(on_order_of.get(document, 0) for document in documents),
            taken_of_lines=_column(taken_of.get(document, 0) for document in documents),
            changes_of_history=_column(changes_of.get(document, 0) for document in documents),
            deposit_gap=_column(_gap(shown, changed) for shown, changed in deposits),
            closed_on_order=_column(on_order if done else 0 for done, on_order in still),
            lacks_lines=_column(count == 0 and "deleted" not in flagged for count, flagged in counts),
            days_apart=_days_apart(orders, "ordered_at"),
            minutes_ahead=_minutes_ahead(orders, "ordered_at", published),
            expires_early=_column(expires < written for expires, written in dates),
        ),
        "order_lines": lines.assign(headers_found=_column(headers[document] for document in of_line)),
        "order_history": history.assign(
            headers_found=_column(headers[document] for document in of_entry),
            tendered=_column(tendered),
            tender_gap=_column(
                0 if ticket else _gap(change, paid)
                for ticket, change, paid in zip(with_ticket, changes, tendered, strict=True)
            ),
            days_apart=_days_apart(history, "occurred_at"),
        ),
        "deposit_tenders": tenders.assign(
            headers_found=_column(headers[document] for document in of_tender),
            history_rows=_column(rows_of[key] for key in pays),
        ),
    }


def _products(frames: Frames) -> dict[str, pd.DataFrame]:
    keys = {
        role: [
            (at, sku_key(sku)) for at, sku in zip(rows["batch"].tolist(), rows["sku"].tolist(), strict=True)
        ]
        for role, rows in frames.items()
    }
    rows_of = Counter(keys["products"])
    return {
        "products": frames["products"].assign(copies=_column(rows_of[key] for key in keys["products"])),
        "product_codes": frames["product_codes"].assign(
            products_found=_column(rows_of[key] for key in keys["product_codes"])
        ),
    }


def _gap(one: int, other: int) -> int:
    """What two amounts of a deposit are apart; which sign RMS gives a deposit is not known here."""
    return min(abs(one - other), abs(one + other))


def _sums(groups: list[int], values: list[int]) -> dict[int, int]:
    sums: dict[int, int] = {}
    for group, value in zip(groups, values, strict=True):
        sums[group] = sums.get(group, 0) + value
    return sums


def _up(value: int, divisor: int) -> int:
    """Division rounded up, of values that are not negative."""
    return -(-value // divisor)


def _column(values: Iterable[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array([max(-_LIMIT, min(_LIMIT, value)) for value in values], dtype="int64")


def _days_apart(rows: pd.DataFrame, time: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    business = np.array(rows["business_date"].tolist(), dtype="datetime64[D]")
    written = np.array([text[:10] for text in rows[time].tolist()], dtype="datetime64[D]")
    return _column(abs(days) for days in (business - written).astype("int64").tolist())


def _minutes_ahead(
    rows: pd.DataFrame, time: str, published: Sequence[str]
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Whole minutes by which a time lies after its batch was published; 0 where nobody knows when."""
    happened = rows[time].tolist()
    of_batch = rows["batch"].tolist()
    known = [published[at] or text for at, text in zip(of_batch, happened, strict=True)]
    moments = (
        np.array([text.rstrip("Z") for text in texts], dtype="datetime64[m]") for texts in (happened, known)
    )
    later, earlier = moments
    return _column(max(0, minutes) for minutes in (later - earlier).astype("int64").tolist())


def _overlaps(frame: pd.DataFrame) -> pd.Series[int]:
    """1 for a range that begins inside an earlier one of the same batch and kind, else 0."""
    kind = [name for name in ("batch", "epoch", "source") if name in frame.columns]
    ordered = frame.sort_values([*kind, "first_number", "last_number"], kind="stable")
    reached: dict[tuple[object, ...], int] = {}
    found = []
    for *group, first, last in zip(
        *(ordered[name].tolist() for name in (*kind, "first_number", "last_number")), strict=True
    ):
        before = reached.get(tuple(group))
        found.append(int(before is not None and first <= before))
        reached[tuple(group)] = last if before is None else max(before, last)
    return pd.Series(found, index=ordered.index, dtype="int64").reindex(frame.index)
