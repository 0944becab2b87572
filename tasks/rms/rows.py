"""What reading tickets and reading orders share: rows by column, torn reads, texts, frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import chain, compress
from typing import Any

import pandas as pd
from sqlalchemy import Connection, Select

from data_contracts.documents import Kind

DESCRIPTION_LENGTH = 30
TENDER_CODE_LENGTH = 25
"""Characters that RMS gives these texts; where a vendor's tool has widened the column they are cut."""

UNREADABLE_AMOUNT = "unreadable_amount"

Columns = dict[str, list[Any]]
"""What was fetched, by column: rows would cost twice the time."""

_DTYPES: dict[Kind, str] = {"integer": "int64", "amount": "int64", "boolean": "bool"}


def fetch(connection: Connection, query: Select[Any], wanted: frozenset[int]) -> Columns:
    """Columns of the rows whose number, which stands first, is wanted."""
    result = connection.execute(query)
    names = list(result.keys())
    rows = [row for row in result.all() if row[0] in wanted]
    return (
        dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)) if rows else {n: [] for n in names}
    )


def differing(read: Columns, now: Columns) -> set[int]:
    """Numbers of which a row came, went or moved since they were read."""
    before = sorted(zip(read["number"], read["rowversion"], strict=True))
    after = sorted(zip(now["number"], now["rowversion"], strict=True))
    if before == after:
        return set()
    old, new = Counter(before), Counter(after)
    return {number for number, _ in (old - new) + (new - old)}


def with_header(part: Columns, present: set[int]) -> Columns:
    """The rows whose document has a header."""
    if present.issuperset(part["number"]):
        return part
    keep = [number in present for number in part["number"]]
    return {name: list(compress(values, keep)) for name, values in part.items()}


def joined(parts: list[Columns]) -> Columns:
    """Parts with the same columns (at least one), one after the other."""
    return {name: list(chain.from_iterable(part[name] for part in parts)) for name in parts[0]}


def fill_unreadable(part: Columns, name: str) -> frozenset[int]:
    """Put 0 where RMS holds an absurd amount; the numbers of the documents it belongs to."""
    found = frozenset(
        number for number, value in zip(part["number"], part[name], strict=True) if value is None
    )
    if found:
        part[name] = [value or 0 for value in part[name]]
    return found


def newest_rowversions(headers: Columns, *parts: Columns) -> list[int]:
    """The greatest rowversion over all rows of each document, in the order of the headers."""
    newest = dict(zip(headers["number"], headers["rowversion"], strict=True))
    for part in parts:
        for number, written in zip(part["number"], part["rowversion"], strict=True):
            if written > newest[number]:
                newest[number] = written
    return list(newest.values())


def positions(numbers: Iterable[int]) -> list[int]:
    """1.. within each document, for lines in their order."""
    counted: Counter[int] = Counter()
    found: list[int] = []
    for number in numbers:
        counted[number] += 1
        found.append(counted[number])
    return found


def texts(values: list[str], length: int | None = None) -> list[str]:
    """Without blanks at the end, and without what no UTF-8 file can carry (vendors' tools write both)."""
    cut = {
        value: value.replace("\0", "").encode("utf-8", "replace").decode()[:length].rstrip()
        for value in set(values)
    }
    return [cut[value] for value in values]


def tender_codes(tenders: Columns) -> list[str]:
    """The code of each tender, its description where it has none; from the columns `code` and `name`."""
    codes, names = (texts(tenders[column], TENDER_CODE_LENGTH) for column in ("code", "name"))
    return [code or name for code, name in zip(codes, names, strict=True)]


def frame(
    store: str, source: str, epoch_of: Callable[[int], int], columns: dict[str, Kind], values: Columns
) -> pd.DataFrame:
    """A typed frame with exactly `columns`; the identity is filled in from the column `number`."""
    numbers = values["number"]
    epochs = {number: epoch_of(number) for number in set(numbers)}
    filled = {
        **values,
        "store": [store] * len(numbers),
        "epoch": [epochs[number] for number in numbers],
        "source": [source] * len(numbers),
    }
    return pd.DataFrame(
        {name: pd.Series(filled[name], dtype=_DTYPES.get(kind, "str")) for name, kind in columns.items()}
    )
