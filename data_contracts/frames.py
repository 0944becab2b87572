"""Frames to CSV bytes and back, exactly: what was written is what is read, cell by cell.

A file of a batch is UTF-8 without a byte order mark, comma-separated, quoted as in RFC 4180, with a
header and `\\n` at the end of every line, the last one too: a file cut anywhere can be told from a whole
one. There are no nulls: an empty cell is the empty text, and the texts `NULL` or `nan` are texts.

A text that a spreadsheet would take for a formula (`=1+1`, `+1`, `@x`) is written as it is. The file is
data, and prefixing it would change SKUs; who opens one in a spreadsheet imports the columns as text.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

import pandas as pd

from data_contracts.amounts import AMOUNT_PATTERN, format_amounts
from data_contracts.documents import Kind
from data_contracts.errors import ContractBroken
from data_contracts.sending_again import SEND_AGAIN

_QUOTED = re.compile(r'[",\r\n]')
_AMOUNT = re.compile(AMOUNT_PATTERN)
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}")
_TIMESTAMP = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z")
_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})")
_INTEGER_RANGE = (-(2**63), 2**63 - 1)


def write_csv(frame: pd.DataFrame, columns: Mapping[str, Kind]) -> bytes:
    """The file of a typed frame, with exactly `columns` in their order.

    Integers and amounts (whole ten-thousandths) are integers in the frame, booleans booleans, all else
    text. Raises `ContractBroken`, naming the column, for a missing column, a null, a float, or a text
    that cannot stand in a file (NUL, half of a surrogate pair).
    """
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise _unwritable(", ".join(missing), "is missing in the frame")
    cells = [_cells(name, kind, frame[name]) for name, kind in columns.items()]
    if len(cells) == 1:  # a line without anything in it is not a row
        cells = [[text or '""' for text in cells[0]]]
    lines = [",".join(map(_quote, columns)), *map(",".join, zip(*cells, strict=True)), ""]
    try:
        return "\n".join(lines).encode()
    except UnicodeEncodeError as error:
        raise ContractBroken(
            "A text holds half of a surrogate pair, which no UTF-8 file can carry. "
            "Retrying cannot clear this.",
            next_step="correct the text in RMS",
        ) from error


def read_rows(data: bytes, columns: Mapping[str, Kind], where: str) -> pd.DataFrame:
    """All cells of a file as text, exactly as they stand there; index 0..n-1.

    Raises `ContractBroken`, naming `where` and what is wrong, for anything but UTF-8, a NUL, a header
    that differs from `columns`, a row with too few or too many cells, broken quoting and a cut end.
    """
    text = _decoded(data, where)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        _check_header(header, columns, where)
        rows = list(reader)
    except csv.Error as error:
        raise _broken(
            where, f"line {reader.line_num:,} cannot be read ({error}); the file may be cut"
        ) from error
    if not text.endswith("\n"):
        raise _broken(where, "the last line has no end; the file is cut")
    if set(map(len, rows)) - {len(columns)}:
        row = next(i for i, cells in enumerate(rows) if len(cells) != len(columns))
        raise _broken(where, f"row {row + 1:,} has {len(rows[row])} cells instead of {len(columns)}")
    by_column: Sequence[Sequence[str]] = list(zip(*rows, strict=True)) or [()] * len(columns)
    return pd.DataFrame(
        {name: pd.Series(list(cells), dtype="str") for name, cells in zip(columns, by_column, strict=True)},
        columns=list(columns),
    )


def no_rows(columns: Mapping[str, Kind]) -> pd.DataFrame:
    """A file without rows, as `read_rows` returns it."""
    return pd.DataFrame({name: pd.Series([], dtype="str") for name in columns}, columns=list(columns))


def typed(rows: pd.DataFrame, columns: Mapping[str, Kind]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(typed rows, faults) of rows of text.

    The first frame holds the rows of which every cell could be read, with their index: int64 for integers
    and amounts (ten-thousandths), bool for booleans, text for the rest. The second has a row for each
    cell that could not: `row` (index in `rows`), `column`, and `rule`, which is always `type`.
    """
    values: dict[str, list[Any]] = {}
    faults: list[tuple[int, str, str]] = []
    index = rows.index.tolist()
    for name, kind in columns.items():
        read = _READ[kind](rows[name].tolist())
        values[name] = read
        if None in read:
            faults += [(index[i], name, "type") for i, value in enumerate(read) if value is None]
    bad = {row for row, _, _ in faults}
    if bad:
        keep = [i for i, row in enumerate(index) if row not in bad]
        index = [index[i] for i in keep]
        values = {name: [read[i] for i in keep] for name, read in values.items()}
    frame = pd.DataFrame(
        {name: pd.Series(values[name], index=index, dtype=_DTYPES[kind]) for name, kind in columns.items()},
        columns=list(columns),
    )
    frame.index = pd.Index(index, dtype="int64")
    found = pd.DataFrame(sorted(faults), columns=["row", "column", "rule"]).astype(
        {"row": "int64", "column": "str", "rule": "str"}
    )
    return frame, found


