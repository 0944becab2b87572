"""Layaways, backorders and their pick-ups at the quarantine's desk."""

from __future__ import annotations

from typing import Any

from tests.documents import Ticket, make_order, make_ticket
from tests.hub.servers import only_on_sqlite
from tests.hub.test_quarantine_desk import by_contract, discarded, edited, entries, outcomes, released
from tests.hub.world import World

pytestmark = only_on_sqlite

O77 = "S1/1/order/77"


def picked_up(number: int, sku: str = "SKU-1") -> list[Ticket]:
    """Layaway 77 closed, and the ticket that picked it up."""
    ticket = make_ticket(number, [(sku, 3, "10.00")], recall_type=4, recall_id=77, recalled_order_type=5)
    return [make_order(77, [(sku, 0, "10.00")], taken=[3], closed=True), ticket]


def life(world: World) -> list[tuple[Any, ...]]:
    return world.rows("SELECT state FROM life_cycles WHERE order_id = :order", order=O77)


def test_layaway_with_a_wrong_sku_is_mended_opened_and_picked_up(world: World) -> None:
    world.orders(make_order(77, [("NOPE", 3, "10.00")], deposits=[("6.00", 0)]))
    edited(world, O77, "order_lines/1/sku=SKU-1")

    assert outcomes(released(world, O77)) == [(O77, "booked")]

    assert world.levels() == ("0.00", "3.00")
    assert world.rows("SELECT flags FROM orders") == [("edited",)]
    assert world.prove() == []
    world.orders(*picked_up(500), sequence=2)
    world.advance()
    assert life(world) == [("picked up",)]
    assert world.levels() == ("-3.00", "0.00")
    assert world.prove() == []


def test_newer_snapshot_with_a_wrong_sku_is_mended_and_advance_goes_on(world: World) -> None:
    world.orders(make_order(77, [("SKU-1", 3, "10.00")]))
    world.orders(make_order(77, [("SKU-1", 3, "10.00"), ("NOPE", 2, "5.00")]), sequence=2)
    world.advance()
    assert entries(world) == [(O77, "unknown_sku", "open")]

    edited(world, O77, "order_lines/2/sku=SKU-2")
    world.advance()
    assert world.levels("SKU-1") == ("0.00", "3.00")
    assert outcomes(released(world, O77)) == [(O77, "pending")]
    world.advance()

    assert world.levels("SKU-2") == ("0.00", "2.00")
    assert entries(world) == [(O77, "waiting_to_advance", "released")]
    assert world.prove() == []


def test_units_of_an_order_that_its_contract_refused_are_mended(world: World) -> None:
    by_contract(world, make_order(77, [("SKU-1", 3, "10.00")], on_order=20_000))
    assert entries(world) == [(O77, "on_order_mismatch", "open")]
    edited(world, O77, "order_lines/1/on_order=2")

    assert outcomes(released(world, O77)) == [(O77, "booked")]

    assert world.levels() == ("0.00", "2.00")
    assert world.prove() == []


def test_pick_up_with_a_wrong_sku_is_mended_and_closes_its_layaway(world: World) -> None:
    world.orders(make_order(77, [("SKU-1", 3, "10.00")]))
    order, ticket = picked_up(500)
    ticket["ticket_lines"][0]["sku"] = "NOPE"
    world.orders(order, ticket, sequence=2)
    world.advance()
    assert life(world) == [("open",)]

    edited(world, "S1/1/ticket/500", "ticket_lines/1/sku=SKU-1")
    assert outcomes(released(world, "S1/1/ticket/500")) == [("S1/1/ticket/500", "pending")]
    world.advance()

    assert life(world) == [("picked up",)]
    assert world.levels() == ("-3.00", "0.00")
    assert world.prove() == []


def test_discarded_pick_up_holds_its_order_up_no_more(world: World) -> None:
    world.orders(make_order(77, [("SKU-1", 3, "10.00")]))
    order, ticket = picked_up(500)
    ticket["ticket_lines"][0]["sku"] = "NOPE"
    world.orders(order, ticket, sequence=2)
    world.advance()

    discarded(world, "S1/1/ticket/500")
    world.advance()

    assert life(world) == [("picked up",)]
    assert world.levels() == ("0.00", "0.00")
    assert world.prove() == []


