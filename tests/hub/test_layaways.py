"""The life of a layaway in the hub, from its deposit to its last return."""

from __future__ import annotations

from typing import Any

import pytest

from data_contracts.manifest import EpochStart
from tasks.hub.quarantine_desk import discard, release
from tests.documents import Line, Ticket, make_order, make_ticket
from tests.hub.world import NOW, World

LAYAWAY = "S1/1/order/77"


def pick_up(number: int, lines: Any, *, order: int = 77, **options: Any) -> Ticket:
    """A ticket that picks up an order; the deposit it uses is no tender."""
    return make_ticket(number, lines, recall_type=4, recall_id=order, recalled_order_type=5, **options)


def status(world: World, order: str = LAYAWAY) -> tuple[Any, ...]:
    """(source order id, order, payment, shipping, total, paid, refunded) of an order."""
    query = (
        "SELECT source_order_id, order_status, payment_status, shipping_status, total, paid, refunded "
        "FROM reporting_orders WHERE order_id = :order"
    )
    ((*shown,),) = world.rows(query, order=order)
    return tuple(shown)


def state(world: World, order: str = LAYAWAY) -> str:
    ((found,),) = world.rows("SELECT state FROM life_cycles WHERE order_id = :order", order=order)
    return str(found)


def pending(world: World) -> list[tuple[str, str]]:
    query = "SELECT document, rule FROM quarantine WHERE state = 'open' ORDER BY document"
    return [(document, rule) for document, rule in world.rows(query)]


@pytest.fixture
def stocked(world: World) -> World:
    world.orders(make_ticket(1, [("SKU-1", -10, "10.00"), ("SKU-2", -10, "5.00")]), sequence=1)
    return world


def test_layaway_opens_wholesale_unpaid_unshipped_and_reserves(stocked: World) -> None:
    stocked.orders(make_order(77, [("SKU-1", 3, "10.00")], deposits=[("6.00", 0)]), sequence=2)

    assert stocked.rows("SELECT kind, order_type FROM orders WHERE order_id = :o", o=LAYAWAY) == [
        ("layaway", "wholesale")
    ]
    assert status(stocked) == ("77", "InProcess", "NoPayment", "Unshipped", "30.00", "0.00", "0.00")
    assert stocked.levels() == ("10.00", "3.00")
    assert stocked.rows("SELECT kind, amount FROM reporting_deposits") == [("taken", "6.00")]
    assert state(stocked) == "open"
    assert stocked.prove() == []


def test_full_pick_up_is_charged_and_shipped_and_bears_the_ticket_number(stocked: World) -> None:
    stocked.orders(make_order(77, [("SKU-1", 3, "10.00")], deposits=[("6.00", 0)]), sequence=2)
    closed = make_order(
        77, [("SKU-1", 0, "10.00")], taken=[3], closed=True, deposits=[("6.00", 0), ("-6.00", 500)]
    )
    outcome = stocked.orders(closed, pick_up(500, [("SKU-1", 3, "10.00")]), sequence=3)

    assert (outcome.accepted, outcome.pending, outcome.quarantined) == (0, 2, 0)
    assert status(stocked)[:4] == ("77", "InProcess", "NoPayment", "Unshipped")
    assert stocked.levels() == ("10.00", "3.00"), "an import moves nothing of it"

    advanced = stocked.advance()

    assert (advanced.snapshots, advanced.pickups, advanced.money) == (1, 1, 300_000)
    assert status(stocked) == ("500", "Completed", "Charged", "FullyShipped", "30.00", "30.00", "0.00")
    assert stocked.levels() == ("7.00", "0.00")
    assert state(stocked) == "picked up"
    numbers = "SELECT number, number_kind FROM reporting_order_numbers WHERE order_id = :o ORDER BY number"
    assert stocked.rows(numbers, o=LAYAWAY) == [("500", "transaction"), ("77", "layaway")]
    assert pending(stocked) == []
    deposits = "SELECT kind, amount FROM reporting_deposits ORDER BY kind"
    assert stocked.rows(deposits) == [("taken", "6.00"), ("used", "-6.00")]
    assert stocked.prove() == []


def opened(world: World, lines: Any = (("SKU-1", 3, "10.00"),), **options: Any) -> None:
    """Layaway 77 as batch 2."""
    world.orders(make_order(77, lines, **options), sequence=2)


def numbers(world: World, order: str = LAYAWAY) -> dict[str, str]:
    """Every number that finds the order -> its kind."""
    query = "SELECT number, number_kind FROM reporting_order_numbers WHERE order_id = :o"
    return dict(world.rows(query, o=order))


def quantities(world: World, order: str = LAYAWAY) -> list[tuple[Any, ...]]:
    """(ordered, reserved, shipped, returned) of each line."""
    query = (
        "SELECT quantity, reserved_quantity, shipped_quantity, returned_quantity "
        "FROM reporting_order_lines WHERE order_id = :o ORDER BY line"
    )
    return world.rows(query, o=order)


