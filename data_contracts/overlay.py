"""What people correct in a document that waits in quarantine, laid over its rows as exported.

The rows themselves are never changed: an edit names a cell, what was exported there and what counts instead.
It counts only while the cell still shows what was exported there, so that rows that come again in another
form are never changed blindly. Pure functions; rows are text by role, as the quarantine keeps them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from data_contracts.amounts import format_amount, from_decimal
from data_contracts.documents import (
    FILES,
    KEY,
    ORDER,
    ORDER_ROLES,
    STREAM_ORDERS,
    TICKET,
    TICKET_ROLES,
    Kind,
)
from data_contracts.errors import DecisionRefused

HEADER = "header"
"""How the only row of a header file is named."""

ROLES_OF = {TICKET: TICKET_ROLES, ORDER: ORDER_ROLES}
"""Source -> the files that carry its documents, headers first."""

EDITABLE = ("tickets", "ticket_lines", "tenders", "orders", "order_lines")
"""Deposits are recorded as RMS has them, whatever becomes of their order: their files are left out."""

FIXED = frozenset({*KEY, "revision", "rowversion", "flags", "line", "entry_id"})
"""What makes a row or a revision the one it is."""

EXAMPLE = "`ticket_lines/2/sku=ABC`, `header/total=9.99`"

Rows = dict[str, list[dict[str, str]]]
"""Role -> rows of text."""

_WORDS: dict[Kind, str] = {
    "text": "a text of one line",
    "integer": "a whole number",
    "amount": "an amount with at most four decimals, such as 9.99",
    "timestamp": "a UTC time such as 2026-11-23T08:15:30.123Z",
    "date": "a date such as 2026-11-23",
    "boolean": "`true` or `false`",
}


class Cell(NamedTuple):
    """A cell of a document."""

    role: str
    row: str
    """`header`, the line's number, or the entry id of a tender, as exported."""
    column: str

    def __str__(self) -> str:
        return "/".join(self)


class Change(NamedTuple):
    """A value that somebody wants to stand in a cell, in the form of the files."""

    cell: Cell
    value: str


@dataclass(frozen=True)
class Edit:
    """What counts in a cell instead of what was exported there."""

    cell: Cell
    exported: str
    new: str
    by: str
    why: str
    at_utc: str
    number: int = 0
    """Of the decision in the store's log."""


def parse_change(text: str, source: str) -> Change:
    """The change that `role/row/column=value` asks for in a document of `source` (ticket or order).

    The header may be named by `header` alone. Raises `DecisionRefused` for a cell that there is not, that
    must not be edited, or a value that its column cannot hold.
    """
    where, equals, value = text.partition("=")
    parts = where.strip().split("/")
    roles = ROLES_OF[source]
    if len(parts) == 2 and parts[0] == HEADER:
        parts = [roles[0], *parts]
    if not equals or len(parts) != 3 or not all(parts):
        raise _refused(f"`{text}` does not say which cell gets which value.", f"write it as {EXAMPLE}")
    cell = Cell(*parts)
    allowed = tuple(role for role in roles if role in EDITABLE)
    if cell.role not in allowed:
        raise _refused(
            f"There is no file `{cell.role[:40]}` of the kind `{source}` that can be edited.",
            f"name one of {', '.join(allowed)}",
        )
    columns = FILES[STREAM_ORDERS][cell.role]
    if cell.column not in columns or cell.column in FIXED:
        raise _refused(
            f"`{cell.column}` of `{cell.role}` "
            + ("makes the row the one it is and" if cell.column in columns else "is no column and")
            + " cannot be edited.",
            f"name one of {', '.join(name for name in columns if name not in FIXED)}",
        )
    return Change(cell, _in_file_form(cell, columns[cell.column], value))


def exported_cell(rows: Rows, cell: Cell, document: str) -> str:
    """What was exported in a cell; `DecisionRefused` if there is no such row, or several."""
    found = [row for row in rows.get(cell.role, ()) if row_name(cell.role, row) == cell.row]
    if len(found) != 1:
        names = ", ".join(row_name(cell.role, row) for row in rows.get(cell.role, ())[:20]) or "none"
        what = "no row" if not found else f"{len(found)} rows"
        raise _refused(
            f"{document} has {what} `{cell.row}` in `{cell.role}`; its rows there: {names}.",
            "name another row"
            if not found
            else "have the document sent again: rows that stand twice cannot be told apart",
        )
    return found[0][cell.column]


def row_name(role: str, row: Mapping[str, Any]) -> str:
    """How an edit names a row: `header`, its line or its entry id."""
    if role in ("tickets", "orders"):
        return HEADER
    return str(row["line"] if "line" in row else row["entry_id"])


def with_edits(rows: Rows, edits: Iterable[Edit], flags: Sequence[str] = ()) -> Rows:
    """The rows with the edits laid over, and these flags added to their header."""
    by_cell = {edit.cell: edit for edit in edits}
    laid: Rows = {}
    for role, of_role in rows.items():
        laid[role] = []
        for row in of_role:
            name = row_name(role, row)
            new = {
                edit.cell.column: edit.new
                for edit in by_cell.values()
                if (edit.cell.role, edit.cell.row) == (role, name) and row[edit.cell.column] == edit.exported
            }
            if flags and role in ("tickets", "orders"):
                there = [flag for flag in row["flags"].split(";") if flag]
                new["flags"] = ";".join([*there, *(flag for flag in flags if flag not in there)])
            laid[role].append(row | new)
    return laid


def lapsed(rows: Rows, edits: Iterable[Edit]) -> list[Edit]:
    """Edits of cells in which these rows show something else than was exported when they were made."""
    shown = {
        Cell(role, row_name(role, row), column): text
        for role, of_role in rows.items()
        for row in of_role
        for column, text in row.items()
    }
    return [edit for edit in edits if shown.get(edit.cell) != edit.exported]


def _in_file_form(cell: Cell, kind: Kind, value: str) -> str:
    import pandas as pd  # an edit is rare; a reconciliation that reads edits loads no pandas

    from data_contracts.frames import typed

    text = value.strip() if kind != "text" else value.rstrip()
    try:
        if kind == "amount":
            text = format_amount(from_decimal(text))
        if kind == "boolean":
            text = text.lower()
    except (ValueError, ArithmeticError) as error:
        raise _cannot_hold(cell, kind, value) from error
    _, faults = typed(pd.DataFrame({cell.column: [text]}, dtype="str"), {cell.column: kind})
    if len(faults) or not text.isprintable():
        raise _cannot_hold(cell, kind, value)
    return text


def _cannot_hold(cell: Cell, kind: Kind, value: str) -> DecisionRefused:
    return _refused(f"`{cell}` cannot be `{value[:40]}`: it holds {_WORDS[kind]}.", "give such a value")


def _refused(message: str, next_step: str) -> DecisionRefused:
    return DecisionRefused(f"{message} Nothing was changed.", next_step=next_step)
