from __future__ import annotations

import csv
from datetime import datetime
from pathlib import Path

import pytest

from data_contracts.catalog import CatalogRow, merge
from data_contracts.catalog_check import check_catalog
from deployments.sample_store.catalog import (
    collect_items,
    ean13,
    write_catalog,
    write_sellercloud_catalog,
)
from deployments.sample_store.tickets import Invoice, InvoiceLine
from tasks.hub.catalog_file import CatalogFile, read_catalog
from tasks.settings import CatalogSettings

AT = datetime(2010, 12, 1, 9, 0)  # noqa: DTZ001 - RMS times have no zone


def test_codes_that_differ_by_case_are_one_item_named_by_its_first_regular_sale() -> None:
    invoices = [
        Invoice("1", AT, (InvoiceLine("15056bl", "damaged", -10_000, 0),)),
        Invoice("2", AT, (InvoiceLine("15056BL", "EDWARDIAN PARASOL BLACK", 10_000, 59_500),)),
        Invoice("3", AT, (InvoiceLine("15056BL", "ANOTHER NAME", 10_000, 49_500),)),
    ]

    (item,) = collect_items(invoices)

    assert (item.sku, item.name, item.price) == ("15056bl", "EDWARDIAN PARASOL BLACK", 59_500)


def test_codes_that_are_no_goods_hold_no_stock_and_no_barcode(invoices: list[Invoice]) -> None:
    items = {item.sku: item for item in collect_items(invoices)}

    kinds = {sku for sku, item in items.items() if item.item_type == 7}
    assert kinds == {"AMAZONFEE", "BANK CHARGES", "C2", "D", "DOT", "M", "POST", "S"}
    assert all(items[sku].upc == "" for sku in kinds)
    gift = Invoice("1", AT, (InvoiceLine("gift_0001_20", "Voucher 20", 10_000, 200_000),))
    assert collect_items([gift])[0].item_type == 9


@pytest.mark.parametrize(
    ("index", "code"), [(0, "2000000000008"), (1, "2000000000015"), (123_456_789, "2001234567893")]
)
def test_barcodes_carry_a_valid_check_digit(index: int, code: str) -> None:
    digits = [int(digit) for digit in code]

    assert ean13(index) == code
    assert (sum(digits[0::2]) + 3 * sum(digits[1::2])) % 10 == 0


def test_catalogue_lists_every_item_but_those_left_out(tmp_path: Path, invoices: list[Invoice]) -> None:
    file = tmp_path / "catalogue.csv"

    assert write_catalog(file, invoices, leave_out=["85123a"]) == 2_524

    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["sku", "name", "upc", "price", "item_type", "active"]
    assert [row["sku"].upper() for row in rows] == sorted(row["sku"].upper() for row in rows)
    assert "85123A" not in {row["sku"] for row in rows}
    lantern = next(row for row in rows if row["sku"] == "71053")
    assert (lantern["name"], lantern["price"], lantern["active"]) == ("WHITE METAL LANTERN", "3.3900", "true")
    upcs = [row["upc"] for row in rows if row["upc"]]
    assert len(set(upcs)) == len(upcs) > 1_500


def test_catalogue_of_sellercloud_holds_the_same_goods_filed_and_passes_its_contract(
    tmp_path: Path, invoices: list[Invoice]
) -> None:
    plain, full = tmp_path / "plain.csv", tmp_path / "full.csv"
    assert write_catalog(plain, invoices) == write_sellercloud_catalog(full, invoices) == 2_525

    def products(file: CatalogFile) -> dict[str, dict[str, object]]:
        return {row.sku: merge(None, row, ignore_case=True) for row in file.rows}

    first = products(read_catalog(plain, CatalogSettings()))
    file = read_catalog(full, CatalogSettings())
    second = products(file)

    same = ("name", "upc", "price", "item_type", "active")
    assert file.ignored == ()
    assert {sku: [found[name] for name in same] for sku, found in first.items()} == {
        sku: [found[name] for name in same] for sku, found in second.items()
    }
    lantern = second["71053"]
    filed = ("store_price", "msrp", "cost", "department_name", "category_name", "supplier_name")
    assert [lantern[name] for name in filed] == [
        33_900,
        40_680,
        16_950,
        "Gifts",
        "Other",
        lantern["supplier_name"],
    ]
    assert {found["department_name"] for found in second.values()} > {"Kitchen", "Home", "Toys", "Gifts"}
    rows: list[CatalogRow] = list(file.rows)
    verdict = check_catalog(rows, ignore_case=True, clashes={}, without_price=frozenset())
    assert verdict.refused == {}
