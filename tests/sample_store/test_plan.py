from __future__ import annotations

from collections import Counter

from deployments.sample_store.plan import Entry, plan_tickets
from deployments.sample_store.tickets import Invoice


def script_of(invoices: list[Invoice]) -> list[Entry]:
    return plan_tickets(invoices, seed="1/4", registers=2)


def test_every_invoice_is_rung_exactly_once(invoices: list[Invoice]) -> None:
    script = script_of(invoices)

    rung = Counter(entry.invoice for entry in script if entry.invoice)
    assert rung == Counter(invoice.number for invoice in invoices)
    assert {entry.invoice: entry.lines for entry in script if entry.invoice} == {
        invoice.number: invoice.lines for invoice in invoices
    }


def test_script_has_every_kind_of_entry(invoices: list[Invoice]) -> None:
    kinds = Counter(entry.kind for entry in script_of(invoices))

    assert set(kinds) == {"invoice", "exchange", "void", "recall", "recall_part", "gap", "late"}
    assert kinds["gap"] > kinds["late"] > 0  # some numbers are never filled


def test_same_seed_gives_the_same_script_and_another_seed_another(invoices: list[Invoice]) -> None:
    assert script_of(invoices) == script_of(invoices)
    assert plan_tickets(invoices, seed="2/4", registers=2) != script_of(invoices)


def test_what_undoes_a_ticket_comes_after_it_and_only_once(invoices: list[Invoice]) -> None:
    script = script_of(invoices)
    undoing = [entry for entry in script if entry.kind in ("void", "recall", "recall_part")]

    assert len({entry.of for entry in undoing}) == len(undoing)
    for entry in undoing:
        target = script[entry.of or 0]
        assert target.position < entry.position
        assert target.kind in ("invoice", "exchange", "recall", "recall_part")
        assert target.time <= entry.time
    for entry in undoing:
        if entry.kind != "void":
            assert script[entry.of or 0].kind == "invoice"


def test_late_entry_fills_an_earlier_gap_of_its_own_time(invoices: list[Invoice]) -> None:
    script = script_of(invoices)
    late = [entry for entry in script if entry.kind == "late"]

    for entry in late:
        gap = script[entry.of or 0]
        assert gap.kind == "gap"
        assert (gap.time, gap.register) == (entry.time, entry.register)
        assert gap.position < entry.position
    assert len({entry.of for entry in late}) == len(late)


def test_days_never_go_back(invoices: list[Invoice]) -> None:
    days = [entry.day for entry in script_of(invoices)]

    assert days == sorted(days)
