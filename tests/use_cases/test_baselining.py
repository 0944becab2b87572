"""The baseline: one start mark, published once, completed after a crash."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from sqlalchemy import Connection, update

from data_contracts.errors import ConfigurationError, NotBaselined, StoreUnavailable, TransferInterrupted
from data_contracts.manifest import Mark
from tasks import faults
from tasks.rms import reader, tables
from tasks.rms.dialects import read_bound
from tasks.use_cases import baselining
from tasks.use_cases.baselining import baseline_store
from tests.rms_database import BACKORDER, QUOTE
from tests.use_cases.store_fixtures import Shop, shop, small_shop

__all__ = ["shop", "small_shop"]


def published_orders(shop: Shop) -> dict[int, list[dict[str, Any]]]:
    """number -> its snapshots in the order of their batches."""
    found: dict[int, list[dict[str, Any]]] = {}
    for manifest in shop.manifests():
        for snapshot in shop.read(manifest)["orders"].to_dict("records"):
            found.setdefault(snapshot["number"], []).append({str(k): v for k, v in snapshot.items()})
    return found


class Killed(BaseException):
    """As if the process had ended here."""


def test_the_baseline_fixes_the_mark_and_what_was_there_is_history(shop: Shop) -> None:
    for number in (1, 2, 3, 7, 9):
        shop.till.ring(number)

    report = baseline_store(shop.settings, "S1", now=shop.now)

    (manifest,) = shop.manifests("baseline")
    frames = shop.read(manifest)
    position = shop.head().position
    assert report.batch == manifest.path
    assert (report.history_tickets, report.items, report.units, report.completed) == (5, 0, 0, False)
    assert frames["history_ranges"].to_dict("list") == {
        "store": ["S1"] * 3,
        "source": ["ticket"] * 3,
        "first_number": [1, 7, 9],
        "last_number": [3, 7, 9],
    }
    assert len(frames["opening_stock"]) == 0
    assert position.start == position.resume == position.swept == manifest.position.start
    assert position.start.ticket_number == 9
    assert position.history == ((1, 3), (7, 7), (9, 9))
    assert manifest.bound == position.start.rowversion + 1
    assert shop.export(sweep=True).tickets == 0


def test_a_store_without_a_ticket_begins_at_nothing(small_shop: Shop) -> None:
    small_shop.baseline()
    small_shop.till.ring(1)

    assert small_shop.head().position.start.ticket_number == 0
    assert small_shop.export().tickets == 1


def test_opening_stock_is_what_items_hold_except_those_without_stock(shop: Shop) -> None:
    with shop.till.writing() as connection:
        connection.execute(update(tables.item).where(tables.item.c.ID == 1).values(Quantity=0.1 + 0.2))
        connection.execute(update(tables.item).where(tables.item.c.ID == 2).values(Quantity=-2.0))
        connection.execute(update(tables.item).where(tables.item.c.ID == 3).values(ItemType=7))
        connection.execute(update(tables.item).where(tables.item.c.ID == 5).values(ItemLookupCode="SKU-4 "))

    report = baseline_store(shop.settings, "S1", stock_from_rms=True, now=shop.now)

    stock = shop.read(shop.manifests("baseline")[0])["opening_stock"]
    assert dict(zip(stock["sku"], stock["quantity"], strict=True)) == {
        "SKU-1": 3_000,
        "SKU-2": -20_000,
        "SKU-4": 200_000,
    }
    assert (report.items, report.units) == (3, 183_000)


def test_stock_is_read_in_a_moment_in_which_nothing_is_sold(
    small_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    sold = iter(range(1, 100))
    stock_on_hand = reader.stock_on_hand

    def busy(*arguments):  # type: ignore[no-untyped-def]
        found = stock_on_hand(*arguments)
        small_shop.till.ring(next(sold))
        return found

    monkeypatch.setattr(reader, "stock_on_hand", busy)
    with pytest.raises(StoreUnavailable, match="sold something each of the 5 times"):
        baseline_store(small_shop.settings, "S1", stock_from_rms=True, now=small_shop.now)
    assert small_shop.folder.list("S1/baseline") == []

    monkeypatch.setattr(reader, "stock_on_hand", stock_on_hand)
    small_shop.baseline(stock_from_rms=True)
    assert small_shop.head().position.start.ticket_number == 5


def test_a_second_baseline_is_refused(small_shop: Shop) -> None:
    small_shop.till.ring(4)
    small_shop.baseline()
    before = small_shop.head()

    with pytest.raises(ConfigurationError, match="exported from number 5 on"):
        small_shop.baseline()
    with pytest.raises(ConfigurationError, match="is the one read before"):
        small_shop.baseline(again=True)
    assert small_shop.head() == before
    assert len(small_shop.manifests("baseline")) == 1


def test_open_orders_come_with_the_first_export_and_closed_ones_never(shop: Shop) -> None:
    shop.till.place_order(71, deposit="5.00")
    shop.till.place_order(72, order_type=QUOTE)
    shop.till.place_order(73, deposit="2.00")
    shop.till.pick_up(73, ticket=1, used="2.00")
    shop.till.place_order(74, order_type=BACKORDER)
    shop.till.place_order(75, store_id=2)
    shop.till.place_order(76, order_type=9)

    report = baseline_store(shop.settings, "S1", now=shop.now)

    (manifest,) = shop.manifests("baseline")
    assert (report.open_orders, report.history_tickets) == (3, 1)
    assert manifest.position == shop.head().position
    assert list(manifest.position.waiting_numbers("order")) == [71, 74, 76]
    assert manifest.position.closed_orders == ((73, 73),)
    assert manifest.position.start.order_history_id == 3
    history = shop.read(manifest)["history_ranges"]
    assert history[["source", "first_number", "last_number"]].values.tolist() == [
        ["ticket", 1, 1],
        ["order", 73, 73],
    ]

    shop.till.change_order(73, Comment="touched")
    exported = shop.export()
    shop.export(sweep=True)

    assert (exported.orders, exported.tickets, exported.waiting) == (3, 0, 0)
    assert shop.head().position.open_orders == (71, 74, 76)
    assert sorted(published_orders(shop)) == [71, 74, 76]


def test_an_order_that_closes_while_the_baseline_runs_travels_as_closed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.till.place_order(71, deposit="5.00")

    def read_and_pick_up(connection: Connection) -> int:
        bound = read_bound(connection)
        shop.till.pick_up(71, ticket=1, used="5.00")
        return bound

    monkeypatch.setattr(baselining, "read_bound", read_and_pick_up)
    shop.baseline()
    exported = shop.export()

    assert (exported.orders, exported.tickets) == (1, 1)
    (snapshot,) = published_orders(shop)[71]
    assert snapshot["closed"]


def test_a_killed_baseline_keeps_the_orders_that_were_open_at_its_mark(
    small_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_shop.till.place_order(71)

    def kill(name: str) -> None:
        if name == "baseline.batch_published":
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(faults, "hook", kill)
        with pytest.raises(Killed):
            small_shop.baseline()
    small_shop.till.cancel_order(71)
    small_shop.till.place_order(72)

    report = baseline_store(small_shop.settings, "S1", now=small_shop.now)

    assert (report.completed, report.open_orders) == (True, 1)
    assert small_shop.export().orders == 2
    assert [snapshot["closed"] for snapshot in published_orders(small_shop)[71]] == [True]


def test_a_baseline_killed_anywhere_completes_with_one_mark(
    small_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was rung after the published mark is not lost to a second, later mark."""
    small_shop.till.ring(1)

    def kill(name: str) -> None:
        if name == "baseline.batch_published":
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(faults, "hook", kill)
        with pytest.raises(Killed):
            small_shop.baseline()
    small_shop.till.ring(2)

    report = baseline_store(small_shop.settings, "S1", now=small_shop.now)

    assert report.completed
    assert len(small_shop.manifests("baseline")) == 1
    assert small_shop.head().position.start.ticket_number == 1
    assert small_shop.export().tickets == 1
    assert small_shop.published().keys() == {2}


