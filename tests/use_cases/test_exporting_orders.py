"""The export of layaways and backorders: every state of one reaches the hub, whatever RMS leaves behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from data_contracts.documents import ORDER, TICKET
from data_contracts.manifest import EpochStart
from tasks import faults
from tasks.exchange import batches
from tasks.rms import orders as rms_orders
from tasks.rms import tables
from tasks.use_cases import exporting
from tests.rms_database import BACKORDER, QUOTE, WORK_ORDER
from tests.use_cases.store_fixtures import Shop, copy_shop, shop, small_shop

__all__ = ["shop", "small_shop"]


class Killed(BaseException):
    """As if the process had ended here."""


def states(shop: Shop) -> dict[int, list[str]]:
    """number -> its revisions in the order of their batches, each repeated one once."""
    return states_of(shop.snapshots())


def states_of(published: dict[int, list[dict[str, Any]]]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for number, snapshots in published.items():
        for snapshot in snapshots:
            if snapshot["revision"] not in found.setdefault(number, [])[-1:]:
                found[number].append(snapshot["revision"])
    return found


def numbers_of(shop: Shop) -> list[tuple[list[int], list[int]]]:
    """(orders, tickets) of each batch."""
    read = [shop.read(manifest) for manifest in shop.manifests()]
    return [(frames["orders"]["number"].tolist(), frames["tickets"]["number"].tolist()) for frames in read]


def test_an_open_layaway_travels_with_its_lines_deposits_and_their_tenders(shop: Shop) -> None:
    shop.baseline()
    shop.till.place_order(7, [(1, 2.0, "10.00"), (2, 1.0, "5.00")], deposit="5.00")
    shop.till.pay_deposit(7, "2.50")
    shop.till.ring(1)

    report = shop.export()

    (manifest,) = shop.manifests()
    frames = shop.read(manifest)
    assert frames["orders"][["number", "order_type", "closed", "line_count"]].values.tolist() == [
        [7, 5, False, 2]
    ]
    assert frames["order_lines"]["on_order"].tolist() == [20_000, 10_000]
    assert frames["order_history"]["delta_deposit"].tolist() == [50_000, 25_000]
    assert frames["deposit_tenders"]["amount"].tolist() == [50_000, 25_000]
    assert frames["tickets"]["number"].tolist() == [1]
    assert frames["tenders"]["amount"].tolist() == [100_000]
    assert (manifest.documents, manifest.orders, manifest.deposits) == (2, 1, 75_000)
    assert (manifest.units, manifest.money) == (10_000, 100_000)
    assert (report.tickets, report.orders, report.deposits, report.lines) == (1, 1, 75_000, 1)
    assert shop.head().position.open_orders == (7,)
    assert shop.head().position.resume.tender_entry_id == 3


def test_an_idle_shop_publishes_nothing_however_many_orders_are_open(shop: Shop) -> None:
    shop.baseline()
    shop.till.place_order(7, deposit="5.00")
    shop.export()
    for _ in range(3):
        shop.wait(5)
        assert shop.export().batches == ()

    # A sweep looks for what left no trace: it shows the hub the open orders again, as it knows them.
    shop.export(sweep=True)
    assert shop.export().batches == ()
    assert [len(found) for found in states(shop).values()] == [1]


def test_every_change_of_an_order_brings_a_new_snapshot_once(shop: Shop) -> None:
    shop.baseline()
    shop.till.place_order(7, [(1, 2.0, "10.00"), (2, 1.0, "5.00")], deposit="5.00")
    shop.export()
    entry = shop.till.entries(7)[0]

    def moved() -> None:
        shop.till.change_order(7, ExpirationOrDueDate=datetime(2027, 3, 1))  # noqa: DTZ001

    changes: list[Callable[[], None]] = [
        moved,
        lambda: shop.till.change_line(entry, QuantityOnOrder=3.0),
        lambda: shop.till.delete_line(entry),
        lambda: shop.till.pay_deposit(7, "2.50"),
        lambda: shop.till.pay_deposit(7, "-1.00"),
        lambda: shop.till.pick_up(7, 101, used="5.00"),
    ]
    for done, change in enumerate(changes, start=2):
        change()
        assert shop.export().orders == 1
        assert shop.export().orders == 0
        assert len(states(shop)[7]) == done

    assert len(shop.snapshots()[7]) == 7
    assert shop.head().position.open_orders == ()


def test_a_deleted_line_that_no_log_tells_of_is_found_by_the_sweep(shop: Shop) -> None:
    shop.baseline()
    shop.till.place_order(7, [(1, 2.0, "10.00"), (2, 1.0, "5.00")])
    shop.export()
    shop.till.delete_line(shop.till.entries(7)[0], logged=False)

    assert shop.export().orders == 0
    assert shop.export(sweep=True).orders == 1

    assert [snapshot["line_count"] for snapshot in shop.snapshots()[7]] == [2, 1]


def test_an_order_whose_rows_were_written_without_a_change_has_the_same_revision(shop: Shop) -> None:
    shop.baseline()
    shop.till.place_order(7)
    shop.export()
    shop.till.change_order(7, Comment="called")

    assert shop.export().orders == 1
    assert len(shop.snapshots()[7]) == 2
    assert len(states(shop)[7]) == 1


def test_a_pick_up_and_its_order_are_in_one_batch(shop: Shop) -> None:
    shop.baseline()
    shop.till.place_order(7, [(1, 2.0, "10.00")], deposit="5.00")
    shop.till.place_order(8)
    shop.export()
    shop.till.pick_up(7, 101, 1.0, used="2.00")
    shop.till.pick_up(8, 102)

    report = shop.export()

    assert numbers_of(shop) == [([7, 8], []), ([7, 8], [101, 102])]
    assert (report.tickets, report.orders, report.deposits) == (2, 2, 30_000)
    frames = shop.read(shop.manifests()[-1])
    assert frames["tickets"]["recalled_order_type"].tolist() == [5, 5]
    assert frames["orders"][["taken", "closed"]].values.tolist() == [[10_000, False], [10_000, True]]
    assert len(frames["deposit_tenders"]) == 1, "the pick-up's tender is the ticket's"
    assert shop.head().position.open_orders == (7,)


def test_a_pick_up_brings_its_order_even_if_nothing_of_that_has_changed(small_shop: Shop) -> None:
    small_shop.baseline()
    small_shop.till.place_order(7)
    small_shop.export()
    with small_shop.till.writing() as connection:
        small_shop.till.header(connection, 101, "10.00", RecallType=4, RecallID=7)
        small_shop.till.lines(connection, 101, [(1, 1.0, "10.00")])

    small_shop.export()

    assert numbers_of(small_shop)[-1] == ([7], [101])


def test_a_recall_for_another_reason_is_no_pick_up(small_shop: Shop) -> None:
    """The number of a voided ticket may be that of an order, too."""
    small_shop.baseline()
    small_shop.till.place_order(7)
    small_shop.export()
    small_shop.till.ring(101, RecallType=3, RecallID=7)

    assert small_shop.export().orders == 0


def test_quotes_and_work_orders_stay_home_and_their_pick_ups_are_plain_tickets(shop: Shop) -> None:
    shop.baseline()
    shop.till.place_order(7, order_type=QUOTE)
    shop.till.place_order(8, order_type=WORK_ORDER, deposit="5.00")

    assert (shop.export().batches, shop.export(sweep=True).batches) == ((), ())
    shop.till.pick_up(8, 101, used="5.00")
    report = shop.export()

    assert (report.tickets, report.orders, report.deposits) == (1, 0, 0)
    assert numbers_of(shop) == [([], [101])]
    assert shop.read(shop.manifests()[0])["tickets"]["recalled_order_type"].tolist() == [WORK_ORDER]
    assert shop.head().position.open_orders == ()


def test_an_unknown_type_travels_for_the_hub_to_quarantine(small_shop: Shop) -> None:
    small_shop.baseline()
    small_shop.till.place_order(7, order_type=9)
    small_shop.till.place_order(8, order_type=BACKORDER)

    assert small_shop.export().orders == 2
    assert [found[0]["order_type"] for found in small_shop.snapshots().values()] == [9, BACKORDER]


def test_a_quote_that_becomes_a_layaway_travels_from_then_on(small_shop: Shop) -> None:
    small_shop.baseline()
    small_shop.till.place_order(7, order_type=QUOTE)
    small_shop.export()
    small_shop.till.change_order(7, Type=5)

    assert small_shop.export().orders == 1
    assert small_shop.head().position.open_orders == (7,)


@pytest.mark.parametrize("sweep", [False, True])
def test_a_layaway_that_becomes_a_work_order_travels_once_more(small_shop: Shop, sweep: bool) -> None:
    small_shop.baseline()
    small_shop.till.place_order(7)
    small_shop.export()
    small_shop.till.change_order(7, Type=WORK_ORDER)

    assert small_shop.export(sweep=sweep).orders == 1
    small_shop.till.change_order(7, Comment="called")
    assert small_shop.export(sweep=sweep).orders == 0

    assert [found["order_type"] for found in small_shop.snapshots()[7]] == [5, WORK_ORDER]
    assert small_shop.head().position.open_orders == ()


@pytest.mark.parametrize("logged", [True, False])
def test_a_deleted_order_travels_once_as_closed_and_deleted(shop: Shop, logged: bool) -> None:
    shop.baseline()
    for number in (7, 8):
        shop.till.place_order(number, deposit="5.00")
    shop.export()
    shop.till.delete_order(7, logged=logged)
    if not logged:
        assert shop.export().orders == 0

    report = shop.export(sweep=not logged)

    assert report.orders == 2, "the gone one, and the other as it was"
    last = shop.snapshots()[7][-1]
    assert (last["closed"], last["flags"], last["line_count"], last["deposit_changes"]) == (
        True,
        "deleted",
        0,
        0,
    )
    assert shop.head().position.open_orders == (8,)
    shop.export(sweep=True)
    assert (len(shop.snapshots()[7]), len(states(shop)[8])) == (2, 1)


def test_an_order_that_was_never_published_leaves_nothing_behind_when_it_is_deleted(small_shop: Shop) -> None:
    small_shop.baseline()
    small_shop.till.place_order(7)
    small_shop.till.delete_order(7)

    assert small_shop.export().orders == 0
    assert small_shop.export(sweep=True).orders == 0


def test_an_order_that_one_look_misses_is_not_taken_for_deleted(
    small_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_shop.baseline()
    small_shop.till.place_order(7)
    small_shop.export()
    read_orders = rms_orders.read_orders
    monkeypatch.setattr(rms_orders, "read_orders", lambda *arguments: read_orders(*arguments).only([]))

    report = small_shop.export(sweep=True)

    assert (report.orders, report.waiting) == (0, 1)
    monkeypatch.undo()
    assert small_shop.export().orders == 1
    assert [found["flags"] for found in small_shop.snapshots()[7]] == ["", ""]


def test_orders_that_were_open_at_the_baseline_travel_with_the_first_export_and_closed_ones_never(
    shop: Shop,
) -> None:
    for number in (7, 8, 9):
        shop.till.place_order(number, deposit="1.00")
    shop.till.cancel_order(8, refund="1.00")
    shop.baseline()
    shop.till.cancel_order(9)
    shop.till.change_order(8, Comment="called")

    report = shop.export()

    assert (report.orders, report.waiting) == (2, 0)
    assert {number: found[0]["closed"] for number, found in shop.snapshots().items()} == {7: False, 9: True}
    assert shop.head().position.open_orders == (7,)
    assert shop.head().position.waiting == ()
    assert shop.export().orders == 0
    shop.export(sweep=True)
    assert shop.snapshots().keys() == {7, 9}


@pytest.mark.parametrize("seen_open", [True, False])
def test_an_order_that_was_closed_at_the_baseline_travels_once_it_is_opened_again(
    shop: Shop, seen_open: bool
) -> None:
    """Its next pick-up waited in the hub for ever: the order itself never came."""
    for number in (6, 7, 8):
        shop.till.place_order(number)
    shop.till.cancel_order(6)
    shop.till.cancel_order(8)
    shop.till.pick_up(7, 1)
    shop.baseline()
    (entry,) = shop.till.entries(7)
    shop.till.ring(2, quantity=-1.0, RecallType=3, RecallID=1)
    shop.till.change_line(entry, QuantityOnOrder=1.0, QuantityRTD=0.0)
    shop.till.change_order(7, Closed=False)
    shop.till.change_order(6, Comment="touched")
    if seen_open:
        shop.export()
        assert shop.head().position.open_orders == (7,)
    shop.till.pick_up(7, 3)

    shop.export()

    closed = [snapshot["closed"] for snapshot in shop.snapshots()[7]]
    assert closed == ([False, True] if seen_open else [True])
    assert numbers_of(shop)[-1] == ([7], [3] if seen_open else [2, 3])
    assert set(shop.snapshots()) == {7}
    assert shop.head().position.closed_orders == ((6, 6), (8, 8))
    shop.export(sweep=True)
    assert set(shop.snapshots()) == {7}


def test_an_order_header_committed_before_its_lines_waits_and_arrives_whole(shop: Shop) -> None:
    shop.baseline()
    with shop.till.writing() as connection:
        shop.till.order_header(connection, 7)

    report = shop.export()
    assert (report.orders, report.waiting) == (0, 1)
    assert [(w.source, w.number) for w in shop.head().position.waiting] == [(ORDER, 7)]

    with shop.till.writing() as connection:
        shop.till.order_lines(connection, 7, [(1, 1.0, "10.00")])
    report = shop.export()

    assert (report.orders, report.waiting, report.unsettled) == (1, 0, 0)
    assert len(shop.snapshots()[7]) == 1


def test_a_ticket_and_an_order_of_one_number_wait_side_by_side(small_shop: Shop) -> None:
    """The waiting list used to be kept by number alone."""
    small_shop.baseline()
    with small_shop.till.writing() as connection:
        small_shop.till.header(connection, 7, "10.00")
        small_shop.till.order_header(connection, 7)

    assert small_shop.export().waiting == 2
    assert {(w.source, w.number) for w in small_shop.head().position.waiting} == {(ORDER, 7), (TICKET, 7)}
    with small_shop.till.writing() as connection:
        small_shop.till.order_lines(connection, 7, [(1, 1.0, "10.00")])
    report = small_shop.export()

    assert (report.orders, report.tickets, report.waiting) == (1, 0, 1)
    assert [(w.source, w.number) for w in small_shop.head().position.waiting] == [(TICKET, 7)]


def test_an_order_that_stays_without_a_line_is_published_flagged_and_not_waited_for_again(
    small_shop: Shop,
) -> None:
    small_shop.baseline()
    small_shop.till.place_order(7, [])
    assert small_shop.export().waiting == 1
    small_shop.wait(9)
    assert small_shop.export().waiting == 1
    small_shop.wait(1)

    report = small_shop.export()

    assert (report.orders, report.unsettled, report.waiting) == (1, 1, 0)
    assert small_shop.export().batches == ()
    report = small_shop.export(sweep=True)
    assert (report.orders, report.unsettled, report.waiting) == (1, 1, 0)
    assert [found["flags"] for found in small_shop.snapshots()[7]] == ["unsettled", "unsettled"]


@pytest.mark.parametrize("minutes", [0, 60])
def test_an_order_that_moves_while_it_is_read_waits_however_long(
    small_shop: Shop, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    small_shop.baseline()
    small_shop.till.place_order(7)
    small_shop.till.pick_up(7, 101)
    lines_query = rms_orders._lines

    def meanwhile(*arguments: Any) -> Any:
        small_shop.till.change_order(7, Comment="called")
        return lines_query(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(rms_orders, "_lines", meanwhile)
        report = small_shop.export()
        assert (report.tickets, report.orders, report.waiting) == (1, 0, 1)
        small_shop.wait(minutes)
        report = small_shop.export()
        assert (report.orders, report.waiting) == (0, 1)

    report = small_shop.export()
    assert (report.orders, report.waiting, report.unsettled) == (1, 0, 0)


def test_an_order_committed_out_of_order_is_not_skipped(shop: Shop) -> None:
    """Its rowversions are lower than those of an order which committed before it."""
    shop.baseline()
    if shop.till.engine.dialect.name == "sqlite":
        shop.till.place_order(8, deposit="1.00")
        shop.export()
        shop.till.place_order(7, deposit="1.00")
        assert shop.export().orders == 1
        return
    with shop.till.engine.connect() as slow:
        shop.till.order_header(slow, 7)
        shop.till.order_lines(slow, 7, [(1, 1.0, "10.00")])
        shop.till.place_order(8, deposit="1.00")
        shop.export()
        shop.till.deposit(slow, 7, "1.00")
        slow.commit()
    shop.export()

    assert shop.snapshots().keys() == {7, 8}
    assert [len(found) for found in states(shop).values()] == [1, 1]
    assert shop.snapshots()[7][-1]["deposit_changes"] == 10_000


def test_two_stores_in_one_database_keep_their_orders_apart(shop: Shop) -> None:
    shop.configure(store_id=1)
    shop.baseline()
    shop.till.place_order(7, store_id=2, deposit="1.00")
    shop.till.place_order(8)
    shop.export()
    shop.export(sweep=True)

    assert shop.snapshots().keys() == {8}


def test_orders_above_the_start_of_an_epoch_belong_to_it(small_shop: Shop) -> None:
    small_shop.baseline()
    head = small_shop.head()
    epochs = (EpochStart(epoch=1), EpochStart(epoch=2, after_number=100, after_order=7))
    position = head.position.model_copy(update={"epochs": epochs})
    batches.replace_head(small_shop.folder, head.model_copy(update={"position": position}))
    for number in (7, 8):
        small_shop.till.place_order(number, deposit="1.00")

    small_shop.export()

    (manifest,) = small_shop.manifests()
    frames = small_shop.read(manifest)
    for role in ("orders", "order_lines", "order_history", "deposit_tenders"):
        assert frames[role][["number", "epoch"]].values.tolist() == [[7, 1], [8, 2]], role
    assert manifest.epoch == 2


def test_orders_come_before_tickets_and_again_with_a_pick_up_in_another_part(
    small_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "MAX_BATCH_LINES", 4)
    small_shop.baseline()
    small_shop.till.ring(1)
    for number in (7, 8, 9):
        small_shop.till.place_order(number, [(1, 1.0, "10.00"), (2, 1.0, "5.00")])
    small_shop.till.pick_up(7, 101)
    small_shop.till.ring(102)

    report = small_shop.export()

    # A pick-up counts with the lines of its order: 2 and 2.
    assert numbers_of(small_shop) == [([8, 9], []), ([7], [1]), ([7], [101]), ([], [102])]
    assert (report.orders, report.tickets) == (4, 3)
    marks = [manifest.position.resume.rowversion for manifest in small_shop.manifests()]
    assert marks == sorted(marks)
    assert marks[-1] == small_shop.manifests()[-1].bound - 1
    assert [m.position.open_orders for m in small_shop.manifests()] == [(8, 9)] * 4
    assert small_shop.export().batches == ()


@pytest.mark.slow
@pytest.mark.parametrize("sweep", [False, True])
def test_an_export_of_orders_interrupted_anywhere_loses_nothing_when_it_runs_again(
    small_shop: Shop, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, sweep: bool
) -> None:
    """Every fault point of changed, deleted, waiting and picked-up orders in several batches.

    Of those of the folder the first pass: between two files of a batch nothing differs.
    """
    monkeypatch.setattr(exporting, "MAX_BATCH_LINES", 3)
    small_shop.baseline()
    for number in (7, 8, 9, 10):
        small_shop.till.place_order(number, [(1, 1.0, "10.00"), (2, 1.0, "5.00")], deposit="5.00")
    small_shop.export()
    small_shop.till.delete_line(small_shop.till.entries(7)[0])
    small_shop.till.pick_up(8, 101, 1.0, used="5.00")
    small_shop.till.delete_order(9)
    small_shop.till.place_order(11, deposit="1.00")
    small_shop.till.ring(102)
    with small_shop.till.writing() as connection:
        small_shop.till.order_header(connection, 12)
    copies = tmp_path_factory.mktemp("copies")
    expected = {7: 2, 8: 2, 9: 2, 10: 1, 11: 1, 12: 1}
    passes: list[str] = []
    monkeypatch.setattr(faults, "hook", passes.append)
    copy_shop(small_shop.settings.folder, copies / "undisturbed").export(sweep=sweep)
    assert passes.count("export.batch_published") >= 3
    assert {name for name in passes if name.startswith("export.")} == {
        name for name in faults.NAMES if name.startswith("export.")
    }
    for at, name in enumerate(passes):
        if name.startswith("exchange.") and name in passes[:at]:
            continue
        interrupted = copy_shop(small_shop.settings.folder, copies / str(at))
        left = at

        def stop(reached: str) -> None:
            nonlocal left
            if left == 0:
                raise Killed(reached)
            left -= 1

        monkeypatch.setattr(faults, "hook", stop)
        with pytest.raises(Killed, match=name):
            interrupted.export(sweep=sweep)
        monkeypatch.setattr(faults, "hook", None)
        with interrupted.till.writing() as connection:
            interrupted.till.order_lines(connection, 12, [(1, 1.0, "10.00")])
        interrupted.export(sweep=sweep)

        snapshots = interrupted.snapshots()
        found = {number: len(revisions) for number, revisions in states_of(snapshots).items()}
        assert found == expected, name
        assert interrupted.published().keys() == {101, 102}, name
        position = interrupted.head().position
        assert (position.waiting, position.open_orders) == ((), (7, 8, 10, 11, 12)), name
        assert snapshots[9][-1]["flags"] == "deleted", name
        assert interrupted.export().batches == (), name


def test_two_exporters_at_once_lose_no_order(small_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of open orders in the newer batch may lack one of the other: only the sweep may rely on it."""
    small_shop.baseline()
    small_shop.till.place_order(7)

    def meanwhile(name: str) -> None:
        if name == "batch.publish_files":
            monkeypatch.setattr(faults, "hook", None)
            small_shop.till.place_order(8)
            small_shop.export()

    monkeypatch.setattr(faults, "hook", meanwhile)
    small_shop.export()
    small_shop.till.place_order(9)
    small_shop.export()

    assert [m.sequence for m in small_shop.manifests()] == [1, 1, 2]
    assert states(small_shop).keys() == {7, 8, 9}
    small_shop.export(sweep=True)
    assert small_shop.head().position.open_orders == (7, 8, 9)