def deposits(world: World) -> list[tuple[Any, ...]]:
    return world.rows("SELECT kind, amount FROM reporting_deposits ORDER BY kind, amount")


def picked_up(world: World) -> None:
    """Layaway 77 opened and picked up whole by ticket 500."""
    opened(world, deposits=[("6.00", 0)])
    closed = make_order(
        77, [("SKU-1", 0, "10.00")], taken=[3], closed=True, deposits=[("6.00", 0), ("-6.00", 500)]
    )
    world.orders(closed, pick_up(500, [("SKU-1", 3, "10.00")]), sequence=3)
    world.advance()


def test_changed_lines_change_the_reservation(stocked: World) -> None:
    opened(stocked, [("SKU-1", 3, "10.00"), ("SKU-2", 1, "5.00")])
    second = {"line": 2, "entry_id": 77_003}
    stocked.orders(make_order(77, [("SKU-1", 2, "10.00"), ("SKU-2", 4, "5.00", second)]), sequence=3)
    assert stocked.levels("SKU-2") == ("10.00", "1.00")

    advanced = stocked.advance()

    assert [(move.event, move.reserved) for move in advanced.moves] == [("order_changed", 20_000)]
    assert (stocked.levels(), stocked.levels("SKU-2")) == (("10.00", "2.00"), ("10.00", "4.00"))
    assert quantities(stocked) == [("2.00", "2.00", "0.00", "0.00"), ("4.00", "4.00", "0.00", "0.00")]
    assert stocked.prove() == []


def test_two_parts_are_two_payments_and_the_closing_ticket_gives_its_number(stocked: World) -> None:
    opened(stocked)
    part = make_order(77, [("SKU-1", 2, "10.00")], taken=[1])
    stocked.orders(part, pick_up(500, [("SKU-1", 1, "10.00")]), sequence=3)
    stocked.advance()

    assert status(stocked)[:4] == ("77", "InProcess", "PartialPayment", "PartiallyShipped")
    assert (status(stocked)[5], stocked.levels()) == ("10.00", ("9.00", "2.00"))
    assert (state(stocked), quantities(stocked)) == (
        "partly picked up", [("3.00", "2.00", "1.00", "0.00")],
    )  # fmt: skip
    assert numbers(stocked) == {"77": "layaway", "500": "transaction"}
    assert stocked.prove() == []

    rest = make_order(77, [("SKU-1", 0, "10.00")], taken=[3], closed=True)
    stocked.orders(rest, pick_up(510, [("SKU-1", 2, "10.00")]), sequence=4)
    stocked.advance()

    assert status(stocked) == ("510", "Completed", "Charged", "FullyShipped", "30.00", "30.00", "0.00")
    payments = stocked.rows("SELECT document FROM payments WHERE order_id = :o ORDER BY document", o=LAYAWAY)
    assert payments == [("S1/1/ticket/500",), ("S1/1/ticket/510",)]
    assert numbers(stocked) == {"77": "layaway", "500": "transaction", "510": "transaction"}
    assert (stocked.levels(), quantities(stocked)) == (("7.00", "0.00"), [("3.00", "0.00", "3.00", "0.00")])
    assert stocked.prove() == []


def test_rest_cancelled_is_completed_with_less_than_was_ordered(stocked: World) -> None:
    opened(stocked)
    part = make_order(77, [("SKU-1", 2, "10.00")], taken=[1])
    stocked.orders(part, pick_up(500, [("SKU-1", 1, "10.00")]), sequence=3)
    stocked.orders(make_order(77, [("SKU-1", 0, "10.00")], taken=[1], closed=True), sequence=4)
    stocked.advance()

    assert status(stocked) == ("77", "Completed", "Charged", "PartiallyShipped", "10.00", "10.00", "0.00")
    assert (state(stocked), stocked.levels()) == ("rest cancelled", ("9.00", "0.00"))
    assert quantities(stocked) == [("3.00", "0.00", "1.00", "0.00")]
    assert stocked.prove() == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([("6.00", 0), ("-6.00", 0)], [("refunded", "-6.00"), ("taken", "6.00")]),
        ([("6.00", 0), ("-4.00", 0)], [("kept", "-2.00"), ("refunded", "-4.00"), ("taken", "6.00")]),
        ([("6.00", 0)], [("kept", "-6.00"), ("taken", "6.00")]),
        ([("6.00", 0), ("-8.00", 0)], [("overdrawn", "2.00"), ("refunded", "-8.00"), ("taken", "6.00")]),
    ],
)
def test_cancelled_frees_the_stock_and_its_deposit_comes_to_nothing(
    stocked: World, changes: list[tuple[str, int]], expected: list[tuple[str, str]]
) -> None:
    opened(stocked, deposits=[("6.00", 0)])
    stocked.orders(make_order(77, [("SKU-1", 0, "10.00")], closed=True, deposits=changes), sequence=3)
    advanced = stocked.advance()

    assert [move.event for move in advanced.moves] == ["order_cancelled"]
    assert status(stocked)[:4] == ("77", "Canceled", "NoPayment", "Unshipped")
    assert stocked.levels() == ("10.00", "0.00")
    assert deposits(stocked) == expected
    assert quantities(stocked) == [("3.00", "0.00", "0.00", "0.00")]
    assert stocked.prove() == []


