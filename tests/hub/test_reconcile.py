"""Every ticket, cent and unit is explained, or named."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from data_contracts.documents import STATEMENT_DAYS, STATEMENT_NUMBERS, STATEMENT_TENDERS, STREAM_STATEMENT
from data_contracts.errors import NotYetArrived
from data_contracts.reconciling import Figures, NumberRange, TenderDifference
from tasks.hub.reconcile import reconcile
from tasks.hub.status import hub_status
from tests.documents import Ticket, make_ticket
from tests.hub.world import World, typed_frame


def state_of(
    world: World,
    tickets: list[Ticket],
    numbers: list[tuple[int, int, str]],
    *,
    bound: int = 100_000,
    sequence: int = 1,
    epoch: int = 1,
) -> None:
    """Import the statement of a store that holds these tickets."""
    days: dict[tuple[str, int], dict[str, Any]] = {}
    tenders: dict[tuple[str, int, str], int] = {}
    for ticket in tickets:
        (head,) = ticket["tickets"]
        key = (head["business_date"], head["z_batch"])
        blank: dict[str, Any] = dict.fromkeys(("tickets", "lines", "units", "tax", "total"), 0)
        blank |= {"store": "S1", "business_date": key[0], "z_batch": key[1], "register": 1}
        day = days.setdefault(key, blank)
        day["tickets"] += 1
        day["lines"] += head["line_count"]
        for name in ("units", "tax", "total"):
            day[name] += head[name]
        for tender in ticket["tenders"]:
            of = (*key, tender["tender_code"])
            tenders[of] = tenders.get(of, 0) + tender["amount"]
    sums = [
        {"store": "S1", "business_date": date, "z_batch": z, "tender_code": code, "amount": amount}
        for (date, z, code), amount in tenders.items()
    ]
    ranges = [
        {"store": "S1", "epoch": 1, "source": "ticket", "first_number": a, "last_number": b, "state": state}
        for a, b, state in numbers
    ]
    frames = {
        "days": typed_frame(list(days.values()), STATEMENT_DAYS),
        "day_tenders": typed_frame(sums, STATEMENT_TENDERS),
        "numbers": typed_frame(ranges, STATEMENT_NUMBERS),
    }
    world.take(frames, STREAM_STATEMENT, sequence, bound=bound, epoch=epoch)


def test_store_and_hub_agree_to_the_last_cent(world: World) -> None:
    tickets = [
        make_ticket(1, [("SKU-1", 2, "10.00")], tax_rate="0.2", tenders=[("CARD", "24.00")]),
        make_ticket(2, [("SKU-1", -1, "10.00")], recall_type=1, recall_id=1, business_date="2026-11-24"),
    ]
    world.orders(*tickets)
    state_of(world, tickets, [(1, 2, "present")])

    report = reconcile(world.hub, "S1")

    assert report.agrees
    assert (report.unexplained, report.unexplained_money, report.newer) == (0, 0, 0)
    assert [(day.business_date, day.accepted) for day in report.days] == [
        ("2026-11-23", Figures(1, 1, 20_000, 40_000, 240_000)),
        ("2026-11-24", Figures(1, 1, -10_000, 0, -100_000)),
    ]


def test_quarantined_and_pending_tickets_are_explained_and_listed(world: World) -> None:
    tickets = [
        make_ticket(1),
        make_ticket(2, [("NOPE", 1, "3.00")]),
        make_ticket(3, [("SKU-1", -1, "10.00")], recall_type=3, recall_id=99),
        make_ticket(4, [("SKU-1", 1, "7.00")]),
    ]
    world.orders(*tickets, refused={"S1/1/ticket/4": "some_rule"})
    state_of(world, tickets, [(1, 4, "present")])

    report = reconcile(world.hub, "S1")

    assert report.agrees
    (day,) = report.days
    assert (day.accepted.tickets, day.quarantined.total, day.pending.total) == (1, 100_000, -100_000)
    assert [(o.document, o.state, o.rule) for o in report.open] == [
        ("S1/1/ticket/2", "quarantined", "unknown_sku"),
        ("S1/1/ticket/3", "pending", "waiting_for_ticket"),
        ("S1/1/ticket/4", "quarantined", "some_rule"),
    ]


def test_missing_extra_and_waiting_tickets_are_named_by_number(world: World) -> None:
    every = [make_ticket(n) for n in range(1, 8)]
    world.orders(*[t for t in every if t["tickets"][0]["number"] not in (2, 3, 6)])
    state_of(
        world,
        every[:3] + every[4:6],
        [(1, 3, "present"), (4, 4, "absent"), (5, 6, "present"), (7, 7, "waiting")],
    )

    report = reconcile(world.hub, "S1")

    assert report.missing == (NumberRange(1, 2, 3), NumberRange(1, 6, 6))
    assert report.extra == (NumberRange(1, 4, 4),)
    assert report.waiting == (NumberRange(1, 7, 7),)
    assert report.unexplained == 4
    assert not report.agrees


def test_ticket_newer_than_the_statement_is_left_out(world: World) -> None:
    first = make_ticket(1, [("SKU-1", 2, "10.00")], rowversion=50)
    world.orders(first)
    world.orders(
        make_ticket(1, [("SKU-1", 3, "10.00")], rowversion=150), make_ticket(2, rowversion=160), sequence=2
    )
    state_of(world, [first], [(1, 1, "present")], bound=100)

    report = reconcile(world.hub, "S1")

    assert report.agrees
    assert report.newer == 1


def test_difference_without_a_missing_number_names_day_and_tender(world: World) -> None:
    world.orders(make_ticket(1, [("SKU-1", 1, "10.00")], tenders=[("CASH", "10.00")]))
    state_of(
        world, [make_ticket(1, [("SKU-1", 1, "12.00")], tenders=[("CARD", "12.00")])], [(1, 1, "present")]
    )

    report = reconcile(world.hub, "S1")

    assert (report.unexplained, report.unexplained_money) == (1, 20_000)
    (day,) = report.unexplained_days
    assert day.difference == Figures(0, 0, 0, 0, 20_000)
    assert day.tenders == (TenderDifference("CARD", 120_000, 0), TenderDifference("CASH", 0, 100_000))


def test_newest_statement_counts(world: World) -> None:
    world.orders(make_ticket(1))
    state_of(world, [make_ticket(1)], [(1, 1, "present")], sequence=2)
    state_of(world, [], [(1, 1, "absent")], sequence=1)

    assert reconcile(world.hub, "S1").agrees


def test_tampered_level_and_payment_are_found(world: World) -> None:
    world.orders(make_ticket(1))
    state_of(world, [make_ticket(1)], [(1, 1, "present")])
    with world.hub.writing() as connection:
        connection.execute(text("UPDATE stock_levels SET physical = physical + physical"))
        connection.execute(text("DELETE FROM payments"))

    report = reconcile(world.hub, "S1")

    assert report.broken_proofs == (
        "The level of `SKU-1` in W1 shows -2 physical and 0 reserved, its movements come to -1 and 0.",
        "Order S1/1/ticket/1 shows 10.00 paid, its payments come to 0.00.",
    )
    assert report.unexplained == 2


def test_store_without_a_statement_has_nothing_to_compare(world: World) -> None:
    with pytest.raises(NotYetArrived, match="no statement yet"):
        reconcile(world.hub, "S1")


def test_status_tells_where_each_store_stands(world: World) -> None:
    world.orders(
        make_ticket(1),
        make_ticket(2, [("NOPE", 1, "3.00")], business_date="2026-11-25"),
        make_ticket(3, recall_type=4, recall_id=1, recalled_order_type=5),
    )
    state_of(world, [], [])

    status = hub_status(world.hub)

    s1, s2 = status.stores
    assert (s1.store, s1.baselined, s1.last_sequence, s1.orders) == ("S1", True, 1, 1)
    assert (s1.quarantined, s1.pending, s1.last_business_date) == (1, 1, "2026-11-25")
    assert (s1.last_import_utc, s1.last_statement_utc) == ("2026-11-24T06:00:00.000Z",) * 2
    assert (s2.last_sequence, s2.last_import_utc) == (0, None)
    assert (status.products, status.shortfalls, status.quarantined, status.pending) == (3, 1, 1, 1)


def test_ticket_on_the_wrong_day_is_not_taken_for_a_missing_one(world: World) -> None:
    """Any missing number used to explain every day on which the counts differed."""
    at_store = [make_ticket(n, business_date=f"2026-11-2{n}") for n in (1, 2, 3)]
    world.orders(at_store[0], make_ticket(2, business_date="2026-11-21"))
    state_of(world, at_store, [(1, 3, "present")])

    report = reconcile(world.hub, "S1")

    assert report.missing == (NumberRange(1, 3, 3),)
    assert [(day.business_date, day.difference.tickets) for day in report.unexplained_days] == [
        ("2026-11-21", -1),
        ("2026-11-22", 1),
        ("2026-11-23", 1),
    ]
    assert report.unexplained == 4


def test_cents_that_differ_are_named_beside_a_missing_and_an_extra_ticket(world: World) -> None:
    world.orders(make_ticket(1, [("SKU-1", 1, "10.00")]), make_ticket(3, [("SKU-1", 1, "5.00")]))
    state_of(
        world,
        [make_ticket(1, [("SKU-1", 1, "10.01")]), make_ticket(2, business_date="2026-11-24")],
        [(1, 2, "present"), (3, 3, "absent")],
    )

    report = reconcile(world.hub, "S1")

    assert (report.missing, report.extra) == ((NumberRange(1, 2, 2),), (NumberRange(1, 3, 3),))
    (day,) = report.unexplained_days
    assert (day.business_date, day.difference) == ("2026-11-23", Figures(0, 0, 0, 0, 100))
    assert report.unexplained == 3
    assert report.unexplained_money == 100 + 100_000 + 50_000


def test_ticket_that_rms_writes_anew_is_in_no_total(world: World) -> None:
    """The store leaves it out of its totals, so the hub's old form of it looked like a difference."""
    tickets = [make_ticket(1), make_ticket(2, [("SKU-2", 1, "7.00")])]
    world.orders(*tickets)
    state_of(world, tickets[:1], [(1, 1, "present"), (2, 2, "waiting")])

    report = reconcile(world.hub, "S1")

    assert report.agrees
    assert report.waiting == (NumberRange(1, 2, 2),)


