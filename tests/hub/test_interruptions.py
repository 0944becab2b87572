"""An import that dies anywhere leaves nothing behind, and repeating it ends as if it had never died."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from copy import copy
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from data_contracts.errors import HubUnavailable, NotYetArrived
from data_contracts.manifest import Reason
from tasks import faults
from tasks.hub import inbox
from tasks.hub.database import Hub, lock_store, open_hub
from tasks.hub.importer import import_batch, recheck_quarantine
from tasks.hub.proofs import prove
from tests.documents import Ticket, make_batch, make_order, make_ticket, to_rows
from tests.hub.servers import only_on_postgresql
from tests.hub.test_order_of_arrival import state
from tests.hub.test_reconcile import state_of
from tests.hub.world import NOW, SKUS, World, make_manifest, verdict_of

POINTS = sorted(
    name
    for name in faults.NAMES
    if name.startswith(("hub.import.", "hub.orders.", "hub.ledger.", "hub.quarantine.", "hub.verdict."))
)


AROUND = sorted(
    name
    for name in faults.NAMES
    if name.startswith(
        ("hub.baseline.", "hub.statement.", "hub.reject.", "hub.configure.", "hub.catalog.", "hub.recheck.")
    )
)


class Died(Exception):
    """The process ends here."""


def import_two(world: World) -> None:
    world.orders(
        make_ticket(1, [("SKU-1", 2, "10.00")]),
        make_ticket(9, [("NOPE", 1, "1.00")]),
        make_order(77, [("SKU-1", 3, "10.00")], deposits=[("6.00", 0)]),
    )
    world.orders(
        make_ticket(1, [("SKU-1", 3, "10.00")]),
        make_ticket(2, [("SKU-1", -1, "10.00")], recall_type=1, recall_id=1),
        make_order(78, [("SKU-2", 1, "5.00")], deposits=[("1.00", 0)]),
        *picked_up_77(),
        sequence=2,
    )


def picked_up_77() -> list[Ticket]:
    """Layaway 77 closed, and the ticket that picked it up."""
    changes = [("6.00", 0), ("-6.00", 500)]
    pick_up = make_ticket(500, [("SKU-1", 3, "10.00")], recall_type=4, recall_id=77, recalled_order_type=5)
    return [make_order(77, [("SKU-1", 0, "10.00")], taken=[3], closed=True, deposits=changes), pick_up]


@pytest.fixture
def clean(tmp_path: Path, ready_file: Path) -> Iterator[World]:
    folder = tmp_path / "clean"
    folder.mkdir()
    shutil.copy(ready_file, folder / "hub.db")
    with open_hub(f"sqlite:///{folder / 'hub.db'}") as hub:
        world = World(hub, folder)
        import_two(world)
        yield world


@pytest.mark.parametrize("name", POINTS)
@pytest.mark.parametrize("occurrence", [1, 2])
def test_import_that_dies_anywhere_is_repeated_to_the_same_end(
    name: str,
    occurrence: int,
    clean: World,
    ready_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copy(ready_file, tmp_path / "hub.db")
    with open_hub(f"sqlite:///{tmp_path / 'hub.db'}") as hub:
        world = World(hub, tmp_path)
        passed = 0

        def die(point: str) -> None:
            nonlocal passed
            passed += point == name
            if passed == occurrence:
                raise Died(point)

        monkeypatch.setattr(faults, "hook", die)
        with pytest.raises(Died):
            import_two(world)
        monkeypatch.setattr(faults, "hook", None)
        import_two(world)

        assert state(world) == state(clean)
        events = "SELECT store, number, type FROM events ORDER BY store, number"
        assert world.rows(events) == clean.rows(events)


ADVANCING = sorted(
    name
    for name in faults.NAMES
    if name.startswith(("hub.advance.", "hub.orders.", "hub.ledger.", "hub.quarantine."))
    and name != "hub.orders.deposits"  # recorded at import
)


@pytest.mark.parametrize("name", ADVANCING)
def test_advance_that_dies_anywhere_is_repeated_to_the_same_end(
    name: str, clean: World, ready_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean.advance()
    shutil.copy(ready_file, tmp_path / "hub.db")
    with open_hub(f"sqlite:///{tmp_path / 'hub.db'}") as hub:
        world = World(hub, tmp_path)
        import_two(world)

        def die(point: str) -> None:
            if point == name:
                raise Died(point)

        monkeypatch.setattr(faults, "hook", die)
        with pytest.raises(Died):
            world.advance()
        monkeypatch.setattr(faults, "hook", None)
        world.advance()

        assert state(world) == state(clean)
        events = "SELECT store, number, type FROM events ORDER BY store, number"
        assert world.rows(events) == clean.rows(events)
        assert proofs_of(world, "S1") == []


def live_a_day(url: str, folder: Path) -> None:
    """Everything besides the booking of tickets: settings, catalogue, baseline, statement, rejection."""
    with open_hub(url) as hub:
        World(hub, folder, stores={"S1": {}})
        world = World(hub, folder)
        world.catalog()
        world.baseline({"SKU-1": "3", "LATE": "2"})
        world.orders(make_ticket(1), make_ticket(2, [("LATE", 1, "5.00")]))
        manifest = make_manifest(make_batch([make_ticket(3)]), "orders", 2)
        inbox.reject_batch(hub, manifest, (Reason(rule="altered", message="Altered."),), now=NOW)
        state_of(world, [make_ticket(1)], [(1, 2, "present")])
        world.catalog(["LATE"])
        recheck_quarantine(hub, world.settings, "S1", now=NOW)


EVERYTHING = {
    "events": "SELECT store, number, type, document, order_id, sku FROM events ORDER BY store, number",
    "batches": "SELECT path, state, accepted, quarantined FROM batches ORDER BY path",
    "streams": "SELECT store, stream, last_sequence, last_batch FROM streams ORDER BY store, stream",
    "places": "SELECT company, channel, store, warehouse FROM channel_warehouses ORDER BY store",
    "products": "SELECT sku_key, sku FROM products ORDER BY sku_key",
    "statements": "SELECT batch, bound FROM statements ORDER BY batch",
    "days": "SELECT business_date, tickets FROM statement_days ORDER BY business_date",
    "entries": "SELECT document, state FROM quarantine ORDER BY document",
    "mark": "SELECT code, baseline, opening_stock, start_rowversion FROM stores ORDER BY code",
}


@pytest.mark.slow
def test_whatever_else_dies_anywhere_is_repeated_to_the_same_end(
    migrated_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(folder: Path, *dies_at: str) -> dict[str, list[tuple[object, ...]]]:
        folder.mkdir()
        shutil.copy(migrated_file, folder / "hub.db")
        url = f"sqlite:///{folder / 'hub.db'}"
        for name in dies_at:

            def die(point: str, at: str = name) -> None:
                if point == at:
                    raise Died(point)

            monkeypatch.setattr(faults, "hook", die)
            with pytest.raises(Died):
                live_a_day(url, folder)
            monkeypatch.setattr(faults, "hook", None)
        live_a_day(url, folder)
        with open_hub(url) as hub:
            world = World(hub, folder)
            assert all(not proofs_of(world, store) for store in ("S1", "S2"))
            return state(world) | {name: world.rows(query) for name, query in EVERYTHING.items()}

    clean = end(tmp_path / "clean")

    assert len(AROUND) >= 11
    for name in AROUND:
        assert end(tmp_path / name, name) == clean, name


def proofs_of(world: World, store: str) -> list[str]:
    with world.hub.reading() as connection:
        return prove(connection, store)


def test_two_stores_that_move_the_same_stock_are_imported_side_by_side(hub: Hub, tmp_path: Path) -> None:
    world = World(hub, tmp_path, stores={"S1": {"warehouse": "W1"}, "S2": {"warehouse": "W1"}}).ready()
    url = hub.engine.url.render_as_string(hide_password=False)
    failed: list[BaseException] = []

    def run(store: str) -> None:
        try:
            with open_hub(url) as own:
                beside = copy(world)
                beside.hub = own
                for sequence in range(1, 6):
                    skus = SKUS if store == "S1" else SKUS[::-1]
                    tickets = [
                        make_ticket(sequence * 10 + n, [(sku, 1, "1.00") for sku in skus], store=store)
                        for n in range(5)
                    ]
                    beside.orders(*tickets, store=store, sequence=sequence)
        except BaseException as error:  # noqa: BLE001 - a thread's failure is told by the test
            failed.append(error)

    threads = [threading.Thread(target=run, args=(store,)) for store in ("S1", "S2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []
    assert world.stock() == {("W1", sku): "-50.00" for sku in SKUS}
    assert proofs_of(world, "S1") == proofs_of(world, "S2") == []


@only_on_postgresql
def test_second_importer_of_a_store_is_told_and_leaves(world: World, hub_url: str) -> None:
    with open_hub(hub_url) as other, other.writing() as connection:
        lock_store(connection, "S1")

        with pytest.raises(HubUnavailable, match="Another run is writing store S1"):
            world.orders(make_ticket(1))
        assert world.orders(make_ticket(1, store="S2"), store="S2").accepted == 1
    assert world.orders(make_ticket(1)).accepted == 1


def test_two_importers_of_one_batch_book_it_once(world: World, hub_url: str) -> None:
    frames = make_batch([make_ticket(n) for n in range(1, 20)])
    manifest = make_manifest(frames, "orders", 1)
    inbox.store_verdict(world.hub, manifest, verdict_of(manifest))
    said: list[str] = []

    def run() -> None:
        with open_hub(hub_url) as hub:
            try:
                outcome = import_batch(hub, world.settings, manifest, to_rows(frames))
                said.append("already" if outcome.already else "new")
            except HubUnavailable:
                said.append("busy")

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert said.count("new") == 1
    assert world.stock() == {("W1", "SKU-1"): "-19.00"}


@pytest.mark.parametrize("table", ["stock_movements", "events"])
@pytest.mark.parametrize("change", ["DELETE FROM {}", "UPDATE {} SET at_utc = 'x'"])
def test_database_refuses_to_change_what_was_posted(world: World, table: str, change: str) -> None:
    world.orders(make_ticket(1))

    with pytest.raises(DBAPIError, match="append-only"), world.hub.writing() as connection:
        connection.execute(text(change.format(table)))


def test_batch_without_a_verdict_is_not_imported(world: World) -> None:
    frames = make_batch([make_ticket(1)])
    manifest = make_manifest(frames, "orders", 1)

    with pytest.raises(NotYetArrived, match="no stored verdict"):
        import_batch(world.hub, world.settings, manifest, to_rows(frames))
    assert inbox.find_batch(world.hub, manifest.path) is None


def test_rejected_batch_is_recorded_and_stays_rejected(world: World) -> None:
    manifest = make_manifest(make_batch([make_ticket(1)]), "orders", 1)
    reason = Reason(rule="altered", message="The file is not what the manifest says.")

    first = inbox.reject_batch(world.hub, manifest, (reason,))
    again = inbox.reject_batch(world.hub, manifest, ())

    assert (first.state, first.already) == ("rejected", False)
    assert (again.state, again.already, again.reasons) == ("rejected", True, (reason,))
    assert world.rows("SELECT path, state FROM batches WHERE stream = 'orders'") == [
        (manifest.path, "rejected")
    ]


def test_missing_sequence_is_an_event_and_later_batches_still_import(world: World) -> None:
    assert world.orders(make_ticket(1), sequence=4).accepted == 1

    assert world.rows("SELECT payload FROM events WHERE type = 'sequence_gap'") == [
        ('{"stream": "orders", "first_missing": 1, "last_missing": 3}',)
    ]


def test_two_batches_of_one_sequence_are_both_imported(world: World) -> None:
    world.orders(make_ticket(1), batch_id="0" * 12)
    world.orders(make_ticket(2), batch_id="f" * 12)

    assert world.rows("SELECT payload FROM events WHERE type = 'sequence_fork'") == [
        ('{"stream": "orders", "sequence": 1}',)
    ]
    assert len(world.rows("SELECT * FROM reporting_orders")) == 2


def test_empty_cycle_loads_no_pandas() -> None:
    code = (
        "import sys; import tasks.hub.database, tasks.hub.registry, tasks.hub.inbox, tasks.hub.status; "
        "sys.exit('pandas' in sys.modules or 'great_expectations' in sys.modules or 'alembic' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