def test_instalments_are_recorded_and_are_no_payments(stocked: World) -> None:
    opened(stocked, deposits=[("6.00", 0)])
    stocked.orders(make_order(77, [("SKU-1", 3, "10.00")], deposits=[("6.00", 0), ("4.00", 0)]), sequence=3)
    assert deposits(stocked) == [("taken", "4.00"), ("taken", "6.00")], "recorded before it is applied"
    stocked.advance()

    assert status(stocked)[2:6] == ("NoPayment", "Unshipped", "30.00", "0.00")
    assert stocked.rows("SELECT deposit_held FROM reporting_layaways") == [("10.00",)]


def test_pick_up_waits_for_its_order_and_clears_itself(stocked: World) -> None:
    stocked.orders(pick_up(500, [("SKU-1", 3, "10.00")]), sequence=2)
    assert pending(stocked) == [("S1/1/ticket/500", "waiting_for_order")]
    assert stocked.advance().moves == ()

    closed = make_order(77, [("SKU-1", 0, "10.00")], taken=[3], closed=True)
    stocked.orders(closed, sequence=3)
    assert pending(stocked) == [
        (LAYAWAY, "waiting_to_advance"), ("S1/1/ticket/500", "waiting_to_advance"),
    ]  # fmt: skip
    stocked.advance()

    assert status(stocked)[:4] == ("500", "Completed", "Charged", "FullyShipped")
    assert (stocked.levels(), pending(stocked)) == (("7.00", "0.00"), [])
    assert stocked.prove() == []


def test_snapshot_that_shows_a_pick_up_waits_for_its_ticket(stocked: World) -> None:
    opened(stocked, deposits=[("6.00", 0)])
    closed = make_order(
        77, [("SKU-1", 0, "10.00")], taken=[3], closed=True, deposits=[("6.00", 0), ("-6.00", 500)]
    )
    stocked.orders(closed, sequence=3)

    advanced = stocked.advance()

    assert advanced.moves == ()
    assert "ticket 500 is not booked" in advanced.waiting[0]
    assert pending(stocked) == [(LAYAWAY, "waiting_for_ticket")]
    assert stocked.levels() == ("10.00", "3.00"), "it stays reserved until the goods are seen to leave"

    stocked.orders(pick_up(500, [("SKU-1", 3, "10.00")]), sequence=4)
    stocked.advance()

    assert (status(stocked)[0], stocked.levels(), pending(stocked)) == ("500", ("7.00", "0.00"), [])


def test_snapshot_waits_for_a_pick_up_that_its_contract_refused(stocked: World) -> None:
    """No deposit was used, so no history of the order names the ticket: its goods were free for others."""
    opened(stocked)
    closed = make_order(77, [("SKU-1", 0, "10.00")], taken=[3], closed=True)
    ticket = pick_up(500, [("SKU-1", 3, "10.00")])
    stocked.orders(closed, ticket, sequence=3, refused={"S1/1/ticket/500": "some_rule"})

    (waiting,) = stocked.advance().waiting

    assert "ticket 500 is not booked" in waiting
    assert pending(stocked) == [(LAYAWAY, "waiting_for_ticket"), ("S1/1/ticket/500", "some_rule")]
    assert (state(stocked), stocked.levels()) == ("open", ("10.00", "3.00"))


def test_pick_up_whose_order_was_refused_sends_to_the_order(stocked: World) -> None:
    opened(stocked)
    closed = make_order(77, [("SKU-1", 0, "10.00")], taken=[3], closed=True)
    ticket = pick_up(500, [("SKU-1", 3, "10.00")])
    stocked.orders(closed, ticket, sequence=3, refused={LAYAWAY: "some_rule"})
    stocked.advance()

    assert pending(stocked) == [(LAYAWAY, "some_rule"), ("S1/1/ticket/500", "waiting_for_order")]
    ((fix,),) = stocked.rows("SELECT fix FROM quarantine WHERE rule = 'waiting_for_order'")
    assert fix == "see to the order: `tillbridge quarantine` says what is wrong with it"


def test_ticket_newer_than_the_snapshot_waits_for_the_next_one(stocked: World) -> None:
    opened(stocked)
    stocked.orders(make_order(77, [("SKU-1", 3, "9.00")]), sequence=3)
    stocked.orders(pick_up(500, [("SKU-1", 3, "10.00")]), sequence=4)

    assert "since its newest snapshot" in stocked.advance().waiting[0]
    assert stocked.levels() == ("10.00", "3.00")

    stocked.orders(make_order(77, [("SKU-1", 0, "9.00")], taken=[3], closed=True), sequence=5)
    stocked.advance()

    assert (state(stocked), stocked.levels(), pending(stocked)) == ("picked up", ("7.00", "0.00"), [])


