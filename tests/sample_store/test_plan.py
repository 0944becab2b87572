from __future__ import annotations

from collections import Counter

from deployments.sample_store.plan import Entry, plan_tickets
from deployments.sample_store.tickets import Invoice, business_days, split_invoices

TICKETS = {"invoice", "exchange", "void", "recall", "recall_part", "gap", "late"}
OPENINGS = {"layaway", "backorder", "work_order", "quote"}
EVENTS = {
    *("deposit", "add_line", "change_line", "remove_line", "receipt"),
    *("pickup", "pickup_part", "cancel", "expire"),
}


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

    assert set(kinds) == TICKETS | OPENINGS | EVENTS
    assert kinds["gap"] > kinds["late"] > 0  # some numbers are never filled


def test_a_week_of_two_shops_has_some_25_orders_that_travel_and_a_few_that_stay(
    invoices: list[Invoice],
) -> None:
    shares = split_invoices(invoices, 2, 20101201)
    days = business_days(invoices)[:5]

    kinds = Counter(
        entry.kind
        for store, share in enumerate(shares, start=1)
        for entry in plan_tickets(share, seed=f"20101201/{store}", registers=2)
        if entry.day in days
    )

    assert 20 <= kinds["layaway"] + kinds["backorder"] <= 30
    assert 0 < kinds["quote"] + kinds["work_order"] <= 10
    assert set(kinds) >= EVENTS


def test_script_without_orders_has_the_same_tickets_in_the_same_order(invoices: list[Invoice]) -> None:
    def tickets(script: list[Entry]) -> list[tuple[object, ...]]:
        orders = {entry.position for entry in script if entry.kind not in TICKETS}
        pickups = {entry.position for entry in script if entry.kind in ("pickup", "pickup_part")}
        return [
            (entry.kind, entry.time, entry.register, entry.invoice, entry.lines)
            for entry in script
            if entry.position not in orders and entry.of not in pickups
        ]

    without = plan_tickets(invoices, seed="1/4", registers=2, orders=False)

    assert {entry.kind for entry in without} == TICKETS
    assert tickets(without) == tickets(script_of(invoices))


def test_events_of_an_order_come_after_its_opening_and_end_with_its_end(invoices: list[Invoice]) -> None:
    """A voided pick-up opens it again; nothing follows a cancel, and nothing but a void a last pick-up."""
    script = script_of(invoices)
    last: dict[int, str] = {}
    pickups: dict[int, int] = {}

    for entry in script:
        order = pickups.get(entry.of or -1) if entry.kind in ("void", "recall") else entry.of
        if entry.kind in OPENINGS:
            last[entry.position] = entry.kind
            assert entry.lines
            assert all(line.quantity > 0 < line.price for line in entry.lines)
        elif entry.kind in EVENTS or (order is not None and order in last):
            assert order is not None
            assert last[order] != "cancel"
            assert last[order] != "pickup" or entry.kind in ("void", "recall")
            if entry.kind in ("pickup", "pickup_part"):
                pickups[entry.position] = order
            last[order] = entry.kind


def test_orders_share_out_more_than_is_on_order_never(invoices: list[Invoice]) -> None:
    script = script_of(invoices)
    left: dict[int, Counter[str]] = {}

    for entry in script:
        units = Counter({line.code.upper(): 0 for line in entry.lines})
        for line in entry.lines:
            units[line.code.upper()] += line.quantity
        if entry.kind in OPENINGS:
            left[entry.position] = units
        elif entry.kind == "add_line":
            left[entry.of or 0] += units
        elif entry.kind == "pickup_part":
            order = left[entry.of or 0]
            assert units.total() < order.total()
            assert all(order[code] >= taken for code, taken in units.items())
            order -= units


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
        assert target.kind in ("invoice", "exchange", "recall", "recall_part", "pickup", "pickup_part")
        assert target.time <= entry.time
    for entry in undoing:
        if entry.kind != "void":
            assert script[entry.of or 0].kind in ("invoice", "pickup")


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
