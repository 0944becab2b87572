"""A product as a till can hold it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.errors import ProductRefused
from data_contracts.products import FIELDS, Owner
from data_contracts.till_items import (
    FIXED,
    TRANSFERABLE,
    Entry,
    Policy,
    check_sku,
    cut,
    entry_of,
    fit,
    length,
    one_line,
    products_of,
)
from tests.hub_products import product

OWN = Policy("S1")


@given(st.text(max_size=60), st.integers(0, 40))
def test_a_cut_text_fits_and_is_the_beginning_of_the_whole(text: str, most: int) -> None:
    text = text.encode("utf-8", "replace").decode()

    shortened = cut(text, most)

    assert length(shortened) <= most
    assert text.startswith(shortened)
    assert shortened == text or length(text) > most


def test_lengths_count_as_sql_server_counts_them() -> None:
    assert (length("Käse"), length("a\N{GRINNING FACE}")) == (4, 3)
    assert cut("a\N{GRINNING FACE}", 2) == "a"
    assert cut("ab cd", 3) == "ab"


def test_a_display_has_one_line() -> None:
    assert one_line("\tRed\r\nmug \u2028") == "Red  mug"


def test_a_new_item_gets_the_hub_s_fields_and_those_of_its_creation_another_only_the_hub_s() -> None:
    prices = dict.fromkeys(("price", "price_a", "price_b", "price_c", "msrp"), "1.00")
    texts = dict.fromkeys((*(f"sub_description_{n}" for n in (1, 2, 3)), "long_description"), "text")
    given_product = product("A", cost="0.50", active=False, **prices, **texts)

    new = fit(given_product, OWN, creating=True).values
    known = fit(given_product, OWN, creating=False).values

    assert (new["Inactive"], new["Cost"], new["ItemLookupCode"]) == (True, 5_000, "A")
    assert set(new) - set(known) == {"ItemLookupCode", "Cost", "ItemType", "UnitOfMeasure", "Taxable"}
    owned = {entry.name for entry in FIELDS if entry.owner is Owner.HUB}
    assert set(known) == owned
    optional = {entry.name for entry in FIELDS if entry.optional}
    assert set(fit(product("A"), OWN, creating=False).values) == owned - optional


def test_what_the_store_keeps_is_in_no_value_and_no_entry() -> None:
    policy = Policy("S1", owners=dict.fromkeys(TRANSFERABLE, Owner.STORE))

    assert set(fit(product("A"), policy, creating=True).values) == set(FIXED)
    assert entry_of(product("A", department_code="X"), "DepartmentID", policy, creating=True) is None


def test_a_code_that_does_not_fit_is_refused_also_of_a_department() -> None:
    with pytest.raises(ProductRefused, match="has 26 characters; RMS holds 25") as caught:
        check_sku(product("X" * 26))
    assert (caught.value.rule, caught.value.transient) == ("sku_too_long", False)
    with pytest.raises(ProductRefused, match="The department code of product `A` has 18 characters"):
        entry_of(product("A", department_code="D" * 18), "DepartmentID", OWN, creating=True)


def test_a_name_of_a_department_is_cut_and_a_blank_one_is_none() -> None:
    long = entry_of(product("A", department_name="n" * 31), "DepartmentID", OWN, creating=True)

    assert long == Entry("", "n" * 30)
    assert not entry_of(product("A"), "DepartmentID", OWN, creating=True)


def test_codes_go_to_their_product_without_regard_to_case() -> None:
    rows = [dict(product("A").row), dict(product("b").row)]

    found = products_of(
        rows, [{"sku": "B", "code": "1"}, {"sku": "a ", "code": "2"}, {"sku": "b", "code": "3"}]
    )

    assert [(p.sku, p.codes) for p in found] == [("A", ("2",)), ("b", ("1", "3"))]
