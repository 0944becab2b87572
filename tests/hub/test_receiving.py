"""Stock that arrives is taken in whole, once, or refused line by line; then backorders have their turn."""

from __future__ import annotations

import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from data_contracts.errors import ConfigurationError, ContractBroken, HubUnavailable
from tasks import faults
from tasks.hub.allocating import Allocated
from tasks.hub.database import lock_store, open_hub
from tasks.hub.receiving import Received, receive_stock
from tasks.hub.schema import HUB_STORE, products
from tasks.use_cases import receiving
from tasks.use_cases.advancing import AllocatedOrder
from tests.documents import make_order, make_ticket
from tests.hub.servers import only_on_postgresql
from tests.hub.world import NOW, World, make_settings, units

POINTS = [
    *sorted(name for name in faults.NAMES if name.startswith("hub.receive.")),
    *("hub.allocate.lines", "hub.allocate.movements", "hub.ledger.levels"),
]


class Died(Exception):
    """The process ends here."""


def receive(world: World, *lines: str, data: bytes | None = None, **options: Any) -> Received:
    """Receive these lines below a header, or a file with just these bytes."""
    file = world.folder / "receipt.csv"
    file.write_bytes(data if data is not None else "\n".join(["warehouse,sku,quantity", *lines, ""]).encode())
    return receive_stock(world.hub, world.settings, file, **({"now": NOW} | options))


def refused(world: World, *lines: str, **options: Any) -> str:
    with pytest.raises(ContractBroken) as caught:
        receive(world, *lines, **options)
    assert nothing(world)
    return caught.value.message


def nothing(world: World) -> bool:
    """Whether no receipt left anything behind."""
    query = (
        "SELECT (SELECT COUNT(*) FROM receipts), "
        "(SELECT COUNT(*) FROM events WHERE store = '(hub)' AND type <> 'product_created'), "
        "(SELECT COUNT(*) FROM stock_movements), (SELECT COUNT(*) FROM stock_levels)"
    )
    return world.rows(query) == [(0, 0, 0, 0)]


def hub_events(world: World) -> list[tuple[str, Any]]:
    query = (
        "SELECT type, sku, payload FROM events WHERE store = '(hub)' AND type <> 'product_created' "
        "ORDER BY number"
    )
    rows = world.rows(query)
    return [(kind, sku or json.loads(payload)) for kind, sku, payload in rows]


def prove(world: World) -> None:
    assert [world.prove(store) for store in ("S1", "S2", HUB_STORE)] == [[], [], []]


def test_goods_stand_in_the_warehouse_and_the_ledger_says_from_where(world: World) -> None:
    received = receive(world, "W1,SKU-1,3", "BACK,SKU-2,2.5", "W1,SKU-1,1.0001", reference="LS-4711")

    assert received == Received("LS-4711", 3, units("6.5001"), ("BACK", "W1"))
    assert world.stock() == {("W1", "SKU-1"): "4.0001", ("BACK", "SKU-2"): "2.50"}
    columns = "origin, posting, line, cause, warehouse, sku, warehouse_rule, store, document"
    movements = world.rows(f"SELECT {columns} FROM stock_movements ORDER BY line")
    assert movements == [
        ("receipt/LS-4711", 1, line, "received", warehouse, sku, "receipt", "(hub)", None)
        for line, warehouse, sku in ((2, "W1", "SKU-1"), (3, "BACK", "SKU-2"), (4, "W1", "SKU-1"))
    ]
    assert hub_events(world) == [
        (
            "stock_received",
            {"receipt": "LS-4711", "lines": 3, "units": "6.5001", "warehouses": ["BACK", "W1"]},
        ),
        ("level_changed", "SKU-2"),
        ("level_changed", "SKU-1"),
    ]
    prove(world)