def test_older_form_of_a_ticket_counts_with_its_tenders(world: World) -> None:
    """It arrived after the newer one, and its tenders were not kept."""
    old = make_ticket(1, rowversion=50)
    world.orders(make_ticket(1, [("SKU-1", 2, "10.00")], rowversion=150), sequence=2)
    world.orders(old, sequence=1)
    state_of(world, [old], [(1, 1, "present")], bound=100)

    assert reconcile(world.hub, "S1").agrees


def test_rowversions_count_within_the_epoch_of_the_statement(world: World) -> None:
    first, second = make_ticket(1, rowversion=5_000), make_ticket(2, epoch=2, rowversion=50)
    world.orders(first)
    world.orders(second, sequence=2, epoch=2)
    state_of(world, [first], [(1, 1, "present")], bound=6_000)

    before = reconcile(world.hub, "S1")
    assert (before.agrees, before.newer, before.extra) == (True, 1, ())

    ranges = [(1, 1, "present")]
    state_of(world, [first], ranges, bound=100, sequence=2, epoch=2)
    after = reconcile(world.hub, "S1")
    assert after.extra == (NumberRange(2, 2, 2),)
    assert after.unexplained_days == ()


def test_opening_stock_in_quarantine_is_listed(world: World) -> None:
    world.baseline({"NEW-1": "3"}, sequence=2)
    world.orders(make_ticket(1))
    state_of(world, [make_ticket(1)], [(1, 1, "present")])

    report = reconcile(world.hub, "S1")

    assert [(o.document, o.state, o.units) for o in report.open] == [
        ("S1/1/opening/1", "quarantined", 30_000)
    ]


