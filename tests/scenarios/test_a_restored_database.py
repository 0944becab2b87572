"""The till's database is put back to last night's backup, and the shop goes on: nothing counts twice."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import create_engine, text

from data_contracts.errors import CursorWentBack
from data_contracts.reconciling import NumberRange, ReconcileReport
from tasks.hub.database import Hub, open_hub
from tasks.hub.registry import configure
from tasks.use_cases.advancing import advance_layaways
from tasks.use_cases.baselining import baseline_store
from tasks.use_cases.catalog import import_catalog
from tasks.use_cases.importing import import_waiting
from tasks.use_cases.reconciling import reconcile_stores
from tasks.use_cases.stating import publish_statement
from tests.use_cases.store_fixtures import Shop, small_shop
from tests.use_cases.test_taking_over import at

__all__ = ["small_shop"]


@pytest.fixture
def connected(small_shop: Shop, hub: Hub, hub_url: str, tmp_path: Path) -> Shop:
    """The shop with a hub that knows its products."""
    section = small_shop.settings.hub.model_copy(update={"url": SecretStr(hub_url)})
    small_shop.settings = small_shop.settings.model_copy(update={"hub": section})
    with open_hub(small_shop.settings.hub_url) as opened:
        configure(opened, small_shop.settings)
    products = "".join(f"SKU-{n},Item {n},,9.99,0,true\n" for n in range(1, 6))
    (tmp_path / "catalog.csv").write_text(f"sku,name,upc,price,item_type,active\n{products}")
    import_catalog(small_shop.settings, tmp_path / "catalog.csv")
    return small_shop


def cycle(shop: Shop) -> ReconcileReport:
    """Export, import, advance, state and reconcile."""
    shop.export()
    assert import_waiting(shop.settings).failures == {}
    assert advance_layaways(shop.settings).failures == {}
    publish_statement(shop.settings, "S1", now=shop.now)
    assert import_waiting(shop.settings).failures == {}
    (report,) = reconcile_stores(shop.settings).stores
    return report


def ask(shop: Shop, sql: str) -> list[tuple[Any, ...]]:
    engine = create_engine(shop.settings.hub_url)
    try:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql))]
    finally:
        engine.dispose()


def test_what_the_backup_knew_keeps_its_orders_and_what_is_rung_again_is_new(
    connected: Shop, tmp_path: Path
) -> None:
    shop, file, backup = connected, tmp_path / "rms.db", tmp_path / "backup.db"
    shop.till.ring(1)
    shop.till.place_order(70, deposit="5.00")
    shop.baseline(stock_from_rms=True)
    shop.till.ring(2, time=at(1))
    assert cycle(shop).agrees
    shutil.copy(file, backup)
    shop.till.ring(3, time=at(2))
    shop.till.ring(4, time=at(3))
    shop.till.place_order(71, [(2, 4.0, "8.00")], deposit="3.00", time=at(3))
    assert cycle(shop).agrees
    shutil.copy(backup, file)
    shop.till.ring(3, price="4.00", time=at(60))
    shop.till.place_order(71, [(3, 2.0, "8.00")], deposit="2.00", time=at(61))
    shop.till.pick_up(70, 4, used="5.00", time=at(62))
    with pytest.raises(CursorWentBack):
        shop.export()

    taken = baseline_store(shop.settings, "S1", again=True, now=shop.now)
    report = cycle(shop)

    assert (taken.after_number, taken.after_order, taken.gone_orders) == (2, 70, 1)
    assert report.agrees
    assert report.lost == (NumberRange(1, 3, 4),)
    assert (report.open_orders, report.reserved, report.deposits_held) == (1, 20_000, 20_000)
    assert ask(shop, "SELECT order_id, source_order_id, order_status FROM reporting_orders ORDER BY 1") == [
        ("S1/1/order/70", "4", "Completed"),
        ("S1/1/order/71", "71", "Canceled"),
        ("S1/1/ticket/2", "2", "Completed"),
        ("S1/1/ticket/3", "3", "Completed"),
        ("S1/1/ticket/4", "4", "Completed"),
        ("S1/2/order/71", "71", "InProcess"),
        ("S1/2/ticket/3", "3", "Completed"),
    ]
    # Handed over were the goods of five tickets; what was rung before the restore left the shop as well.
    stock = "SELECT sku, physical, reserved FROM reporting_stock WHERE sku <= 'SKU-3' ORDER BY sku"
    assert [(sku, int(physical), int(reserved)) for sku, physical, reserved in ask(shop, stock)] == [
        ("SKU-1", 5, 0),
        ("SKU-2", 10, 0),
        ("SKU-3", 10, 2),
    ]
    assert ask(shop, "SELECT document FROM quarantine WHERE state = 'open'") == []


def test_layaway_that_was_picked_up_after_the_backup_is_handed_over_once(
    connected: Shop, tmp_path: Path
) -> None:
    """The shop rings its pick-up again, for RMS knows nothing of it; it would have left the hub twice."""
    shop, file, backup = connected, tmp_path / "rms.db", tmp_path / "backup.db"
    shop.till.ring(1)
    shop.till.place_order(70, deposit="5.00")
    shop.baseline(stock_from_rms=True)
    shop.till.ring(2, time=at(1))
    assert cycle(shop).agrees
    shutil.copy(file, backup)
    shop.till.pick_up(70, 3, used="5.00", time=at(2))
    assert cycle(shop).agrees
    shutil.copy(backup, file)
    baseline_store(shop.settings, "S1", again=True, now=shop.now)

    restored = cycle(shop)
    shop.till.pick_up(70, 3, used="5.00", time=at(62))
    rung_again = cycle(shop)

    assert (restored.agrees, rung_again.agrees) == (True, True)
    assert [(entry.document, entry.rule) for entry in restored.open] == [("S1/1/order/70", "illegal_move")]
    assert [(entry.document, entry.rule) for entry in rung_again.open] == [
        ("S1/2/ticket/3", "picked_up_before")
    ]
    assert rung_again.lost == (NumberRange(1, 3, 3),)
    assert ask(
        shop, "SELECT source_order_id, order_status, total FROM reporting_orders WHERE kind = 'layaway'"
    ) == [("3", "Completed", 10)]
    assert ask(shop, "SELECT physical, reserved FROM reporting_stock WHERE sku = 'SKU-1'") == [(8, 0)]