def test_backorders_are_given_what_arrived_in_the_same_moment(world: World) -> None:
    orders = [
        make_order(number, [("SKU-1", 2, "10.00")], kind="backorder", ordered_on=date)
        for number, date in ((77, "2026-11-22"), (78, "2026-11-21"))
    ]
    world.orders(*orders)

    received = receive(world, "W1,SKU-1,3", "MAIN,SKU-1,9")

    assert received.allocated == (
        Allocated("S1/1/order/78", "S1", 78, units("2"), filled=True),
        Allocated("S1/1/order/77", "S1", 77, units("1"), filled=False),
    )
    assert (world.levels(), world.levels(warehouse="MAIN")) == (("3.00", "3.00"), ("9.00", "0.00"))
    told = [kind for (kind,) in world.rows("SELECT type FROM events WHERE store = 'S1' ORDER BY number")]
    assert told[-6:] == [
        "backorder_allocated",
        "backorder_filled",
        "order_changed",
        "backorder_allocated",
        "order_changed",
        "level_changed",
    ]
    prove(world)


def test_backorder_that_waits_for_something_else_is_left_alone(world: World) -> None:
    """Its stock is free already, but this receipt did not bring it: the next advance gives it."""
    world.orders(make_order(77, kind="backorder"), make_ticket(1, [("SKU-1", -1, "1.00")]))

    assert receive(world, "W1,SKU-2,3").allocated == ()


def test_what_arrives_first_fills_the_gap_that_sales_left(world: World) -> None:
    world.orders(make_ticket(1, [("SKU-1", 3, "1.00")]), make_order(77, kind="backorder"))

    assert receive(world, "W1,SKU-1,3").allocated == ()
    assert [order.units for order in receive(world, "W1,SKU-1,1").allocated] == [units("1")]


def test_same_file_again_is_received_once(world: World) -> None:
    first = receive(world, "W1,SKU-1,3")
    again = receive(world, "W1,SKU-1,3")

    assert first.receipt.startswith("sha256:")
    assert len(first.receipt) == len("sha256:") + 16
    assert again == Received(first.receipt, 1, units("3"), ("W1",), already=True)
    assert receive(world, "W1,SKU-1,3", dry_run=True).already
    assert world.levels() == ("3.00", "0.00")
    assert len(hub_events(world)) == 2


def test_same_goods_under_another_reference_have_come_twice(world: World) -> None:
    for reference in ("LS-1", "LS-2", "LS-1"):
        receive(world, "W1,SKU-1,3", reference=reference)

    assert world.levels() == ("6.00", "0.00")


def test_reference_that_was_used_for_another_file_is_refused(world: World) -> None:
    receive(world, "W1,SKU-1,3", reference="LS-1")

    with pytest.raises(ContractBroken, match="Receipt `LS-1` was received before, from a file with other"):
        receive(world, "W1,SKU-1,4", reference=" LS-1 ")
    assert world.levels() == ("3.00", "0.00")


