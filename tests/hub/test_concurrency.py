"""Many programs write one hub on PostgreSQL: who is in the way waits or leaves; what breaks off is whole."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from copy import copy
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, make_url, text

from data_contracts.errors import HubUnavailable
from data_contracts.manifest import Manifest
from tasks import faults
from tasks.hub.advancing import advance
from tasks.hub.database import PATIENCE, Hub, open_hub
from tasks.hub.importer import import_batch
from tasks.hub.inbox import BatchOutcome, store_verdict
from tasks.hub.receiving import receive_stock
from tasks.settings import Settings
from tests.databases import Server
from tests.documents import Frames, Ticket, make_batch, make_order, make_ticket, to_rows
from tests.hub.servers import only_on_postgresql
from tests.hub.test_order_of_arrival import state
from tests.hub.test_side_by_side import patiently
from tests.hub.wire import wire_to
from tests.hub.world import NOW, SKUS, World, make_manifest, make_ready, verdict_of

TWO_LEVELS = make_ticket(1, [("SKU-1", 1, "10.00"), ("SKU-2", 1, "10.00")])
SPAWN = multiprocessing.get_context("spawn")
SECONDS = 300
"""After so long a test that waits for another process has failed."""


def beside(world: World, hub: Hub) -> World:
    """The same world, by a connection of its own."""
    own = copy(world)
    own.hub = hub
    return own


@contextmanager
def told(url: str, **settings: str) -> Iterator[Hub]:
    """The hub, by connections for which the server's settings are these."""
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    with open_hub(make_url(url).update_query_dict({"options": options}).render_as_string(False)) as hub:
        yield hub


def hold_level(connection: Connection, sku: str) -> None:
    connection.execute(text("SELECT * FROM stock_levels WHERE sku = :sku FOR UPDATE"), {"sku": sku})


def wait_until_somebody_waits(hub: Hub) -> None:
    query = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        with hub.reading() as connection:
            if connection.execute(query).scalar_one():
                return
        time.sleep(0.02)
    pytest.fail("nobody came to wait for the lock")


def assert_booked_once(world: World) -> None:
    outcome = world.orders(TWO_LEVELS, sequence=2)

    assert (outcome.accepted, outcome.already) == (1, False)
    assert world.stock() == {("W1", "SKU-1"): "-2.00", ("W1", "SKU-2"): "-2.00"}
    assert world.prove() == []


@only_on_postgresql
def test_victim_of_a_deadlock_is_told_to_try_again_and_does(world: World, hub_url: str) -> None:
    world.orders(
        make_ticket(9, [("SKU-1", 1, "10.00"), ("SKU-2", 1, "10.00")])
    )  # so that both levels are there
    failed: list[HubUnavailable] = []

    def run() -> None:
        with open_hub(hub_url) as hub:
            try:
                beside(world, hub).orders(TWO_LEVELS, sequence=2)
            except HubUnavailable as error:
                failed.append(error)

    importer = threading.Thread(target=run)
    with open_hub(hub_url) as other, other.writing() as connection:
        hold_level(connection, "SKU-2")
        importer.start()
        wait_until_somebody_waits(world.hub)  # it has SKU-1 and wants SKU-2
        time.sleep(0.3)  # the victim is who has waited longest: the server looks after a second
        hold_level(connection, "SKU-1")
        importer.join()

    assert [(error.transient, "deadlock" in str(error.__cause__)) for error in failed] == [(True, True)]
    assert_booked_once(world)


