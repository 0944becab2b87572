"""Columns worked out from the rows before the rules of a contract run. Exact integers, no float.

What they hold stands in the contracts under `computed`. Sums that leave 64 bits are cut to the bound: no
amount in a file can equal them, so the rule that compares them fails as it should.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from data_contracts.amounts import SCALE
from data_contracts.documents import STREAM_ORDERS

_LIMIT = 2**63 - 1

Frames = Mapping[str, pd.DataFrame]


def add_computed(stream: str, frames: Frames, tolerance_per_line: int) -> dict[str, pd.DataFrame]:
    """The typed frames of a stream with their computed columns.

    The frames carry `batch` and `row`, in a stream of documents `document` too, as integers.
    `tolerance_per_line` is the difference per line, in ten-thousandths, that is taken as rounding.
    """
    if stream == STREAM_ORDERS:
        return _orders(frames, tolerance_per_line)
    return {
        role: frame.assign(overlaps=_overlaps(frame)) if "first_number" in frame.columns else frame
        for role, frame in frames.items()
    }


def _orders(frames: Frames, tolerance_per_line: int) -> dict[str, pd.DataFrame]:
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
            days_apart=_days_apart(tickets),
        ),
        "ticket_lines": lines.assign(headers_found=_column(headers[d] for d in line_documents)),
        "tenders": tenders.assign(
            headers_found=_column(headers[document] for document in tenders["document"].tolist())
        ),
    }


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


def _days_apart(tickets: pd.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    business = np.array(tickets["business_date"].tolist(), dtype="datetime64[D]")
    rung = np.array([text[:10] for text in tickets["occurred_at"].tolist()], dtype="datetime64[D]")
    return _column(abs(days) for days in (business - rung).astype("int64").tolist())


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
