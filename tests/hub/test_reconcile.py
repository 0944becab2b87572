"""Every ticket, cent and unit is explained, or named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import text

from data_contracts.documents import FILES, STREAM_STATEMENT
from data_contracts.errors import NotYetArrived
from data_contracts.manifest import EpochStart
from data_contracts.reconciling import (
    DepositFigures,
    Figures,
    NumberRange,
    OrderDifference,
    TenderDifference,
)
from tasks.hub.reconcile import reconcile
from tasks.hub.status import hub_status
from tasks.use_cases.reconciling import Reconciliation
from tests.documents import Line, Ticket, make_batch, make_order, make_ticket
from tests.hub.world import World, typed_frame


def state_of(
    world: World,
    tickets: list[Ticket],
    numbers: list[tuple[int, int, str]],
    *,
    bound: int = 100_000,
    sequence: int = 1,
    epoch: int = 1,
    orders: Sequence[Ticket] = (),
    waiting_orders: Sequence[int] = (),
    more: Sequence[tuple[int, int, int, str]] = (),
) -> None:
    """Import the statement of a store that holds these tickets and orders, open ones and closed ones.

    `numbers` are of epoch 1, `more` begin with their epoch.
    """
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
        {"store": "S1", "epoch": e, "source": "ticket", "first_number": a, "last_number": b, "state": state}
        for e, a, b, state in [*((1, *of) for of in numbers), *more]
    ]
    ranges += [
        {
            "store": "S1",
            "epoch": 1,
            "source": "order",
            "first_number": n,
            "last_number": n,
            "state": "waiting",
        }
        for n in waiting_orders
    ]
    rows: dict[str, list[dict[str, Any]]] = {
        "days": list(days.values()),
        "day_tenders": sums,
        "numbers": ranges,
        "deposits": deposits_of(orders),
        "open_orders": open_orders_of(orders),
    }
    files = FILES[STREAM_STATEMENT]
    frames = {role: typed_frame(rows[role], columns) for role, columns in files.items()}
    world.take(frames, STREAM_STATEMENT, sequence, bound=bound, epoch=epoch)


def deposits_of(orders: Sequence[Ticket]) -> list[dict[str, Any]]:
    """The file `deposits` of a store with these orders."""
    days: dict[tuple[str, int], dict[str, Any]] = {}
    for order in orders:
        for entry in order["order_history"]:
            key = (entry["business_date"], entry["z_batch"])
            blank = {"store": "S1", "business_date": key[0], "z_batch": key[1]}
            day = days.setdefault(key, {**blank, "entries": 0, "amount": 0, "tendered": 0})
            day["entries"] += 1
            day["amount"] += entry["delta_deposit"]
        for tender in order["deposit_tenders"]:
            days[key]["tendered"] += tender["amount"]
    return list(days.values())


def open_orders_of(orders: Sequence[Ticket]) -> list[dict[str, Any]]:
    """The file `open_orders` of a store with these orders."""
    if not orders:
        return []
    headers: list[dict[str, Any]] = make_batch(orders)["orders"].to_dict("records")  # type: ignore[assignment]
    return [header for header in headers if not header["closed"]]


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


# -- layaways and backorders ---------------------------------------------------------------------------
def layaway(number: int = 77, **options: Any) -> Ticket:
    """Two units open, with a deposit of 6.00."""
    lines = options.pop("lines", [("SKU-1", 2, "10.00")])
    return make_order(number, lines, **{"deposits": [("6.00", 0)], **options})


def picked_up(number: int = 77, *, ticket: int = 9, **options: Any) -> tuple[Ticket, Ticket]:
    """The same order closed, and the ticket that picked it up."""
    deposits = [("6.00", 0), ("-6.00", ticket)]
    closed = layaway(
        number, lines=[("SKU-1", 0, "10.00")], taken=[2], closed=True, deposits=deposits, **options
    )
    lines: list[Line] = [("SKU-1", 2, "10.00")]
    return closed, make_ticket(ticket, lines, recall_type=4, recall_id=number, recalled_order_type=5)


def test_open_orders_and_deposits_agree(world: World) -> None:
    orders = [layaway(77), layaway(78, kind="backorder", deposits=[("4.00", 0), ("1.50", 0)])]
    world.orders(make_ticket(1), *orders)
    state_of(world, [make_ticket(1)], [(1, 1, "present")], orders=orders)

    report = reconcile(world.hub, "S1")

    assert (report.agrees, report.broken_proofs) == (True, ())
    assert (report.open_orders, report.reserved, report.deposits_held) == (2, 20_000, 115_000)
    (day,) = report.deposit_days
    assert day.store == day.hub == DepositFigures(3, 115_000, 115_000)


def test_pick_up_agrees_while_it_is_pending_and_after_it_was_applied(world: World) -> None:
    closed, ticket = picked_up()
    world.orders(layaway())
    world.orders(closed, ticket, sequence=2)
    state_of(world, [ticket], [(9, 9, "present")], orders=[closed])

    pending = reconcile(world.hub, "S1")
    world.advance()
    applied = reconcile(world.hub, "S1")

    assert (pending.agrees, pending.broken_proofs, pending.reserved) == (True, (), 20_000)
    assert sorted((o.document, o.state) for o in pending.open) == [
        ("S1/1/order/77", "pending"),
        ("S1/1/ticket/9", "pending"),
    ]
    assert pending.days[0].pending == applied.days[0].accepted == Figures(1, 1, 20_000, 0, 200_000)
    assert (applied.agrees, applied.broken_proofs, applied.open) == (True, (), ())
    assert (applied.open_orders, applied.reserved, applied.deposits_held) == (0, 0, 0)


def test_order_that_only_one_side_has_is_named(world: World) -> None:
    here, there = layaway(77, deposits=()), layaway(78, deposits=())
    world.orders(here, layaway(79, deposits=()))
    changed = layaway(79, lines=[("SKU-1", 3, "10.00")], deposits=())
    state_of(world, [], [], orders=[there, changed])

    report = reconcile(world.hub, "S1")

    assert report.orders == (
        OrderDifference(1, 78, "missing"),
        OrderDifference(1, 79, "changed"),
        OrderDifference(1, 77, "extra"),
    )
    assert report.unexplained == 3
    assert Reconciliation((report,)).findings == (
        "S1: order 78 missing: the store has it open, the hub does not. If no batch waits to be imported, "
        "run `tillbridge resend S1 --orders 78` at the store.",
        "S1: order 79 differs: the store has it open, the hub does not have it as it is. If no batch waits "
        "to be imported, run `tillbridge resend S1 --orders 79` at the store.",
        "S1: order 77 is open in the hub, but not at the store. If no batch waits to be imported, run "
        "`tillbridge export S1 --sweep` at the store, or `tillbridge resend S1 --orders 77` if RMS still "
        "has it.",
    )


def test_order_that_waits_is_quarantined_or_is_being_written_is_explained(world: World) -> None:
    unknown = layaway(77, lines=[("NOPE", 1, "3.00")])
    refused = layaway(78)
    later = layaway(79, lines=[("SKU-1", 1, "10.00")])
    world.orders(unknown, refused, layaway(79), layaway(80), refused={"S1/1/order/78": "some_rule"})
    world.orders(later, sequence=2)
    stated = [unknown, refused, later]
    state_of(world, [], [], orders=[*stated, layaway(80, closed=True)], waiting_orders=[80])

    report = reconcile(world.hub, "S1")

    assert report.agrees
    assert report.waiting_orders == (NumberRange(1, 80, 80),)
    assert [(o.document, o.state, o.rule) for o in report.open] == [
        ("S1/1/order/77", "quarantined", "unknown_sku"),
        ("S1/1/order/78", "quarantined", "some_rule"),
        ("S1/1/order/79", "pending", "waiting_to_advance"),
    ]


def test_deposit_that_only_one_side_has_is_unexplained(world: World) -> None:
    world.orders(layaway(deposits=[("6.00", 0), ("4.00", 0)]))
    state_of(world, [], [], orders=[layaway()])
    with world.hub.writing() as connection:  # nothing else tells the two apart
        connection.execute(
            text("UPDATE statement_open_orders SET revision = (SELECT revision FROM documents)")
        )

    report = reconcile(world.hub, "S1")

    (day,) = report.unexplained_deposits
    assert day.difference == DepositFigures(-1, -40_000, -40_000)
    assert (report.unexplained, report.unexplained_money) == (1, 40_000)
    (told,) = Reconciliation((report,)).findings
    assert "store less hub is -1 changes, -4.00 in all, -4.00 tendered." in told


@pytest.mark.parametrize("known", [True, False], ids=["changed", "missing"])
def test_order_that_the_hub_lacks_explains_its_deposits(world: World, known: bool) -> None:
    """It counted twice: once as an order, once as the day of its deposits."""
    if known:
        world.orders(layaway())
    state_of(world, [], [], orders=[layaway(deposits=[("6.00", 0), ("4.00", 0)])])

    report = reconcile(world.hub, "S1")

    lacks = 40_000 if known else 100_000
    assert report.orders == (OrderDifference(1, 77, "changed" if known else "missing", deposit=lacks),)
    assert (report.unexplained, report.unexplained_money) == (1, lacks)
    assert len(Reconciliation((report,)).findings) == 1


def test_order_that_the_hub_lacks_explains_no_more_than_its_own_deposits(world: World) -> None:
    world.orders(layaway(78, deposits=()))
    state_of(world, [], [], orders=[layaway(77), layaway(78)])
    same = "UPDATE statement_open_orders SET revision = (SELECT revision FROM documents) WHERE number = 78"
    with world.hub.writing() as connection:  # an order that agrees, and a deposit of it that the hub lost
        connection.execute(text(same))

    report = reconcile(world.hub, "S1")

    assert report.orders == (OrderDifference(1, 77, "missing", deposit=60_000),)
    assert [day.difference.amount for day in report.unexplained_deposits] == [120_000]
    assert (report.unexplained, report.unexplained_money) == (2, 120_000)


def test_order_that_went_back_to_what_it_was_differs_while_the_hub_has_what_came_between(
    world: World,
) -> None:
    """Two units, three, two again: with the third batch rejected three stayed reserved, and nobody knew."""
    two, three = layaway(rowversion=50), layaway(lines=[("SKU-1", 3, "10.00")], rowversion=60)
    world.orders(two, bound=55)
    world.orders(three, sequence=2, bound=65)
    world.advance()
    state_of(world, [], [], bound=75, orders=[layaway(rowversion=70)])

    lost = reconcile(world.hub, "S1")
    world.orders(layaway(rowversion=70), sequence=4, bound=75)
    arrived = reconcile(world.hub, "S1")
    world.advance()

    assert lost.orders == (OrderDifference(1, 77, "changed"),)
    assert (arrived.orders, [(o.document, o.state) for o in arrived.open]) == ((), [(ORDER, "pending")])
    assert reconcile(world.hub, "S1").agrees
    assert world.levels()[1] == "2.00"


def test_order_that_went_back_after_the_statement_is_newer_than_it(world: World) -> None:
    """Its content is that of the first batch; only the batch that brought it again is younger."""
    world.orders(layaway(rowversion=50), bound=55)
    world.orders(layaway(lines=[("SKU-1", 3, "10.00")], rowversion=60), sequence=2, bound=65)
    state_of(world, [], [], bound=70, orders=[layaway(lines=[("SKU-1", 3, "10.00")], rowversion=60)])
    world.orders(layaway(rowversion=80), sequence=3, bound=85)

    assert reconcile(world.hub, "S1").orders == ()


def test_order_that_was_reopened_after_the_statement_is_not_extra(world: World) -> None:
    world.orders(layaway(deposits=(), rowversion=50), bound=55)
    world.orders(layaway(lines=[("SKU-1", 0, "10.00")], deposits=(), closed=True, rowversion=60), sequence=2)
    state_of(world, [], [], bound=70, orders=[])
    world.orders(layaway(deposits=(), rowversion=80), sequence=3, bound=85)

    assert reconcile(world.hub, "S1").orders == ()


def test_deposits_of_before_the_baseline_are_compared_nowhere(world: World) -> None:
    old = layaway(deposits=[("6.00", 0), ("4.00", 0)])
    world.orders(old)
    with world.hub.writing() as connection:
        connection.execute(text("UPDATE stores SET start_history_entry = 7701"))
    state_of(world, [], [], orders=[layaway(number=77, deposits=[("6.00", 0), ("4.00", 0)])])

    (day,) = reconcile(world.hub, "S1").deposit_days

    assert day.hub == DepositFigures(1, 40_000, 40_000)


@pytest.mark.parametrize("stated", [1, 2, 3])
def test_order_that_changed_since_the_statement_hides_no_deposit(world: World, stated: int) -> None:
    """The second deposit was never published by itself: nobody can tell whether the store knew of it."""
    deposits = [("6.00", 0), ("4.00", 0), ("3.00", 0)]
    world.orders(layaway(deposits=deposits[:1], rowversion=50))
    world.orders(layaway(deposits=deposits, rowversion=150), sequence=2)
    at_store = layaway(deposits=deposits[:stated], rowversion=90)
    state_of(world, [], [], bound=100, orders=[at_store])

    report = reconcile(world.hub, "S1")

    assert report.agrees
    assert [day.hub.entries for day in report.deposit_days] == [stated]


def test_order_that_is_newer_than_the_statement_is_not_extra(world: World) -> None:
    world.orders(make_ticket(1), layaway(rowversion=150))
    state_of(world, [make_ticket(1, rowversion=50)], [(1, 1, "present")], bound=100)

    report = reconcile(world.hub, "S1")

    assert (report.orders, report.unexplained_deposits) == ((), ())


def test_order_that_became_a_quote_is_neither_extra_nor_are_its_deposits(world: World) -> None:
    """It stays in the store from then on, so the store states nothing of it."""
    world.orders(layaway())
    world.orders(layaway(order_type=3), sequence=2)
    for run in (1, 2):
        state_of(world, [make_ticket(1)], [(1, 1, "waiting")], orders=[], sequence=run)
        report = reconcile(world.hub, "S1")
        assert (report.orders, report.unexplained_deposits) == ((), ())
        world.advance()


@pytest.mark.parametrize("sees_it", [True, False])
def test_deleted_order_counts_from_when_the_export_missed_it(world: World, sees_it: bool) -> None:
    """A tombstone has no rowversion: the statement may be older."""
    world.orders(layaway())
    missed_at = "2026-11-23T19:00:00.000Z" if sees_it else "2026-11-23T21:00:00.000Z"
    gone = make_order(77, [], closed=True, flags="deleted", rowversion=0, ordered_at=missed_at, total=0)
    world.orders(gone, sequence=2)
    state_of(world, [], [], orders=[] if sees_it else [layaway()])

    report = reconcile(world.hub, "S1")

    assert (report.orders, report.unexplained_deposits) == ((), ())


def test_tickets_that_rms_lost_in_a_restore_are_named_and_counted_in_no_day(world: World) -> None:
    kept, lost = make_ticket(1), [make_ticket(2), make_ticket(3)]
    again = make_ticket(2, [("SKU-2", 1, "7.00")], epoch=2)
    epochs = (EpochStart(epoch=1), EpochStart(epoch=2, after_number=1))
    world.orders(kept, *lost)
    world.baseline(sequence=2, epochs=epochs)
    world.orders(again, sequence=2, epoch=2)
    in_statement = [kept, again]
    state_of(world, in_statement, [(1, 1, "present")], epoch=2, more=[(2, 2, 2, "present")])

    report = reconcile(world.hub, "S1")

    assert report.agrees
    assert report.lost == (NumberRange(1, 2, 3),)
    assert report.days[0].accepted == report.days[0].store == Figures(2, 2, 20_000, 0, 170_000)
    assert (
        "S1: RMS lost 2 tickets 2 to 3 of epoch 1 when its database was restored; the hub has them."
        in Reconciliation((report,)).explained
    )


def test_result_in_one_line_tells_of_orders_and_deposits(world: World) -> None:
    world.orders(make_ticket(1), layaway())
    state_of(world, [make_ticket(1)], [(1, 1, "present")], orders=[layaway()])

    assert Reconciliation((reconcile(world.hub, "S1"),)).sentence == (
        "0 unexplained: 1 ticket, 1 unit and 10.00, 1 open order with 2 units reserved and 6.00 deposits "
        "held, stated by 1 store; 0 in quarantine or pending"
    )


ORDER = "S1/1/order/77"
DONE = "S1/1/order/88"
MOVE_AGAIN = """
INSERT INTO stock_movements (
    origin, posting, line, cause, warehouse, sku, physical_delta, reserved_delta, warehouse_rule, at_utc
)
SELECT origin, 99, line, cause, warehouse, sku, {}, 0, warehouse_rule, at_utc
FROM stock_movements WHERE origin = '{}'
"""
"""The ledger can only be added to."""


@pytest.mark.parametrize(
    ("change", "proof"),
    [
        ("DELETE FROM life_cycles", f"Order document {ORDER} counts as applied, but has no life cycle."),
        (
            "DELETE FROM orders WHERE kind = 'layaway'",
            f"Order document {ORDER} counts as applied, but has no order.",
        ),
        (
            "UPDATE life_cycles SET revision = '1-0'",
            f"The life cycle of order {ORDER} is not of the snapshot that counts as applied.",
        ),
        (
            "UPDATE document_revisions SET revision = '1-0' WHERE document LIKE '%order/77'",
            f"The newest snapshot of order {ORDER} is neither applied nor in quarantine.",
        ),
        (
            "UPDATE order_lines SET reserved_quantity = 0",
            f"Line 77001 of order {ORDER} shows 0 reserved, its movements come to 2.",
        ),
        (
            "UPDATE order_lines SET reserved_quantity = 0",
            f"Line 77001 of order {ORDER} has 2 units on order, but 0 reserved or waiting for stock.",
        ),
        (
            "UPDATE order_lines SET backorder_quantity = shipped_quantity WHERE order_id LIKE '%88'",
            f"Line 88001 of order {DONE} is picked up but has 0 reserved and 2 waiting for stock.",
        ),
        (
            MOVE_AGAIN.format("reserved_delta", ORDER),
            f"Line 77001 of order {ORDER} has moved 2 units by itself.",
        ),
        (
            "UPDATE order_lines SET shipped_quantity = 0 WHERE order_id LIKE '%88'",
            f"Line 88001 of order {DONE} shows 0 shipped, its pick-ups come to 2.",
        ),
        (
            "UPDATE documents SET order_id = 'S1/1/order/99' WHERE kind = 'pickup'",
            "Pick-up S1/1/ticket/9 counts as booked, but its order S1/1/order/99 is not there.",
        ),
        (
            "DELETE FROM pickup_lines",
            "Pick-up S1/1/ticket/9 has 0 lines with 0 units on its order, its ticket 1 with 2.",
        ),
        (
            "UPDATE payments SET amount = amount + amount WHERE document = 'S1/1/ticket/9'",
            f"Pick-up S1/1/ticket/9 totals 20.00, its payments on order {DONE} come to 40.00.",
        ),
        (
            "UPDATE orders SET paid = 0 WHERE kind = 'layaway'",
            f"Order {DONE} shows 0.00 paid, its payments come to 20.00.",
        ),
        (
            MOVE_AGAIN.format("physical_delta", "S1/1/ticket/9"),
            "Line 1 of pick-up S1/1/ticket/9 has 2 units, its movements come to -4.",
        ),
        (
            "UPDATE life_cycles SET deposit = 0",
            f"Order {ORDER} shows 0.00 deposits held, its deposits come to 6.00.",
        ),
        (
            "DELETE FROM deposits WHERE kind = 'used'",
            f"Order {DONE} is picked up, but its deposits come to 6.00, not 0.",
        ),
        (
            "UPDATE orders SET source_order_id = '88' WHERE order_id LIKE '%88'",
            f"Order {DONE} is picked up and bears the number 88, which is not its own.",
        ),
        (
            "DELETE FROM order_aliases WHERE kind = 'transaction'",
            f"Order {DONE} is not found by its number 9.",
        ),
    ],
)
def test_layaway_that_is_half_in_the_hub_is_found(world: World, change: str, proof: str) -> None:
    closed, ticket = picked_up(88)
    world.orders(layaway(77), layaway(88))
    world.orders(closed, ticket, sequence=2)
    world.advance()
    assert world.prove() == []
    with world.hub.writing() as connection:
        connection.execute(text(change))

    assert proof in world.prove()


def test_status_counts_open_layaways_and_backorders_that_wait(world: World) -> None:
    orders = [layaway(77), layaway(78), layaway(79, kind="backorder")]
    world.orders(*orders, layaway(80, expires_on="2026-11-21"))
    world.orders(layaway(78, lines=[("SKU-1", 1, "10.00")]), sequence=2)

    before = hub_status(world.hub).stores[0]
    world.advance()
    after = hub_status(world.hub).stores[0]

    assert (before.layaways, before.backorders_waiting, before.expired, before.pending) == (3, 1, 0, 1)
    assert (after.layaways, after.backorders_waiting, after.expired, after.pending) == (3, 1, 1, 0)