def test_pick_up_with_an_unknown_sku_holds_its_order_back_until_the_product_is_there(stocked: World) -> None:
    opened(stocked, [("SKU-1", 1, "10.00")])
    closed = make_order(
        77, [("SKU-1", 0, "10.00"), ("NEW", 0, "1.00")], taken=[1, 1], closed=True,
        deposits=[("0.00", 500)],
    )  # fmt: skip
    stocked.orders(closed, pick_up(500, [("SKU-1", 1, "10.00"), ("NEW", 1, "1.00")]), sequence=3)
    stocked.advance()
    assert pending(stocked) == [(LAYAWAY, "unknown_sku"), ("S1/1/ticket/500", "unknown_sku")]
    assert stocked.levels() == ("10.00", "1.00")

    stocked.catalog(["SKU-1", "SKU-2", "SKU-3", "NEW"])
    stocked.advance()

    assert (status(stocked)[0], pending(stocked)) == ("500", [])
    assert stocked.levels() == ("9.00", "0.00")
    assert stocked.prove() == []


def test_void_of_a_pick_up_gives_the_goods_back_and_the_next_snapshot_reserves_them(stocked: World) -> None:
    picked_up(stocked)
    void = make_ticket(501, [("SKU-1", -3, "10.00")], recall_type=3, recall_id=500)
    stocked.orders(void, sequence=4)

    assert stocked.levels() == ("10.00", "0.00")
    assert status(stocked)[0] == "77"
    assert status(stocked)[4:] == ("30.00", "30.00", "30.00")
    assert stocked.prove() == []

    reopened = make_order(77, [("SKU-1", 3, "10.00")], deposits=[("6.00", 0), ("-6.00", 500), ("6.00", 501)])
    stocked.orders(reopened, sequence=5)
    advanced = stocked.advance()

    assert [move.event for move in advanced.moves] == ["order_reopened"]
    assert status(stocked)[:4] == ("77", "InProcess", "NoPayment", "Unshipped")
    assert stocked.levels() == ("10.00", "3.00")
    assert numbers(stocked) == {"77": "layaway", "500": "transaction"}
    assert stocked.prove() == []

    again = make_order(77, [("SKU-1", 0, "10.00")], taken=[3], closed=True)
    stocked.orders(again, pick_up(520, [("SKU-1", 3, "10.00")]), sequence=6)
    stocked.advance()

    assert status(stocked) == ("520", "Completed", "Charged", "FullyShipped", "30.00", "60.00", "30.00")
    assert numbers(stocked) == {"77": "layaway", "500": "transaction", "520": "transaction"}
    assert stocked.prove() == []


def test_void_of_a_pick_up_that_waits_is_booked_with_it(stocked: World) -> None:
    opened(stocked)
    void = make_ticket(501, [("SKU-1", -3, "10.00")], recall_type=3, recall_id=500)
    back = make_order(77, [("SKU-1", 3, "10.00")], deposits=[("0.00", 500), ("0.00", 501)])
    stocked.orders(back, pick_up(500, [("SKU-1", 3, "10.00")]), void, sequence=3)
    assert ("S1/1/ticket/501", "waiting_for_ticket") in pending(stocked)

    stocked.advance()

    assert (pending(stocked), stocked.levels(), state(stocked)) == ([], ("10.00", "3.00"), "open")
    assert status(stocked)[:4] == ("77", "InProcess", "NoPayment", "Unshipped")
    assert stocked.prove() == []


def test_return_of_a_picked_up_layaway_refunds_it_and_reserves_nothing(stocked: World) -> None:
    picked_up(stocked)
    back = make_ticket(600, [("SKU-1", -1, "10.00")], recall_type=1, recall_id=500)
    stocked.orders(back, sequence=4)

    assert status(stocked) == (
        "500", "Completed", "PartiallyRefund", "FullyShipped", "30.00", "30.00", "10.00",
    )  # fmt: skip
    assert (stocked.levels(), quantities(stocked)) == (("8.00", "0.00"), [("3.00", "0.00", "3.00", "1.00")])
    assert stocked.rows("SELECT linked_order FROM orders WHERE order_id = 'S1/1/ticket/600'") == [(LAYAWAY,)]
    assert stocked.prove() == []


@pytest.mark.parametrize("early", [False, True], ids=["after the pick-ups", "before they are applied"])
def test_return_of_one_of_two_pick_ups(stocked: World, early: bool) -> None:
    opened(stocked)
    part = make_order(77, [("SKU-1", 2, "10.00")], taken=[1])
    stocked.orders(part, pick_up(500, [("SKU-1", 1, "10.00")]), sequence=3)
    rest = make_order(77, [("SKU-1", 0, "10.00")], taken=[3], closed=True)
    stocked.orders(rest, pick_up(510, [("SKU-1", 2, "10.00")]), sequence=4)
    if not early:
        stocked.advance()
    stocked.orders(make_ticket(600, [("SKU-1", -1, "10.00")], recall_type=1, recall_id=500), sequence=5)
    stocked.advance()

    assert status(stocked) == (
        "510", "Completed", "PartiallyRefund", "FullyShipped", "30.00", "30.00", "10.00",
    )  # fmt: skip
    assert quantities(stocked) == [("3.00", "0.00", "3.00", "1.00")]
    assert stocked.levels() == ("8.00", "0.00")
    assert stocked.prove() == []


