"""Edited, discarded and cleared documents against the store's statement: all explained, nothing absorbed."""

from __future__ import annotations

from data_contracts.reconciling import Figures, ReconcileReport
from tasks.hub.reconcile import reconcile
from tasks.use_cases.reconciling import Reconciliation
from tests.documents import make_ticket
from tests.hub.servers import only_on_sqlite
from tests.hub.test_quarantine_desk import T9, by_contract, discarded, edited, released
from tests.hub.test_reconcile import state_of
from tests.hub.world import SKUS, World

pytestmark = only_on_sqlite

ONE_UNIT = ("ticket_lines/1/quantity=1", "header/units=1", "header/total=10", "tenders/91/amount=10")


def told(report: ReconcileReport) -> list[str]:
    return [text for text in Reconciliation((report,)).explained if "was " in text or "documents" in text]


def test_an_edited_a_discarded_and_a_cleared_document_leave_nothing_unexplained(world: World) -> None:
    tickets = [
        make_ticket(8, [("SKU-1", 1, "10.00")], tax_rate="0.2"),
        make_ticket(9, [("SKU-1", 2, "10.00")], tax_rate="0.2", tenders=[("CARD", "24.00")]),
        make_ticket(10, [("NOPE", 3, "1.00")]),
        make_ticket(11, [("LATE", 1, "2.00")]),
    ]
    world.orders(*tickets, refused={T9: "looked_odd"})
    edited(
        world,
        T9,
        *("ticket_lines/1/quantity=1", "ticket_lines/1/tax=2", "header/units=1"),
        *("header/tax=2", "header/total=12", "tenders/91/amount=12"),
    )
    assert [of.outcome for of in released(world, T9)] == ["booked"]
    discarded(world, "S1/1/ticket/10")
    world.catalog([*SKUS, "LATE"])
    state_of(world, tickets, [(8, 11, "present")])

    report = reconcile(world.hub, "S1")

    assert report.agrees
    assert (report.unexplained, report.unexplained_money, report.broken_proofs) == (0, 0, ())
    (day,) = report.days
    assert day.edited == Figures(0, 0, 10_000, 20_000, 120_000)
    assert day.discarded == Figures(1, 1, 30_000, 0, 30_000)
    assert told(report) == [
        "S1/1/ticket/10 (discarded, 3 units, 3.00): Ticket 10 holds SKUs that the hub's catalogue does not "
        "know: `NOPE`. It was discarded by cid on 2026-11-25: a test ticket.",
        "S1/1/ticket/9 was edited by ann on 2026-11-25: the hub has -1 units, -2.00 tax, -12.00 in total, "
        "-12.00 in tender CARD beyond the store (the till was wrong).",
    ]


def test_ticket_edited_onto_another_day_is_explained_on_both(world: World) -> None:
    tickets = [make_ticket(9, business_date="2026-11-23"), make_ticket(10, business_date="2026-11-24")]
    world.orders(*tickets, refused={T9: "looked_odd"})
    edited(world, T9, "header/business_date=2026-11-24", "tenders/91/tender_code=CARD")
    released(world, T9)
    state_of(world, tickets, [(9, 10, "present")])

    report = reconcile(world.hub, "S1")

    assert report.agrees
    assert [(day.business_date, day.edited.tickets) for day in report.days] == [
        ("2026-11-23", 1),
        ("2026-11-24", -1),
    ]
    assert told(report) == [
        "S1/1/ticket/9 was edited by ann on 2026-11-25: it counts for 2026-11-24, Z batch 1, at the store "
        "for 2026-11-23, Z batch 1; the hub has -10.00 in tender CASH, 10.00 in tender CARD beyond the store "
        "(the till was wrong)."
    ]


def test_edit_explains_its_own_difference_and_no_other(world: World) -> None:
    ticket = make_ticket(9, [("SKU-1", 2, "10.00")])
    world.orders(ticket, refused={T9: "looked_odd"})
    edited(
        world, T9, "ticket_lines/1/quantity=1", "header/units=1", "header/total=10", "tenders/91/amount=10"
    )
    released(world, T9)
    at_store = make_ticket(9, [("SKU-1", 2, "10.00")], total=200_100)
    state_of(world, [at_store], [(9, 9, "present")])

    report = reconcile(world.hub, "S1")

    assert not report.agrees
    assert [day.difference for day in report.days] == [Figures(0, 0, 0, 0, 100)]


def test_what_was_edited_and_not_released_is_explained_as_well(world: World) -> None:
    ticket = make_ticket(9, [("NOPE", 2, "10.00")])
    world.orders(ticket)
    edited(
        world, T9, "ticket_lines/1/quantity=1", "header/units=1", "header/total=10", "tenders/91/amount=10"
    )
    state_of(world, [ticket], [(9, 9, "present")])

    assert reconcile(world.hub, "S1").agrees
    edited(world, T9, undo=True)
    assert reconcile(world.hub, "S1").agrees


def test_what_could_not_be_read_and_was_entered_by_hand_is_taken_as_the_store_has_it(world: World) -> None:
    tickets = [make_ticket(9), make_ticket(10, [("SKU-1", 2, "10.00")])]
    by_contract(world, *tickets, broken=("tickets", 0, "total", "ten"))

    edited(world, T9, "header/total=10")

    assert [of.outcome for of in released(world, T9)] == ["booked"]
    state_of(world, tickets, [(9, 10, "present")])
    report = reconcile(world.hub, "S1")
    assert (report.agrees, report.edited) == (True, ())
