"""Waiting backorders are given what is free in their warehouse: oldest first, once, and never more."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text, update

from data_contracts.errors import ConfigurationError, HubUnavailable
from tasks import faults
from tasks.hub.allocating import Allocated, allocate_backorders, lock_waiting_stores, stores_waiting
from tasks.hub.database import Hub, lock_store, open_hub
from tasks.hub.levels import add_to_levels
from tasks.hub.schema import life_cycles, orders
from tests.documents import Ticket, make_order, make_ticket
from tests.hub.servers import only_on_postgresql
from tests.hub.world import NOW, World, make_settings, units

LINES = (
    "SELECT order_id, line, reserved_quantity, backorder_quantity FROM reporting_order_lines "
    "WHERE kind = 'backorder' ORDER BY order_id, line"
)
POINTS = [*sorted(name for name in faults.NAMES if name.startswith("hub.allocate.")), "hub.ledger.levels"]


class Died(Exception):
    """The process ends here."""


def backorder(number: int, lines: Any = (("SKU-1", 2, "10.00"),), **options: Any) -> Ticket:
    return make_order(number, lines, kind="backorder", **options)


def back(number: int, quantity: str, sku: str = "SKU-1", *, store: str = "S1") -> Ticket:
    """A return, which brings stock and gives nobody any."""
    return make_ticket(number, [(sku, f"-{quantity}", "1.00")], store=store)


def give(world: World, *stores: str, **options: Any) -> list[Allocated]:
    return allocate_backorders(world.hub, world.settings, stores, now=NOW, **options)


def held(world: World) -> dict[tuple[str, int], tuple[str, str]]:
    """(order number, line) -> what is reserved and what waits."""
    return {
        (order.rsplit("/", 1)[1], line % 1_000): (reserved, waits)
        for order, line, reserved, waits in world.rows(LINES)
    }


def events(world: World, store: str = "S1") -> list[tuple[str, str | None, str | None]]:
    query = "SELECT type, order_id, sku FROM events WHERE store = :store ORDER BY number"
    return [tuple(row) for row in world.rows(query, store=store)]


def written(world: World) -> list[tuple[Any, ...]]:
    """What no run that gives nothing may change."""
    return world.rows(
        "SELECT (SELECT COUNT(*) FROM events), (SELECT COUNT(*) FROM stock_movements), "
        "(SELECT SUM(postings) FROM documents)"
    )


def prove(world: World) -> None:
    assert world.prove("S1") == world.prove("S2") == []
    unlike = world.rows(
        "SELECT l.order_id, l.line FROM order_lines l JOIN orders o ON o.order_id = l.order_id "
        "WHERE o.kind = 'backorder' AND l.reserved_quantity <> (SELECT COALESCE(SUM(m.reserved_delta), 0) "
        "FROM stock_movements m WHERE m.origin = l.order_id AND m.line = l.line)"
    )
    assert unlike == []


def test_oldest_is_given_all_and_the_next_what_is_left(world: World) -> None:
    world.orders(
        backorder(78, [("SKU-1", 4, "10.00")], ordered_on="2026-11-21"),
        backorder(77, [("SKU-1", 2, "10.00")], ordered_on="2026-11-22"),
        backorder(79, [("SKU-1", 3, "10.00")], ordered_on="2026-11-20"),
        back(1, "5"),
    )

    allocated = give(world)

    assert allocated == [
        Allocated("S1/1/order/79", "S1", 79, units("3"), filled=True),
        Allocated("S1/1/order/78", "S1", 78, units("2"), filled=False),
    ]
    assert held(world) == {
        ("77", 1): ("0.00", "2.00"),
        ("78", 1): ("2.00", "2.00"),
        ("79", 1): ("3.00", "0.00"),
    }
    assert world.levels() == ("5.00", "5.00")
    assert world.rows("SELECT number, state FROM life_cycles ORDER BY number") == [
        (77, "waiting"),
        (78, "waiting"),
        (79, "open"),
    ]
    prove(world)


def test_what_was_given_is_told_in_the_ledger_and_in_the_events(world: World) -> None:
    world.orders(
        backorder(77, [("SKU-1", 2, "10.00"), ("SKU-2", 1, "5.00")]), back(1, "3"), back(2, "1", "SKU-2")
    )
    before = len(events(world))

    give(world)

    assert world.rows(
        "SELECT origin, posting, line, cause, warehouse, sku, warehouse_rule, store, document, order_id, "
        "at_utc FROM stock_movements WHERE cause = 'backorder' AND at_utc = :now ORDER BY line",
        now=NOW,
    ) == [
        (
            "S1/1/order/77",
            2,
            77_000 + at,
            "backorder",
            "W1",
            sku,
            "store mapping",
            "S1",
            *["S1/1/order/77"] * 2,
            NOW,
        )
        for at, sku in ((1, "SKU-1"), (2, "SKU-2"))
    ]
    assert events(world)[before:] == [
        ("backorder_allocated", "S1/1/order/77", None),
        ("backorder_filled", "S1/1/order/77", None),
        ("order_changed", "S1/1/order/77", None),
        ("level_changed", None, "SKU-1"),
        ("level_changed", None, "SKU-2"),
    ]
    told = {
        kind: json.loads(payload)
        for kind, payload in world.rows(
            "SELECT type, payload FROM events WHERE order_id = 'S1/1/order/77' ORDER BY number"
        )
    }
    assert told["backorder_allocated"] == {"number": 77, "units": "3.0000"}
    assert told["order_changed"]["order_status"] == "InProcess"


def test_filled_bit_by_bit_the_order_is_open_when_nothing_waits_any_more(world: World) -> None:
    world.orders(backorder(77, [("SKU-1", 3, "10.00")]), back(1, "1"))
    assert give(world) == [Allocated("S1/1/order/77", "S1", 77, units("1"), filled=False)]
    world.orders(back(2, "5"), sequence=2)

    assert give(world) == [Allocated("S1/1/order/77", "S1", 77, units("2"), filled=True)]

    assert world.rows("SELECT state FROM life_cycles") == [("open",)]
    assert world.levels() == ("6.00", "3.00")
    assert [kind for kind, order, _ in events(world) if order and kind.startswith("backorder_")] == [
        "backorder_allocated",
        "backorder_allocated",
        "backorder_filled",
    ]
    prove(world)


def test_run_that_finds_nothing_to_give_writes_nothing(world: World) -> None:
    world.orders(backorder(77), back(1, "2"), make_ticket(2, [("SKU-1", 3, "1.00")]))
    before = written(world)

    assert give(world) == []

    assert written(world) == before
    assert world.levels() == ("-1.00", "0.00")


def test_dry_run_tells_what_would_be_given_and_writes_nothing(world: World) -> None:
    world.orders(backorder(77), back(1, "1"))
    before = written(world)

    planned = give(world, dry_run=True)

    assert written(world) == before
    assert planned == give(world) == [Allocated("S1/1/order/77", "S1", 77, units("1"), filled=False)]


def test_what_a_layaway_holds_is_not_free(world: World) -> None:
    world.orders(make_order(70, [("SKU-1", 2, "10.00")]), backorder(77), back(1, "3"))

    give(world)

    assert held(world) == {("77", 1): ("1.00", "1.00")}
    assert world.levels() == ("3.00", "3.00")


@pytest.mark.parametrize("change", [{"state": "cancelled"}, {"released": True}])
def test_order_that_is_closed_or_was_released_is_given_nothing(world: World, change: dict[str, Any]) -> None:
    world.orders(backorder(77), back(1, "2"))
    with world.hub.writing() as connection:
        connection.execute(update(life_cycles).values(**change))
        assert stores_waiting(connection) == []

    assert give(world) == []
    assert world.levels() == ("2.00", "0.00")


def test_layaway_never_takes_part(world: World) -> None:
    world.orders(backorder(77), back(1, "2"))
    with world.hub.writing() as connection:
        connection.execute(update(orders).where(orders.c.kind == "backorder").values(kind="layaway"))

    assert give(world) == []


def test_backorder_waits_in_the_warehouse_it_was_opened_in_wherever_the_store_sells_now(world: World) -> None:
    world.orders(backorder(77))
    moved = World(world.hub, world.folder, stores={"S1": {"warehouse": "BACK"}, "S2": {}})
    moved.orders(back(1, "2"), sequence=2)
    assert give(moved) == []
    world = World(world.hub, world.folder)
    world.orders(back(2, "2"), sequence=3)

    assert [order.units for order in give(world)] == [units("2")]

    assert (world.levels(warehouse="W1"), world.levels(warehouse="BACK")) == (
        ("2.00", "2.00"),
        ("2.00", "0.00"),
    )


@pytest.fixture
def shared(world: World) -> World:
    """S1 and S2 sell from one warehouse; an older backorder of S2 waits beside a younger one of S1."""
    world = World(world.hub, world.folder, stores={"S1": {"warehouse": "W1"}, "S2": {"warehouse": "W1"}})
    world.orders(backorder(77, ordered_on="2026-11-22"), back(1, "3"))
    world.orders(backorder(5, store="S2", ordered_on="2026-11-21"), store="S2")
    return world


def test_stores_that_share_a_warehouse_take_turns_and_each_tells_of_its_own(shared: World) -> None:
    before = {store: len(events(shared, store)) for store in ("S1", "S2")}

    allocated = give(shared, "S1")  # the older order of S2 comes first all the same

    assert [(order.store, order.units) for order in allocated] == [("S2", units("2")), ("S1", units("1"))]
    assert [kind for kind, _, _ in events(shared, "S2")[before["S2"] :]] == [
        "backorder_allocated",
        "backorder_filled",
        "order_changed",
        "level_changed",
    ]
    assert [kind for kind, _, _ in events(shared, "S1")[before["S1"] :]] == [
        "backorder_allocated",
        "order_changed",
        "level_changed",
    ]
    prove(shared)


def test_warehouse_in_which_the_named_stores_do_not_wait_is_left_alone(world: World) -> None:
    world.orders(backorder(77), back(1, "2"))
    world.orders(backorder(5, store="S2"), back(1, "2", store="S2"), store="S2")

    assert [order.store for order in give(world, "S2")] == ["S2"]
    assert [order.store for order in give(world)] == ["S1"]


def test_store_that_is_not_configured_is_refused_by_name(world: World) -> None:
    with pytest.raises(ConfigurationError, match="Store `S9` is not configured"):
        give(world, "S9")


def test_store_that_left_the_settings_still_gets_what_it_waits_for(world: World) -> None:
    world.orders(backorder(77), back(1, "2"))
    world.settings = make_settings(stores={"S2": {}})

    assert [order.number for order in give(world)] == [77]


def test_stores_are_held_in_the_order_of_their_codes(shared: World) -> None:
    with shared.hub.writing() as connection:
        assert stores_waiting(connection) == ["S1", "S2"]
        assert lock_waiting_stores(connection, "(hub)") == ["(hub)", "S1", "S2"]


@only_on_postgresql
def test_run_that_meets_another_in_a_store_is_told_and_changes_nothing(shared: World, hub_url: str) -> None:
    before = written(shared)
    with open_hub(hub_url) as other, other.writing() as connection:
        lock_store(connection, "S2")

        with pytest.raises(HubUnavailable, match="Another run is writing store S2"):
            give(shared, "S1")

    assert written(shared) == before
    assert len(give(shared)) == 2


@only_on_postgresql
def test_run_that_has_nothing_to_give_needs_no_store(world: World, hub_url: str) -> None:
    world.orders(backorder(77))
    with open_hub(hub_url) as other, other.writing() as connection:
        lock_store(connection, "S1")

        assert give(world) == []


@only_on_postgresql
def test_sale_of_a_store_that_does_not_wait_is_never_overlooked(
    hub: Hub, tmp_path: Path, hub_url: str
) -> None:
    """It holds its own store alone; the level it is changing is not given out before it has ended."""
    world = World(hub, tmp_path, stores={"S1": {"warehouse": "W1"}, "S2": {"warehouse": "W1"}}).ready()
    world.orders(backorder(77), back(1, "2"))
    given: list[Allocated] = []

    with open_hub(hub_url) as other, other.writing() as connection:
        lock_store(connection, "S2")
        from tasks.hub.events import EventLog

        log = EventLog("S2", NOW, None)
        add_to_levels(connection, {("W1", "SKU-1"): (units("-1"), 0)}, log)
        run = threading.Thread(target=lambda: given.extend(give(world)))
        run.start()
        until_waiting(world.hub)
    run.join()

    assert [order.units for order in given] == [units("1")]
    assert world.levels() == ("1.00", "1.00")


def until_waiting(hub: Hub) -> None:
    """Until a connection of this database waits for another's lock."""
    query = text("SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND state = 'active'")
    for _ in range(1_000):
        with hub.reading() as connection:
            if connection.execute(query).scalar_one():
                return
        threading.Event().wait(0.01)
    raise AssertionError("nothing waits")


