"""Products from the hub in a store's RMS: what is written, what never is, and what is answered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from data_contracts.manifest import ProductAnswer
from tasks.rms import tables
from tasks.rms.item_writing import WRITABLE
from tasks.settings import ProductSettings
from tasks.use_cases.applying_products import ProductsReport, apply_products
from tests.hub_products import answer_to, product, publish
from tests.use_cases.store_fixtures import Shop, make_shop

Rows = dict[str, dict[int, dict[str, Any]]]
"""table -> ID -> row"""


@dataclass
class Counter:
    """A shop that takes products."""

    shop: Shop

    def apply(self, **options: Any) -> ProductsReport:
        return apply_products(self.shop.settings, "S1", now=self.shop.now, **options)

    def send(self, *products: Any, **draft: Any) -> dict[str, ProductAnswer]:
        """Publish, apply, and the answers by SKU."""
        manifest = publish(self.shop.folder, *products, **draft)
        self.apply()
        return {answer.sku: answer for answer in answer_to(self.shop.folder, manifest).products}

    def policy(self, **changes: Any) -> None:
        self.shop.configure(products=ProductSettings.model_validate(changes))

    def item(self, code: str) -> dict[str, Any]:
        (row,) = [row for row in self.rows()["Item"].values() if row["ItemLookupCode"] == code]
        return row

    def rows(self) -> Rows:
        """Every row of every table."""
        found: Rows = {}
        with self.shop.till.engine.connect() as connection:
            for table in tables.metadata.sorted_tables:
                if "ID" in table.c:
                    rows = connection.execute(select(table)).mappings()
                    found[table.name] = {row["ID"]: dict(row) for row in rows}
        return found

    def aliases(self, code: str) -> list[str]:
        item_id = self.item(code)["ID"]
        return sorted(r["Alias"] for r in self.rows()["Alias"].values() if r["ItemID"] == item_id)

    def write(self, statement: Any) -> None:
        with self.shop.till.writing() as connection:
            connection.execute(statement)


def stock(shop: Shop) -> Counter:
    """Item tax TAX, department HOME with a category, supplier ACME."""
    with shop.till.writing() as connection:
        connection.execute(insert(tables.item_tax).values(Code="TAX", Description="VAT"))
        connection.execute(insert(tables.department).values(code="HOME", Name="Home"))
        connection.execute(insert(tables.category).values(DepartmentID=1, Code="LAMPS", Name="Lamps"))
        connection.execute(insert(tables.supplier).values(Code="ACME", SupplierName="Acme Ltd"))
        connection.execute(update(tables.item).values(TaxID=1, DepartmentID=1))
        if connection.dialect.name == "postgresql":  # the till has given out numbers of its own
            connection.execute(text('ALTER TABLE "Item" ALTER COLUMN "ID" RESTART WITH 6'))
    counter = Counter(shop)
    counter.policy()
    return counter


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def counter(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Counter]:
    for shop in make_shop(request.param, tmp_path):
        yield stock(shop)


@pytest.fixture
def small_counter(tmp_path: Path) -> Iterator[Counter]:
    for shop in make_shop("sqlite", tmp_path):
        yield stock(shop)


# -- what is written -------------------------------------------------------------------------------------
def test_a_new_product_becomes_an_item_filed_as_the_hub_says(counter: Counter) -> None:
    answers = counter.send(
        product(
            "MUG-BLUE",
            "2000000000015",
            name="Mug, blue",
            long_description="Holds\ntea.",
            sub_description_1="Gifts",
            unit_of_measure="each",
            department_code="home",
            category_code="LAMPS",
            supplier_code="ACME",
            reorder_number="A-77",
            price="12.50",
            price_a="11.25",
            msrp="13.99",
            cost="4.1234",
        )
    )

    assert answers["MUG-BLUE"].state == "created"
    assert answers["MUG-BLUE"].notes == ()
    item = counter.item("MUG-BLUE")
    clock = datetime(2026, 11, 23, 13, 0)  # noqa: DTZ001 - RMS keeps local times
    assert {name: item[name] for name in WRITABLE["Item"]} == {
        "ItemLookupCode": "MUG-BLUE",
        "Description": "Mug, blue",
        "ExtendedDescription": "Holds\ntea.",
        "SubDescription1": "Gifts",
        "SubDescription2": "",
        "SubDescription3": "",
        "Price": 125_000,
        "PriceA": 112_500,
        "PriceB": 0,
        "PriceC": 0,
        "MSRP": 139_900,
        "Inactive": False,
        "Cost": 41_234,
        "ItemType": 0,
        "UnitOfMeasure": "each",
        "DepartmentID": 1,
        "CategoryID": 1,
        "SupplierID": 1,
        "TaxID": 1,
        "Taxable": True,
        "DateCreated": clock,
        "LastUpdated": clock,
    }
    assert (item["Quantity"], item["QuantityCommitted"], item["HQID"]) == (0.0, 0.0, 0)
    assert counter.aliases("MUG-BLUE") == ["2000000000015"]
    (supplied,) = counter.rows()["SupplierList"].values()
    del supplied["ID"], supplied["DBTimeStamp"]
    assert supplied == {
        "ItemID": item["ID"],
        "SupplierID": 1,
        "MasterPackQuantity": 1,
        "Cost": 41_234,
        "ReorderNumber": "A-77",
        "MinimumOrder": 0.0,
        "TaxRate": 0.0,
    }