@pytest.mark.parametrize("reference", ["", " ", "a/b", "x" * 81, "two\nlines", "1/ticket/5"])
def test_reference_that_could_be_taken_for_something_else_is_refused(world: World, reference: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be named like that"):
        receive(world, "W1,SKU-1,3", reference=reference)
    assert nothing(world)


@pytest.mark.parametrize("reference", ["Lieferschein 4711", "LS_2026.11#3", "größe-1", "x" * 80])
def test_reference_may_be_what_delivery_notes_are_called(world: World, reference: str) -> None:
    assert receive(world, "W1,SKU-1,3", reference=reference).receipt == reference


def test_dry_run_tells_all_of_it_and_writes_nothing(world: World) -> None:
    world.orders(make_order(77, [("SKU-1", 2, "1.00")], kind="backorder"))
    before = world.rows("SELECT COUNT(*) FROM events")

    tried = receive(world, "W1,SKU-1,3", dry_run=True)

    assert world.rows("SELECT (SELECT COUNT(*) FROM receipts)") == [(0,)]
    assert (world.rows("SELECT COUNT(*) FROM events"), world.stock()) == (before, {})
    assert tried.allocated == (Allocated("S1/1/order/77", "S1", 77, units("2"), filled=True),)
    assert tried == receive(world, "W1,SKU-1,3")


def test_every_faulty_line_is_named_with_what_to_do(world: World) -> None:
    message = refused(
        world,
        "W1,SKU-1,3",
        "NOWHERE,SKU-1,1",
        "W1,NOTHING,1",
        "W1,SKU-1,-2",
        "W1,SKU-1,0",
        "W1,SKU-1",
        "W1,SKU-1,some",
    )

    for part in (
        "line 3: there is no warehouse `NOWHERE`; use one of BACK, MAIN, W1, or add [warehouses.NOWHERE]",
        "line 4: no product has `NOTHING` as its SKU, alias or only UPC; correct it, or take the product in",
        "line 5: its quantity is negative, and goods that leave are no receipt",
        "line 6: its quantity is 0; remove the line",
        "line 7: it has 2 cells instead of 3",
        "line 8: its quantity is no number; write it as 3 or 2.5",
        "Nothing was received; retrying cannot clear this",
    ):
        assert part in message
    assert "line 2" not in message


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (",SKU-1,1", "line 2: `warehouse` is empty"),
        ("W1, ,1", "line 2: `sku` is empty"),
        ("W1,SKU-1,", "line 2: `quantity` is empty"),
        ("W1,SKU-1,1,x", "line 2: it has 4 cells instead of 3"),
        ("w1,SKU-1,1", "line 2: there is no warehouse `w1`"),
        ("W1,SKU-1,1.00001", "line 2: its quantity has more than four decimals"),
        ("W1,SKU-1,100000000000000", "line 2: its quantity has more than 14 digits"),
        ("W1,SKU-1,-0", "line 2: its quantity is 0"),
        ("W1,SKU-1,0.0000", "line 2: its quantity is 0"),
        ("W1,SKU-1,1e3", "line 2: its quantity is no number"),
        ('W1,SKU-1,"1,000"', "line 2: its quantity is no number"),
        ("W1,SKU-1,١", "line 2: its quantity is no number"),
        ("W1,SKU-1,²", "line 2: its quantity is no number"),
        ("W1,SKU-1,nan", "line 2: its quantity is no number"),
        ("W1,SKU-1,.5", "line 2: its quantity is no number"),
        ('W1,"SKU-1,1', "line 2: it cannot be read (unexpected end of data)"),
        ("W1,SKU\0-1,1", "line 2: it holds a NUL character"),
    ],
)
def test_line_that_cannot_be_meant_is_refused(world: World, line: str, fault: str) -> None:
    assert fault in refused(world, line)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "line 1: its first line is not the header `warehouse,sku,quantity`"),
        (b"warehouse;sku;quantity\nW1;SKU-1;3\n", "line 1: its first line is not the header"),
        (b"sku,quantity\nSKU-1,3\n", "line 1: its first line is not the header"),
        (b"W1,SKU-1,3\n", "line 1: its first line is not the header"),
        (b"warehouse,sku,quantity\n", "line 1: no line of goods follows"),
        (b"warehouse,sku,quantity\n\n\n", "line 3: no line of goods follows"),
        (b"warehouse,sku,quantity\nW1,SKU-1,3\nW1,SK", "line 3: it has 2 cells instead of 3"),
        (b"warehouse,sku,quantity\nW1,SKU-1,1", "line 2: the file ends within this line and may be cut"),
        (b"warehouse,sku,quantity\nW1,\xff,1\n", "line 2: it is not UTF-8"),
        ("warehouse,sku,quantity\nW1,SKU-1,1\n".encode("utf-16"), "line 1: it is not UTF-8"),
        (
            b"warehouse,sku,quantity\n" + b"W1,SKU-1,99999999999999\n" * 2,
            "line 3: the units of all lines have more than 14 digits",
        ),
    ],
)
def test_file_that_is_none_is_refused(world: World, data: bytes, fault: str) -> None:
    assert fault in refused(world, data=data)


