"""A ticket that changes: only the difference is posted, both revisions are kept."""

from __future__ import annotations

from tests.documents import make_ticket
from tests.hub.world import World


def revisions(world: World) -> list[tuple[object, ...]]:
    return world.rows("SELECT sequence, state FROM document_revisions ORDER BY sequence")


def test_changed_ticket_posts_the_difference_and_raises_an_event(world: World) -> None:
    world.orders(make_ticket(1, [("SKU-1", 2, "10.00"), ("SKU-2", 1, "5.00")]))
    outcome = world.orders(make_ticket(1, [("SKU-1", 3, "10.00"), ("SKU-3", 1, "5.00")]), sequence=2)

    assert outcome.accepted == 1
    assert world.rows(
        "SELECT sku, physical_delta FROM reporting_stock_movements WHERE document = 'S1/1/ticket/1' "
        "ORDER BY physical_delta, sku"
    ) == [("SKU-1", "-2.00"), ("SKU-1", "-1.00"), ("SKU-2", "-1.00"), ("SKU-3", "-1.00"), ("SKU-2", "1.00")]
    assert world.rows("SELECT total, paid FROM reporting_orders") == [("35.00", "35.00")]
    assert len(world.rows("SELECT * FROM payments")) == 2
    assert world.rows("SELECT sku, quantity FROM reporting_order_lines ORDER BY line") == [
        ("SKU-1", "3.00"),
        ("SKU-3", "1.00"),
    ]
    assert revisions(world) == [(1, "replaced"), (2, "accepted")]
    assert world.rows("SELECT order_id FROM events WHERE type = 'ticket_revised'") == [("S1/1/ticket/1",)]


def test_same_content_again_changes_nothing(world: World) -> None:
    ticket = make_ticket(1, [("SKU-1", 2, "10.00")])
    world.orders(ticket)
    before = world.rows("SELECT * FROM stock_movements")

    outcome = world.orders(ticket, sequence=2)

    assert (outcome.accepted, outcome.seen_before) == (0, 1)
    assert world.rows("SELECT * FROM stock_movements") == before
    assert revisions(world) == [(2, "accepted")]


def test_same_batch_again_is_answered_from_the_book(world: World) -> None:
    first = world.orders(make_ticket(1), make_ticket(2, [("NOPE", 1, "1.00")]))
    again = world.orders(make_ticket(1), make_ticket(2, [("NOPE", 1, "1.00")]))

    assert not first.already
    assert again.already
    assert (again.accepted, again.quarantined, again.reasons) == (1, 1, first.reasons)
    assert world.rows("SELECT COUNT(*) FROM events WHERE type = 'batch_imported' AND store = 'S1'") == [(2,)]


def test_late_older_revision_has_no_effect_but_is_remembered(world: World) -> None:
    world.orders(make_ticket(1, [("SKU-1", 3, "10.00")]), sequence=2)
    outcome = world.orders(make_ticket(1, [("SKU-1", 2, "10.00")]), sequence=1)

    assert outcome.superseded == 1
    assert world.stock() == {("W1", "SKU-1"): "-3.00"}
    assert revisions(world) == [(1, "superseded"), (2, "accepted")]


def test_content_that_returns_to_an_older_form_is_posted_again(world: World) -> None:
    for sequence, quantity in enumerate((2, 3, 2), start=1):
        world.orders(make_ticket(1, [("SKU-1", quantity, "10.00")]), sequence=sequence)

    assert world.stock() == {("W1", "SKU-1"): "-2.00"}
    assert revisions(world) == [(2, "replaced"), (3, "accepted")]


def test_bad_newer_revision_waits_and_the_booked_one_stays(world: World) -> None:
    world.orders(make_ticket(1, [("SKU-1", 2, "10.00")]))
    world.orders(make_ticket(1, [("NOPE", 2, "10.00")]), sequence=2)
    assert world.rows("SELECT state, units FROM reporting_tickets") == [("accepted", "2.00")]
    assert world.rows("SELECT rule, state FROM reporting_quarantine") == [("unknown_sku", "open")]

    world.orders(make_ticket(1, [("SKU-1", 1, "10.00")]), sequence=3)

    assert world.stock() == {("W1", "SKU-1"): "-1.00"}
    assert world.rows("SELECT state FROM reporting_quarantine") == [("superseded",)]


def test_revised_ticket_that_was_voided_stays_voided_to_the_last_unit(world: World) -> None:
    world.orders(make_ticket(1, [("SKU-1", 2, "10.00")]))
    world.orders(make_ticket(2, [("SKU-1", -2, "10.00")], recall_type=3, recall_id=1), sequence=2)
    world.orders(make_ticket(1, [("SKU-1", 3, "10.00")]), sequence=3)

    assert world.stock() == {("W1", "SKU-1"): "0.00"}
    assert world.rows("SELECT order_status, paid FROM reporting_orders ORDER BY order_id") == [
        ("Void", "30.00"),
        ("Void", "-30.00"),
    ]


def test_revision_is_posted_where_the_ticket_was_posted_first(world: World) -> None:
    world.orders(make_ticket(1, [("SKU-1", 2, "10.00")]))
    moved = World(world.hub, world.folder, stores={"S1": {}, "S2": {}})

    moved.orders(make_ticket(1, [("SKU-1", 3, "10.00")]), make_ticket(2), sequence=2)

    assert moved.stock() == {("W1", "SKU-1"): "-3.00", ("MAIN", "SKU-1"): "-1.00"}
