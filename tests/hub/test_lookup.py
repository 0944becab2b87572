"""An order is found by every number it has or had, and a number that is not booked says what it waits for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from data_contracts.errors import ConfigurationError
from tasks.hub.lookup import FoundLine, FoundNumber, FoundOrder, find_documents, find_orders
from tasks.settings import Settings
from tasks.use_cases.finding import find_order
from tests.documents import Ticket, make_order, make_ticket
from tests.hub.test_receiving import receive
from tests.hub.world import World, make_settings, units


def pick_up(number: int, quantity: int, *, order: int = 77, **options: Any) -> Ticket:
    return make_ticket(
        number,
        [("SKU-1", quantity, "10.00")],
        recall_type=4,
        recall_id=order,
        recalled_order_type=options.pop("order_type", 5),
        **options,
    )


def found(world: World, number: str, store: str | None = None) -> list[str]:
    return [order.order_id for order in find_orders(world.hub, number, store)]


def numbers(order: FoundOrder) -> list[tuple[str, str, bool]]:
    return [(n.number, n.kind, n.until_utc is None) for n in order.numbers]


def test_open_layaway_is_shown_as_it_stands(world: World) -> None:
    order = make_order(77, [("SKU-1", 3, "10.00"), ("SKU-2", "0.5", "4.00")], deposits=[("12.50", 0)])
    world.orders(order)

    (shown,) = find_orders(world.hub, " 77 ")

    assert shown == FoundOrder(
        order_id="S1/1/order/77",
        store="S1",
        kind="layaway",
        source_order_id="77",
        numbers=(FoundNumber("77", "layaway", "2026-11-20T12:00:00.000Z", None),),
        order_status="InProcess",
        payment_status="NoPayment",
        shipping_status="Unshipped",
        warehouse="W1",
        ordered_at_utc="2026-11-20T12:00:00.000Z",
        state="open",
        expires_on="2027-02-18",
        expired=False,
        deposit=units("12.5"),
        total=units("32"),
        paid=0,
        lines=(
            FoundLine(77_001, "SKU-1", units("3"), units("3"), 0, 0, 0, units("10")),
            FoundLine(77_002, "SKU-2", units("0.5"), units("0.5"), 0, 0, 0, units("4")),
        ),
    )


def test_layaway_that_was_picked_up_is_found_by_its_number_and_by_every_pick_up(world: World) -> None:
    world.orders(make_order(77, [("SKU-1", 3, "10.00")]))
    partly = make_order(77, [("SKU-1", 2, "10.00")], taken=[1], rowversion=2_000)
    world.orders(partly, pick_up(500, 1), sequence=2)
    world.advance()
    assert [found(world, number) for number in ("77", "500")] == [["S1/1/order/77"]] * 2
    (shown,) = find_orders(world.hub, "500")
    assert (shown.state, shown.ordered, shown.reserved, shown.picked_up) == (
        "partly picked up",
        units("3"),
        units("2"),
        units("1"),
    )
    assert numbers(shown) == [("77", "layaway", True), ("500", "transaction", False)]

    whole = make_order(77, [("SKU-1", 0, "10.00")], taken=[3], closed=True, rowversion=3_000)
    world.orders(whole, pick_up(501, 2, occurred_at="2026-11-24T12:00:00.000Z"), sequence=3)
    world.advance()

    assert [found(world, number) for number in ("77", "500", "501")] == [["S1/1/order/77"]] * 3
    (shown,) = find_orders(world.hub, "77")
    assert (shown.source_order_id, shown.paid, shown.payment_status) == ("501", units("30"), "Charged")
    assert numbers(shown) == [
        ("77", "layaway", False),
        ("500", "transaction", False),
        ("501", "transaction", True),
    ]


def test_backorder_shows_what_waits_and_what_it_was_given(world: World) -> None:
    world.orders(make_order(77, [("SKU-1", 3, "10.00")], kind="backorder"))
    receive(world, "W1,SKU-1,1")

    (shown,) = find_orders(world.hub, "77")

    assert (shown.kind, shown.state) == ("backorder", "waiting")
    assert (shown.ordered, shown.reserved, shown.backordered) == (units("3"), units("1"), units("2"))


def test_sale_and_what_came_back_of_it_are_found_by_their_tickets(world: World) -> None:
    world.orders(
        make_ticket(10, [("SKU-1", 2, "10.00")]),
        make_ticket(11, [("SKU-1", -1, "10.00")], recall_type=1, recall_id=10),
    )

    (sale,) = find_orders(world.hub, "10")

    assert numbers(sale) == [("10", "transaction", True)]
    assert (sale.state, sale.expires_on, sale.deposit) == (None, None, 0)
    assert (sale.picked_up, sale.returned, sale.payment_status) == (units("2"), units("1"), "PartiallyRefund")
    assert found(world, "11") == ["S1/1/ticket/11"]


def test_number_that_several_orders_have_finds_them_all_unless_a_store_is_named(world: World) -> None:
    world.orders(make_order(77), make_ticket(77))
    world.orders(make_order(77, store="S2"), store="S2")

    assert found(world, "77") == ["S1/1/order/77", "S1/1/ticket/77", "S2/1/order/77"]
    assert found(world, "77", "S2") == ["S2/1/order/77"]
    assert found(world, "7") == found(world, "S1/1/order/77") == found(world, "") == []


def test_pick_up_that_waits_says_so_under_its_number(world: World) -> None:
    world.orders(pick_up(500, 1))

    (waits,) = find_documents(world.hub, "500")

    assert (waits.document, waits.state, waits.rule) == ("S1/1/ticket/500", "pending", "waiting_for_order")
    assert "77" in waits.message
    assert found(world, "500") == []


def test_newer_snapshot_that_waits_is_shown_beside_its_order(world: World) -> None:
    world.orders(make_order(77, [("SKU-1", 3, "10.00")]))
    world.orders(make_order(77, [("SKU-1", 4, "10.00")], rowversion=2_000), sequence=2)

    assert found(world, "77") == ["S1/1/order/77"]
    assert [(d.document, d.rule) for d in find_documents(world.hub, "77")] == [
        ("S1/1/order/77", "waiting_to_advance")
    ]


def test_ticket_that_waits_for_a_person_says_why(world: World) -> None:
    world.orders(make_ticket(10, [("NOPE", 1, "1.00")]))

    (refused,) = find_documents(world.hub, "10", "S1")

    assert (refused.state, refused.rule) == ("quarantined", "unknown_sku")
    assert refused.fix
    assert find_documents(world.hub, "10", "S2") == []
    world.catalog(["NOPE"])
    assert find_documents(world.hub, "10") == []


@pytest.mark.parametrize("number", ["", "abc", "-1", "²", "9" * 40, "1.5"])
def test_what_is_no_number_of_a_till_finds_no_document(world: World, number: str) -> None:
    assert find_documents(world.hub, number) == []


@pytest.fixture
def installed(world: World, hub_url: str) -> Settings:
    world.orders(make_order(77), make_ticket(77), make_ticket(10, [("NOPE", 1, "1.00")]))
    return make_settings(hub={"url": hub_url}, folder=Path("/"))


@pytest.mark.parametrize(
    ("number", "store", "sentence"),
    [
        ("77", None, "2 orders have or had the number 77."),
        (" 77", "S2", "No order has or had the number 77 in store S2, and nothing of it waits."),
        (
            "10",
            "S1",
            "No order has or had the number 10 in store S1. Documents of it that are not booked: 1.",
        ),
    ],
)
def test_answer_is_said_in_one_sentence(
    installed: Settings, number: str, store: str | None, sentence: str
) -> None:
    assert find_order(installed, number, store).sentence == sentence


def test_store_that_is_not_configured_is_refused_rather_than_searched(installed: Settings) -> None:
    with pytest.raises(ConfigurationError, match="Store `S9` is not configured"):
        find_order(installed, "77", "S9")