def test_expiry_is_an_event_and_the_reservation_stays(stocked: World) -> None:
    opened(stocked, expires_on="2026-11-23")
    assert stocked.advance(now="2026-11-23T23:00:00.000Z").moves == ()

    advanced = stocked.advance(now="2026-11-24T06:00:00.000Z")

    assert [(move.event, move.expired) for move in advanced.moves] == [("order_expired", True)]
    assert stocked.levels() == ("10.00", "3.00")
    assert stocked.rows("SELECT expired, released FROM reporting_layaways") in ([(1, 0)], [(True, False)])
    assert stocked.advance(now="2026-11-25T06:00:00.000Z").moves == (), "it is told once"


def test_date_that_nobody_set_expires_nothing(stocked: World) -> None:
    opened(stocked, expires_on="1900-01-01")

    assert stocked.advance().moves == ()
    assert stocked.levels() == ("10.00", "3.00")


def test_expired_layaway_gives_its_stock_back_where_the_shop_wants_it(stocked: World) -> None:
    store = stocked.settings.stores["S1"].model_copy(update={"release_on_expiry": True})
    stores = {**stocked.settings.stores, "S1": store}
    stocked.settings = stocked.settings.model_copy(update={"stores": stores})
    opened(stocked, expires_on="2026-11-23")
    stocked.advance()
    assert (stocked.levels(), state(stocked)) == (("10.00", "0.00"), "open")
    assert stocked.prove() == []

    stocked.orders(make_order(77, [("SKU-1", 3, "10.00")], expires_on="2026-12-24"), sequence=3)
    stocked.advance()

    assert stocked.levels() == ("10.00", "3.00"), "a later date holds it again"
    assert stocked.prove() == []


@pytest.mark.parametrize(
    ("after", "named"),
    [
        (make_order(77, [("SKU-1", 3, "10.00")]), ("picked up", "open")),
        (make_order(77, [("SKU-1", 2, "10.00")], taken=[1]), ("picked up", "partly picked up")),
    ],
)
def test_illegal_move_is_quarantined_with_both_states_named(
    stocked: World, after: Ticket, named: tuple[str, str]
) -> None:
    picked_up(stocked)
    stocked.orders(after, sequence=4)
    advanced = stocked.advance()

    assert (advanced.quarantined, advanced.moves) == (1, ())
    ((message,),) = stocked.rows("SELECT message FROM quarantine WHERE rule = 'illegal_move'")
    assert all(f"`{name}`" in message for name in named)
    assert (state(stocked), status(stocked)[0], stocked.levels()) == ("picked up", "500", ("7.00", "0.00"))
    assert stocked.prove() == []


def test_void_that_comes_late_makes_the_move_legal(stocked: World) -> None:
    picked_up(stocked)
    stocked.orders(make_order(77, [("SKU-1", 3, "10.00")]), sequence=4)
    assert stocked.advance().quarantined == 1

    stocked.orders(make_ticket(501, [("SKU-1", -3, "10.00")], recall_type=3, recall_id=500), sequence=5)
    stocked.advance()

    assert (pending(stocked), state(stocked), stocked.levels()) == ([], "open", ("10.00", "3.00"))


def test_unknown_type_is_quarantined_not_dropped(stocked: World) -> None:
    outcome = stocked.orders(make_order(77, order_type=9), sequence=2)

    assert outcome.quarantined == 1
    assert pending(stocked) == [(LAYAWAY, "unknown_order_type")]


def test_codes_are_configuration_and_history_is_read_again(stocked: World) -> None:
    stocked.orders(make_order(77, [("SKU-1", 3, "10.00")], order_type=9), sequence=2)
    codes = stocked.settings.stores["S1"].codes.model_copy(update={"layaway_types": (5, 9)})
    store = stocked.settings.stores["S1"].model_copy(update={"codes": codes})
    stocked.settings = stocked.settings.model_copy(
        update={"stores": {**stocked.settings.stores, "S1": store}}
    )
    stocked.catalog()

    assert (pending(stocked), state(stocked), stocked.levels()) == ([], "open", ("10.00", "3.00"))


def test_order_that_rms_no_longer_has_is_closed(stocked: World) -> None:
    opened(stocked, deposits=[("6.00", 0)])
    gone = make_order(77, [], closed=True, flags="deleted", order_type=0, expires_on="2026-11-23")
    stocked.orders(gone, sequence=3)
    advanced = stocked.advance()

    assert [move.event for move in advanced.moves] == ["order_cancelled"]
    assert (status(stocked)[1], stocked.levels()) == ("Canceled", ("10.00", "0.00"))
    assert deposits(stocked) == [("kept", "-6.00"), ("taken", "6.00")], "the money was paid in all the same"
    assert stocked.prove() == []


