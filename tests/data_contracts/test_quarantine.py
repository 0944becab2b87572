"""A faulty document goes to quarantine whole, with a sentence; its neighbours pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts import quarantine
from data_contracts.contract import Rule, load_contract
from data_contracts.documents import FILES, Kind
from data_contracts.errors import ContractBroken
from data_contracts.frames import read_rows
from data_contracts.manifest import Reason
from data_contracts.quarantine import BatchRows, Verdict, split, validate
from tests.documents import Frames, Line, Ticket, make_batch, make_order, make_ticket, to_rows

NAME = "S1/orders/000001-9f2c51d07ab3"
PUBLISHED = "2026-11-23T13:00:00.000Z"
"""An hour after the tickets were rung."""


def batch_of(rows: Frames, name: str = NAME) -> BatchRows:
    return BatchRows("orders", name, "S1", frozenset({1}), rows, PUBLISHED)


def verdict_on(tickets: Sequence[Ticket], spoil: Callable[[Frames], None] | None = None) -> Verdict:
    """Verdict on a batch of tickets whose rows of text were spoiled."""
    rows = to_rows(make_batch(tickets))
    if spoil is not None:
        spoil(rows)
    return validate("orders", [batch_of(rows)])[0]


def cell(role: str, row: int, column: str, text: str) -> Callable[[Frames], None]:
    def spoil(rows: Frames) -> None:
        rows[role].loc[row, column] = text

    return spoil


def without(role: str, *gone: int) -> Callable[[Frames], None]:
    def spoil(rows: Frames) -> None:
        rows[role] = rows[role].drop(index=list(gone)).reset_index(drop=True)

    return spoil


def twice(role: str, row: int, **changed: str) -> Callable[[Frames], None]:
    def spoil(rows: Frames) -> None:
        again = rows[role].loc[[row]].assign(**changed)
        rows[role] = pd.concat([rows[role], again], ignore_index=True)

    return spoil


def shown(reasons: Sequence[Reason]) -> list[tuple[str | None, str, str]]:
    return [(reason.document, reason.rule, reason.message) for reason in reasons]


def three() -> list[Ticket]:
    """Three tickets of two lines; rows 2 and 3 of the lines belong to ticket 2."""
    return [make_ticket(n, [("MUG", 2, "4.50"), ("CUP", 1, "3.50")]) for n in (1, 2, 3)]


def test_a_sound_batch_passes_without_a_word() -> None:
    documents = [*three(), *orders(), make_order(2, [], closed=True, flags="deleted")]

    verdict = verdict_on(documents)

    assert verdict == Verdict(batch=NAME, contract="orders 1.2.0", state="checked", documents=7)


def orders() -> list[Ticket]:
    """Orders 76, 77 and 78 of two lines and two deposits; order 77 is in the second rows of each file."""
    return [
        make_order(
            n, [("MUG", 2, "4.50"), ("CUP", 1, "3.50")], taken=[1, 0], deposits=[("5.00", 0), ("-2.00", 9)]
        )
        for n in (76, 77, 78)
    ]


FAULTS: list[tuple[Callable[[Frames], None], str, str]] = [
    (
        cell("ticket_lines", 2, "quantity", "2"),
        "type",
        "Ticket 2: `quantity` in row 3 of `ticket_lines` is not an amount with four decimals.",
    ),
    (
        cell("ticket_lines", 3, "unit_price", ""),
        "type",
        "Ticket 2: `unit_price` in row 4 of `ticket_lines` is not an amount with four decimals.",
    ),
    (
        cell("tickets", 1, "occurred_at", "23.11.2026 12:00"),
        "type",
        "Ticket 2: `occurred_at` in row 2 of `tickets` is not a UTC time such as 2026-11-23T08:15:30.123Z.",
    ),
    (
        cell("tickets", 1, "business_date", "NULL"),
        "type",
        "Ticket 2: `business_date` in row 2 of `tickets` is not a date such as 2026-11-23.",
    ),
    (
        cell("tickets", 1, "prices_include_tax", "1"),
        "type",
        "Ticket 2: `prices_include_tax` in row 2 of `tickets` is not `true` or `false`.",
    ),
    (
        cell("tenders", 1, "tender_id", "9223372036854775808"),
        "type",
        "Ticket 2: `tender_id` in row 2 of `tenders` is not a whole number of at most 64 bits.",
    ),
    (
        cell("tickets", 1, "occurred_at", "1999-12-31T23:59:59.999Z"),
        "occurred_at_out_of_range",
        "Ticket 2: `occurred_at` is 1999-12-31T23:59:59.999Z; "
        "it has to be at least 2000-01-01T00:00:00Z and before 2100-01-01T00:00:00Z.",
    ),
    (
        cell("tickets", 1, "business_date", "2100-01-01"),
        "business_date_out_of_range",
        "Ticket 2: `business_date` is 2100-01-01; it has to be at least 2000-01-01 and before 2100-01-01.",
    ),
    (
        cell("tickets", 1, "revision", "1-abc"),
        "revision_form",
        "Ticket 2: `revision` does not have the form it should.",
    ),
    (
        cell("tickets", 1, "revision", f"1-{'0' * 32}\n"),
        "revision_form",
        "Ticket 2: `revision` does not have the form it should.",
    ),
    (
        cell("tickets", 1, "register", "2147483648"),
        "register_out_of_range",
        "Ticket 2: `register` is 2147483648; it has to be at least 0 and at most 2147483647.",
    ),
    (
        cell("tickets", 1, "flags", "ambiguous_hour;unsettled"),
        "unsettled",
        "Ticket 2: RMS had not finished writing it when it was exported.",
    ),
    (
        cell("tickets", 1, "flags", "ambiguous_hour;unreadable_amount"),
        "unreadable_amount",
        "Ticket 2: RMS holds an absurd quantity in one of its lines; 0 stands in its place.",
    ),
    (
        cell("ticket_lines", 3, "sku", "X" * 26),
        "sku_too_long",
        "Ticket 2, line 2: `sku` has 26 characters; 25 are allowed.",
    ),
    (
        cell("ticket_lines", 3, "sku", "two\nlines"),
        "sku_unprintable",
        "Ticket 2, line 2: its SKU `two lines` holds a line break or another control character.",
    ),
    (
        cell("ticket_lines", 3, "sku", "MUG\u2028"),
        "sku_unprintable",
        "Ticket 2, line 2: its SKU `MUG ` holds a line break or another control character.",
    ),
    (
        cell("ticket_lines", 3, "sku", "\u3000\t "),
        "sku_blank",
        "Ticket 2, line 2: it has no SKU; the item 453935 has probably been deleted in RMS.",
    ),
    (
        cell("ticket_lines", 3, "description", "é" * 31),
        "description_too_long",
        "Ticket 2, line 2: `description` has 31 characters; 30 are allowed.",
    ),
    (
        cell("tenders", 1, "tender_code", "C" * 26),
        "tender_code_too_long",
        "Ticket 2, tender 21: `tender_code` has 26 characters; 25 are allowed.",
    ),
    (
        cell("tickets", 1, "units", "2.9999"),
        "units_mismatch",
        "Ticket 2: its lines hold 3 units but the ticket says 2.9999.",
    ),
    (
        cell("tickets", 1, "total", "12.8000"),
        "total_mismatch",
        "Ticket 2: the lines add up to 12.50 but the ticket says 12.80 (0.30 apart).",
    ),
    (
        cell("tickets", 1, "total", "12.4799"),
        "total_mismatch",
        "Ticket 2: the lines add up to 12.50 but the ticket says 12.4799 (0.0201 apart).",
    ),
    (
        cell("tickets", 1, "total", "99999999999999.9999"),
        "total_mismatch",
        "Ticket 2: the lines add up to 12.50 but the ticket says 99,999,999,999,999.9999 "
        "(99,999,999,999,987.4999 apart).",
    ),
    (
        without("ticket_lines", 3),
        "line_missing",
        "Ticket 2: 1 of 2 lines came.",
    ),
    (
        without("ticket_lines", 2, 3),
        "line_missing",
        "Ticket 2: 0 of 2 lines came.",
    ),
    (
        without("tenders", 1),
        "tender_missing",
        "Ticket 2: 0 of 1 tenders came.",
    ),
    (
        without("tickets", 1),
        "header_missing",
        "Ticket 2: lines or tenders came without the ticket itself.",
    ),
    (
        twice("tickets", 1),
        "duplicate_document",
        "Ticket 2: it stands 2 times in the batch.",
    ),
    (
        twice("ticket_lines", 3),
        "duplicate_line",
        "Ticket 2: line 2 stands in it more than once.",
    ),
    (
        twice("tenders", 1),
        "duplicate_entry",
        "Ticket 2: the RMS tender 21 stands in it more than once.",
    ),
]


@pytest.fixture(scope="module")
def faulty() -> list[Verdict]:
    """Verdicts on a batch for each of the faults, checked together: one call costs as much as thirty."""
    batches = []
    for spoil, _, _ in FAULTS:
        rows = to_rows(make_batch(three()))
        spoil(rows)
        batches.append(batch_of(rows))
    return validate("orders", batches)


@pytest.mark.parametrize(
    ("at", "rule", "message"), [(at, rule, message) for at, (_, rule, message) in enumerate(FAULTS)]
)
def test_one_fault_takes_one_document_for_one_reason(
    at: int, rule: str, message: str, faulty: list[Verdict]
) -> None:
    verdict = faulty[at]

    assert shown(verdict.reasons) == [("S1/1/ticket/2", rule, message)]
    assert verdict.reasons[0].fix
    assert verdict.warnings == ()
    assert (verdict.state, verdict.documents) == ("checked", 3)


ORDER_FAULTS: list[tuple[Callable[[Frames], None], str, str]] = [
    (
        cell("order_history", 2, "delta_deposit", "5"),
        "type",
        "Order 77: `delta_deposit` in row 3 of `order_history` is not an amount with four decimals.",
    ),
    (
        cell("orders", 1, "expires_on", "1752-12-31"),
        "expires_on_out_of_range",
        "Order 77: `expires_on` is 1752-12-31; it has to be at least 1753-01-01 and at most 9999-12-31.",
    ),
    (
        cell("orders", 1, "ordered_at", "1999-12-31T23:59:59.999Z"),
        "ordered_at_out_of_range",
        "Order 77: `ordered_at` is 1999-12-31T23:59:59.999Z; "
        "it has to be at least 2000-01-01T00:00:00Z and before 2100-01-01T00:00:00Z.",
    ),
    (
        cell("orders", 1, "flags", "ambiguous_hour;unsettled"),
        "unsettled",
        "Order 77: RMS had not finished writing it when it was exported.",
    ),
    (
        cell("orders", 1, "flags", "unreadable_amount"),
        "unreadable_amount",
        "Order 77: RMS holds an absurd quantity in one of its lines; 0 stands in its place.",
    ),
    (
        cell("orders", 1, "on_order", "4.0000"),
        "on_order_mismatch",
        "Order 77: its lines have 3 units on order but the order says 4.",
    ),
    (
        cell("orders", 1, "taken", "0.0000"),
        "taken_mismatch",
        "Order 77: of its lines 1 units were handed over but the order says 0.",
    ),
    (
        cell("orders", 1, "deposit_changes", "-3.0000"),
        "deposit_mismatch",
        "Order 77: its history comes to 3.00 but the order says -3.00.",
    ),
    (without("order_lines", 2), "line_missing", "Order 77: 1 of 2 lines came."),
    (without("order_history", 3), "history_missing", "Order 77: 1 of 2 rows of its history came."),
    (without("deposit_tenders", 1), "tender_missing", "Order 77: 0 of 1 deposit tenders came."),
    (
        without("orders", 1),
        "header_missing",
        "Order 77: lines, history or tenders came without the order itself.",
    ),
    (twice("orders", 1), "duplicate_document", "Order 77: it stands 2 times in the batch."),
    (twice("order_lines", 2), "duplicate_line", "Order 77: line 1 stands in it more than once."),
    (
        cell("order_lines", 3, "entry_id", "77001"),
        "duplicate_entry",
        "Order 77: the RMS line 77001 stands in it more than once.",
    ),
    (
        twice("order_history", 2),
        "duplicate_entry",
        "Order 77: the RMS history row 7701 stands in it more than once.",
    ),
    (
        twice("deposit_tenders", 1),
        "duplicate_entry",
        "Order 77: the RMS tender 7701 stands in it more than once.",
    ),
    (
        cell("order_lines", 3, "sku", " "),
        "sku_blank",
        "Order 77, line 2: it has no SKU; the item 0 has probably been deleted in RMS.",
    ),
    (
        cell("deposit_tenders", 1, "tender_code", "C" * 26),
        "tender_code_too_long",
        "Order 77, tender 7701: `tender_code` has 26 characters; 25 are allowed.",
    ),
]


@pytest.fixture(scope="module")
def faulty_orders() -> list[Verdict]:
    """Verdicts on a batch of tickets and orders for each of the faults."""
    batches = []
    for spoil, _, _ in ORDER_FAULTS:
        rows = to_rows(make_batch([*three(), *orders()]))
        rows["order_lines"].loc[3, "item_id"] = "0"
        spoil(rows)
        batches.append(batch_of(rows))
    return validate("orders", batches)


@pytest.mark.parametrize(
    ("at", "rule", "message"), [(at, rule, message) for at, (_, rule, message) in enumerate(ORDER_FAULTS)]
)
def test_one_fault_takes_one_order_and_leaves_the_others_and_all_tickets(
    at: int, rule: str, message: str, faulty_orders: list[Verdict]
) -> None:
    verdict = faulty_orders[at]

    assert [(r.document, r.rule, r.message.split(" And ")[0]) for r in verdict.reasons] == [
        ("S1/1/order/77", rule, message)
    ]
    assert verdict.warnings == ()
    assert (verdict.state, verdict.documents) == ("checked", 6)


def test_quantities_below_zero_are_refused_on_an_order() -> None:
    verdict = verdict_on([make_order(77, [("MUG", -1, "1.00")]), make_order(78, [("MUG", 1, 1)], taken=[-2])])

    assert shown(verdict.reasons) == [
        ("S1/1/order/77", "on_order_negative", "Order 77, line 1: -1 units of MUG are on order."),
        ("S1/1/order/78", "taken_negative", "Order 78, line 1: -2 units of MUG were handed over."),
    ]


def test_what_is_odd_about_an_order_is_said_and_the_order_taken() -> None:
    strange = make_order(74, deposits=[("5.00", 0)])
    strange["deposit_tenders"][0]["history_id"] = 4
    verdict = verdict_on(
        [
            make_order(71, closed=True),
            make_order(72, [], closed=True),
            make_order(73, deposits=[("5.00", 0)], deposit=9_00_00),
            strange,
            make_order(75, expires_on="1900-01-01"),
            make_order(76, flags="later"),
            make_order(77, deposits=[("-5.00", 0)], deposit=5_00_00),
        ]
    )

    assert verdict.reasons == ()
    assert shown(verdict.warnings) == [
        (
            "S1/1/order/71",
            "closed_on_order",
            "Order 71: it is closed but still has 1 units on order; nothing stays reserved for it.",
        ),
        ("S1/1/order/72", "no_lines", "Order 72: it has no lines."),
        (
            "S1/1/order/73",
            "deposit_differs",
            "Order 73: RMS shows a deposit of 9.00, its history comes to 5.00; the history counts.",
        ),
        (
            "S1/1/order/74",
            "deposit_tenders_differ",
            "Order 74, history 7401: the deposit changed by 5.00, its tenders come to 0.00.",
        ),
        (
            "S1/1/order/74",
            "history_unknown",
            "Order 74: its deposit tender 7401 belongs to the history row 4, which it does not have.",
        ),
        (
            "S1/1/order/75",
            "expires_early",
            "Order 75: it expires on 1900-01-01, before it was written (2026-11-20).",
        ),
        ("S1/1/order/76", "flag_unknown", "Order 76: it carries a flag this hub does not know."),
    ]


def test_tickets_and_orders_of_one_number_are_told_apart() -> None:
    verdict = verdict_on([make_ticket(77), make_order(77, on_order=5)])

    assert [(r.document, r.rule) for r in verdict.reasons] == [("S1/1/order/77", "on_order_mismatch")]
    assert verdict.documents == 2


def test_share_of_what_fails_counts_tickets_and_orders() -> None:
    bad = [make_order(n, on_order=5) for n in range(1, 22)]
    few, many = (verdict_on([*(make_ticket(n) for n in range(1, tickets + 1)), *bad]) for tickets in (84, 83))

    assert (few.state, few.documents, len(few.reasons)) == ("checked", 105, 21)
    assert [r.rule for r in many.reasons] == ["too_many_faults"]


def test_a_deleted_item_is_named_by_its_number() -> None:
    blanks = ["", " ", "\t"]
    verdict = verdict_on(
        [
            make_ticket(n, [("MUG", 1, 1, {"sku": blank, "item_id": 4711})])
            for n, blank in enumerate(blanks, start=1)
        ]
    )

    assert shown(verdict.reasons) == [
        (
            f"S1/1/ticket/{n}",
            "sku_blank",
            f"Ticket {n}, line 1: it has no SKU; the item 4711 has probably been deleted in RMS.",
        )
        for n in (1, 2, 3)
    ]


def test_a_rule_that_fails_in_many_lines_is_one_reason_that_counts_them() -> None:
    lines = [("X" * 26, 1, "1.00"), ("MUG", 1, "1.00"), ("Y" * 27, 1, "1.00"), ("Z" * 28, 1, "1.00")]

    verdict = verdict_on([make_ticket(1, lines)])

    assert shown(verdict.reasons) == [
        (
            "S1/1/ticket/1",
            "sku_too_long",
            "Ticket 1, line 1: `sku` has 26 characters; 25 are allowed. And 2 more like this.",
        )
    ]


def test_texts_that_look_like_something_else_are_skus() -> None:
    texts = ["NA", "0012", "1e5", "TRUE", "2026-11-23", "a,b", 'say "é"', "a;b", "'1", " MUG"]

    verdict = verdict_on([make_ticket(n, [(text, 1, "2.00")]) for n, text in enumerate(texts, start=1)])

    assert (verdict.documents, verdict.reasons, verdict.warnings) == (10, (), ())


@pytest.mark.parametrize(
    ("texts", "rule", "sentence"),
    [
        (
            ["NULL", "None", "nan", "#N/A"],
            "sku_null_text",
            "its SKU is the text `{}`, which programs write where nothing is; it is taken as it is.",
        ),
        (
            ["=1+1", "@x", "-1", "+44"],
            "sku_formula",
            "its SKU `{}` begins like a formula; it is taken as the text it is.",
        ),
    ],
)
def test_skus_that_a_spreadsheet_may_have_made_or_will_spoil_are_taken_with_a_warning(
    texts: list[str], rule: str, sentence: str
) -> None:
    tickets = [make_ticket(n, [(text, 1, "2.00")]) for n, text in enumerate(texts, start=1)]
    orders = [make_order(n, [(text, 1, "2.00")]) for n, text in enumerate(texts, start=1)]

    verdict = verdict_on(tickets + orders)

    assert verdict.reasons == ()
    assert {(reason.rule, reason.message) for reason in verdict.warnings} == {
        (rule, f"{word} {n}, line 1: {sentence.format(text)}")
        for n, text in enumerate(texts, start=1)
        for word in ("Ticket", "Order")
    }
    advice = {
        "sku_formula": "Nothing to do here; who opens the file in a spreadsheet imports its columns as text.",
        "sku_null_text": "Nothing to do if the item is really called so; else correct its lookup code in "
        "RMS.",
    }
    assert {reason.fix for reason in verdict.warnings} == {advice[rule]}


ODDITIES: list[tuple[Ticket, str, str]] = [
    (
        make_ticket(1, [("MUG", 0, "4.50"), ("CUP", 1, "3.50")]),
        "quantity_zero",
        "Ticket 1, line 1: MUG has the quantity 0.",
    ),
    (make_ticket(1, [("MUG", 1, 0)]), "price_zero", "Ticket 1, line 1: MUG has the price 0.00."),
    (
        make_ticket(1, [("MUG", 1, "9.00"), ("COUPON", 1, "-2.50")]),
        "price_negative",
        "Ticket 1, line 2: COUPON has the negative price -2.50.",
    ),
    (make_ticket(1, []), "no_lines", "Ticket 1: it has no lines."),
    (
        make_ticket(1, [("MUG", 1, "9.00")], tenders=[("", "9.00")]),
        "tender_code_blank",
        f"Ticket 1: the tender {1} has neither a code nor a description.",
    ),
    (
        make_ticket(1, occurred_at="2026-11-20T12:00:00.000Z"),
        "business_date_far",
        "Ticket 1: its business date 2026-11-23 is 3 days away from when it was rung "
        "(2026-11-20T12:00:00.000Z).",
    ),
    (
        make_ticket(1, occurred_at="2026-11-23T14:01:00.000Z"),
        "in_the_future",
        "Ticket 1: it was rung at 2026-11-23T14:01:00.000Z, 61 minutes after it was exported; it is booked "
        "all the same.",
    ),
    (
        make_ticket(1, [("MUG", 1, "9.00", {"description": "=HYPERLINK(1)"})]),
        "description_formula",
        "Ticket 1, line 1: the description of MUG begins like a formula; it is taken as the text it is.",
    ),
    (
        make_ticket(1, [("MUG", 1, "9.00")], tenders=[("CA\nSH", "9.00")]),
        "tender_code_unprintable",
        "Ticket 1: the code `CA SH` of the tender 80 holds a line break or another control character.",
    ),
    (
        make_ticket(1, flags="ambiguous_hour"),
        "hour_assumed",
        "Ticket 1: it was rung while the clocks changed; 2026-11-23T12:00:00.000Z is assumed.",
    ),
    (
        make_ticket(1, flags="no_z_batch"),
        "z_batch_unknown",
        "Ticket 1: RMS does not know when the Z batch 1 was opened; it counts for 2026-11-23, its calendar "
        "date.",
    ),
    (
        make_ticket(1, flags="later"),
        "flag_unknown",
        "Ticket 1: it carries a flag this hub does not know.",
    ),
    (
        make_ticket(1, [("A", 1, "1.00"), ("B", 1, "1.00")], total=2_01_00 + 1_00),
        "rounding",
        "Ticket 1: the lines add up to 2.00, the ticket says 2.02; 0.02 is recorded as rounding.",
    ),
    (
        make_ticket(1, [("A", "0.3333", "0.3333")], total=1110),
        "rounding",
        "Ticket 1: the lines add up to 0.1111, the ticket says 0.1110; 0.0001 is recorded as rounding.",
    ),
    (
        make_ticket(1, [("A", 1, "1.00")], tax_rate="0.19", tax=2000, total=12000),
        "tax_rounding",
        "Ticket 1: the tax of its lines adds up to 0.19, the ticket says 0.20; 0.01 is taken as rounding.",
    ),
]


@pytest.fixture(scope="module")
def odd() -> list[Verdict]:
    """Verdicts on a batch for each of the oddities, checked together."""
    return validate("orders", [batch_of(to_rows(make_batch([t, make_ticket(2)]))) for t, _, _ in ODDITIES])


@pytest.mark.parametrize(
    ("at", "rule", "message"), [(at, rule, message) for at, (_, rule, message) in enumerate(ODDITIES)]
)
def test_what_is_unusual_but_possible_is_a_warning_and_is_accepted(
    at: int, rule: str, message: str, odd: list[Verdict]
) -> None:
    assert odd[at].reasons == ()
    assert shown(odd[at].warnings) == [("S1/1/ticket/1", rule, message)]


def test_tax_counts_once_whether_prices_include_it_or_not() -> None:
    lines: list[Line] = [("MUG", 3, "9.99"), ("CUP", -1, "4.05")]

    verdict = verdict_on(
        [
            make_ticket(1, lines, tax_rate="0.19"),
            make_ticket(2, lines, tax_rate="0.19", prices_include_tax=True),
            make_ticket(3, [("MUG", 1, "10.00")], tax_rate="0.19", prices_include_tax=True, total=11_90_00),
        ]
    )

    assert shown(verdict.reasons) == [
        (
            "S1/1/ticket/3",
            "total_mismatch",
            "Ticket 3: the lines add up to 10.00 but the ticket says 11.90 (1.90 apart).",
        )
    ]
    assert verdict.warnings == ()


def test_tax_that_does_not_add_up_is_refused_even_if_the_total_does() -> None:
    ticket = make_ticket(1, [("MUG", 1, "10.00")], tax_rate="0.19", tax=1_00_00, total=11_00_00)

    assert shown(verdict_on([ticket]).reasons) == [
        (
            "S1/1/ticket/1",
            "tax_mismatch",
            "Ticket 1: the tax of its lines adds up to 1.90 but the ticket says 1.00 (0.90 apart).",
        )
    ]


def test_the_largest_amounts_do_not_overflow() -> None:
    """The product of the largest quantity and price has 36 digits; it wraps around in 64 bits."""
    most = "99999999999999.9999"
    lines: list[Line] = [("A", most, most), ("B", "-" + most, most), ("C", 1, "5.00")]

    verdict = verdict_on(
        [
            make_ticket(1, lines),
            make_ticket(2, [("A", most, most)], tenders=[("CASH", "5.00")], total=5_00_00),
        ]
    )

    assert [(r.document, r.rule) for r in verdict.reasons] == [("S1/1/ticket/2", "total_mismatch")]


@pytest.mark.parametrize(
    ("spoil", "rule", "message"),
    [
        (
            cell("ticket_lines", 2, "number", "abc"),
            "unreadable_key",
            "Row 3 of `ticket_lines`: its store, epoch, source or number cannot be read.",
        ),
        (
            cell("tenders", 0, "epoch", ""),
            "unreadable_key",
            "Row 1 of `tenders`: its store, epoch, source or number cannot be read.",
        ),
        (
            cell("tickets", 1, "source", "a/b"),
            "unreadable_key",
            "Row 2 of `tickets`: its store, epoch, source or number cannot be read.",
        ),
        (
            cell("tickets", 1, "store", "S2"),
            "foreign_rows",
            "Row 2 of `tickets`: another store or epoch than that of the batch.",
        ),
        (
            cell("tickets", 2, "epoch", "2"),
            "foreign_rows",
            "Row 3 of `tickets`: another store or epoch than that of the batch.",
        ),
    ],
)
def test_rows_that_belong_to_no_document_reject_the_batch(
    spoil: Callable[[Frames], None], rule: str, message: str
) -> None:
    verdict = verdict_on(three(), spoil)

    assert verdict.state == "rejected"
    assert shown(verdict.reasons) == [(None, rule, message)]
    assert verdict.warnings == ()


def test_an_unknown_source_is_a_reason_of_its_document() -> None:
    def spoil(rows: Frames) -> None:
        for frame in rows.values():
            frame.loc[frame["number"] == "2", "source"] = "order"

    assert [(r.document, r.rule) for r in verdict_on(three(), spoil).reasons] == [
        ("S1/1/order/2", "source_unknown")
    ]


def spoiled(bad: int, of: int) -> BatchRows:
    tickets = [make_ticket(n, units=5 if n <= bad else 1_00_00) for n in range(1, of + 1)]
    return batch_of(to_rows(make_batch(tickets)))


def test_a_batch_in_which_too_much_fails_is_rejected_whole() -> None:
    few, a_fifth, rejected = validate("orders", [spoiled(20, 30), spoiled(21, 105), spoiled(21, 104)])

    assert (few.state, len(few.reasons)) == ("checked", 20)
    assert (a_fifth.state, len(a_fifth.reasons)) == ("checked", 21)
    assert rejected.state == "rejected"
    assert shown(rejected.reasons) == [
        (
            None,
            "too_many_faults",
            "21 of 104 documents fail, more than 20%: the batch as a whole is doubtful. "
            "Most frequent: units_mismatch (21). "
            "For example: Ticket 1: its lines hold 1 units but the ticket says 0.0005.",
        )
    ]


def test_batches_checked_together_are_judged_as_if_alone() -> None:
    """Two stores and a repeated batch: the same ticket number in each must not look like a duplicate."""
    good = to_rows(make_batch(three()))
    other = to_rows(make_batch([make_ticket(2, store="S2", epoch=3, units=1)]))
    broken = to_rows(make_batch(three()))
    broken["tickets"].loc[0, "number"] = "x"
    spoilt = to_rows(make_batch(three()))
    spoilt["ticket_lines"].loc[5, "sku"] = ""
    empty = {role: frame.iloc[:0] for role, frame in good.items()}
    batches = [
        batch_of(good, "a"),
        BatchRows("orders", "b", "S2", frozenset({3}), other),
        batch_of(broken, "c"),
        batch_of(spoilt, "d"),
        batch_of(empty, "e"),
    ]

    together = validate("orders", batches)

    assert together == [validate("orders", [batch])[0] for batch in batches]
    assert [(v.batch, v.state, v.documents, [(r.document, r.rule) for r in v.reasons]) for v in together] == [
        ("a", "checked", 3, []),
        ("b", "checked", 1, [("S2/3/ticket/2", "units_mismatch")]),
        ("c", "rejected", 3, [(None, "unreadable_key")]),
        ("d", "checked", 3, [("S1/1/ticket/3", "sku_blank")]),
        ("e", "checked", 0, []),
    ]
    assert validate("orders", []) == []


def test_many_rows_that_belong_to_no_document_are_counted() -> None:
    tickets = [make_ticket(n, store="S2") for n in range(1, 13)]
    rows = to_rows(make_batch(tickets))

    found = validate("orders", [BatchRows("orders", NAME, "S1", frozenset({1}), rows)])[0]

    assert [(r.rule, r.message) for r in found.reasons] == [
        (
            "foreign_rows",
            f"Rows 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more of `{role}`: "
            "another store or epoch than that of the batch.",
        )
        for role in ("tickets", "ticket_lines", "tenders")
    ]


def test_stores_can_be_checked_side_by_side_in_threads() -> None:
    batches = [
        batch_of(to_rows(make_batch([make_ticket(n, units=5 if n == bad else 1_00_00) for n in range(1, 6)])))
        for bad in (1, 2, 3)
    ]

    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda batch: validate("orders", [batch])[0], batches))

    assert [[(r.document, r.rule) for r in verdict.reasons] for verdict in found] == [
        [(f"S1/1/ticket/{bad}", "units_mismatch")] for bad in (1, 2, 3)
    ]


def test_a_sentence_is_one_line_whatever_the_cell_holds() -> None:
    verdict = verdict_on([make_ticket(1, [("two\nlines\x1b", 1, "1.00")])])

    assert [r.message for r in verdict.reasons] == [
        "Ticket 1, line 1: its SKU `two lines ` holds a line break or another control character."
    ]


def test_a_verdict_survives_being_stored() -> None:
    verdict = verdict_on(three(), cell("tickets", 1, "total", "12.8000"))

    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict


def test_a_batch_without_a_file_or_column_is_refused() -> None:
    rows = to_rows(make_batch(three()))
    with pytest.raises(ContractBroken, match=f"{NAME} has no file `tenders`"):
        validate("orders", [batch_of({role: rows[role] for role in ("tickets", "ticket_lines")})])
    with pytest.raises(ContractBroken, match="has no file `tickets` with the columns"):
        validate("orders", [batch_of(rows | {"tickets": rows["tickets"].drop(columns="flags")})])


@pytest.mark.parametrize(
    "kwargs", [{"column": "nowhere", "min_value": 0}, {"column": "flags", "min_value": 0}]
)
def test_a_rule_that_cannot_run_is_an_error_and_not_a_pass(
    kwargs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """great-expectations reports a missing column, or text against a number, without a single bad row."""
    contract = load_contract("orders")
    dead = Rule("dead", "warning", "expect_column_values_to_be_between", kwargs, "x.", "x.")
    file = replace(contract.files["tickets"], rules=(dead,))
    monkeypatch.setattr(
        quarantine,
        "load_contract",
        lambda _: replace(contract, files={**contract.files, "tickets": file}),
    )

    with pytest.raises(ContractBroken, match="rule `dead` of `tickets` could not be run"):
        verdict_on(three())


# -- streams without documents ----------------------------------------------------------------------------
A_REVISION = f"1-{'0' * 32}"


def csv_rows(columns: dict[str, Kind], *rows: str) -> pd.DataFrame:
    return read_rows("\n".join([",".join(columns), *rows, ""]).encode(), columns, "x")


def stream_verdict(stream: str, **rows: tuple[str, ...]) -> Verdict:
    files = {role: csv_rows(columns, *rows.get(role, ())) for role, columns in FILES[stream].items()}
    return validate(stream, [BatchRows(stream, f"S1/{stream}/1", "S1", frozenset({1}), files)])[0]


def test_a_sound_baseline_and_statement_pass() -> None:
    baseline = stream_verdict(
        "baseline",
        opening_stock=("S1,MUG,0,12.0000", "S1,CUP,0,-1.0000"),
        history_ranges=("S1,ticket,1,90", "S1,order,1,7", "S1,ticket,92,100"),
    )
    statement = stream_verdict(
        "statement",
        days=(
            "S1,2026-11-23,4,1,10,25,31.0000,0.0000,120.0000",
            "S1,2026-11-23,4,2,0,0,0.0000,0.0000,0.0000",
        ),
        day_tenders=("S1,2026-11-23,4,CASH,120.0000",),
        numbers=("S1,1,ticket,1,90,present", "S1,1,ticket,91,91,absent", "S1,2,ticket,91,95,waiting"),
        deposits=("S1,2026-11-23,4,2,7.0000,9.0000", "S1,2026-11-23,5,1,-2.0000,0.0000"),
        open_orders=(f"S1,1,order,77,{A_REVISION},901,5,2.0000,1.0000,7.0000",),
    )

    assert (baseline.state, baseline.reasons, statement.state, statement.reasons) == (
        "checked",
        (),
        "checked",
        (),
    )
    assert shown(baseline.warnings) == [
        (None, "quantity_negative", "Opening stock, row 2: CUP starts with -1 units.")
    ]
    assert statement.warnings == ()


@pytest.mark.parametrize(
    ("stream", "role", "rows", "rule", "message"),
    [
        (
            "baseline",
            "opening_stock",
            ("S1,MUG,0,1.0000", "S1,MUG,0,1.0000"),
            "duplicate_sku",
            "Opening stock, row 1: MUG stands in the file more than once. And 1 more like this.",
        ),
        (
            "baseline",
            "opening_stock",
            ("S1,,0,1.0000",),
            "sku_blank",
            "Opening stock, row 1: `sku` is empty.",
        ),
        (
            "baseline",
            "opening_stock",
            ("S1,MUG,0,1",),
            "type",
            "`quantity` in row 1 of `opening_stock` is not an amount with four decimals.",
        ),
        (
            "baseline",
            "opening_stock",
            ("S1,MUG,0,1.0000", "S2,MUG,0,1.0000"),
            "foreign_rows",
            "Row 2 of `opening_stock`: another store or epoch than that of the batch.",
        ),
        (
            "baseline",
            "history_ranges",
            ("S1,ticket,1,9", "S1,ticket,9,12"),
            "ranges_overlap",
            "Row 2: the range 9 to 12 overlaps another one.",
        ),
        (
            "baseline",
            "history_ranges",
            ("S1,ticket,9,1",),
            "range_backwards",
            "Row 1: the range 9 to 1 runs backwards.",
        ),
        (
            "statement",
            "numbers",
            ("S1,1,ticket,3,4,absent", "S1,1,ticket,1,9,present"),
            "ranges_overlap",
            "Numbers, row 1: the range 3 to 4 overlaps another one.",
        ),
        (
            "statement",
            "numbers",
            ("S1,1,ticket,3,4,lost",),
            "state_unknown",
            "Numbers, row 1: its state is none of present, absent and waiting.",
        ),
        (
            "statement",
            "day_tenders",
            ("S1,2026-11-23,4,CASH,1.0000", "S1,2026-11-23,4,CASH,2.0000"),
            "duplicate_tender",
            "Tenders, row 1: CASH stands more than once for 2026-11-23, Z batch 4. And 1 more like this.",
        ),
        (
            "statement",
            "deposits",
            ("S1,2026-11-23,4,1,1.0000,1.0000", "S1,2026-11-23,4,1,2.0000,2.0000"),
            "duplicate_deposit_day",
            "Deposits, row 1: 2026-11-23, Z batch 4 stands in the file more than once. And 1 more like this.",
        ),
        (
            "statement",
            "open_orders",
            (f"S1,1,order,77,{A_REVISION},9,5,1.0000,0.0000,0.0000",) * 2,
            "duplicate_order",
            "Open orders, row 1: order 77 stands in the file more than once. And 1 more like this.",
        ),
        (
            "statement",
            "open_orders",
            (f"S1,1,ticket,77,{A_REVISION},9,5,1.0000,0.0000,0.0000",),
            "order_source_unknown",
            "Open orders, row 1: its source is not `order`.",
        ),
    ],
)
def test_a_fault_in_a_stream_without_documents_rejects_the_batch(
    stream: str, role: str, rows: tuple[str, ...], rule: str, message: str
) -> None:
    verdict = stream_verdict(stream, **{role: rows})

    assert verdict.state == "rejected"
    assert shown(verdict.reasons) == [(None, rule, message)]


# -- the split ----------------------------------------------------------------------------------------------
def test_split_takes_the_rows_as_they_were_exported() -> None:
    rows = to_rows(make_batch(three()))
    rows["tickets"].loc[1, "total"] = "12.8000"

    accepted, quarantined = split(rows, validate("orders", [batch_of(rows)])[0])

    pd.testing.assert_frame_equal(quarantined["tickets"], rows["tickets"].loc[[1]])
    pd.testing.assert_frame_equal(quarantined["ticket_lines"], rows["ticket_lines"].loc[[2, 3]])
    pd.testing.assert_frame_equal(quarantined["tenders"], rows["tenders"].loc[[1]])
    pd.testing.assert_frame_equal(accepted["ticket_lines"], rows["ticket_lines"].loc[[0, 1, 4, 5]])


def test_nothing_of_a_rejected_batch_is_accepted() -> None:
    rows = to_rows(make_batch(three()))
    rows["tickets"].loc[0, "number"] = "x"

    accepted, quarantined = split(rows, validate("orders", [batch_of(rows)])[0])

    assert [len(frame) for frame in accepted.values()] == [0] * 7
    pd.testing.assert_frame_equal(quarantined["ticket_lines"], rows["ticket_lines"])


SPOILED_CELLS = st.tuples(
    st.sampled_from(["tickets", "ticket_lines", "tenders"]),
    st.integers(0, 30),
    st.sampled_from(
        ["quantity", "unit_price", "sku", "total", "units", "flags", "tender_code", "line", "amount"]
    ),
    st.sampled_from(["", "x", "-1.0000", "999.0000", "unsettled", "Y" * 40, "1"]),
)
LOST_ROWS = st.tuples(st.sampled_from(["tickets", "ticket_lines", "tenders"]), st.integers(0, 30))


SPOILED_BATCHES = st.tuples(
    st.lists(st.integers(1, 4), min_size=1, max_size=6),
    st.lists(SPOILED_CELLS, max_size=4),
    st.lists(LOST_ROWS, max_size=2),
)


def spoiled_rows(
    sizes: list[int], cells: list[tuple[str, int, str, str]], lost: list[tuple[str, int]]
) -> Frames:
    rows = to_rows(
        make_batch(
            make_ticket(number, [(f"SKU-{line}", line, "1.25") for line in range(1, size + 1)])
            for number, size in enumerate(sizes, start=1)
        )
    )
    for role, row, column, text in cells:
        if column in rows[role].columns and row < len(rows[role]):
            rows[role].loc[row, column] = text
    for role, row in lost:
        rows[role] = rows[role].drop(index=row, errors="ignore").reset_index(drop=True)
    return rows


@given(st.lists(SPOILED_BATCHES, min_size=5, max_size=20))
@settings(max_examples=5, deadline=None)
def test_accepted_and_quarantined_are_what_was_exported_as_whole_documents(spoilt: list[Any]) -> None:
    batches = [batch_of(spoiled_rows(*one), f"{at}") for at, one in enumerate(spoilt)]

    for batch, verdict in zip(batches, validate("orders", batches), strict=True):
        accepted, quarantined = split(batch.rows, verdict)
        taken = {number for frame in accepted.values() for number in frame["number"]}
        left = {number for frame in quarantined.values() for number in frame["number"]}

        assert verdict.state == "checked"
        assert not taken & left
        assert left == {str(reason.document).split("/")[-1] for reason in verdict.reasons}
        assert taken == set(accepted["tickets"]["number"])
        for role, frame in batch.rows.items():
            together = pd.concat([accepted[role], quarantined[role]]).sort_index()
            pd.testing.assert_frame_equal(together, frame)
