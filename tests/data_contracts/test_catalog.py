"""What a catalogue file may say of a product, which codes clash, and what of it a till gets."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.catalog import (
    CatalogRow,
    Codes,
    TillRules,
    barcode_faults,
    changed_fields,
    codes_of,
    find_clashes,
    map_headers,
    merge,
    new_product,
    read_aliases,
    read_amount,
    read_flag,
    sold_at,
    till_product,
)
from data_contracts.documents import PRODUCTS

RULES = TillRules(("store_price", "price"))


def product(sku: str = "MUG", **fields: Any) -> dict[str, Any]:
    return {**new_product(sku), **fields}


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("", 0),
        ("12", 120_000),
        ("12.5", 125_000),
        ("12.3456", 123_456),
        ("12.34560000", 123_456),
        (".5", 5_000),
        ("-1", -10_000),
    ],
)
def test_amount_is_read_exactly(text: str, amount: int) -> None:
    assert read_amount(text) == amount


@pytest.mark.parametrize("text", ["1,5", "1.234,50", "1,234.50", "1e3", "12.34567", "£1", "1 000", "١", "."])
def test_amount_that_could_be_read_in_two_ways_is_none(text: str) -> None:
    with pytest.raises(ValueError):
        read_amount(text)


def test_yes_and_no_have_several_words_and_nothing_else_is_one() -> None:
    said = [read_flag(text, True) for text in ("", "TRUE", "1", "Active", "no", "0", "Inactive")]

    assert said == [True, True, True, True, False, False, False]
    with pytest.raises(ValueError):
        read_flag("maybe", True)


def test_aliases_stand_in_one_cell_each_once_with_their_zeros() -> None:
    assert read_aliases(" 0012 | B|0012||C ") == ("0012", "B", "C")


@pytest.mark.parametrize(
    ("code", "faults"),
    [
        ("036000291452", set()),  # UPC-A
        ("4006381333931", set()),  # EAN-13
        ("96385074", set()),  # EAN-8
        ("10614141000415", set()),  # GTIN-14
        ("036000291453", {"check_digit"}),
        ("36000291452", {"zero_lost"}),
        ("36000291453", {"length"}),
        ("4711", {"length"}),
        ("", set()),
        ("12x", set()),
    ],
)
def test_what_is_odd_about_a_barcode(code: str, faults: set[str]) -> None:
    assert barcode_faults(code) == faults


def test_columns_and_names_that_the_file_lacks_stay_as_they_are() -> None:
    stored = product(name="Mug, blue", price=99_900, aliases=("0012",), upc="036000291452")

    after = merge(
        stored, CatalogRow(2, {"sku": "mug", "name": "", "price": "10.5", "upc": ""}), ignore_case=True
    )

    assert after == {**stored, "price": 105_000, "upc": ""}
    assert changed_fields(stored, after) == ["upc", "price"]


def test_order_and_case_of_aliases_are_no_change() -> None:
    stored = merge(None, CatalogRow(2, {"sku": "A", "aliases": "b|C|b"}), ignore_case=True)

    assert stored["aliases"] == ("b", "C")
    assert merge(stored, CatalogRow(2, {"sku": "A", "aliases": "C|b"}), ignore_case=True) == stored


# -- codes ----------------------------------------------------------------------------------------------
def codes(**said: str) -> dict[str, Codes]:
    return {sku: Codes(sku, frozenset(others.split())) for sku, others in said.items()}


def test_of_two_products_with_one_code_neither_goes_in() -> None:
    assert find_clashes({}, codes(A="1", B="1 2", C="2 3", D="4")) == {
        "A": ("1", "B"),
        "B": ("1", "A"),
        "C": ("2", "B"),
    }


def test_sku_is_stronger_than_an_alias_that_arrives_with_it() -> None:
    assert find_clashes({}, codes(A="B", B="")) == {"A": ("B", "B")}


def test_stored_product_never_gives_way() -> None:
    assert find_clashes(codes(A="B"), codes(B="")) == {"B": ("B", "A")}
    assert find_clashes(codes(A="1"), codes(B="1")) == {"B": ("1", "A")}


def test_codes_may_change_hands_within_one_file() -> None:
    assert find_clashes(codes(A="1", B="2"), codes(A="2", B="1")) == {}


def test_product_that_is_left_out_keeps_its_code_against_the_one_that_counted_on_it() -> None:
    stored = codes(A="1", X="9")

    assert find_clashes(stored, codes(A="9", B="1")) == {"A": ("9", "X"), "B": ("1", "A")}


SKUS = st.sampled_from("ABCDE")
CODES = st.frozensets(st.sampled_from(["A", "B", "C", "1", "2", "3"]), max_size=3)
CATALOGS = st.dictionaries(SKUS, CODES, max_size=5).map(
    lambda found: {sku: Codes(sku, others - {sku}) for sku, others in found.items()}
)


@given(CATALOGS, CATALOGS)
def test_whatever_arrives_no_code_names_two_products_because_of_it(
    first: dict[str, Codes], arriving: dict[str, Codes]
) -> None:
    stored = {sku: said for sku, said in first.items() if sku not in find_clashes({}, first)}

    refused = find_clashes(stored, arriving)

    after = {**stored, **{sku: said for sku, said in arriving.items() if sku not in refused}}
    held = Counter(code for said in after.values() for code in (said.sku, *said.others))
    assert [code for code, count in held.items() if count > 1] == []
    assert refused.keys() <= arriving.keys()


def test_upc_of_a_shadow_is_its_parents() -> None:
    shadow = product("MUG-2", upc="036000291452", aliases=("0012",), shadow_of="MUG")

    assert codes_of("MUG-2", shadow, ignore_case=True).others == {"0012"}


# -- what a till gets -----------------------------------------------------------------------------------
def test_row_for_a_till_has_the_price_of_the_shops_and_every_code() -> None:
    mug = product(
        price=100_000, store_price=89_900, msrp=120_000, upc="036000291452", aliases=("0012",), cost=4
    )

    sent = till_product("S1", "MUG", mug, RULES)

    assert list(sent.row) == list(PRODUCTS)
    figures = {
        name: sent.row[name] for name in ("store", "sku", "price", "msrp", "cost", "active", "taxable")
    }
    assert figures == {
        "store": "S1",
        "sku": "MUG",
        "price": 89_900,
        "msrp": 120_000,
        "cost": 4,
        "active": True,
        "taxable": True,
    }
    assert sent.codes == ("036000291452", "0012")
    assert sent.revision == till_product("S2", "MUG", mug, RULES).revision


def test_price_that_a_till_does_not_get_is_no_new_revision() -> None:
    before = till_product("S1", "MUG", product(price=100_000, store_price=89_900), RULES)

    assert till_product("S1", "MUG", product(price=110_000, store_price=89_900), RULES) == before
    assert till_product("S1", "MUG", product(price=110_000), RULES).row["price"] == 110_000


@pytest.mark.parametrize(
    ("fields", "rules", "sold"),
    [
        ({}, RULES, True),
        ({"active": False}, RULES, False),
        ({"shadow_of": "MUG"}, RULES, False),
        ({"is_kit": True}, RULES, False),
        ({"is_kit": True}, TillRules(("price",), send_kits=True), True),
        ({"department_name": "Kitchen"}, TillRules(("price",), departments=("KITCHEN",)), True),
        ({"department_code": "K1"}, TillRules(("price",), departments=("k1", "x")), True),
        ({"department_name": "Toys"}, TillRules(("price",), departments=("Kitchen",)), False),
        ({}, TillRules(("price",), departments=("Kitchen",)), False),
    ],
)
def test_what_a_store_does_not_sell_is_inactive_at_its_till(
    fields: dict[str, Any], rules: TillRules, sold: bool
) -> None:
    assert sold_at(product(**fields), rules) is sold
    assert till_product("S1", "MUG", product(**fields), rules).active is sold


# -- headers --------------------------------------------------------------------------------------------
def test_headers_of_sellercloud_are_known_and_the_rest_is_named() -> None:
    header = ["ProductID", "productname ", "UPC", "EAN", "GTIN", "SitePrice", "BrandName", ""]

    places, ignored = map_headers(header, "sellercloud", {})

    assert places == {"sku": [0], "name": [1], "upc": [2], "aliases": [3, 4], "price": [5]}
    assert ignored == ["BrandName"]


def test_file_with_the_hubs_own_names_is_known_by_them() -> None:
    assert map_headers(["sku", "department", "UPC"], "sellercloud", {}) == (
        {"sku": [0], "upc": [2], "department_name": [1]},
        [],
    )


def test_single_headers_may_be_named_otherwise() -> None:
    places, ignored = map_headers(
        ["ProductID", "ProductName", "Brand", "UPC"], "sellercloud", {"department_name": "brand"}
    )

    assert places["department_name"] == [2]
    assert ignored == []


def test_header_that_is_not_there_or_there_twice_is_named() -> None:
    with pytest.raises(KeyError, match="Brand"):
        map_headers(["sku"], "sellercloud", {"name": "Brand"})
    with pytest.raises(ValueError, match="UPC"):
        map_headers(["sku", "UPC", "upc"], "sellercloud", {})
