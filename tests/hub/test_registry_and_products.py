from __future__ import annotations

from pathlib import Path

import pytest

from data_contracts.errors import ConfigurationError
from tasks.hub.database import Hub
from tasks.hub.products import import_catalog
from tasks.hub.registry import configure
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


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("A,a,,1.00001,0,true", "line 2, has a price that is no exact amount"),
        ("A,a,,abc,0,true", "line 2, has a price that is no exact amount"),
        (",a,,1,0,true", "line 2, has no SKU"),
        ("A,a,,1,x,true", "line 2, has an item_type that is no whole number"),
        ("A,a,,1,0,maybe", "line 2, says neither true nor false"),
        ("A,a,,1,0", "line 2, has too many or too few cells"),
        ("A,a,,1,0,true\na,a,,1,0,true", "line 3, gives SKU `a` a second time"),
    ],
)
def test_catalogue_that_is_wrong_is_refused_with_its_line(world: World, line: str, message: str) -> None:
    file = world.folder / "c.csv"
    file.write_text(f"sku,name,upc,price,item_type,active\n{line}\n", encoding="utf-8")

    with pytest.raises(ConfigurationError, match=message):
        import_catalog(world.hub, world.settings, file)
    assert world.rows("SELECT COUNT(*) FROM products") == [(3,)]


def test_catalogue_that_is_not_there_is_named(world: World) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        import_catalog(world.hub, world.settings, Path("nowhere.csv"))
