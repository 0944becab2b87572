"""The life of a backorder in the hub: it waits, gets its stock, and then is as a layaway."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.hub.allocating import Allocated, allocate_backorders
from tests.documents import Ticket, make_order, make_ticket
from tests.hub.world import NOW, World

BACKORDER = "S1/1/order/80"


def pick_up(number: int, lines: Any, order: int = 80) -> Ticket:
    return make_ticket(number, lines, recall_type=4, recall_id=order, recalled_order_type=4)


def arrive(world: World, units: int, sequence: int, sku: str = "SKU-1") -> list[Allocated]:
    """Units come back over the counter, then what is free is given out."""
    world.orders(make_ticket(sequence, [(sku, -units, "10.00")]), sequence=sequence)
    world.advance("backorder")
    return allocate_backorders(world.hub, world.settings, now=NOW)


def waits(world: World, order: str = BACKORDER) -> tuple[Any, ...]:
    """(state, ordered, reserved, waiting, shipped) of a backorder of one line."""
    query = (
        "SELECT c.state, l.quantity, l.reserved_quantity, l.backorder_quantity, l.shipped_quantity "
        "FROM life_cycles c JOIN reporting_order_lines l ON l.order_id = c.order_id WHERE c.order_id = :o"
    )
    ((*found,),) = world.rows(query, o=order)
    return tuple(found)


def opened(world: World, units: int = 4, number: int = 80, **options: Any) -> None:
    order = make_order(number, [("SKU-1", units, "10.00")], kind="backorder", **options)
    world.orders(order, sequence=number)


def test_backorder_without_stock_waits_and_reserves_nothing(world: World) -> None:
    opened(world)

    assert waits(world) == ("waiting", "4.00", "0.00", "4.00", "0.00")
    assert world.rows("SELECT kind, order_type FROM orders") == [("backorder", "wholesale")]
    assert world.prove() == []


def test_stock_that_arrives_in_two_parts_fills_it_and_it_is_picked_up(world: World) -> None:
    opened(world)
    (given,) = arrive(world, 3, 101)
    assert (given.units, given.filled, waits(world)) == (
        30_000, False, ("waiting", "4.00", "3.00", "1.00", "0.00"),
    )  # fmt: skip
    assert world.levels() == ("3.00", "3.00"), "as the ledger of the design shows it"

    (given,) = arrive(world, 2, 102)
    assert (given.units, given.filled) == (10_000, True)
    assert waits(world) == ("open", "4.00", "4.00", "0.00", "0.00")
    assert world.levels() == ("5.00", "4.00")

    closed = make_order(80, [("SKU-1", 0, "10.00")], kind="backorder", taken=[4], closed=True)
    world.orders(closed, pick_up(500, [("SKU-1", 4, "10.00")]), sequence=103)
    world.advance("backorder")

    assert waits(world) == ("picked up", "4.00", "0.00", "0.00", "4.00")
    query = (
        "SELECT source_order_id, payment_status, shipping_status FROM reporting_orders WHERE order_id = :o"
    )
    assert world.rows(query, o=BACKORDER) == [("500", "Charged", "FullyShipped")]
    assert world.levels() == ("1.00", "0.00")
    assert world.prove() == []


def test_pick_up_while_it_waits_takes_what_was_given_first(world: World) -> None:
    opened(world)
    arrive(world, 3, 101)
    part = make_order(80, [("SKU-1", 1, "10.00")], kind="backorder", taken=[3])
    world.orders(part, pick_up(500, [("SKU-1", 3, "10.00")]), sequence=103)
    world.advance("backorder")

    assert waits(world) == ("partly picked up", "4.00", "0.00", "1.00", "3.00")
    assert world.levels() == ("0.00", "0.00")
    assert world.prove() == []

    (given,) = arrive(world, 1, 104)
    assert (given.filled, waits(world)) == (True, ("partly picked up", "4.00", "1.00", "0.00", "3.00"))
    assert world.prove() == []


def test_waiting_backorder_may_be_picked_up_whole_and_the_level_goes_below_zero(world: World) -> None:
    opened(world)
    closed = make_order(80, [("SKU-1", 0, "10.00")], kind="backorder", taken=[4], closed=True)
    world.orders(closed, pick_up(500, [("SKU-1", 4, "10.00")]), sequence=103)
    world.advance("backorder")

    assert (waits(world)[0], world.levels()) == ("picked up", ("-4.00", "0.00"))
    assert world.prove() == []


@pytest.mark.parametrize(("units", "filled"), [(0, []), (3, [80]), (4, [80, 81]), (9, [80, 81])])
def test_exactly_nothing_exactly_enough_and_more(world: World, units: int, filled: list[int]) -> None:
    opened(world, 3)
    opened(world, 1, 81)
    given = arrive(world, units, 101) if units else allocate_backorders(world.hub, world.settings, now=NOW)

    assert [one.number for one in given if one.filled] == filled
    assert world.prove() == []


def test_oldest_gets_the_one_unit_and_keeps_it(world: World) -> None:
    opened(world, 1, 81, ordered_on="2026-11-20")
    opened(world, 1, 80, ordered_on="2026-11-21")
    assert [one.number for one in arrive(world, 1, 101)] == [81]

    opened(world, 1, 79, ordered_on="2026-11-01")
    assert allocate_backorders(world.hub, world.settings, now=NOW) == []
    assert waits(world, "S1/1/order/81") == ("open", "1.00", "1.00", "0.00", "0.00"), "never taken back"


def test_what_a_cancelled_layaway_frees_goes_to_the_backorder(world: World) -> None:
    world.orders(make_ticket(1, [("SKU-1", -2, "10.00")]), sequence=1)
    world.orders(make_order(77, [("SKU-1", 2, "10.00")]), sequence=2)
    opened(world, 2)
    assert allocate_backorders(world.hub, world.settings, now=NOW) == []

    world.orders(make_order(77, [("SKU-1", 0, "10.00")], closed=True), sequence=103)
    world.advance()
    (given,) = allocate_backorders(world.hub, world.settings, now=NOW)

    assert (given.number, given.filled, world.levels()) == (80, True, ("2.00", "2.00"))
    assert world.prove() == []


def test_edited_backorder_keeps_what_it_was_given(world: World) -> None:
    opened(world, 2)
    arrive(world, 2, 101)
    world.orders(make_order(80, [("SKU-1", 5, "10.00")], kind="backorder"), sequence=103)
    world.advance("backorder")
    assert waits(world) == ("waiting", "5.00", "2.00", "3.00", "0.00")

    world.orders(make_order(80, [("SKU-1", 1, "10.00")], kind="backorder"), sequence=104)
    world.advance("backorder")
    assert (waits(world), world.levels()) == (("open", "1.00", "1.00", "0.00", "0.00"), ("2.00", "1.00"))
    assert world.prove() == []


def test_layaway_that_becomes_a_backorder_and_back(world: World) -> None:
    world.orders(make_ticket(1, [("SKU-1", -5, "10.00")]), sequence=1)
    world.orders(make_order(80, [("SKU-1", 2, "10.00")]), sequence=2)
    world.orders(make_order(80, [("SKU-1", 3, "10.00")], kind="backorder"), sequence=3)
    world.advance("backorder")
    assert waits(world) == ("waiting", "3.00", "2.00", "1.00", "0.00")

    world.orders(make_order(80, [("SKU-1", 3, "10.00")]), sequence=4)
    world.advance("layaway")
    assert (waits(world), world.levels()) == (("open", "3.00", "3.00", "0.00", "0.00"), ("5.00", "3.00"))
    assert world.prove() == []


def test_line_that_is_of_another_product_now_waits_for_that(world: World) -> None:
    """It kept what it was allocated of the old one, as units of the new one that were never there."""
    opened(world)
    arrive(world, 4, 101)
    assert waits(world) == ("open", "4.00", "4.00", "0.00", "0.00")

    world.orders(make_order(80, [("SKU-2", 4, "10.00")], kind="backorder"), sequence=102)
    world.advance("backorder")

    assert waits(world) == ("waiting", "4.00", "0.00", "4.00", "0.00")
    assert world.levels() == ("4.00", "0.00")
    assert world.rows("SELECT sku FROM stock_levels WHERE reserved <> 0") == []
    assert world.prove() == []
    (given,) = arrive(world, 4, 103, "SKU-2")
    assert (given.units, waits(world)) == (40_000, ("open", "4.00", "4.00", "0.00", "0.00"))