@pytest.mark.parametrize("late", [False, True], ids=["with its ticket", "ticket later"])
def test_order_that_was_picked_up_and_deleted_at_once_is_picked_up(stocked: World, late: bool) -> None:
    """It was Completed, Charged, FullyShipped, and cancelled."""
    opened(stocked)
    gone = make_order(77, [], closed=True, flags="deleted", order_type=0, expires_on="2026-11-23")
    ticket = pick_up(500, [("SKU-1", 3, "10.00")])
    if late:
        stocked.orders(gone, sequence=4)
        stocked.advance()
        assert state(stocked) == "cancelled"
        stocked.orders(ticket, sequence=3)
    else:
        stocked.orders(gone, ticket, sequence=3)
    stocked.advance()

    assert (state(stocked), pending(stocked), stocked.levels()) == ("picked up", [], ("7.00", "0.00"))
    assert status(stocked)[:4] == ("500", "Completed", "Charged", "FullyShipped")
    assert stocked.prove() == []


def test_layaway_turned_into_a_work_order_leaves_the_hub(stocked: World) -> None:
    opened(stocked)
    stocked.orders(make_order(77, [("SKU-1", 3, "10.00")], order_type=2), sequence=3)
    stocked.advance()

    assert (status(stocked)[1], stocked.levels()) == ("Canceled", ("10.00", "0.00"))


def test_layaway_that_was_a_quote_for_a_while_or_gone_is_one_again(stocked: World) -> None:
    """It was closed for the hub alone: nothing had been picked up, and no void could have cleared it."""
    opened(stocked)
    away = make_order(77, [("SKU-1", 3, "10.00")], order_type=3)
    gone = make_order(77, [], closed=True, flags="deleted", order_type=0, expires_on="2026-11-23")
    for sequence, left in ((3, away), (5, gone)):
        stocked.orders(left, sequence=sequence)
        stocked.advance()
        assert (state(stocked), stocked.levels()) == ("cancelled", ("10.00", "0.00"))

        stocked.orders(make_order(77, [("SKU-1", sequence - 1, "10.00")]), sequence=sequence + 1)
        advanced = stocked.advance()

        assert [move.event for move in advanced.moves] == ["order_reopened"]
        assert (state(stocked), pending(stocked)) == ("open", [])
        assert stocked.levels() == ("10.00", f"{sequence - 1}.00")
        assert stocked.prove() == []


def test_line_below_nothing_reserves_nothing_and_is_no_part_of_what_was_taken(stocked: World) -> None:
    """Its contract refuses it; whoever lets it pass makes no stock of other orders free by it."""
    coupon = {"item_type": 7}
    opened(stocked, [("SKU-1", 1, "10.00"), ("COUPON", -1, "2.00", coupon), ("SKU-2", -2, "1.00")])
    assert (stocked.levels(), stocked.levels("SKU-2")) == (("10.00", "1.00"), ("10.00", "0.00"))
    assert stocked.prove() == []

    lines: list[Line] = [("SKU-1", 0, "10.00"), ("COUPON", 0, "2.00", coupon), ("SKU-2", 0, "1.00")]
    ticket = [("SKU-1", 1, "10.00"), ("COUPON", -1, "2.00", coupon), ("SKU-2", -2, "1.00")]
    stocked.orders(make_order(77, lines, taken=[1, -1, -2], closed=True), pick_up(500, ticket), sequence=3)
    stocked.advance()

    assert (state(stocked), pending(stocked)) == ("picked up", [])
    assert status(stocked) == ("500", "Completed", "Charged", "FullyShipped", "6.00", "6.00", "0.00")
    assert (stocked.levels(), stocked.levels("SKU-2")) == (("9.00", "0.00"), ("12.00", "0.00"))
    assert stocked.prove() == []


def test_more_taken_than_was_ordered_reserves_nothing(stocked: World) -> None:
    """A shop whose RMS counts what was taken into what is on order: one unit was reserved less than none."""
    store = stocked.settings.stores["S1"]
    codes = store.codes.model_copy(update={"on_order_is_outstanding": False})
    stores = {**stocked.settings.stores, "S1": store.model_copy(update={"codes": codes})}
    stocked.settings = stocked.settings.model_copy(update={"stores": stores})
    opened(stocked)
    more = make_order(77, [("SKU-1", 3, "10.00")], taken=[4])
    stocked.orders(more, pick_up(500, [("SKU-1", 4, "10.00")]), sequence=3)
    stocked.advance()

    assert (state(stocked), stocked.levels()) == ("partly picked up", ("6.00", "0.00"))


