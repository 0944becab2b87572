"""A store whose RMS database was restored: the hub learns of the new epoch and keeps what it has."""

from __future__ import annotations

import json
from typing import Any

from data_contracts.documents import FILES, STREAM_BASELINE
from data_contracts.manifest import EpochStart, Mark, Position
from tasks.hub.epochs import read_epochs
from tasks.hub.inbox import BatchOutcome
from tests.documents import make_order, make_ticket
from tests.hub.world import World, typed_frame

FIRST = EpochStart(epoch=1)
SECOND = EpochStart(epoch=2, after_number=50, after_order=77)
THIRD = EpochStart(epoch=3, after_number=40, after_order=77)
START = Mark(rowversion=500)


def baseline(world: World, *epochs: EpochStart, sequence: int = 2, **position: Any) -> BatchOutcome:
    """Import the baseline of a database that was taken over, with the start mark of the first."""
    frames = {role: typed_frame([], columns) for role, columns in FILES[STREAM_BASELINE].items()}
    at = Position(**{"start": START, "epochs": epochs, **position})
    return world.take(frames, STREAM_BASELINE, sequence, position=at, epoch=epochs[-1].epoch)


def epochs_of(world: World) -> tuple[EpochStart, ...]:
    ((text,),) = world.rows("SELECT epochs FROM stores WHERE code = 'S1'")
    return read_epochs(text)


def begun(world: World) -> list[dict[str, int]]:
    rows = world.rows("SELECT payload FROM events WHERE type = 'epoch_begun' ORDER BY number")
    return [json.loads(payload) for (payload,) in rows]


def order_ids(world: World) -> list[str]:
    return [order for (order,) in world.rows("SELECT order_id FROM orders ORDER BY order_id")]


def test_a_second_baseline_with_the_same_start_mark_tells_of_the_epoch_and_changes_nothing_booked(
    world: World,
) -> None:
    world.orders(make_ticket(45), make_ticket(60), make_order(77))
    before = {table: world.rows(f"SELECT * FROM {table}") for table in ("orders", "payments", "stock_levels")}

    outcome = baseline(world, FIRST, SECOND)

    assert outcome.state == "accepted"
    assert epochs_of(world) == (FIRST, SECOND)
    assert begun(world) == [{"epoch": 2, "after_number": 50, "after_order": 77}]
    for table, rows in before.items():
        assert world.rows(f"SELECT * FROM {table}") == rows


def test_another_start_mark_is_refused_with_whatever_epoch(world: World) -> None:
    world.orders(make_ticket(45))

    outcome = baseline(world, FIRST, SECOND, start=Mark(rowversion=900, ticket_number=45))

    assert (outcome.state, outcome.reasons[0].rule) == ("rejected", "second_baseline")
    assert epochs_of(world) == (FIRST,)


def test_one_number_is_two_tickets_in_two_epochs_of_one_batch(world: World) -> None:
    world.orders(make_ticket(45), make_ticket(60, [("SKU-1", 1, "10.00")]))
    baseline(world, FIRST, SECOND)

    outcome = world.orders(
        make_ticket(45),
        make_ticket(60, [("SKU-2", 3, "5.00")], epoch=2),
        sequence=2,
        epoch=2,
        position=Position(start=START, epochs=(FIRST, SECOND)),
    )

    assert (outcome.accepted, outcome.seen_before) == (1, 1)
    assert order_ids(world) == ["S1/1/ticket/45", "S1/1/ticket/60", "S1/2/ticket/60"]
    assert world.stock()["W1", "SKU-2"] == "-3.00"


def test_a_recalled_number_means_the_ticket_it_had_in_the_life_of_the_database(world: World) -> None:
    world.orders(make_ticket(45), make_ticket(60))
    baseline(world, FIRST, SECOND)

    world.orders(
        make_ticket(60, epoch=2),
        make_ticket(61, [("SKU-1", -1, "10.00")], epoch=2, recall_type=3, recall_id=45),
        make_ticket(62, [("SKU-1", -1, "10.00")], epoch=2, recall_type=3, recall_id=60),
        sequence=2,
        epoch=2,
    )

    voided = "SELECT order_id FROM reporting_orders WHERE order_status = 'Void' ORDER BY order_id"
    assert [order for (order,) in world.rows(voided)] == [
        "S1/1/ticket/45",
        "S1/2/ticket/60",
        "S1/2/ticket/61",
        "S1/2/ticket/62",
    ]


def test_a_picked_up_number_means_the_order_it_had_likewise(world: World) -> None:
    world.orders(make_order(77), make_order(78))
    baseline(world, FIRST, SECOND)

    world.orders(
        make_ticket(60, epoch=2, recall_type=4, recall_id=77, recalled_order_type=5),
        make_ticket(61, epoch=2, recall_type=4, recall_id=78, recalled_order_type=5),
        sequence=2,
        epoch=2,
    )

    assert world.rows(
        "SELECT document, rule, waits_for FROM quarantine WHERE kind = 'pickup' ORDER BY document"
    ) == [
        ("S1/2/ticket/60", "waiting_to_advance", "S1/1/order/77"),
        ("S1/2/ticket/61", "waiting_for_order", "S1/2/order/78"),
    ]


def test_one_order_number_is_two_orders_in_two_epochs(world: World) -> None:
    world.orders(make_order(78, [("SKU-1", 2, "10.00")]))
    baseline(world, FIRST, SECOND)

    world.orders(make_order(78, [("SKU-2", 1, "5.00")], epoch=2), sequence=2, epoch=2)

    assert order_ids(world) == ["S1/1/order/78", "S1/2/order/78"]
    assert world.rows("SELECT sku, reserved FROM reporting_stock WHERE reserved <> 0 ORDER BY sku") == [
        ("SKU-1", "2.00"),
        ("SKU-2", "1.00"),
    ]


def test_an_epoch_told_by_orders_first_and_an_older_baseline_that_is_late_take_nothing_back(
    world: World,
) -> None:
    world.orders(
        make_ticket(41, epoch=3),
        epoch=3,
        position=Position(start=START, epochs=(FIRST, SECOND, THIRD)),
    )

    assert baseline(world, FIRST, SECOND, THIRD, sequence=3).state == "accepted"
    assert baseline(world, FIRST, SECOND, sequence=2).state == "accepted"

    assert epochs_of(world) == (FIRST, SECOND, THIRD)
    assert [event["epoch"] for event in begun(world)] == [2, 3]


def test_orders_that_were_closed_at_the_start_mark_are_history_beside_the_tickets(world: World) -> None:
    baseline(world, FIRST, history=((1, 44),), closed_orders=((70, 72), (75, 75)))

    assert world.rows(
        "SELECT source, first_number, last_number FROM history_ranges WHERE store = 'S1' ORDER BY 1, 2"
    ) == [("order", 70, 72), ("order", 75, 75), ("ticket", 1, 44)]
