from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.codes import RmsCodes
from data_contracts.posting import (
    Rules,
    VoidTarget,
    differences,
    judge,
    judge_void,
    name_products,
    rounded,
    spread_returns,
    weigh,
)
from data_contracts.reconciling import extra_numbers, missing_numbers
from tests.documents import Ticket, make_batch, make_ticket

CODES = RmsCodes()
PRODUCTS = {"SKU-1": "SKU-1", "SKU-2": "SKU-2"}


def weighed(*tickets: Ticket) -> tuple[pd.DataFrame, pd.DataFrame]:
    frames = make_batch(tickets)
    for frame in frames.values():
        frame["candidate"] = frame["number"]
    lines = name_products(frames["ticket_lines"], PRODUCTS, CODES, ignore_case=True)
    return weigh(frames["tickets"], lines, frames["tenders"], CODES), lines


def rules_of(*tickets: Ticket, tolerance: int = 100) -> list[str | None]:
    found = judge(*weighed(*tickets), Rules(CODES, tolerance))
    return [None if objection is None else objection.rule for objection in found]


@pytest.mark.parametrize(
    ("exact", "expected"), [(5_000, 1), (4_999, 0), (-5_000, -1), (-4_999, 0), (10_000, 1)]
)
def test_halves_are_rounded_away_from_zero(exact: int, expected: int) -> None:
    assert rounded(exact) == expected


def test_tolerance_counts_per_line_and_ends_exactly_there() -> None:
    assert rules_of(
        make_ticket(1, [("SKU-1", 1, "10.00")], total=100_100),
        make_ticket(2, [("SKU-1", 1, "10.00")], total=100_101),
        make_ticket(3, [("SKU-1", 1, "10.00"), ("SKU-2", 1, "1.00")], total=110_200),
    ) == [None, "totals_differ", None]


def test_products_of_large_numbers_stay_exact() -> None:
    huge = "9000000000.0000"
    assert rules_of(make_ticket(1, [("SKU-1", "90000.0000", huge)], total=0, tenders=[])) == ["totals_differ"]


def test_prices_that_include_tax_are_not_taxed_twice() -> None:
    ticket = make_ticket(1, [("SKU-1", 1, "12.00")], tax_rate="0.2", prices_include_tax=True)
    assert ticket["tickets"][0]["total"] == 120_000
    assert rules_of(ticket) == [None]


def test_header_that_tells_of_other_rows_is_incomplete() -> None:
    assert rules_of(
        make_ticket(1, line_count=2), make_ticket(2, tender_count=0), make_ticket(3, units=5)
    ) == [
        "incomplete",
        "incomplete",
        "incomplete",
    ]


def test_unknown_sku_without_quantity_moves_nothing_and_passes() -> None:
    assert rules_of(make_ticket(1, [("SKU-1", 1, "1.00"), ("NOPE", 0, "0.00")])) == [None]


def test_void_mirrors_its_ticket_whatever_the_order_of_its_lines() -> None:
    sale = make_ticket(1, [("SKU-1", 2, "1.00"), ("SKU-2", 1, "5.00")])
    void = make_ticket(2, [("SKU-2", -1, "5.00"), ("SKU-1", -2, "1.00")], recall_type=3, recall_id=1)

    tickets, _ = weighed(sale, void)

    assert tickets["mirror"].nunique() == 1


def test_void_is_judged_by_what_is_known_of_its_ticket() -> None:
    void = {"number": 2, "recall_id": 1, "document": "S1/1/ticket/2", "mirror": "m"}

    def rule(target: VoidTarget | None, *, is_history: bool = False) -> str | None:
        found = judge_void(void, target, "S1/1/ticket/1", is_history=is_history)
        return None if found is None else found.rule

    assert rule(None) == "waiting_for_ticket"
    assert rule(None, is_history=True) is None
    assert rule(VoidTarget("sale", False, frozenset("m"))) == "waiting_for_ticket"
    assert rule(VoidTarget("sale", True, frozenset("m"))) is None
    assert rule(VoidTarget("sale", True, frozenset("n"))) == "void_mismatch"
    assert rule(VoidTarget("void", True, frozenset("m"))) == "void_of_void"
    assert rule(VoidTarget("sale", True, frozenset("m"), "S1/1/ticket/9")) == "already_voided"
    assert rule(VoidTarget("sale", True, frozenset("m"), "S1/1/ticket/2")) is None


@given(
    quantities=st.lists(st.integers(-3, 5), min_size=1, max_size=5),
    returned=st.integers(0, 20),
)
def test_what_came_back_is_spread_without_loss(quantities: list[int], returned: int) -> None:
    lines = [("o", line, "A", quantity) for line, quantity in enumerate(quantities, start=1)]

    spread = spread_returns(lines, {("o", "A"): returned})

    sold = any(quantity > 0 for quantity in quantities)
    assert sum(spread.values()) == (returned if sold else 0)
    assert set(spread) == {("o", line) for line in range(1, len(quantities) + 1)}


def test_posting_the_difference_brings_the_ledger_to_what_is_desired() -> None:
    columns = ["document", "line", "warehouse", "sku", "physical", "reserved"]
    desired = pd.DataFrame([("d", 1, "W", "A", -3, 0), ("d", 2, "W", "B", 0, 2)], columns=columns)
    posted = pd.DataFrame(
        [("d", 1, "W", "A", -2, 0), ("d", 2, "W", "B", 0, 5), ("d", 3, "V", "C", -4, 1)], columns=columns
    )

    found = differences(desired.assign(rule="r"), posted)

    assert sorted(found[[*columns, "rule"]].itertuples(index=False, name=None)) == [
        ("d", 1, "W", "A", -1, 0, "r"),
        ("d", 2, "W", "B", 0, -3, "r"),
        ("d", 3, "V", "C", 4, -1, "as posted"),
    ]


numbers = st.lists(st.integers(1, 40), unique=True).map(sorted)


@given(present=numbers, known=numbers)
def test_number_ranges_name_exactly_what_is_missing_and_extra(present: list[int], known: list[int]) -> None:
    ranges = [(number, number) for number in present]

    missing = {n for first, last in missing_numbers(ranges, known) for n in range(first, last + 1)}
    extra = {n for first, last in extra_numbers(ranges, known) for n in range(first, last + 1)}

    assert missing == set(present) - set(known)
    assert extra == set(known) - set(present)


def test_missing_numbers_of_a_range_are_ranges() -> None:
    assert missing_numbers([(1, 10)], [2, 3, 7]) == [(1, 1), (4, 6), (8, 10)]
    assert extra_numbers([(3, 5)], [1, 2, 4, 6]) == [(1, 2), (6, 6)]