def test_of_very_many_faulty_lines_the_rest_are_named_by_number(world: World) -> None:
    message = refused(world, *(f"W1,NO-{at},1" for at in range(30)))

    assert "line 21: no product has `NO-19`" in message
    assert "faulty as well: lines 22, 23, 24, 25, 26, 27, 28, 29, 30, 31." in message


def test_file_that_is_not_there_is_named(world: World) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.csv cannot be read"):
        receive_stock(world.hub, world.settings, Path("nowhere.csv"))


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbfwarehouse,sku,quantity\r\nW1,SKU-1,3\r\n",
        b"warehouse,sku,quantity\rW1,SKU-1,3\r",
        b"Warehouse, SKU ,Quantity\nW1,SKU-1,3\n\n",
        b'"warehouse","sku","quantity"\n\n "W1" ,SKU-1 , 3.0 \n'.replace(b' "W1" ', b'"W1"'),
        b"warehouse,sku,quantity\nW1,sku-1,0003\n",
    ],
)
def test_file_may_look_as_programs_write_it(world: World, data: bytes) -> None:
    assert receive(world, data=data).units == units("3")
    assert world.levels() == ("3.00", "0.00")


def test_goods_are_found_by_their_upc_as_well(world: World) -> None:
    with world.hub.writing() as connection:
        connection.execute(update(products).where(products.c.sku == "SKU-2").values(upc="4006381333931"))

    receive(world, "W1,4006381333931,3")

    assert world.stock() == {("W1", "SKU-2"): "3.00"}


def test_item_that_has_no_stock_is_refused_by_name(world: World) -> None:
    with world.hub.writing() as connection:
        connection.execute(update(products).where(products.c.sku == "SKU-2").values(item_type=9))

    assert "line 2: `SKU-2` is of item type 9, which has no stock" in refused(world, "W1,SKU-2,1")


def test_item_type_that_has_stock_in_one_store_is_received(world: World) -> None:
    with world.hub.writing() as connection:
        connection.execute(update(products).where(products.c.sku == "SKU-2").values(item_type=9))
    world.settings = make_settings(stores={"S1": {"codes": {"without_stock_item_types": (7,)}}, "S2": {}})

    assert receive(world, "W1,SKU-2,1").units == units("1")


def test_level_never_gets_more_digits_than_an_amount_has(world: World) -> None:
    receive(world, "W1,SKU-1,99999999999999")

    with pytest.raises(ContractBroken, match="more than 14 digits"):
        receive(world, "W1,SKU-1,1")
    assert world.levels() == ("99999999999999.00", "0.00")


def test_by_the_settings_a_new_warehouse_counts_at_once_but_not_in_a_dry_run(
    world: World, hub_url: str
) -> None:
    world.orders(make_order(77, kind="backorder"))
    file = world.folder / "receipt.csv"
    file.write_text("warehouse,sku,quantity\nNEW,SKU-1,3\nW1,SKU-1,1\n", encoding="utf-8")
    places = {"W1": {"name": "Shop one"}, "BACK": {"sellable": False}, "NEW": {}}
    installed = make_settings(hub={"url": hub_url}, warehouses=places)

    tried = receiving.receive_stock(installed, file, reference="LS-1", dry_run=True)
    assert nothing(world)
    assert world.rows("SELECT COUNT(*) FROM warehouses WHERE code = 'NEW'") == [(0,)]
    report = receiving.receive_stock(installed, file, reference="LS-1")

    given = AllocatedOrder("S1/1/order/77", 77, units("1"), filled=True)
    assert report == receiving.ReceiptReport("LS-1", 2, units("4"), ("NEW", "W1"), (given,))
    assert tried == replace(report, dry_run=True)
    assert receiving.receive_stock(installed, file, reference="LS-1").already
    assert world.stock() == {("NEW", "SKU-1"): "3.00", ("W1", "SKU-1"): "1.00"}


