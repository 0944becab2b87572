"""Checks the rows of a catalogue file against `contracts/catalog.odcs.yaml`, product by product.

A row that fails is left out and its product stays as it was; the others go in. Where too many fail, the
file as a whole is doubtful and nothing of it goes in.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from data_contracts.catalog import (
    AMOUNTS,
    FLAGS,
    MAX_ITEM_TYPE,
    TEXTS,
    CatalogRow,
    barcode_faults,
    read_aliases,
    read_amount,
    read_flag,
)
from data_contracts.contract import Contract, Rule, load_contract
from data_contracts.documents import CATALOG, CATALOG_FILE, sku_key
from data_contracts.findings import Finding, note
from data_contracts.manifest import Reason
from data_contracts.quarantine import RULE_TOO_MANY_FAULTS, failing_rows

RULE_CODE_TAKEN = "code_taken"
MAX_CODE = 25
"""Characters of RMS's Alias."""
MAX_FILING_CODE = 17
"""Characters of RMS's department, category, supplier and tax codes."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CONTROL_IN_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
"""A long description may have lines."""
_FILING = ("department_code", "category_code", "supplier_code", "tax_code")


@dataclass(frozen=True)
class CatalogVerdict:
    """What the contract says about a file, by the lines of its rows."""

    refused: Mapping[int, tuple[Reason, ...]]
    warnings: Mapping[int, tuple[Reason, ...]]
    """About rows that go in."""
    rejected: Reason | None = None
    """Why nothing of the file goes in."""


def check_catalog(
    rows: Sequence[CatalogRow],
    *,
    ignore_case: bool,
    clashes: Mapping[int, tuple[str, str]],
    without_price: frozenset[int],
) -> CatalogVerdict:
    """The verdict of the contract. `clashes` (line -> code and the SKU that has it) and `without_price`
    (lines whose product would cost nothing at a till) are what only the hub knows.

    Raises `ContractBroken` for a rule that could not run.
    """
    contract = load_contract(CATALOG_FILE)
    file = contract.files[CATALOG_FILE]
    copies = Counter(sku_key(row.sku, ignore_case=ignore_case) for row in rows)
    records = []
    for row in rows:
        cells = {name: row.cells.get(name, "") for name in CATALOG if name != "line"}
        code, owner = clashes.get(row.line, ("", ""))
        records.append(
            {
                "line": row.line,
                **cells,
                **_computed(row),
                "copies": copies[sku_key(row.sku, ignore_case=ignore_case)] if row.sku else 1,
                "taken_code": code,
                "taken_by": owner,
                "without_price": int(row.line in without_price),
            }
        )
    texts = {name: "str" for name in (*file.columns, *file.computed) if name not in _NUMBERS}
    frame = pd.DataFrame(records, columns=[*file.columns, *file.computed]).astype(texts)
    critical: dict[str | None, dict[str, Finding]] = {}
    warnings: dict[str | None, dict[str, Finding]] = {}
    for rule, failing in failing_rows(file, frame):
        for failed in failing:
            target = critical if rule.severity == "critical" else warnings
            note(target, str(failed["line"]), rule.say(failed), Finding(rule.name, rule.fix, rule.unless))
    refused = {row.line: reasons for row in rows if (reasons := _reasons(critical, row.line))}
    return CatalogVerdict(
        refused,
        {
            row.line: reasons
            for row in rows
            if row.line not in refused and (reasons := _reasons(warnings, row.line))
        },
        _too_many(contract, len(rows), refused),
    )


def clash_reason(row: CatalogRow, code: str, owner: str) -> Reason:
    """Why a product cannot go in that claims a code of another one, in the words of the contract."""
    rules = load_contract(CATALOG_FILE).files[CATALOG_FILE].rules
    rule: Rule = next(rule for rule in rules if rule.name == RULE_CODE_TAKEN)
    cells = {"line": row.line, "sku": row.sku, "taken_code": code, "taken_by": owner}
    return Reason(document=f"line {row.line}", rule=rule.name, message=rule.say(cells), fix=rule.fix)


_NUMBERS = ("line", "copies", "without_price")


def _computed(row: CatalogRow) -> dict[str, Any]:
    cells = row.cells
    odd = barcode_faults(cells.get("upc", ""))
    multiline = cells.get("long_description", "")
    controls = [
        name
        for name in ("sku", "upc", "aliases", *(name for name in TEXTS if name != "long_description"))
        if _CONTROL.search(cells.get(name, ""))
    ] + ["long_description"] * (_CONTROL_IN_TEXT.search(multiline) is not None)
    amounts = {name: _amount(cells.get(name, "")) for name in AMOUNTS}
    return {
        "control_in": ", ".join(controls),
        "no_amount": ", ".join(name for name, amount in amounts.items() if amount is None),
        "negative": ", ".join(name for name, amount in amounts.items() if (amount or 0) < 0),
        "no_flag": ", ".join(name for name in FLAGS if not _is_flag(cells.get(name, ""))),
        "no_item_type": cells.get("item_type", "") if not _is_item_type(cells.get("item_type", "")) else "",
        "zero_lost": cells.get("upc", "") if "zero_lost" in odd else "",
        "odd_length": cells.get("upc", "") if "length" in odd else "",
        "wrong_check_digit": cells.get("upc", "") if "check_digit" in odd else "",
        "long_codes": ", ".join(c for c in read_aliases(cells.get("aliases", "")) if len(c) > MAX_CODE),
        "long_filing": ", ".join(name for name in _FILING if len(cells.get(name, "")) > MAX_FILING_CODE),
        "nameless": "yes" if "name" in cells and not cells["name"] else "",
    }


def _amount(text: str) -> int | None:
    try:
        return read_amount(text)
    except ValueError:
        return None


def _is_flag(text: str) -> bool:
    try:
        read_flag(text, True)
    except ValueError:
        return False
    return True


def _is_item_type(text: str) -> bool:
    return not text or (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= MAX_ITEM_TYPE)


def _reasons(found: Mapping[str | None, Mapping[str, Finding]], line: int) -> tuple[Reason, ...]:
    failed = found.get(str(line), {})
    return tuple(
        finding.reason(f"line {line}") for finding in failed.values() if not finding.unless & failed.keys()
    )


def _too_many(contract: Contract, rows: int, refused: Mapping[int, Sequence[Reason]]) -> Reason | None:
    if not (
        len(refused) > contract.reject_above_documents and len(refused) > contract.reject_above_share * rows
    ):
        return None
    most = Counter(reason.rule for reasons in refused.values() for reason in reasons).most_common(3)
    named = ", ".join(f"{rule} ({count:,})" for rule, count in most)
    first = next(iter(refused.values()))[0]
    return Reason(
        rule=RULE_TOO_MANY_FAULTS,
        message=f"{len(refused):,} of {rows:,} products fail, more than {contract.reject_above_share:.0%}: "
        f"the file as a whole is doubtful, nothing of it was imported. Most frequent: {named}. "
        f"For example: {first.message}",
        fix="Correct the common cause (often a column that is mapped wrongly, see [catalog.columns]) and "
        "import the file again.",
    )
