"""docs/catalog.md names every column that a catalogue file may have, and whose names they are."""

from __future__ import annotations

from pathlib import Path

from data_contracts.catalog import COLUMNS, PROFILES

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "catalog.md").read_text(encoding="utf-8")


def test_every_column_and_every_header_of_sellercloud_stands_in_the_document() -> None:
    rows = [line.split(" | ") for line in DOCUMENT.splitlines() if line.startswith("| `")]
    ours = {name.strip("`| ") for row in rows for name in row[0].split(",")}
    theirs = {word for row in rows for word in row[1].split("`")[1::2]}

    assert ours == set(COLUMNS)
    assert theirs == {header for headers in PROFILES["sellercloud"].values() for header in headers}