@pytest.mark.parametrize("name", POINTS)
def test_receipt_that_dies_anywhere_counts_once_when_it_is_repeated(
    name: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.orders(make_order(77, [("SKU-1", 2, "1.00")], kind="backorder"))

    def die(point: str) -> None:
        if point == name:
            raise Died(point)

    monkeypatch.setattr(faults, "hook", die)
    with pytest.raises(Died):
        receive(world, "W1,SKU-1,3")
    monkeypatch.setattr(faults, "hook", None)
    arrived = name == "hub.receive.after_commit"
    assert world.stock() == ({("W1", "SKU-1"): "3.00"} if arrived else {})

    assert receive(world, "W1,SKU-1,3").already == arrived

    assert world.levels() == ("3.00", "2.00")
    assert [kind for kind, _ in hub_events(world)] == ["stock_received", "level_changed"]
    assert world.rows("SELECT COUNT(*) FROM events WHERE type = 'backorder_filled'") == [(1,)]
    prove(world)


def test_two_that_receive_one_file_at_once_receive_it_once(world: World, hub_url: str) -> None:
    file = world.folder / "receipt.csv"
    file.write_text("warehouse,sku,quantity\nW1,SKU-1,3\n", encoding="utf-8")
    said: list[str] = []

    def run() -> None:
        with open_hub(hub_url) as hub:
            try:
                said.append("already" if receive_stock(hub, world.settings, file).already else "new")
            except HubUnavailable:
                said.append("busy")

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(said), said.count("new")) == (3, 1)
    assert world.levels() == ("3.00", "0.00")


@only_on_postgresql
def test_receipt_that_meets_a_store_with_waiting_backorders_at_work_is_told(
    world: World, hub_url: str
) -> None:
    world.orders(make_order(77, kind="backorder"))
    with open_hub(hub_url) as other, other.writing() as connection:
        lock_store(connection, "S2")
        receive(world, "W1,SKU-2,1")  # nobody waits in S2
        lock_store(connection, "S1")

        with pytest.raises(HubUnavailable, match="Another run is writing store S1"):
            receive(world, "W1,SKU-1,1")
    assert receive(world, "W1,SKU-1,1").allocated[0].filled


@pytest.mark.slow
@given(
    st.lists(
        st.lists(
            st.tuples(st.sampled_from(["SKU-1", "SKU-2"]), st.integers(1, 40_000)), min_size=1, max_size=4
        ),
        min_size=1,
        max_size=4,
    ),
    st.lists(
        st.lists(st.tuples(st.sampled_from(["SKU-1", "SKU-2"]), st.integers(1, 3)), min_size=1, max_size=2),
        max_size=3,
    ),
)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_unit_received_is_there_and_given_at_most_once(
    ready_file: Path,
    tmp_path_factory: pytest.TempPathFactory,
    deliveries: list[list[tuple[str, int]]],
    waiting: list[list[tuple[str, int]]],
) -> None:
    folder = tmp_path_factory.mktemp("hub")
    shutil.copy(ready_file, folder / "hub.db")
    with open_hub(f"sqlite:///{folder / 'hub.db'}") as hub:
        world = World(hub, folder)
        for number, rows in enumerate(waiting, start=1):
            lines = [(sku, count, "1.00") for sku, count in rows]
            world.orders(make_order(number, lines, kind="backorder"), sequence=number)
        for number, rows in enumerate(deliveries):
            file = [f"W1,{sku},{amount // 10_000}.{amount % 10_000:04d}" for sku, amount in rows]
            for _ in range(2):
                receive(world, *file, reference=f"LS-{number}")
            prove(world)

        brought = dict.fromkeys(("SKU-1", "SKU-2"), 0)
        for sku, amount in (row for rows in deliveries for row in rows):
            brought[sku] += amount
        wanted = dict.fromkeys(brought, 0)
        for sku, count in (row for rows in waiting for row in rows):
            wanted[sku] += count * 10_000
        levels = {
            sku: (physical, reserved)
            for sku, physical, reserved in world.rows("SELECT sku, physical, reserved FROM stock_levels")
        }
        for sku, amount in brought.items():
            assert levels.get(sku, (0, 0)) == (amount, min(amount, wanted[sku]))