def test_line_stays_shipped_when_the_catalogue_names_its_product_otherwise(stocked: World) -> None:
    """A fee that the catalogue came to know as FEE was shipped no more after the next return."""
    fee = {"item_type": 7}
    opened(stocked, [("SKU-1", 3, "10.00"), ("fee", 1, "1.00", fee)])
    lines: list[Line] = [("SKU-1", 0, "10.00"), ("fee", 0, "1.00", fee)]
    ticket = pick_up(500, [("SKU-1", 3, "10.00"), ("fee", 1, "1.00", fee)])
    stocked.orders(make_order(77, lines, taken=[3, 1], closed=True), ticket, sequence=3)
    stocked.advance()

    stocked.catalog(["SKU-1", "SKU-2", "SKU-3", "FEE"])
    back = make_ticket(600, [("SKU-1", -1, "10.00")], recall_type=1, recall_id=500)
    stocked.orders(back, sequence=4)

    assert quantities(stocked) == [("3.00", "0.00", "3.00", "1.00"), ("1.00", "0.00", "1.00", "0.00")]
    assert stocked.prove() == []


def test_running_it_again_changes_nothing(stocked: World) -> None:
    picked_up(stocked)
    before = [stocked.rows(f"SELECT * FROM {table}") for table in ("events", "stock_movements", "payments")]
    assert stocked.advance().moves == ()
    assert before == [
        stocked.rows(f"SELECT * FROM {table}") for table in ("events", "stock_movements", "payments")
    ]


def test_dry_run_tells_and_writes_nothing(stocked: World) -> None:
    opened(stocked)
    stocked.orders(make_order(77, [("SKU-1", 0, "10.00")], closed=True), sequence=3)
    before = stocked.rows("SELECT COUNT(*) FROM events")

    assert [move.event for move in stocked.advance(dry_run=True).moves] == ["order_cancelled"]
    assert (state(stocked), stocked.levels(), stocked.rows("SELECT COUNT(*) FROM events")) == (
        "open", ("10.00", "3.00"), before,
    )  # fmt: skip
    assert [move.event for move in stocked.advance().moves] == ["order_cancelled"]


def test_revised_pick_up_posts_the_difference(stocked: World) -> None:
    picked_up(stocked)
    stocked.orders(pick_up(500, [("SKU-1", 3, "9.00")]), sequence=4)
    assert pending(stocked) == [("S1/1/ticket/500", "waiting_to_advance")]
    stocked.advance()

    assert status(stocked) == ("500", "Completed", "Charged", "FullyShipped", "27.00", "27.00", "0.00")
    assert (stocked.levels(), pending(stocked)) == (("7.00", "0.00"), [])
    assert stocked.prove() == []


def test_same_item_twice_is_told_apart_by_price_and_quantity(stocked: World) -> None:
    opened(stocked, [("SKU-1", 2, "10.00"), ("SKU-1", 3, "8.00")])
    part = make_order(77, [("SKU-1", 2, "10.00"), ("SKU-1", 0, "8.00")], taken=[0, 3])
    stocked.orders(part, pick_up(500, [("SKU-1", 3, "8.00")]), sequence=3)
    stocked.advance()

    assert quantities(stocked) == [("2.00", "2.00", "0.00", "0.00"), ("3.00", "0.00", "3.00", "0.00")]
    assert stocked.prove() == []


def test_release_hits_the_warehouse_that_reserved(stocked: World) -> None:
    opened(stocked)
    moved = stocked.settings.stores["S1"].model_copy(update={"warehouse": None})
    stocked.settings = stocked.settings.model_copy(
        update={"stores": {**stocked.settings.stores, "S1": moved}}
    )
    from tasks.hub.registry import configure

    configure(stocked.hub, stocked.settings)
    closed = make_order(77, [("SKU-1", 0, "10.00")], taken=[3], closed=True)
    stocked.orders(closed, pick_up(500, [("SKU-1", 3, "10.00")]), sequence=3)
    stocked.advance()

    assert stocked.levels() == ("7.00", "0.00")
    assert stocked.prove() == []


# -- a till whose database was restored from a backup ----------------------------------------------------
RESTORED = (EpochStart(epoch=1), EpochStart(epoch=2, after_number=400, after_order=100))


def restored(world: World) -> None:
    """Layaway 77 is picked up by ticket 500; then the backup of before is put back, and has it open."""
    picked_up(world)
    world.baseline(sequence=2, epochs=RESTORED)
    world.orders(make_order(77, [("SKU-1", 3, "10.00")], deposits=[("6.00", 0)]), sequence=4, epoch=2)


def again(quantity: int = 3, number: int = 410) -> tuple[Ticket, Ticket]:
    """The layaway after ticket `number` of the second epoch has picked it up once more, and that ticket."""
    deposits = [("6.00", 0), ("-6.00", number)]
    left = 3 - quantity
    order = make_order(77, [("SKU-1", left, "10.00")], taken=[quantity], closed=not left, deposits=deposits)
    return order, pick_up(number, [("SKU-1", quantity, "10.00")], epoch=2)