@only_on_postgresql
def test_change_that_a_stricter_server_refuses_to_serialize_is_told_to_try_again(
    world: World, hub_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.orders(make_ticket(9, [("SKU-1", 1, "10.00"), ("SKU-2", 1, "10.00")]))

    def write_in_between(point: str) -> None:
        if point == "hub.import.booked":
            with world.hub.writing() as connection:
                connection.execute(text("UPDATE stock_levels SET physical = physical WHERE sku = 'SKU-2'"))

    monkeypatch.setattr(faults, "hook", write_in_between)
    with (
        told(hub_url, default_transaction_isolation="serializable") as hub,
        pytest.raises(HubUnavailable) as caught,
    ):
        beside(world, hub).orders(TWO_LEVELS, sequence=2)
    monkeypatch.setattr(faults, "hook", None)

    assert caught.value.transient
    assert "could not serialize" in str(caught.value.__cause__)
    assert_booked_once(world)


@only_on_postgresql
@pytest.mark.parametrize("limit", ["lock_timeout", "statement_timeout"])
def test_import_whose_time_runs_out_is_told_to_try_again(world: World, hub_url: str, limit: str) -> None:
    world.orders(make_ticket(9, [("SKU-1", 1, "10.00"), ("SKU-2", 1, "10.00")]))
    with world.hub.writing() as connection:
        hold_level(connection, "SKU-2")

        with told(hub_url, **{limit: "2s"}) as hub, pytest.raises(HubUnavailable) as caught:
            beside(world, hub).orders(TWO_LEVELS, sequence=2)
    assert caught.value.transient
    assert_booked_once(world)


@only_on_postgresql
def test_import_that_the_server_gave_up_on_is_told_to_try_again(
    world: World, hub_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as one whose machine was put to sleep while it held its store."""
    world.orders(make_ticket(9, [("SKU-1", 1, "10.00"), ("SKU-2", 1, "10.00")]))

    def sleep(point: str) -> None:
        if point == "hub.import.booked":
            time.sleep(1)

    monkeypatch.setattr(faults, "hook", sleep)
    with (
        told(hub_url, idle_in_transaction_session_timeout="500ms") as hub,
        pytest.raises(HubUnavailable) as caught,
    ):
        beside(world, hub).orders(TWO_LEVELS, sequence=2)
    monkeypatch.setattr(faults, "hook", None)

    assert caught.value.transient
    assert_booked_once(world)


def a_day(world: World) -> BatchOutcome:
    """A batch of tickets and orders, and what advance makes of the next one."""
    world.orders(make_ticket(1), make_order(77, [("SKU-1", 3, "10.00")], deposits=[("6.00", 0)]))
    outcome = world.orders(
        make_ticket(2, [("SKU-1", -1, "10.00")], recall_type=1, recall_id=1),
        make_order(
            77, [("SKU-1", 0, "10.00")], taken=[3], closed=True, deposits=[("6.00", 0), ("-6.00", 500)]
        ),
        make_ticket(500, [("SKU-1", 3, "10.00")], recall_type=4, recall_id=77, recalled_order_type=5),
        make_ticket(9, [("NOPE", 1, "1.00")]),
        sequence=2,
    )
    world.advance()
    return outcome


EVENTS = "SELECT store, number, type, document FROM events ORDER BY store, number"


@pytest.mark.slow
@only_on_postgresql
@pytest.mark.parametrize("end", ["before the server heard of it", "after it was done"])
def test_connection_lost_at_the_commit_doubles_and_loses_nothing(
    world: World, hub_url: str, end: str, monkeypatch: pytest.MonkeyPatch, postgres_server: Server
) -> None:
    """The driver cannot say whether what it was committing is in the hub: asking again has to."""
    with postgres_server.copy_of("world", make_ready) as url, open_hub(url) as hub:
        clean = beside(world, hub)
        a_day(clean)
        expected = state(clean), clean.rows(EVENTS)
    at = ("hub.import.before_commit", "hub.advance.before_commit")

    with wire_to(hub_url) as wire, open_hub(wire.url.render_as_string(hide_password=False)) as hub:
        lost = beside(world, hub)
        armed: list[str] = []

        def cut(point: str) -> None:
            if point in at:
                armed.append(point)
                wire.cut_before, wire.cut_after = end.startswith("before"), end.startswith("after")

        for name in at:
            monkeypatch.setattr(
                faults, "hook", lambda point, name=name: cut(point) if point == name else None
            )
            with pytest.raises(HubUnavailable) as caught:
                a_day(lost)
            assert caught.value.transient
            monkeypatch.setattr(faults, "hook", None)
        a_day(lost)

    assert (len(armed), wire.cuts) == (2, 2)
    assert (state(world), world.rows(EVENTS)) == expected
    assert world.prove() == []


@only_on_postgresql
def test_rows_of_a_batch_come_by_copy(world: World, hub_url: str) -> None:
    with wire_to(hub_url) as wire, open_hub(wire.url.render_as_string(hide_password=False)) as hub:
        a_day(beside(world, hub))

    assert wire.copied >= {
        *("staged_documents", "staged_document_revisions", "staged_stock_levels", "staged_quarantine"),
        *("staged_tenders", "order_lines", "payments", "stock_movements", "events"),
    }
    assert wire.inserted == set()


@only_on_postgresql
def test_server_asks_after_a_machine_that_has_gone_silent(world: World, hub_url: str) -> None:
    """An importer that lost its power held its store until its connection was given up, in two hours."""
    with world.hub.reading() as connection:
        shown = [
            connection.execute(text(f"SHOW tcp_{name}")).scalar_one()
            for name in ("keepalives_idle", "keepalives_interval", "keepalives_count", "user_timeout")
        ]
        info = connection.connection.driver_connection.info.get_parameters()  # type: ignore[union-attr]

    assert shown == ["30", "10", "3", "60000"]
    assert {name: int(info[name]) for name in PATIENCE} == PATIENCE


Work = list[tuple[Manifest, Frames]]


def import_and_wait(url: str, settings: Settings, work: Work, reached: Event) -> None:
    """In a process of its own: book a batch, and be at it for ever."""

    def stay(point: str) -> None:
        if point == "hub.import.before_commit":
            reached.set()
            time.sleep(10 * SECONDS)

    faults.hook = stay
    with open_hub(url) as hub:
        for manifest, frames in work:
            import_batch(hub, settings, manifest, to_rows(frames), now=NOW)


@pytest.mark.slow
@only_on_postgresql
def test_killed_process_frees_its_store_at_once_and_leaves_nothing(world: World, hub_url: str) -> None:
    work = [batch_of(world, make_ticket(1))]
    reached = SPAWN.Event()
    process = SPAWN.Process(target=import_and_wait, args=(hub_url, world.settings, work, reached))
    process.start()
    assert reached.wait(SECONDS)
    manifest, frames = work[0]

    with pytest.raises(HubUnavailable, match="Another run is writing store S1"):
        import_batch(world.hub, world.settings, manifest, to_rows(frames), now=NOW)
    process.kill()
    process.join()
    outcome: BatchOutcome | None = None
    until = time.monotonic() + SECONDS
    while outcome is None and time.monotonic() < until:  # the server has to notice
        with suppress(HubUnavailable):
            outcome = import_batch(world.hub, world.settings, manifest, to_rows(frames), now=NOW)

    assert outcome is not None
    assert (outcome.accepted, outcome.already) == (1, False)
    assert world.stock() == {("W1", "SKU-1"): "-1.00"}
    assert world.prove() == []


def batch_of(
    world: World, *documents: Ticket, store: str = "S1", sequence: int = 1
) -> tuple[Manifest, Frames]:
    """A batch with a verdict, to be imported."""
    frames = make_batch(documents)
    manifest = make_manifest(frames, "orders", sequence, store=store)
    store_verdict(world.hub, manifest, verdict_of(manifest))
    return manifest, frames


def import_all(url: str, settings: Settings, work: Work, said: Any) -> None:
    """In a process of its own: book batches, one after the other, however often another one is in the way."""
    with open_hub(url) as hub:
        for manifest, frames in work:

            def take(manifest: Manifest = manifest, frames: Frames = frames) -> None:
                outcome = import_batch(hub, settings, manifest, to_rows(frames), now=NOW)
                said.put((manifest.path, outcome.already))

            patiently(take)


@pytest.mark.slow
@only_on_postgresql
def test_two_processes_a_store_import_while_goods_arrive_and_orders_advance(
    hub: Hub, hub_url: str, tmp_path: Path
) -> None:
    """Both stores sell from one warehouse, the SKUs turned around; each batch is offered by two processes."""
    world = World(hub, tmp_path, stores={code: {"warehouse": "W1"} for code in ("S1", "S2")}).ready()
    work = {
        store: [
            batch_of(
                world,
                *(make_ticket(10 * n + i, [(sku, 1, "1.00") for sku in skus], store=store) for i in range(4)),
                make_order(10 * n, [(sku, 1, "1.00") for sku in skus], kind=kind, store=store),
                store=store,
                sequence=n,
            )
            for n, kind in enumerate(("layaway", "backorder", "layaway", "backorder"), start=1)
        ]
        for store, skus in (("S1", SKUS), ("S2", SKUS[::-1]))
    }
    said = SPAWN.Queue()
    importers = [
        SPAWN.Process(target=import_all, args=(hub_url, world.settings, work[store], said))
        for store in work
        for _ in range(2)
    ]
    done = threading.Event()
    failed: list[BaseException] = []

    def keep(act: Callable[[World, int], object]) -> threading.Thread:
        def run() -> None:
            try:
                with open_hub(hub_url) as own:
                    mine, turn = beside(world, own), 0
                    while not done.is_set() or not turn:
                        turn += 1
                        patiently(lambda: act(mine, turn))  # noqa: B023
            except BaseException as error:  # noqa: BLE001 - a thread's failure is told by the test
                failed.append(error)

        return threading.Thread(target=run)

    def receive(mine: World, turn: int) -> None:
        file = tmp_path / f"{turn}.csv"
        file.write_text(
            "warehouse,sku,quantity\n" + "".join(f"W1,{sku},1\n" for sku in SKUS), encoding="utf-8"
        )
        receive_stock(mine.hub, mine.settings, file, reference=f"LS-{turn}", now=NOW)
        received.add(turn)

    def forward(mine: World, turn: int) -> None:
        for store in work:
            for kind in ("layaway", "backorder"):
                patiently(lambda: advance(mine.hub, mine.settings, store, kind, now=NOW))  # noqa: B023

    received: set[int] = set()
    running: list[Any] = [*importers, keep(receive), keep(forward)]
    for each in running:
        each.start()
    outcomes = [said.get(timeout=SECONDS) for _ in range(2 * sum(len(batches) for batches in work.values()))]
    done.set()
    for each in running:
        each.join(SECONDS)

    assert failed == []
    assert [process.exitcode for process in importers] == [0, 0, 0, 0]
    new = sorted(path for path, already in outcomes if not already)
    assert new == sorted(manifest.path for batches in work.values() for manifest, _ in batches)
    physical = {(place, sku): f"{len(received) - 32}.00" for place, sku in (("W1", sku) for sku in SKUS)}
    assert world.stock() == physical
    assert world.rows("SELECT COUNT(*) FROM documents WHERE state = 'accepted'") == [(40,)]
    assert [world.prove(store) for store in work] == [[], []]
