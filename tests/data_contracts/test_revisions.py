"""The same business content has the same revision, for ever; any other content has another one."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.revisions import ticket_revisions
from tests.documents import Frames, make_batch, make_ticket

LINES = [("MUG", 2, "4.50"), ("CUP", -1, "3.50")]


def revisions(frames: Frames) -> list[str]:
    return ticket_revisions(frames["tickets"], frames["ticket_lines"], frames["tenders"]).tolist()


def one(**changes: Any) -> Frames:
    return make_batch([make_ticket(10452, LINES, tax_rate="0.07", **changes)])


def changed(role: str, column: str, value: object) -> str:
    frames = one()
    frames[role][column] = [value, *frames[role][column].tolist()[1:]]
    return revisions(frames)[0]


def test_the_revision_of_a_ticket_is_this_text_in_every_version_to_come() -> None:
    """A change of the form would revise all history: add a new version beside the old one instead."""
    form = (
        "ticket|10452|0|0|58850|3850|L10452001:418852:20000:45000:6300"
        "|L10452002:453935:-10000:35000:-2450|T104521:14:58850"
    )

    assert revisions(one()) == ["1-6ca5ea5d8e88246a837fe99375d804e4"]
    assert revisions(one()) == [f"1-{hashlib.sha256(form.encode()).hexdigest()[:32]}"]


@pytest.mark.parametrize(
    ("role", "column", "value"),
    [
        ("tickets", "store", "S9"),
        ("tickets", "epoch", 7),
        ("tickets", "rowversion", 9),
        ("tickets", "occurred_at", "2020-01-01T00:00:00.000Z"),
        ("tickets", "business_date", "2020-01-01"),
        ("tickets", "z_batch", 99),
        ("tickets", "register", 99),
        ("tickets", "recalled_order_type", 5),
        ("tickets", "prices_include_tax", True),
        ("tickets", "flags", "unsettled"),
        ("ticket_lines", "sku", "RENAMED"),
        ("ticket_lines", "description", "Renamed"),
        ("ticket_lines", "item_type", 9),
        ("tenders", "tender_code", "CARD"),
    ],
)
def test_texts_times_and_layout_do_not_revise_a_ticket(role: str, column: str, value: object) -> None:
    assert changed(role, column, value) == revisions(one())[0]


@pytest.mark.parametrize(
    ("role", "column"),
    [
        ("tickets", "recall_type"),
        ("tickets", "recall_id"),
        ("tickets", "total"),
        ("tickets", "tax"),
        ("ticket_lines", "entry_id"),
        ("ticket_lines", "item_id"),
        ("ticket_lines", "quantity"),
        ("ticket_lines", "unit_price"),
        ("ticket_lines", "tax"),
        ("tenders", "entry_id"),
        ("tenders", "tender_id"),
        ("tenders", "amount"),
    ],
)
def test_keys_and_amounts_revise_a_ticket(role: str, column: str) -> None:
    assert changed(role, column, 987_654) != revisions(one())[0]


@given(st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_the_order_of_rows_and_the_company_they_keep_do_not_matter(random: Any) -> None:
    tickets = [make_ticket(n, LINES, tenders=[("CASH", 3), ("CARD", "2.50")]) for n in (1, 2, 3)]
    frames = make_batch(tickets)
    seed = random.randrange(2**32)
    shuffled = {role: frame.sample(frac=1, random_state=seed) for role, frame in frames.items()}

    found = ticket_revisions(shuffled["tickets"], shuffled["ticket_lines"], shuffled["tenders"])

    assert found.sort_index().tolist() == [revisions(make_batch([ticket]))[0] for ticket in tickets]
    assert found.index.equals(shuffled["tickets"].index)


def test_tickets_without_lines_and_tenders_have_revisions_too() -> None:
    found = revisions(make_batch([make_ticket(1, [], tenders=[]), make_ticket(2, [], tenders=[])]))

    assert len(set(found)) == 2
    assert revisions(make_batch([])) == []


def test_another_column_can_tell_tickets_of_many_stores_apart() -> None:
    frames = make_batch([make_ticket(1, LINES), make_ticket(1, [("CUP", 1, 1)])])
    marked = {
        "tickets": frames["tickets"].assign(of=[0, 1]),
        "ticket_lines": frames["ticket_lines"].assign(of=[0, 0, 1]),
        "tenders": frames["tenders"].assign(of=[0, 1]),
    }

    found = ticket_revisions(marked["tickets"], marked["ticket_lines"], marked["tenders"], key="of")

    assert found.tolist() == frames["tickets"]["revision"].tolist()