@pytest.mark.parametrize(
    ("changes", "proof"),
    [
        (
            ("UPDATE orders SET total = total + total",),
            "Order S1/1/ticket/1 shows 20.00 with 0.00 tax and 10.00 paid, its ticket 10.00 with 0.00 tax.",
        ),
        (("DELETE FROM orders",), "Ticket S1/1/ticket/1 counts as booked, but has no order."),
        (
            ("DELETE FROM order_lines",),
            "Order S1/1/ticket/1 has 0 lines with 0 units, its ticket 1 with 1.",
        ),
        (("UPDATE documents SET state = 'quarantined'",), "Order S1/1/ticket/1 has no booked document."),
        (
            ("UPDATE order_lines SET quantity = quantity + quantity",),
            "Line 1 of order S1/1/ticket/1 has 2 units, its movements come to -1.",
        ),
    ],
)
def test_ticket_that_is_half_in_the_hub_is_found(world: World, changes: tuple[str, ...], proof: str) -> None:
    """The comparison reads tickets; that orders, lines and movements are theirs was never asked."""
    world.orders(make_ticket(1))
    state_of(world, [make_ticket(1)], [(1, 1, "present")])
    assert reconcile(world.hub, "S1").agrees
    with world.hub.writing() as connection:
        for change in changes:
            connection.execute(text(change))

    report = reconcile(world.hub, "S1")

    assert proof in report.broken_proofs
    assert not report.agrees
