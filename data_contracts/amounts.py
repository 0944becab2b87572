"""Exact money and quantities: whole numbers of ten-thousandths. No float ever holds money.

RMS `money` has four decimals; RMS quantities are doubles, rounded once at four places where they are
read. In frames, in manifests' sums and in SQLite an amount is an integer of ten-thousandths; in files
it is text with exactly four decimals (`-12.3400`); in PostgreSQL it is NUMERIC(19,4).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

SCALE = 10_000
CENT = 100
"""Ten-thousandths in a cent."""
AMOUNT_PATTERN = r"^-?[0-9]{1,14}\.[0-9]{4}$"
"""The only text form of an amount in a file. Fourteen digits stay far inside 64 bits."""

_AMOUNT = re.compile(AMOUNT_PATTERN)


def parse_amount(text: str) -> int:
    """Ten-thousandths of a text such as `12.3400`; ValueError for any other form."""
    if _AMOUNT.match(text) is None or text.endswith("\n"):
        raise ValueError(f"not an amount with four decimals: {text!r}")
    return int(text.replace(".", ""))


def format_amount(amount: int) -> str:
    """The text of an amount: 123400 -> `12.3400`."""
    sign = "-" if amount < 0 else ""
    whole, part = divmod(abs(amount), SCALE)
    return f"{sign}{whole}.{part:04d}"


def format_amounts(amounts: Iterable[int]) -> list[str]:
    """`format_amount` for a whole column."""
    return [format_amount(int(amount)) for amount in amounts]


def to_decimal(amount: int) -> Decimal:
    """The Decimal of an amount, always with four places."""
    return Decimal(amount).scaleb(-4)


def from_decimal(value: Decimal | int | str) -> int:
    """Ten-thousandths of an exact number; ValueError when it has more than four places."""
    scaled = Decimal(value).scaleb(4)
    whole = int(scaled)
    if scaled != whole:
        raise ValueError(f"more than four decimals: {value}")
    return whole


def show_money(amount: int) -> str:
    """For people: two decimals where they suffice, four where they do not: `1,234.50`."""
    value = to_decimal(amount)
    return f"{value:,.2f}" if amount % 100 == 0 else f"{value:,.4f}"


def show_units(amount: int) -> str:
    """For people: `3` or `0.2500` units."""
    value = to_decimal(amount)
    return f"{value:,.0f}" if amount % SCALE == 0 else f"{value:,.4f}"


def counted(number: int, word: str) -> str:
    """For people: `1 ticket`, `1,234 tickets`."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def columns_that_tell(rows: Sequence[Sequence[Any]]) -> list[int]:
    """Places of a table's columns in which some row shows more than nothing; the others may go."""
    return [
        place
        for place, column in enumerate(zip(*rows, strict=True))
        if any(cell not in (0, "0", "0.00", "") for cell in column)
    ]