def test_an_orders_stream_that_nobody_can_read_comes_back_from_the_baseline(small_shop: Shop) -> None:
    small_shop.till.ring(1)
    small_shop.baseline()
    small_shop.till.ring(2)
    small_shop.export()
    (manifest,) = small_shop.manifests()
    (small_shop.folder.root / "S1/orders/head.json").write_bytes(b"")
    (small_shop.folder.root / f"S1/orders/{manifest.name}.manifest.json").write_bytes(b"")

    small_shop.baseline()

    assert small_shop.head().position.resume.ticket_number == 1
    assert small_shop.export().batches[0].startswith("S1/orders/000002-")


def test_what_is_rung_while_the_baseline_runs_is_exported_whatever_its_number(
    small_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upload with an old number, committed behind the bound, used to become history unseen."""
    small_shop.till.ring(1)
    small_shop.till.ring(10)
    bounds = []

    def read_and_ring(connection: Connection) -> int:
        bounds.append(read_bound(connection))
        small_shop.till.ring(3)
        return bounds[0]

    monkeypatch.setattr(baselining, "read_bound", read_and_ring)
    small_shop.baseline()

    position = small_shop.head().position
    assert position.history == ((1, 1), (10, 10))
    assert position.start == Mark(rowversion=bounds[0] - 1, ticket_number=10, entry_id=2, tender_entry_id=2)
    assert small_shop.export().tickets == 1
    assert small_shop.published().keys() == {3}


def test_what_is_only_touched_while_the_baseline_runs_stays_history(
    small_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_shop.till.ring(1)
    small_shop.till.ring(2)

    def read_and_touch(connection: Connection) -> int:
        bound = read_bound(connection)
        small_shop.till.touch(2, Comment="edited")
        return bound

    monkeypatch.setattr(baselining, "read_bound", read_and_touch)
    small_shop.baseline()

    assert small_shop.head().position.history == ((1, 2),)
    report = small_shop.export()
    assert (report.tickets, report.before_baseline) == (0, 1)


def test_a_head_office_s_stock_is_no_store_s_stock(small_shop: Shop) -> None:
    """Item.Quantity of a head office's database used to become the opening stock of each of its stores."""
    small_shop.till.ring(1, store_id=1)
    small_shop.till.ring(2, store_id=2)
    small_shop.configure(store_id=2)

    with pytest.raises(ConfigurationError, match="holds several StoreIDs, as a head office's does"):
        small_shop.baseline(stock_from_rms=True)
    assert small_shop.folder.list("S1/baseline") == []
    small_shop.baseline()


def test_an_absurd_quantity_of_an_item_stops_the_baseline_by_name(shop: Shop) -> None:
    with shop.till.writing() as connection:
        connection.execute(update(tables.item).where(tables.item.c.ID == 4).values(Quantity=1e300))

    with pytest.raises(ConfigurationError, match=r"1 items of which RMS holds an absurd quantity: SKU-4\."):
        shop.baseline(stock_from_rms=True)


def test_only_a_baseline_takes_an_empty_mount_point_for_the_exchange(small_shop: Shop) -> None:
    small_shop.folder.root.mkdir()

    with pytest.raises(TransferInterrupted, match="looks like an unmounted share"):
        small_shop.export()
    small_shop.till.ring(1)
    small_shop.baseline()
    assert small_shop.export().tickets == 0


def test_a_store_whose_exchange_folder_is_lost_is_not_sent_to_a_new_baseline(small_shop: Shop) -> None:
    """The advice used to be a baseline, which made history of all that was not exported yet."""
    small_shop.baseline()
    small_shop.till.ring(1)
    shutil.rmtree(small_shop.folder.root)

    with pytest.raises(NotBaselined) as caught:
        small_shop.export()
    assert caught.value.next_step.startswith(
        "if this store was ever exported, bring the exchange folder back (or mount it) and do not baseline"
    )