def test_pick_up_of_a_discarded_order_says_so(world: World) -> None:
    world.orders(make_order(77, [("NOPE", 3, "10.00")]))
    world.orders(picked_up(500)[1], sequence=2)
    query = "SELECT message FROM quarantine WHERE document = 'S1/1/ticket/500'"

    discarded(world, O77)

    says = "Ticket 500 picks up order 77, which was discarded and will not be applied by itself."
    assert world.rows(query) == [(says,)]
    world.advance()
    assert "Order 77 was discarded and will not be applied by itself." in world.rows(query)[0][0]
    assert world.prove() == []


def test_pick_up_whose_snapshot_was_discarded_names_the_way_out(world: World) -> None:
    """It said that there was nothing to do, though that snapshot stays discarded however often it comes."""
    world.orders(make_order(77, [("SKU-1", 3, "10.00")]))
    world.orders(*picked_up(500), sequence=2)
    discarded(world, O77)

    world.advance()

    query = "SELECT rule, fix FROM quarantine WHERE document = 'S1/1/ticket/500'"
    assert world.rows(query) == [
        (
            "waiting_for_order",
            "its newer snapshot was discarded: `tillbridge quarantine release S1/1/order/77` takes it back, "
            "else discard the pick-ups too",
        )
    ]
    released(world, O77)
    world.advance()
    assert life(world) == [("picked up",)]
    assert world.levels() == ("-3.00", "0.00")
    assert world.prove() == []


def test_later_snapshots_see_a_discarded_one_as_if_it_had_never_been(world: World) -> None:
    world.orders(make_order(77, [("SKU-1", 3, "10.00")]))
    world.orders(make_order(77, [("SKU-1", 3, "10.00"), ("NOPE", 9, "5.00")]), sequence=2)
    discarded(world, O77)

    world.orders(*picked_up(500), sequence=3)
    world.advance()

    assert world.rows("SELECT source_sku, quantity FROM reporting_order_lines") == [("SKU-1", "3.00")]
    assert life(world) == [("picked up",)]
    assert world.prove() == []


def test_unfinished_order_is_waived_and_opens(world: World) -> None:
    by_contract(world, make_order(77, [("SKU-1", 3, "10.00")], flags="unsettled"))

    assert outcomes(released(world, O77, accept=["unsettled"])) == [(O77, "booked")]

    assert world.levels() == ("0.00", "3.00")
    assert world.rows("SELECT flags FROM orders") == [("unsettled;accepted_unsettled",)]


def test_order_that_goes_back_to_an_old_state_keeps_what_its_applied_one_says(world: World) -> None:
    """Cancelled after one of three, it showed as picked up once its first snapshot came again, refused."""
    opened = make_order(77, [("SKU-1", 3, "10.00")])
    one = make_ticket(500, [("SKU-1", 1, "10.00")], recall_type=4, recall_id=77, recalled_order_type=5)
    world.orders(opened)
    world.orders(make_order(77, [("SKU-1", 0, "10.00")], taken=[1], closed=True), one, sequence=2)
    world.advance()
    query = "SELECT source_order_id, state FROM orders JOIN life_cycles USING (order_id)"
    assert world.rows(query) == [("77", "rest cancelled")]

    world.orders(opened, sequence=3)
    world.advance()
    assert (O77, "illegal_move", "open") in entries(world)
    assert world.rows(query) == [("77", "rest cancelled")]
    discarded(world, O77)
    world.orders(one, sequence=4)
    world.advance()

    assert world.rows(query) == [("77", "rest cancelled")]
    assert world.rows("SELECT quantity FROM reporting_order_lines") == [("3.00",)]
    assert world.prove() == []


def test_old_state_that_was_discarded_when_it_came_again_counts_only_where_it_came_first(
    world: World,
) -> None:
    opened = make_order(77, [("SKU-1", 3, "10.00")])
    world.orders(opened)
    world.orders(make_order(77, [("SKU-1", 5, "10.00")]), sequence=2)
    world.advance()
    world.orders(opened, sequence=3)
    discarded(world, O77)

    one = make_ticket(500, [("SKU-1", 1, "10.00")], recall_type=4, recall_id=77, recalled_order_type=5)
    world.orders(make_order(77, [("SKU-1", 0, "10.00")], taken=[1], closed=True), one, sequence=4)
    world.advance()

    assert world.rows("SELECT quantity FROM reporting_order_lines") == [("5.00",)]
    assert life(world) == [("rest cancelled",)]
    assert world.prove() == []
