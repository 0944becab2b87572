"""Edits as an overlay: which cells may be edited, what they may hold, when an edit counts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.amounts import format_amount
from data_contracts.documents import FILES, STREAM_ORDERS
from data_contracts.errors import DecisionRefused
from data_contracts.overlay import FIXED, Cell, Edit, Rows, exported_cell, lapsed, parse_change, with_edits
from tests.documents import make_batch, make_ticket, to_rows


def rows_of(*lines: tuple[str, int, str]) -> Rows:
    """Rows of ticket 9 as the quarantine keeps them."""
    frames = to_rows(make_batch([make_ticket(9, lines)]))
    roles = ("tickets", "ticket_lines", "tenders")
    return {role: frames[role].to_dict("records") for role in roles}  # type: ignore[misc]


def edit(cell: str, exported: str, new: str) -> Edit:
    role, row, column = cell.split("/")
    return Edit(Cell(role, row, column), exported, new, "ann", "wrong label", "2026-11-25T09:00:00.000Z")


@pytest.mark.parametrize(
    ("text", "cell", "value"),
    [
        ("ticket_lines/2/sku=ABC ", "ticket_lines/2/sku", "ABC"),
        ("ticket_lines/2/sku=", "ticket_lines/2/sku", ""),
        ("ticket_lines/2/description=a=b", "ticket_lines/2/description", "a=b"),
        ("header/total=9.99", "tickets/header/total", "9.9900"),
        ("tickets/header/total= -1 ", "tickets/header/total", "-1.0000"),
        ("header/prices_include_tax=True", "tickets/header/prices_include_tax", "true"),
        ("header/business_date=2026-11-24", "tickets/header/business_date", "2026-11-24"),
        ("tenders/91/tender_code=CARD", "tenders/91/tender_code", "CARD"),
    ],
)
def test_change_is_read_into_the_form_of_the_files(text: str, cell: str, value: str) -> None:
    change = parse_change(text, "ticket")

    assert (str(change.cell), change.value) == (cell, value)


@pytest.mark.parametrize(
    ("source", "text", "says"),
    [
        ("ticket", "ticket_lines/2/sku", "does not say which cell"),
        ("ticket", "ticket_lines//sku=A", "does not say which cell"),
        ("ticket", "ticket_lines/1/colour=red", "is no column"),
        ("ticket", "ticket_lines/1/number=10", "makes the row the one it is"),
        ("ticket", "header/revision=1-00", "makes the row the one it is"),
        ("ticket", "header/flags=", "makes the row the one it is"),
        ("ticket", "orders/header/total=1", "no file `orders` of the kind `ticket`"),
        ("order", "ticket_lines/1/sku=A", "no file `ticket_lines` of the kind `order`"),
        ("order", "order_history/7701/delta_deposit=1", "no file `order_history`"),
        ("ticket", "ticket_lines/1/quantity=two", "cannot be `two`: it holds an amount"),
        ("ticket", "ticket_lines/1/quantity=1.00001", "an amount with at most four decimals"),
        ("ticket", "header/total=1e30", "it holds an amount"),
        ("ticket", "header/business_date=2026-02-30", "it holds a date"),
        ("ticket", "header/occurred_at=2026-11-23 12:00", "it holds a UTC time"),
        ("ticket", "header/prices_include_tax=yes", "`true` or `false`"),
        ("ticket", "header/z_batch=1.5", "a whole number"),
        ("ticket", "ticket_lines/1/sku=A\nB", "a text of one line"),
    ],
)
def test_change_that_cannot_be_is_refused_with_what_may(source: str, text: str, says: str) -> None:
    with pytest.raises(DecisionRefused) as refused:
        parse_change(text, source)

    assert says in refused.value.message
    assert refused.value.next_step


def test_edit_counts_only_where_the_cell_shows_what_was_exported() -> None:
    rows = rows_of(("NOPE", 1, "10.00"), ("NADA", 2, "5.00"))
    edits = [edit("ticket_lines/1/sku", "NOPE", "SKU-1"), edit("ticket_lines/2/sku", "OTHER", "SKU-2")]

    laid = with_edits(rows, edits, ["edited"])

    assert [row["sku"] for row in laid["ticket_lines"]] == ["SKU-1", "NADA"]
    assert laid["tickets"][0]["flags"] == "edited"
    assert [row["sku"] for row in rows["ticket_lines"]] == ["NOPE", "NADA"]
    assert lapsed(rows, edits) == [edits[1]]


def test_row_that_stands_twice_or_not_at_all_cannot_be_edited() -> None:
    rows = rows_of(("NOPE", 1, "10.00"), ("NADA", 2, "5.00"))
    rows["ticket_lines"][1]["line"] = "1"

    with pytest.raises(DecisionRefused, match="has 2 rows `1` in `ticket_lines`"):
        exported_cell(rows, Cell("ticket_lines", "1", "sku"), "S1/1/ticket/9")
    with pytest.raises(DecisionRefused, match="has no row `9` in `tenders`; its rows there: 91"):
        exported_cell(rows, Cell("tenders", "9", "amount"), "S1/1/ticket/9")
    assert exported_cell(rows, Cell("tenders", "91", "amount"), "S1/1/ticket/9") == "20.0000"


@given(st.integers(-(10**14), 10**14))
def test_any_amount_is_read_as_it_is_written(amount: int) -> None:
    text = format_amount(amount)

    assert parse_change(f"header/total={text}", "ticket").value == text


@given(st.data())
def test_edits_touch_their_cells_and_no_other(data: Any) -> None:
    rows = rows_of(("NOPE", 1, "10.00"), ("NADA", 2, "5.00"))
    columns = [name for name in FILES[STREAM_ORDERS]["ticket_lines"] if name not in FIXED]
    cells = data.draw(st.sets(st.tuples(st.sampled_from("12"), st.sampled_from(columns))))
    edits = [
        edit(f"ticket_lines/{row}/{column}", rows["ticket_lines"][int(row) - 1][column], "new")
        for row, column in sorted(cells)
    ]

    laid = with_edits(rows, edits)

    changed = {
        (str(at), column)
        for at, (old, new) in enumerate(zip(rows["ticket_lines"], laid["ticket_lines"], strict=True), start=1)
        for column in old
        if old[column] != new[column]
    }
    assert changed == cells
    assert laid["tickets"] == rows["tickets"]
    assert laid["tenders"] == rows["tenders"]