def test_order_whose_pick_up_rms_lost_stays_picked_up_and_says_what_to_do(stocked: World) -> None:
    restored(stocked)

    assert stocked.advance().quarantined == 1

    ((rule, message, fix),) = stocked.rows("SELECT rule, message, fix FROM quarantine WHERE state = 'open'")
    assert rule == "illegal_move"
    assert message == (
        "Order 77 was `picked up` and shows as `open`: its taken quantity falls from 3 to 0. RMS lost its "
        "pick-up by ticket 500 when its database was restored."
    )
    assert fix.startswith("if the goods have left the shop, pick the order up again in RMS: that clears this")
    assert (state(stocked), status(stocked)[0], stocked.levels()) == ("picked up", "500", ("7.00", "0.00"))


@pytest.mark.parametrize("apart", [False, True], ids=["together", "ticket first"])
def test_pick_up_that_is_rung_again_after_a_restore_waits_for_a_persons_word(
    stocked: World, apart: bool
) -> None:
    """Six units of three left the hub, and 60.00 were paid for a layaway of 30.00."""
    restored(stocked)
    stocked.advance()
    order, ticket = again()
    if apart:
        stocked.orders(ticket, sequence=5, epoch=2)
        stocked.advance()
        stocked.orders(order, sequence=6, epoch=2)
    else:
        stocked.orders(order, ticket, sequence=5, epoch=2)
    stocked.advance()

    assert pending(stocked) == [("S1/2/ticket/410", "picked_up_before")]
    ((message,),) = stocked.rows("SELECT message FROM quarantine WHERE state = 'open'")
    assert message == (
        "Ticket 410 picks up what ticket 500 of epoch 1 has picked up; RMS lost ticket 500 when its database "
        "was restored, and counts one of them only."
    )
    assert (state(stocked), stocked.levels()) == ("picked up", ("7.00", "0.00"))
    assert status(stocked) == ("500", "Completed", "Charged", "FullyShipped", "30.00", "30.00", "0.00")
    assert stocked.prove() == []
    before = stocked.rows("SELECT COUNT(*) FROM events")
    assert (stocked.advance().moves, stocked.rows("SELECT COUNT(*) FROM events")) == ((), before)


def test_lost_pick_up_that_arrives_after_the_one_rung_again_waits_instead(stocked: World) -> None:
    opened(stocked, deposits=[("6.00", 0)])
    stocked.baseline(sequence=2, epochs=RESTORED)
    stocked.orders(*again(), sequence=4, epoch=2)
    stocked.advance()
    closed = make_order(77, [("SKU-1", 0, "10.00")], taken=[3], closed=True, deposits=[("-6.00", 500)])
    stocked.orders(closed, pick_up(500, [("SKU-1", 3, "10.00")]), sequence=3)
    stocked.advance()

    assert pending(stocked) == [("S1/1/ticket/500", "picked_up_before")]
    assert (status(stocked)[0], stocked.levels()) == ("410", ("7.00", "0.00"))
    assert stocked.prove() == []


def a_part_rung_again(stocked: World) -> None:
    """One of three units is picked up; RMS loses that ticket, and the shop rings it again."""
    opened(stocked)
    part = make_order(77, [("SKU-1", 2, "10.00")], taken=[1])
    stocked.orders(part, pick_up(500, [("SKU-1", 1, "10.00")]), sequence=3)
    stocked.advance()
    stocked.baseline(sequence=2, epochs=RESTORED)
    stocked.orders(*again(1), sequence=4, epoch=2)
    stocked.advance()


def test_what_is_left_of_a_layaway_is_picked_up_after_the_lost_part_was_rung_again(stocked: World) -> None:
    a_part_rung_again(stocked)
    assert pending(stocked) == [("S1/2/ticket/410", "picked_up_before")]

    rest = make_order(77, [("SKU-1", 0, "10.00")], taken=[3], closed=True, deposits=[("0.00", 411)])
    stocked.orders(rest, pick_up(411, [("SKU-1", 2, "10.00")], epoch=2), sequence=5, epoch=2)
    stocked.advance()

    assert pending(stocked) == [("S1/2/ticket/410", "picked_up_before")]
    assert (status(stocked)[:4], stocked.levels()) == (
        ("411", "Completed", "Charged", "FullyShipped"), ("7.00", "0.00"),
    )  # fmt: skip
    assert stocked.prove() == []


def test_pick_up_rung_again_is_discarded_and_the_order_goes_on(stocked: World) -> None:
    a_part_rung_again(stocked)

    discard(stocked.hub, stocked.settings, ["S1/2/ticket/410"], why="same goods", by="Ann", now=NOW)
    stocked.advance()

    assert pending(stocked) == []
    assert (state(stocked), stocked.levels()) == ("partly picked up", ("9.00", "2.00"))
    assert stocked.prove() == []


def test_pick_up_that_left_the_shop_twice_is_released_by_waiving_the_rule(stocked: World) -> None:
    a_part_rung_again(stocked)

    release(
        stocked.hub,
        stocked.settings,
        ["S1/2/ticket/410"],
        accept=["picked_up_before"],
        why="two customers stood there",
        by="Ann",
        now=NOW,
    )
    stocked.advance()
    stocked.advance()

    assert pending(stocked) == []
    assert stocked.levels()[0] == "8.00"
    assert stocked.prove() == []