_DTYPES: dict[Kind, str] = {
    "text": "str",
    "integer": "int64",
    "amount": "int64",
    "timestamp": "str",
    "date": "str",
    "boolean": "bool",
}


# -- writing ------------------------------------------------------------------------------------------
def _quote(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text


def _cells(name: str, kind: Kind, column: pd.Series[Any]) -> list[str]:
    values = column.tolist()
    wanted: type = {"amount": int, "integer": int, "boolean": bool}.get(kind, str)
    if set(map(type, values)) - {wanted}:
        row = next(i for i, value in enumerate(values) if type(value) is not wanted)
        raise _unwritable(name, f"holds {type(values[row]).__name__} in row {row + 1:,}; it needs {kind}")
    if kind == "amount":
        return format_amounts(values)
    if kind == "integer":
        return list(map(str, values))
    if kind == "boolean":
        return ["true" if value else "false" for value in values]
    joined = "".join(values)
    if "\0" in joined:
        raise _unwritable(name, "holds a text with a NUL character")
    return list(map(_quote, values)) if _QUOTED.search(joined) else values


def _unwritable(column: str, what: str) -> ContractBroken:
    return ContractBroken(
        f"A file cannot be written: `{column}` {what}. Retrying cannot clear this.",
        next_step="report this with the name of the stream",
        column=column,
    )


# -- reading ------------------------------------------------------------------------------------------
def _decoded(data: bytes, where: str) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _broken(where, f"it is not UTF-8 at byte {error.start + 1:,}") from error
    if text.startswith("\ufeff"):
        raise _broken(where, "it begins with a byte order mark, so another program has saved it")
    if "\0" in text:
        raise _broken(where, f"it holds a NUL at character {text.index(chr(0)) + 1:,}")
    return text


def _check_header(header: list[str], columns: Mapping[str, Kind], where: str) -> None:
    expected = list(columns)
    if header == expected:
        return
    if not header:
        raise _broken(where, "it has no header")
    repeated = sorted({name for name in header if header.count(name) > 1})
    missing = [name for name in expected if name not in header]
    unknown = [name for name in header if name not in columns]
    faults = [
        f"{what} {', '.join(f'`{name[:40]}`' for name in names)}"
        for what, names in (("lacks", missing), ("has the unknown", unknown), ("repeats", repeated))
        if names
    ]
    raise _broken(where, f"its header {'; '.join(faults) or 'has the columns in another order'}")


def _broken(where: str, what: str) -> ContractBroken:
    return ContractBroken(
        f"{where} does not have the form of its contract: {what}. Retrying cannot clear this.",
        next_step=SEND_AGAIN,
        file=where,
    )


def _read_text(texts: list[str]) -> list[Any]:
    return list(texts)


def _read_amounts(texts: list[str]) -> list[Any]:
    matches = _AMOUNT.fullmatch
    return [int(text.replace(".", "")) if matches(text) else None for text in texts]


def _read_integers(texts: list[str]) -> list[Any]:
    matches = _INTEGER.fullmatch
    low, high = _INTEGER_RANGE
    return [number if matches(text) and low <= (number := int(text)) <= high else None for text in texts]


def _read_booleans(texts: list[str]) -> list[Any]:
    known = {"true": True, "false": False}
    return [known.get(text) for text in texts]


def _dated(texts: list[str], pattern: re.Pattern[str]) -> list[Any]:
    real: dict[str, bool] = {}
    read: list[Any] = []
    for text in texts:
        found = pattern.fullmatch(text)
        day = found[1] if found else ""
        if day not in real:
            real[day] = _is_day(day)
        read.append(text if real[day] else None)
    return read


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


_READ: dict[Kind, Callable[[list[str]], list[Any]]] = {
    "text": _read_text,
    "integer": _read_integers,
    "amount": _read_amounts,
    "boolean": _read_booleans,
    "timestamp": lambda texts: _dated(texts, _TIMESTAMP),
    "date": lambda texts: _dated(texts, _DATE),
}
