"""The contracts are valid by their standard, agree with the code, and can all be run and spoken."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
import yaml

from data_contracts.contract import FOLDER, Contract, Rule, build_suite, load_contract
from data_contracts.documents import FILES, FLAGS, STREAM_PRODUCTS, STREAMS, Kind
from data_contracts.errors import ContractBroken

EVERY_STREAM = (*STREAMS, STREAM_PRODUCTS)

LOGICAL_TYPES: dict[Kind, str] = {
    "text": "string",
    "integer": "integer",
    "amount": "number",
    "timestamp": "timestamp",
    "date": "date",
    "boolean": "boolean",
}


def yaml_of(stream: str) -> dict[str, Any]:
    return dict(yaml.safe_load((FOLDER / f"{stream}.odcs.yaml").read_text(encoding="utf-8")))


def rules_of(contract: Contract) -> list[tuple[str, Rule]]:
    return [(role, rule) for role, file in contract.files.items() for rule in file.rules]


def columns_of(rule: Rule) -> list[str]:
    names = [rule.kwargs[key] for key in ("column", "column_A", "column_B") if key in rule.kwargs]
    return names + list(rule.kwargs.get("column_list", ()))


@pytest.mark.parametrize("stream", EVERY_STREAM)
def test_a_contract_is_valid_by_the_open_data_contract_standard(stream: str) -> None:
    schema = json.loads((files("open_data_contract_standard") / "schema.json").read_text(encoding="utf-8"))

    jsonschema.validate(yaml_of(stream), schema)


@pytest.mark.parametrize("stream", EVERY_STREAM)
def test_a_contract_has_the_columns_of_the_code_in_their_order(stream: str) -> None:
    contract = load_contract(stream)

    columns = {role: list(file.columns.items()) for role, file in contract.files.items()}

    assert columns == {role: list(kinds.items()) for role, kinds in FILES[stream].items()}
    version = {"baseline": "1.0.0", "orders": "1.2.0", "statement": "1.1.0", "products": "1.0.0"}[stream]
    assert contract.label == f"{stream} {version}"


@pytest.mark.parametrize("stream", EVERY_STREAM)
def test_every_column_says_what_it_is(stream: str) -> None:
    for file in yaml_of(stream)["schema"]:
        for column in file["properties"]:
            assert column["description"], column["name"]
            assert column["required"] is True, column["name"]
            assert column["logicalType"] == LOGICAL_TYPES[column["physicalType"]], column["name"]


@pytest.mark.parametrize("stream", EVERY_STREAM)
def test_every_rule_has_a_sentence_that_can_be_spoken_and_a_fix(stream: str) -> None:
    contract = load_contract(stream)
    for role, rule in rules_of(contract):
        file = contract.files[role]
        values: dict[str, Any] = dict.fromkeys(file.computed, 7)
        values |= {name: 7 if kind in ("integer", "amount") else "x" for name, kind in file.columns.items()}

        sentence = rule.say(values)

        assert sentence.endswith("."), rule.name
        assert "{" not in sentence, rule.name
        assert rule.fix.endswith((".", ")")), rule.name
        assert set(columns_of(rule)) <= set(values), rule.name


@pytest.mark.parametrize("stream", EVERY_STREAM)
def test_rule_names_are_unique_in_a_file_and_excuses_never_go_in_circles(stream: str) -> None:
    """Two rules that excuse each other would let a faulty document pass without a reason."""
    contract = load_contract(stream)
    for file in contract.files.values():
        names = [rule.name for rule in file.rules]
        assert len(names) == len(set(names))
    rules = {rule.name: rule for _, rule in rules_of(contract)}

    def excused_by(name: str, seen: tuple[str, ...] = ()) -> None:
        assert name not in seen, seen
        for other in rules[name].unless:
            assert rules[other].severity == "critical"
            excused_by(other, (*seen, name))

    for name in rules:
        excused_by(name)


def test_the_rules_for_orders_are_these_and_no_other() -> None:
    """An older reader of contracts may drop what it does not know: rules must not vanish silently."""
    found = {
        role: [(r.name, r.severity[0]) for r in f.rules] for role, f in load_contract("orders").files.items()
    }

    key = [
        ("store_blank", "c"),
        ("store_too_long", "c"),
        ("epoch_out_of_range", "c"),
        ("source_unknown", "c"),
        ("number_out_of_range", "c"),
    ]
    assert found == {
        "tickets": [
            *key,
            ("revision_too_long", "c"),
            ("revision_form", "c"),
            ("rowversion_out_of_range", "c"),
            ("occurred_at_out_of_range", "c"),
            ("in_the_future", "w"),
            ("business_date_out_of_range", "c"),
            ("business_date_far", "w"),
            ("z_batch_out_of_range", "c"),
            ("register_out_of_range", "c"),
            ("recall_type_out_of_range", "c"),
            ("recall_id_out_of_range", "c"),
            ("recalled_order_type_out_of_range", "c"),
            ("line_count_out_of_range", "c"),
            ("line_missing", "c"),
            ("no_lines", "w"),
            ("tender_count_out_of_range", "c"),
            ("tender_missing", "c"),
            ("units_mismatch", "c"),
            ("tax_mismatch", "c"),
            ("tax_rounding", "w"),
            ("total_mismatch", "c"),
            ("rounding", "w"),
            ("flags_too_long", "c"),
            ("unsettled", "c"),
            ("unreadable_amount", "c"),
            ("z_batch_unknown", "w"),
            ("hour_assumed", "w"),
            ("flag_unknown", "w"),
            ("duplicate_document", "c"),
        ],
        "ticket_lines": [
            *key,
            ("line_out_of_range", "c"),
            ("entry_id_out_of_range", "c"),
            ("item_id_out_of_range", "c"),
            ("sku_too_long", "c"),
            ("sku_blank", "c"),
            ("sku_unprintable", "c"),
            ("sku_null_text", "w"),
            ("sku_formula", "w"),
            ("description_too_long", "c"),
            ("description_formula", "w"),
            ("item_type_out_of_range", "c"),
            ("quantity_zero", "w"),
            ("price_zero", "w"),
            ("price_negative", "w"),
            ("header_missing", "c"),
            ("duplicate_line", "c"),
            ("duplicate_entry", "c"),
        ],
        "tenders": [
            *key,
            ("entry_id_out_of_range", "c"),
            ("tender_id_out_of_range", "c"),
            ("tender_code_too_long", "c"),
            ("tender_code_blank", "w"),
            ("tender_code_unprintable", "w"),
            ("header_missing", "c"),
            ("duplicate_entry", "c"),
        ],
        "orders": [
            *key,
            ("revision_too_long", "c"),
            ("revision_form", "c"),
            ("rowversion_out_of_range", "c"),
            ("ordered_at_out_of_range", "c"),
            ("in_the_future", "w"),
            ("business_date_out_of_range", "c"),
            ("business_date_far", "w"),
            ("order_type_out_of_range", "c"),
            ("expires_on_out_of_range", "c"),
            ("expires_early", "w"),
            ("line_count_out_of_range", "c"),
            ("line_missing", "c"),
            ("no_lines", "w"),
            ("history_count_out_of_range", "c"),
            ("history_missing", "c"),
            ("tender_count_out_of_range", "c"),
            ("tender_missing", "c"),
            ("on_order_mismatch", "c"),
            ("closed_on_order", "w"),
            ("taken_mismatch", "c"),
            ("deposit_differs", "w"),
            ("deposit_mismatch", "c"),
            ("flags_too_long", "c"),
            ("unsettled", "c"),
            ("unreadable_amount", "c"),
            ("hour_assumed", "w"),
            ("flag_unknown", "w"),
            ("duplicate_document", "c"),
        ],
        "order_lines": [
            *key,
            ("line_out_of_range", "c"),
            ("entry_id_out_of_range", "c"),
            ("item_id_out_of_range", "c"),
            ("sku_too_long", "c"),
            ("sku_blank", "c"),
            ("sku_unprintable", "c"),
            ("sku_null_text", "w"),
            ("sku_formula", "w"),
            ("description_too_long", "c"),
            ("description_formula", "w"),
            ("item_type_out_of_range", "c"),
            ("on_order_negative", "c"),
            ("taken_negative", "c"),
            ("price_negative", "w"),
            ("header_missing", "c"),
            ("duplicate_line", "c"),
            ("duplicate_entry", "c"),
        ],
        "order_history": [
            *key,
            ("entry_id_out_of_range", "c"),
            ("transaction_number_out_of_range", "c"),
            ("occurred_at_out_of_range", "c"),
            ("business_date_out_of_range", "c"),
            ("business_date_far", "w"),
            ("z_batch_out_of_range", "c"),
            ("deposit_tenders_differ", "w"),
            ("header_missing", "c"),
            ("duplicate_entry", "c"),
        ],
        "deposit_tenders": [
            *key,
            ("entry_id_out_of_range", "c"),
            ("history_id_out_of_range", "c"),
            ("history_unknown", "w"),
            ("tender_id_out_of_range", "c"),
            ("tender_code_too_long", "c"),
            ("tender_code_blank", "w"),
            ("tender_code_unprintable", "w"),
            ("header_missing", "c"),
            ("duplicate_entry", "c"),
        ],
    }


def test_the_rules_for_products_are_those_that_only_a_program_breaks() -> None:
    """What is wrong with one product is answered for that product; a rule here would reject the batch."""
    found = {role: [r.name for r in f.rules] for role, f in load_contract("products").files.items()}

    key = ["store_blank", "store_too_long", "sku_blank"]
    assert found == {
        "products": [*key, "revision_too_long", "revision_form", "duplicate_sku"],
        "product_codes": [*key, "code_blank", "product_missing"],
    }
    fixes = {rule.fix for _, rule in rules_of(load_contract("products"))}
    assert fixes == {
        "Correct it in the hub; its next export sends it again.",
        "Have the hub export its products again.",
    }


@pytest.mark.parametrize("role", ["tickets", "orders"])
def test_every_flag_of_the_code_is_known_to_the_contract(role: str) -> None:
    (file,) = (file for file in yaml_of("orders")["schema"] if file["name"] == role)
    flags = next(c for c in file["properties"] if c["name"] == "flags")

    assert [flag for flag in FLAGS if flag not in flags["description"]] == []
    rules = load_contract("orders").files[role].rules
    (known,) = (rule.kwargs["regex"] for rule in rules if rule.name == "flag_unknown")
    assert re.match(known, ";".join(FLAGS))
    assert re.match(known, ";".join([*FLAGS, "later"])) is None


@pytest.mark.parametrize("stream", EVERY_STREAM)
def test_every_rule_becomes_an_expectation_that_carries_its_name(stream: str) -> None:
    for file in load_contract(stream).files.values():
        suite = build_suite(file)

        assert sorted((e.meta or {})["rule"] for e in suite.expectations) == sorted(
            r.name for r in file.rules
        )


def test_an_unknown_stream_is_refused() -> None:
    with pytest.raises(ContractBroken, match="no contract for the stream `returns`"):
        load_contract("returns")
