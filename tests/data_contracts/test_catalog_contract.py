"""The contract of a catalogue file: valid by its standard, one with the code, and every rule speaks."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import jsonschema
import pytest

from data_contracts.catalog import CatalogRow
from data_contracts.catalog_check import CatalogVerdict, check_catalog, clash_reason
from data_contracts.contract import load_contract
from data_contracts.documents import CATALOG
from tests.data_contracts.test_contract import columns_of, rules_of, yaml_of

GOOD = {"sku": "OK", "name": "Fine", "price": "1.00"}
ROWS = {
    "sku_blank": {"sku": ""},
    "duplicate_sku": {"sku": "ok"},
    "control_characters": {"name": "two\tcells"},
    "upc_scientific": {"upc": "5.01E+12"},
    "upc_form": {"upc": "36-000"},
    "amount_form": {"price": "1.234,50", "cost": "x"},
    "amount_negative": {"msrp": "-1"},
    "item_type_unknown": {"item_type": "40000"},
    "flag_unknown": {"active": "maybe"},
    "sku_long": {"sku": "X" * 26},
    "name_blank": {"name": ""},
    "name_long": {"name": "y" * 31},
    "zero_lost": {"upc": "36000291452"},
    "upc_length": {"upc": "4711"},
    "check_digit": {"upc": "036000291453"},
    "alias_long": {"aliases": "A|" + "9" * 26},
    "filing_code_long": {"department_code": "D" * 18},
    "code_taken": {"upc": "4006381333931"},
    "price_zero": {"price": "0"},
}
"""Rule -> the cells of a row that breaks it and no other."""


@pytest.fixture(scope="module")
def verdict() -> CatalogVerdict:
    """Line 2 is good, from line 3 on each row breaks the rule of `ROWS`; one call for all of them."""
    rows = [CatalogRow(2, GOOD)]
    for line, (rule, cells) in enumerate(ROWS.items(), start=3):
        rows.append(CatalogRow(line, {**GOOD, "sku": rule[:25], **cells}))
    return check_catalog(
        rows,
        ignore_case=True,
        clashes={line_of("code_taken"): ("4006381333931", "MUG")},
        without_price=frozenset({line_of("price_zero")}),
    )


def line_of(rule: str) -> int:
    return list(ROWS).index(rule) + 3


def test_the_contract_is_valid_by_the_open_data_contract_standard() -> None:
    schema = json.loads((files("open_data_contract_standard") / "schema.json").read_text(encoding="utf-8"))

    jsonschema.validate(yaml_of("catalog"), schema)


def test_the_contract_has_the_columns_of_the_code_and_says_what_each_is() -> None:
    contract = load_contract("catalog")
    (file,) = yaml_of("catalog")["schema"]

    assert list(contract.files["catalog"].columns.items()) == list(CATALOG.items())
    assert contract.label == "catalog 1.0.0"
    assert [column["name"] for column in file["properties"] if not column["description"]] == []


def test_every_rule_is_broken_by_a_row_of_this_test_and_reads_columns_that_are_there() -> None:
    contract = load_contract("catalog")
    file = contract.files["catalog"]

    assert {rule.name for _, rule in rules_of(contract)} == set(ROWS)
    for _, rule in rules_of(contract):
        assert set(columns_of(rule)) <= {*file.columns, *file.computed}
        assert rule.fix.endswith(".")


@pytest.mark.parametrize("rule", ROWS)
def test_row_that_breaks_a_rule_is_told_of_that_rule(rule: str, verdict: CatalogVerdict) -> None:
    (severity,) = {r.severity for _, r in rules_of(load_contract("catalog")) if r.name == rule}
    told = verdict.refused if severity == "critical" else verdict.warnings

    assert [reason.rule for reason in told[line_of(rule)]] == [rule]


def test_both_rows_of_a_sku_that_stands_twice_are_left_out(verdict: CatalogVerdict) -> None:
    assert [reason.rule for reason in verdict.refused[2]] == ["duplicate_sku"]


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ("sku_blank", "Line 3 has no SKU."),
        (
            "amount_form",
            "Line 8, `amount_form` has no exact amount in: price, cost.",
        ),
        (
            "upc_scientific",
            "Line 6, `upc_scientific`: the UPC 5.01E+12 is a number as spreadsheets shorten it; its digits "
            "are lost.",
        ),
        (
            "zero_lost",
            "Line 15, `zero_lost`: the UPC 36000291452 has 11 digits; with a zero in front its check digit "
            "fits, so the zero was probably lost.",
        ),
        ("code_taken", "Line 20, `code_taken`: its code 4006381333931 is a code of `MUG` already."),
        (
            "name_long",
            "Line 14, `name_long`: the name has 31 characters; a till shows the first 30.",
        ),
    ],
)
def test_sentences_say_line_product_and_what_is_wrong(
    rule: str, sentence: str, verdict: CatalogVerdict
) -> None:
    line = line_of(rule)
    (reason,) = (verdict.refused.get(line) or ()) + (verdict.warnings.get(line) or ())

    assert reason.message == sentence


def test_clash_found_later_is_told_in_the_same_words(verdict: CatalogVerdict) -> None:
    row = CatalogRow(line_of("code_taken"), {"sku": "code_taken"})

    assert (clash_reason(row, "4006381333931", "MUG"),) == verdict.refused[row.line]


def test_file_of_which_too_much_fails_is_refused_whole() -> None:
    def check(bad: int, good: int) -> CatalogVerdict:
        rows: list[dict[str, Any]] = [{"price": "x"}] * bad + [{}] * good
        return check_catalog(
            [CatalogRow(2 + at, {**GOOD, "sku": f"P{at}", **cells}) for at, cells in enumerate(rows)],
            ignore_case=True,
            clashes={},
            without_price=frozenset(),
        )

    rejected = check(21, 83).rejected
    assert rejected is not None
    assert rejected.message == (
        "21 of 104 products fail, more than 20%: the file as a whole is doubtful, nothing of it was "
        "imported. Most frequent: amount_form (21). For example: Line 2, `P0` has no exact amount in: price."
    )
    assert check(21, 84).rejected is None  # not more than a fifth
    assert check(20, 0).rejected is None  # not more than 20 products


def test_description_may_have_lines_and_nothing_else_may() -> None:
    rows = [
        CatalogRow(2, {**GOOD, "long_description": "one\r\n\ttwo"}),
        CatalogRow(3, {**GOOD, "sku": "B", "long_description": "a\x00b"}),
        CatalogRow(5, {**GOOD, "sku": "C", "name": "one\ntwo", "supplier_name": "\x07"}),
    ]

    refused = check_catalog(rows, ignore_case=True, clashes={}, without_price=frozenset()).refused

    assert {line: [reason.message for reason in reasons] for line, reasons in refused.items()} == {
        3: ["Line 3, `B` has a control character (a tab, a line end) in: long_description."],
        5: ["Line 5, `C` has a control character (a tab, a line end) in: name, supplier_name."],
    }