def test_two_runs_at_once_give_once(shared: World, hub_url: str) -> None:
    said: list[list[Allocated]] = []

    def run() -> None:
        with open_hub(hub_url) as hub:
            try:
                said.append(allocate_backorders(hub, shared.settings, now=NOW))
            except HubUnavailable:
                said.append([])

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [len(orders) for orders in said if orders] == [2]
    assert shared.levels() == ("3.00", "3.00")
    prove(shared)


@pytest.mark.parametrize("name", POINTS)
def test_run_that_dies_anywhere_is_repeated_to_the_same_end(
    name: str, shared: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(point: str) -> None:
        if point == name:
            raise Died(point)

    monkeypatch.setattr(faults, "hook", die)
    with pytest.raises(Died):
        give(shared)
    monkeypatch.setattr(faults, "hook", None)

    give(shared)

    assert held(shared) == {("77", 1): ("1.00", "1.00"), ("5", 1): ("2.00", "0.00")}
    assert shared.levels() == ("3.00", "3.00")
    allocated = shared.rows("SELECT COUNT(*) FROM events WHERE type = 'backorder_allocated'")
    assert allocated == [(2,)]
    prove(shared)


@pytest.fixture(scope="module")
def shared_file(ready_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite hub whose two stores sell from one warehouse."""
    folder = tmp_path_factory.mktemp("shared")
    shutil.copy(ready_file, folder / "hub.db")
    with open_hub(f"sqlite:///{folder / 'hub.db'}") as hub:
        World(hub, folder, stores={"S1": {"warehouse": "W1"}, "S2": {"warehouse": "W1"}})
    return folder / "hub.db"


Step = tuple[str, str, list[tuple[str, int]]]
steps: st.SearchStrategy[Step] = st.one_of(
    st.tuples(
        st.just("order"),
        st.sampled_from(["S1", "S2"]),
        st.lists(st.tuples(st.sampled_from(["SKU-1", "SKU-2"]), st.integers(1, 4)), min_size=1, max_size=3),
    ),
    st.tuples(
        st.just("stock"),
        st.sampled_from(["S1", "S2"]),
        st.lists(
            st.tuples(st.sampled_from(["SKU-1", "SKU-2"]), st.integers(-5, 5).filter(bool)),
            min_size=1,
            max_size=2,
        ),
    ),
    st.tuples(st.just("allocate"), st.sampled_from(["", "S1", "S2"]), st.just([])),
)


@pytest.mark.slow
@given(st.lists(steps, min_size=1, max_size=8))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_is_given_twice_or_lost_whatever_comes(
    shared_file: Path, tmp_path_factory: pytest.TempPathFactory, plan: list[Step]
) -> None:
    folder = tmp_path_factory.mktemp("hub")
    shutil.copy(shared_file, folder / "hub.db")
    stores = {"S1": {"warehouse": "W1"}, "S2": {"warehouse": "W1"}}
    with open_hub(f"sqlite:///{folder / 'hub.db'}") as hub:
        world = World(hub, folder, stores=stores)
        wanted: dict[tuple[str, int], int] = {}
        had: dict[tuple[str, int], int] = {}
        for at, (what, store, rows) in enumerate([*plan, ("allocate", "", [])], start=1):
            if what == "order":
                document = backorder(at, [(sku, count, "1.00") for sku, count in rows], store=store)
                world.orders(document, store=store, sequence=at)
                name = f"{store}/1/order/{at}"
                wanted |= {(name, at * 1_000 + n): units(str(c)) for n, (_, c) in enumerate(rows, start=1)}
            elif what == "stock":
                lines = [(sku, count, "1.00") for sku, count in rows]
                world.orders(make_ticket(at, lines, store=store), store=store, sequence=at)
            else:
                give(world, *([store] if store else []))

            lines_now = world.rows(
                "SELECT order_id, line, reserved_quantity, backorder_quantity FROM order_lines "
                "WHERE quantity > 0 AND order_id LIKE '%/order/%'"
            )
            assert {(o, n): reserved + waits for o, n, reserved, waits in lines_now} == wanted
            for order, line, reserved, waits in lines_now:
                assert reserved >= had.get((order, line), 0)  # what was given is never taken back
                assert waits >= 0
                had[order, line] = reserved
            prove(world)

        # Whoever still waits does so because nothing is free, and nobody younger has what he waits for.
        levels = {sku: (p, r) for sku, p, r in world.rows("SELECT sku, physical, reserved FROM stock_levels")}
        still = world.rows("SELECT DISTINCT sku FROM order_lines WHERE backorder_quantity > 0")
        assert all(levels.get(sku, (0, 0))[0] <= levels.get(sku, (0, 0))[1] for (sku,) in still)


def test_looking_in_vain_loads_no_frames(tmp_path: Path, ready_file: Path) -> None:
    shutil.copy(ready_file, tmp_path / "hub.db")
    code = (
        "import sys\n"
        "from tasks.hub.allocating import allocate_backorders\n"
        "from tasks.hub.database import open_hub\n"
        "from tasks.settings import Settings\n"
        "with open_hub('sqlite:///' + sys.argv[1]) as hub:\n"
        "    assert allocate_backorders(hub, Settings()) == []\n"
        "sys.exit('pandas' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "hub.db")]
    assert subprocess.run(command, cwd=Path(__file__).parents[2], check=False).returncode == 0
