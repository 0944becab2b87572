"""Reads real shop tickets (UCI "Online Retail") as invoices; changes no amount, drops no line.

Whole invoices are given to stores by a seeded draw, so that every line lands in exactly one store.
"""

from __future__ import annotations

import csv
import lzma
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import IO

from data_contracts.amounts import SCALE, from_decimal
from data_contracts.errors import ConfigurationError

SLICE = Path(__file__).parent / "data" / "online_retail_slice.csv.xz"
"""The first ten trading days, shipped with tillbridge; see `data/README.md`."""

COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "Country")
LAST_DAY_OF_SLICE = date(2010, 12, 12)

_NEXT_STEP = "name the shipped slice or a file with the columns of deployments/sample_store/data/README.md"

CODE_LENGTH = 25
"""Characters of Item.ItemLookupCode."""


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """One line as it was sold: quantity and price in ten-thousandths, either may be zero or negative."""

    code: str
    description: str
    quantity: int
    price: int


@dataclass(frozen=True, slots=True)
class Invoice:
    """A ticket of the source; `time` is local, without a zone. `C...` numbers are cancels (returns)."""

    number: str
    time: datetime
    lines: tuple[InvoiceLine, ...]


def read_invoices(path: str | Path = SLICE) -> list[Invoice]:
    """All invoices of a `.csv` or `.csv.xz` file, by time, then as they stand in the file.

    `ConfigurationError` if the file is not there or is not such a file.
    """
    file = Path(path)
    times: dict[str, datetime] = {}
    lines: dict[str, list[InvoiceLine]] = {}
    try:
        with _open_text(file) as stream:
            for row in _rows(file, stream):
                number = row["InvoiceNo"]
                times.setdefault(number, datetime.fromisoformat(row["InvoiceDate"]))
                lines.setdefault(number, []).append(
                    InvoiceLine(
                        code=row["StockCode"][:CODE_LENGTH].rstrip(),
                        description=row["Description"].strip(),
                        quantity=int(row["Quantity"]) * SCALE,
                        price=from_decimal(row["UnitPrice"]),
                    )
                )
    except (OSError, ValueError, lzma.LZMAError) as error:
        raise ConfigurationError(
            f"The tickets in {file.name} cannot be read ({type(error).__name__}).",
            next_step=_NEXT_STEP,
            file=str(file),
        ) from error
    invoices = [Invoice(number, times[number], tuple(lines[number])) for number in times]
    return sorted(invoices, key=lambda invoice: invoice.time)


def split_invoices(invoices: Iterable[Invoice], stores: int, seed: int) -> list[list[Invoice]]:
    """One list of whole invoices a store, in their order. An invoice's store depends on its number only."""
    shares: list[list[Invoice]] = [[] for _ in range(stores)]
    for invoice in invoices:
        draw = random.Random(f"{seed}/{invoice.number}")  # noqa: S311 - a reproducible draw is wanted
        shares[draw.randrange(stores)].append(invoice)
    return shares


def make_slice(full_path: str | Path, out_path: str | Path) -> int:
    """Write the first ten trading days of the full file, without customers; returns the lines written.

    The same input gives the same bytes.
    """
    written = 0
    with (
        _open_text(Path(full_path)) as source,
        lzma.open(out_path, "wt", preset=9 | lzma.PRESET_EXTREME, encoding="utf-8", newline="") as target,
    ):
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in _rows(Path(full_path), source):
            if datetime.fromisoformat(row["InvoiceDate"]).date() <= LAST_DAY_OF_SLICE:
                writer.writerow([row[name] for name in COLUMNS])
                written += 1
    return written


def sum_of_lines(invoices: Iterable[Invoice]) -> int:
    """Sum of quantity times price over all lines, in ten-thousandths."""
    return sum(line.quantity * line.price // SCALE for invoice in invoices for line in invoice.lines)


def _open_text(file: Path) -> IO[str]:
    if file.suffix == ".xz":
        return lzma.open(file, "rt", encoding="utf-8", newline="")
    return file.open(encoding="utf-8", newline="")


def _rows(file: Path, stream: IO[str]) -> Iterator[dict[str, str]]:
    reader = csv.DictReader(stream)
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise ConfigurationError(
            f"{file.name} has no column {', '.join(missing)}.",
            next_step=_NEXT_STEP,
            file=str(file),
        )
    yield from reader


def business_days(invoices: Sequence[Invoice]) -> list[date]:
    """The days on which something was sold."""
    return sorted({invoice.time.date() for invoice in invoices})