def test_a_dry_run_says_the_same_of_orders_and_writes_nothing(small_shop: Shop) -> None:
    small_shop.baseline()
    small_shop.till.place_order(7, deposit="5.00")
    before = small_shop.head()

    dry = small_shop.export(dry_run=True)

    assert (small_shop.head(), small_shop.manifests()) == (before, [])
    real = small_shop.export()
    assert (dry.orders, dry.deposits, dry.waiting) == (real.orders, real.deposits, real.waiting)
    assert (dry.orders, dry.deposits) == (1, 50_000)


def test_no_customer_comment_or_reference_of_an_order_reaches_the_exchange(shop: Shop) -> None:
    canaries = ("CANARY", "987654321", "4111111111111111")
    shop.baseline()
    shop.till.place_order(7, deposit="5.00", Comment="CANARY", ReferenceNumber="CANARY", CustomerID=987654321)
    with shop.till.writing() as connection:
        shop.till.order_lines(connection, 7, [(1, 1.0, "1.00")], Comment="CANARY", Description="CANARY")
        connection.execute(update(tables.order_history).values(Comment="CANARY"))
        connection.execute(
            update(tables.tender_entry).values(
                CreditCardNumber="4111111111111111", AccountHolder="CANARY", Description="CANARY"
            )
        )

    assert shop.export().orders == 1

    for path in shop.folder.root.rglob("*"):
        content = path.read_bytes().decode() if path.is_file() else ""
        assert not [canary for canary in canaries if canary in content], path.name


def test_a_cycle_that_finds_no_change_of_the_open_orders_does_not_load_pandas(small_shop: Shop) -> None:
    small_shop.baseline()
    small_shop.till.place_order(7, deposit="5.00")
    small_shop.export()
    small_shop.till.place_order(8, order_type=QUOTE)
    store = small_shop.settings.stores["S1"]
    assert store.rms_url is not None
    file = small_shop.settings.folder / "tillbridge.toml"
    file.write_text(f'[stores.S1]\nrms_url = "{store.rms_url.get_secret_value()}"\n')
    code = (
        "import sys; from tasks.settings import load_settings; "
        "from tasks.use_cases import exporting; "
        "assert exporting.export_orders(load_settings(sys.argv[1]), 'S1').batches == (); "
        "print(sorted({'pandas', 'great_expectations', 'prefect', 'pyodbc', 'psycopg'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(file)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(exporting.__file__).parents[2],
    )

    assert done.stdout.strip() == "[]"
