"""Items in RMS by the hub's products: what is written, what is refused, and what is answered."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import insert, update

from tasks.rms import tables
from tasks.rms.item_writing import (
    WRITABLE,
)
from tests.hub_products import product
from tests.rms.counter import CLOCK, Counter, counter, small_counter, stocked_file

__all__ = ["counter", "small_counter", "stocked_file"]


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
        "DateCreated": CLOCK,
        "LastUpdated": CLOCK,
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


def test_a_second_run_finds_nothing_left_to_write(counter: Counter) -> None:
    given = product("MUG-BLUE", "2000000000015", name="x" * 40, price="12.50", department_code="NEW")
    counter.send(given)
    before = counter.rows()

    answers = counter.send(given)

    assert answers["MUG-BLUE"].state == "unchanged"
    assert counter.rows() == before


def test_of_an_item_that_the_till_has_only_what_the_hub_owns_is_written(counter: Counter) -> None:
    counter.write(
        update(tables.item)
        .where(tables.item.c.ItemLookupCode == "SKU-2")
        .values(Price=99_900, Cost=30_000, BinLocation="A1", Quantity=7.5, QuantityCommitted=2.0, PriceA=5)
    )
    before = counter.rows()

    answers = counter.send(
        product(
            "sku-2",
            "555",
            name="Item 2",
            price="8.50",
            cost="1.00",
            department_code="OTHER",
            supplier_code="ACME",
            taxable=False,
        )
    )

    assert answers["sku-2"].state == "updated"
    assert answers["sku-2"].notes == ("Price was 9.99 at the till, is 8.50 now.",)
    after = counter.rows()
    changed = {
        (table, row_id, name): value
        for table, rows in after.items()
        for row_id, row in rows.items()
        for name, value in row.items()
        if row_id not in before[table] or before[table][row_id][name] != value
        if name != "DBTimeStamp"
    }
    assert changed == {
        ("Item", 2, "Price"): 85_000,
        ("Item", 2, "LastUpdated"): CLOCK,
        ("Alias", 1, "ID"): 1,
        ("Alias", 1, "ItemID"): 2,
        ("Alias", 1, "Alias"): "555",
    }


def test_what_the_hub_has_nothing_of_stays_as_the_shop_has_it(small_counter: Counter) -> None:
    """A hub without prices and descriptions of a kind emptied them in every shop."""
    own = {"SubDescription1": "Shop's own", "ExtendedDescription": "Told at length.", "PriceA": 80_000}
    own |= {"Price": 99_900, "MSRP": 120_000}
    small_counter.write(update(tables.item).where(tables.item.c.ItemLookupCode == "SKU-1").values(**own))

    answer = small_counter.send(product("SKU-1", name="Item 1", price="0", sub_description_2="red"))["SKU-1"]

    assert (answer.state, answer.notes) == ("updated", ("The hub has no price: the till keeps 9.99.",))
    item = small_counter.item("SKU-1")
    assert {name: item[name] for name in own} == own
    assert item["SubDescription2"] == "red"


def test_an_inactive_product_is_marked_never_deleted_and_never_created(counter: Counter) -> None:
    answers = counter.send(product("SKU-1", active=False), product("GONE", active=False))

    assert (answers["SKU-1"].state, answers["GONE"].state) == ("updated", "unchanged")
    assert answers["SKU-1"].notes == ("Inactive was no at the till, is yes now.",)
    assert answers["GONE"].notes == ("Inactive and not at the till: it was not created.",)
    assert counter.item("SKU-1")["Inactive"] is True
    assert len(counter.rows()["Item"]) == 5

    assert counter.send(product("SKU-1"))["SKU-1"].state == "updated"
    assert counter.item("SKU-1")["Inactive"] is False


def test_texts_are_cut_and_said_and_the_whole_name_is_kept(small_counter: Counter) -> None:
    name = "A name that is a good deal longer than thirty characters"
    answers = small_counter.send(
        product("LONG", name=name, price="1.00", unit_of_measure="dozen", sub_description_2="y" * 31),
        product("BOTH", name=name, long_description="Told at length."),
        product("EMOJI", name="n" * 29 + "\N{GRINNING FACE}"),
    )

    item = small_counter.item("LONG")
    assert item["Description"] == "A name that is a good deal lon"
    assert item["ExtendedDescription"] == name
    assert (item["UnitOfMeasure"], item["SubDescription2"]) == ("doze", "y" * 30)
    assert answers["LONG"].notes[:4] == (
        "Description was cut to 30 characters: `A name that is a good deal lon`.",
        f"SubDescription2 was cut to 30 characters: `{'y' * 30}`.",
        "UnitOfMeasure was cut to 4 characters: `doze`.",
        "The whole name stands in ExtendedDescription.",
    )
    assert small_counter.item("BOTH")["ExtendedDescription"] == "Told at length."
    assert small_counter.item("EMOJI")["Description"] == "n" * 29


def test_the_whole_name_follows_a_new_name_and_a_shop_s_own_text_stays(small_counter: Counter) -> None:
    """The old name stayed in ExtendedDescription beside the new one."""
    old, new = "A name that is a good deal longer than thirty", "Another name, longer than thirty as well"
    own = tables.item.c.ItemLookupCode == "SKU-1"
    small_counter.write(update(tables.item).where(own).values(ExtendedDescription="Told at length."))
    small_counter.send(product("LONG", name=old), product("SKU-2", name=old), product("SKU-1", name=old))
    assert small_counter.item("SKU-2")["ExtendedDescription"] == old, "it had none of its own"

    answers = small_counter.send(product("LONG", name=new), product("SKU-2"), product("SKU-1", name=new))

    assert small_counter.item("LONG")["ExtendedDescription"] == new
    assert "The whole name stands in ExtendedDescription." in answers["LONG"].notes
    assert small_counter.item("SKU-2")["ExtendedDescription"] == ""
    assert small_counter.item("SKU-1")["ExtendedDescription"] == "Told at length."
    again = small_counter.send(product("LONG", name=new), product("SKU-2"), product("SKU-1", name=new))
    assert {answer.state for answer in again.values()} == {"unchanged"}


# -- what is refused --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("codes", "cells", "rule"),
    [
        (("X" * 26,), {}, "sku_too_long"),
        ((" X",), {}, "sku_form"),
        (("X",), {"name": " "}, "name_missing"),
        (("X",), {"price": "-0.01"}, "price_negative"),
        (("X",), {"item_type": 2}, "item_type"),
        (("X",), {"tax_code": "T" * 18}, "tax_code_too_long"),
        (("X",), {"department_code": "D" * 18}, "department_code_too_long"),
        (("X",), {"tax_code": "REDUCED"}, "tax_code"),
        (("X",), {"tax_code": ""}, "tax_code"),
        (("X", "sku-1"), {}, "code_taken"),
        (("X", "BARCODE-2"), {}, "code_taken"),
        (("TWICE",), {}, "sku_ambiguous"),
        (("ASTRAY",), {}, "alias_astray"),
    ],
)
def test_what_a_till_cannot_hold_is_refused_with_a_reason_and_the_others_go_on(
    small_counter: Counter, codes: tuple[str, ...], cells: dict[str, Any], rule: str
) -> None:
    small_counter.write(insert(tables.alias).values(ItemID=2, Alias="BARCODE-2"))
    small_counter.write(insert(tables.alias).values(ItemID=77, Alias="ASTRAY"))
    for item_id in (6, 7):
        small_counter.write(insert(tables.item).values(ID=item_id, ItemLookupCode="TWICE", TaxID=1))
    before = small_counter.rows()

    answers = small_counter.send(product(*codes, **cells), product("SKU-3", name="Item 3"))

    refused = answers[codes[0]]
    assert (refused.state, refused.rule) == ("refused", rule)
    assert refused.message.endswith(".")
    assert refused.fix
    assert answers["SKU-3"].state == "unchanged"
    assert small_counter.rows() == before


def test_an_unknown_tax_is_refused_with_the_list_of_codes(small_counter: Counter) -> None:
    answer = small_counter.send(product("X", tax_code="REDUCED"))["X"]

    assert answer.message == "The till has no item tax `REDUCED` for product `X`; it has `TAX`."
    assert "[stores.S1.products]" in answer.fix


def test_without_a_tax_code_the_store_s_default_counts_else_what_its_own_items_do(
    small_counter: Counter,
) -> None:
    untaxed = product("NO-TAX", tax_code="")
    small_counter.policy(tax_code="tax")
    small_counter.send(product("BY-DEFAULT", tax_code=""))
    small_counter.policy()
    small_counter.write(update(tables.item).where(tables.item.c["ID"] == 1).values(TaxID=0))

    answers = small_counter.send(untaxed, product("NOT-TAXABLE", tax_code="", taxable=False))

    assert small_counter.item("BY-DEFAULT")["TaxID"] == 1
    assert small_counter.item("NO-TAX")["TaxID"] == 0
    assert "Filed without an item tax, as other items of this shop are." in answers["NO-TAX"].notes
    assert answers["NOT-TAXABLE"].rule == "tax_code"


# -- which item it is -------------------------------------------------------------------------------------
def test_an_alias_that_is_the_sku_names_the_item(counter: Counter) -> None:
    counter.write(insert(tables.alias).values(ItemID=2, Alias="HUB-2  "))

    answers = counter.send(product("hub-2", name="Renamed"))

    assert answers["hub-2"].state == "updated"
    assert answers["hub-2"].notes == ("`hub-2` is an alias of item `SKU-2` at the till: that is the item.",)
    assert counter.item("SKU-2")["Description"] == "Renamed"
    assert len(counter.rows()["Item"]) == 5


def test_one_item_is_never_two_products_of_a_batch(small_counter: Counter) -> None:
    """The hub has given one product the SKU of another as a code."""
    answers = small_counter.send(product("A", "B", price="1.00"), product("B", price="2.00"))

    assert (answers["A"].state, answers["B"].rule) == ("created", "sku_is_alias")
    assert small_counter.item("A")["Price"] == 10_000


def test_a_barcode_alone_never_makes_two_products_one(counter: Counter) -> None:
    counter.write(insert(tables.alias).values(ItemID=2, Alias="2000000000022"))

    answer = counter.send(product("OTHER", "2000000000022"))["OTHER"]

    assert (answer.state, answer.rule) == ("refused", "code_taken")
    assert answer.message == (
        "The till has no item `OTHER`, but its code `2000000000022` is the code of item `SKU-2` "
        "(as an alias)."
    )


def test_codes_are_added_and_those_of_others_left_out_and_none_taken_away(counter: Counter) -> None:
    counter.write(insert(tables.alias).values(ItemID=1, Alias="SHOPS-OWN"))

    answers = counter.send(
        product("SKU-1", "0012", " 0012 ", "sku-1", "SKU-2", "9" * 26, "abc", "ABC", name="Item 1")
    )

    assert counter.aliases("SKU-1") == ["0012", "SHOPS-OWN", "abc"]
    assert answers["SKU-1"].notes == (
        f"Code `{'9' * 26}` was left out: RMS holds 25 characters.",
        "Code `SKU-2` was left out: it is the code of item `SKU-2`.",
    )


def test_two_products_of_a_batch_that_share_a_code(small_counter: Counter) -> None:
    answers = small_counter.send(product("A", "111"), product("B", "111"))

    assert (answers["A"].state, answers["B"].rule) == ("created", "code_taken")
    assert small_counter.aliases("A") == ["111"]


# -- how it is filed --------------------------------------------------------------------------------------
def test_departments_and_categories_are_found_by_code_then_by_name_else_created(counter: Counter) -> None:
    answers = counter.send(
        product("A", department_name="HOME", category_name="lamps"),
        product(
            "B", department_code="GARDEN", department_name="Garden", category_code="LAMPS", category_name="L"
        ),
        product("C", department_code="garden", category_code="LAMPS"),
        product("D", category_code="LAMPS"),
        product("E", department_code="HOME", supplier_code="NOBODY"),
    )

    filed = {code: (counter.item(code)["DepartmentID"], counter.item(code)["CategoryID"]) for code in "ABCDE"}
    assert filed == {"A": (1, 1), "B": (2, 2), "C": (2, 2), "D": (0, 0), "E": (1, 0)}
    rows = counter.rows()
    assert (rows["Department"][2]["code"], rows["Department"][2]["Name"]) == ("GARDEN", "Garden")
    assert rows["Category"][2] | {"DBTimeStamp": 0} == {
        "ID": 2,
        "HQID": 0,
        "DepartmentID": 2,
        "Name": "L",
        "Code": "LAMPS",
        "DBTimeStamp": 0,
    }
    free = ("The hub has no price: it stands at the till for 0.00.",)
    assert answers["B"].notes == (*free, "Department `GARDEN` was created.", "Category `LAMPS` was created.")
    assert answers["D"].notes == (
        *free,
        "Filed without a department: the hub names none and the store has no default.",
        "Category `LAMPS` was left out: the item has no department.",
    )
    assert answers["E"].notes == (
        *free,
        "Supplier `NOBODY` was left out: the till does not know it. Add it in RMS.",
    )
    assert counter.item("E")["SupplierID"] == 0


def test_what_may_not_be_created_goes_to_the_default_department_or_is_refused(small_counter: Counter) -> None:
    small_counter.policy(create_departments=False, create_categories=False)
    refused = small_counter.send(product("A", department_code="GARDEN"))["A"]
    small_counter.policy(create_departments=False, create_categories=False, default_department="home")

    answers = small_counter.send(
        product("A", price="1.00", department_code="GARDEN", category_code="ROSES"),
        product("B", tax_code="TAX"),
    )

    assert (refused.state, refused.rule) == ("refused", "department")
    assert answers["A"].notes == (
        "Department `GARDEN` is not known at the till: filed under `HOME`.",
        "Category `ROSES` was left out: the till's department has none of that code or name.",
    )
    assert small_counter.item("B")["DepartmentID"] == 1
    assert len(small_counter.rows()["Department"]) == 1


def test_a_supplier_is_created_only_where_the_store_says_so(small_counter: Counter) -> None:
    small_counter.policy(create_suppliers=True)

    answers = small_counter.send(
        product("A", supplier_code="NEW", supplier_name="New Ltd", reorder_number="r" * 26)
    )

    rows = small_counter.rows()
    assert (rows["Supplier"][2]["Code"], rows["Supplier"][2]["SupplierName"]) == ("NEW", "New Ltd")
    assert small_counter.item("A")["SupplierID"] == 2
    assert rows["SupplierList"][1]["ReorderNumber"] == ""
    assert answers["A"].notes[-2:] == (
        "Supplier `NEW` was created.",
        "The reorder number was left out: RMS holds 25 characters.",
    )


# -- who owns what ----------------------------------------------------------------------------------------
def test_a_store_may_keep_fields_to_itself_or_give_them_to_the_hub(counter: Counter) -> None:
    everything = {
        "Price": "store",
        "Description": "create_only",
        "DepartmentID": "hub",
        "CategoryID": "hub",
        "SupplierID": "hub",
        "TaxID": "hub",
    }
    counter.policy(owners=everything)
    counter.write(insert(tables.item_tax).values(Code="LOW", Description="Low"))
    counter.write(insert(tables.supplier_list).values(ItemID=1, SupplierID=1, ReorderNumber="old"))
    counter.write(update(tables.item).where(tables.item.c["ID"] == 1).values(SupplierID=1, Price=70_000))

    filed = {"department_code": "TOYS", "category_code": "CARS", "supplier_code": "ACME", "tax_code": "LOW"}
    answers = counter.send(
        product("SKU-1", name="Hub's name", price="1.00", reorder_number="new", **filed),
        product("SKU-2", price="1.00", reorder_number="n-2", cost="0.50", **filed),
        product("NEW", price="1.00"),
    )

    first, second, new = counter.item("SKU-1"), counter.item("SKU-2"), counter.item("NEW")
    assert (first["Description"], first["Price"]) == ("Item 1", 70_000)
    for item in (first, second):
        assert (item["DepartmentID"], item["CategoryID"], item["SupplierID"], item["TaxID"]) == (2, 2, 1, 2)
    supplied = {r["ItemID"]: r["ReorderNumber"] for r in counter.rows()["SupplierList"].values()}
    assert supplied == {1: "new", 2: "n-2"}
    assert new["Price"] == 0
    assert "Price is the store's: set it at the till before it is sold." in answers["NEW"].notes
    again = counter.send(product("SKU-1", reorder_number="new", **filed))
    assert again["SKU-1"].state == "unchanged"


def test_a_category_that_is_made_belongs_to_the_department_the_item_has(small_counter: Counter) -> None:
    small_counter.policy(owners={"DepartmentID": "hub", "CategoryID": "hub"})

    small_counter.send(product("SKU-1", department_code="HOME", category_code="CARS"))

    assert small_counter.rows()["Category"][2]["DepartmentID"] == 1
    assert small_counter.item("SKU-1")["CategoryID"] == 2


def test_under_headquarters_nothing_is_written_and_every_product_is_refused(counter: Counter) -> None:
    counter.write(update(tables.item).where(tables.item.c["ID"] == 3).values(HQID=9))
    before = counter.rows()

    answers = counter.send(product("NEW"), product("SKU-1", price="5.00"))

    assert {a.rule for a in answers.values()} == {"headquarters"}
    assert "worksheet" in answers["NEW"].fix
    assert counter.rows() == before


@pytest.mark.parametrize("sign", [{"SyncID": 4}, {"HQCreationDate": datetime(2020, 1, 1)}])  # noqa: DTZ001
def test_headquarters_is_told_by_the_configuration_as_well(
    small_counter: Counter, sign: dict[str, Any]
) -> None:
    small_counter.write(update(tables.configuration).values(**sign))

    assert small_counter.send(product("NEW"))["NEW"].rule == "headquarters"
