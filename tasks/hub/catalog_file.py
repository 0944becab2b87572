"""Reads a catalogue file as it stands: header, delimiter, lines. What the cells mean is not asked here."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data_contracts.catalog import COLUMNS, PROFILES, CatalogRow, map_headers
from data_contracts.errors import ConfigurationError, NotYetArrived
from tasks.settings import CatalogSettings

DELIMITERS = ",;\t"
SETTLED_SECONDS = 60
"""A file whose last line does not end is taken once nobody has written to it for so long."""

ENCODING_HINT = "save it as UTF-8 (Excel: Save As, file type `CSV UTF-8`)"


@dataclass(frozen=True)
class CatalogFile:
    """A catalogue file, read."""

    name: str
    digest: str
    """Of its bytes and of how its columns are mapped."""
    columns: tuple[str, ...]
    """The hub's columns that it has."""
    ignored: tuple[str, ...]
    """Its own columns that nothing was taken from."""
    rows: tuple[CatalogRow, ...]


def read_catalog(path: Path, settings: CatalogSettings) -> CatalogFile:
    """The rows of a CSV: UTF-8 with or without byte order mark, comma, semicolon or tab.

    Lines without anything in them are passed over. Raises `ConfigurationError` that names the line of a
    file that cannot be read as a table, `NotYetArrived` for one that somebody may still be writing.
    """
    try:
        data = path.read_bytes()
        written = path.stat().st_mtime
    except OSError as error:
        raise ConfigurationError(
            f"The catalogue {path} cannot be read: {error.strerror}.", next_step="name another file"
        ) from error
    # Cut within its last line, 12.50 is 12 at every till; cut between lines, what lacks stays as it is.
    if not data.endswith((b"\n", b"\r", b"\0")) and abs(time.time() - written) < SETTLED_SECONDS:
        raise NotYetArrived(
            f"The last line of the catalogue {path} does not end, and the file was changed just now: it may "
            "still be being written. Nothing was imported; retrying may help.",
            next_step=f"import it again when it is {SETTLED_SECONDS} s old, or end its last line",
            file=str(path),
        )
    text = _decoded(path, data)
    delimiter = _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = next(reader, [])
        places, ignored = _mapped(path, header, settings)
        rows = []
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                raise _wrong(
                    path,
                    reader.line_num,
                    f"has {len(cells)} cells, the header has {len(header)}",
                    "mend that line",
                )
            found = {column: _cell(cells, at) for column, at in places.items()}
            rows.append(CatalogRow(reader.line_num, found))
    except csv.Error as error:
        raise _wrong(path, reader.line_num, f"cannot be read ({error})", "mend that line") from error
    mapping = json.dumps({column: [header[at] for at in places[column]] for column in sorted(places)})
    digest = hashlib.sha256(data + b"\0" + mapping.encode()).hexdigest()
    return CatalogFile(path.name, digest, tuple(places), tuple(ignored), tuple(rows))


def _decoded(path: Path, data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ConfigurationError(
            f"The catalogue {path} is UTF-16 (`Unicode Text` of Excel). Nothing was imported.",
            next_step=ENCODING_HINT,
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(
            f"The catalogue {path} is not UTF-8 in line {line}, probably the encoding of Windows (cp1252), "
            "in which Excel saves a CSV. Nothing was imported; retrying cannot clear this.",
            next_step=ENCODING_HINT,
            file=str(path),
            line=line,
        ) from error


def _delimiter(text: str) -> str:
    """The one that stands most often in the first line, outside of quotes; a comma where none does."""
    unquoted = "".join(text.split("\n", 1)[0].split('"')[::2])
    return max(DELIMITERS, key=unquoted.count)


def _mapped(
    path: Path, header: Sequence[str], settings: CatalogSettings
) -> tuple[dict[str, list[int]], list[str]]:
    shown = ", ".join(name.strip()[:40] for name in header)
    try:
        places, ignored = map_headers(header, settings.profile, settings.columns)
    except KeyError as error:
        raise _wrong(
            path,
            1,
            f"has no column `{error.args[0]}`, which [catalog.columns] names; it has {shown}",
            "correct [catalog.columns] of tillbridge.toml",
        ) from error
    except ValueError as error:
        raise _wrong(path, 1, f"has the column `{error.args[0]}` twice", "rename one of them") from error
    if "sku" not in places:
        wanted = " or ".join(f"`{name}`" for name in ("sku", *PROFILES["sellercloud"]["sku"]))
        raise _wrong(
            path,
            1,
            f"has the header {shown}, without a column of SKUs ({wanted})",
            f"name it in [catalog.columns] of tillbridge.toml, or use {','.join(COLUMNS[:2])}, ...",
        )
    return places, ignored


def _cell(cells: Sequence[str], places: Sequence[int]) -> str:
    """Several columns are aliases, which a cell separates by `|`."""
    return "|".join(filter(None, (cells[at].strip() for at in places)))


def _wrong(path: Path, line: int, what: str, fix: str) -> ConfigurationError:
    return ConfigurationError(
        f"The catalogue {path}, line {line}, {what}. Nothing was imported; retrying cannot clear this.",
        next_step=fix,
        file=str(path),
        line=line,
    )
