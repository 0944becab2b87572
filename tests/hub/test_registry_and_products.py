from __future__ import annotations

import threading
from pathlib import Path

import pytest

from data_contracts.errors import ConfigurationError
from tasks.hub.database import Hub, open_hub
from tasks.hub.products import import_catalog
from tasks.hub.registry import configure
from tests.documents import make_ticket
from tests.hub.world import World, make_settings


def test_configuring_twice_changes_nothing(hub: Hub) -> None:
    assert configure(hub, make_settings())
    assert not configure(hub, make_settings())
    assert configure(hub, make_settings(stores={"S1": {}, "S3": {}}))


def test_mapping_given_twice_is_refused_by_name(hub: Hub) -> None:
    settings = make_settings(channel_warehouses=({"store": "S1", "warehouse": "BACK"},))

    with pytest.raises(ConfigurationError, match="store `S1` is given twice: to `BACK` and to `W1`"):
        configure(hub, settings)


def test_catalogue_is_updated_and_keeps_the_sku_as_first_shown(world: World) -> None:
    file = world.folder / "c.csv"
    file.write_text(
        "sku,name,upc,price,item_type,active\nsku-1,New name,,12.3456,7,false\n", encoding="utf-8"
    )

    import_catalog(world.hub, world.settings, file)

    assert world.rows("SELECT sku, name, item_type FROM products WHERE sku_key = 'SKU-1'") == [
        ("SKU-1", "New name", 7)
    ]


def test_name_may_hold_what_some_programs_take_for_a_line_end(world: World) -> None:
    file = world.folder / "c.csv"
    file.write_text("sku,name\nNEW-1,one\u2028two\n", encoding="utf-8")

    import_catalog(world.hub, world.settings, file)

    assert world.rows("SELECT name FROM products WHERE sku = 'NEW-1'") == [("one\u2028two",)]


def test_way_of_comparing_skus_cannot_change_under_a_catalogue(hub: Hub, tmp_path: Path) -> None:
    world = World(hub, tmp_path)
    world.settings = make_settings(hub={"skus_ignore_case": False})
    world.catalog(["abc"])
    world.settings = make_settings()

    with pytest.raises(ConfigurationError, match="SKU `abc` is in the hub by another way"):
        world.catalog(["abc"])


def test_default_warehouse_may_change_and_there_is_one_only(world: World) -> None:
    """A default that was renamed stayed one beside the new one, and every import of the store failed."""
    settings = make_settings(hub={"default_warehouse": "SHOP"}, stores={"S1": {}})

    assert configure(world.hub, settings)
    assert not configure(world.hub, settings)

    world.settings = settings
    world.orders(make_ticket(1))
    assert world.stock() == {("SHOP", "SKU-1"): "-1.00"}


def test_two_catalogues_at_once_are_both_imported(world: World, hub_url: str) -> None:
    """On PostgreSQL both took the same version and one died of it."""
    failed: list[BaseException] = []

    def run(sku: str) -> None:
        file = world.folder / f"{sku}.csv"
        file.write_text(f"sku\n{sku}\n", encoding="utf-8")
        try:
            with open_hub(hub_url) as hub:
                import_catalog(hub, make_settings(stores={}), file)
        except BaseException as error:  # noqa: BLE001 - a thread's failure is told by the test
            failed.append(error)

    threads = [threading.Thread(target=run, args=(f"NEW-{at}",)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []
    assert world.rows("SELECT COUNT(*) FROM products WHERE sku LIKE 'NEW-%'") == [(4,)]


def test_catalogue_that_is_not_there_is_named(world: World) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        import_catalog(world.hub, world.settings, Path("nowhere.csv"))
