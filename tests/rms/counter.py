"""A till that takes products, for the tests of writing items."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from data_contracts.manifest import ProductAnswer
from data_contracts.till_items import Product
from tasks.rms.item_writing import ItemWriter, open_items
from tasks.settings import ProductSettings
from tests.rms_database import Till, rms_rows, stock_up

CLOCK = datetime(2026, 11, 23, 13, 0)  # noqa: DTZ001 - RMS keeps local times


@dataclass
class Counter:
    """A till that takes products."""

    till: Till
    settings: ProductSettings = field(default_factory=ProductSettings)

    def send(self, *products: Product, dry_run: bool = False) -> dict[str, ProductAnswer]:
        """Apply products; the answers by SKU."""
        with open_items(self.till.url, "S1") as connection:
            writer = ItemWriter(connection, self.settings.policy("S1"), CLOCK, dry_run=dry_run)
            return {answer.sku: answer for answer in writer.apply(products)}

    def policy(self, **changes: Any) -> None:
        self.settings = ProductSettings.model_validate(changes)

    def rows(self) -> dict[str, dict[int, dict[str, Any]]]:
        return rms_rows(self.till)

    def item(self, code: str) -> dict[str, Any]:
        (row,) = [row for row in self.rows()["Item"].values() if row["ItemLookupCode"] == code]
        return row

    def aliases(self, code: str) -> list[str]:
        item_id = self.item(code)["ID"]
        return sorted(r["Alias"] for r in self.rows()["Alias"].values() if r["ItemID"] == item_id)

    def write(self, statement: Any) -> None:
        with self.till.writing() as connection:
            connection.execute(statement)


@pytest.fixture
def counter(till: Till) -> Counter:
    """Item tax TAX, department HOME with a category, supplier ACME."""
    stock_up(till)
    return Counter(till)


@pytest.fixture(scope="module")
def stocked_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database to be copied: much faster than making one for every test."""
    file = tmp_path_factory.mktemp("stocked") / "rms.db"
    till = Till(f"sqlite:///{file}")
    till.create()
    stock_up(till)
    return file


@pytest.fixture
def small_counter(stocked_file: Path, tmp_path: Path) -> Counter:
    """The same on SQLite only, where the kind of database does not matter."""
    shutil.copy(stocked_file, tmp_path / "rms.db")
    return Counter(Till(f"sqlite:///{tmp_path / 'rms.db'}"))
