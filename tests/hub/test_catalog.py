"""A catalogue file into the hub: what it says anew is written, what fails is left out, nothing twice."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from data_contracts.errors import ConfigurationError, NotYetArrived
from tasks import faults
from tasks.hub import products as hub_products
from tasks.hub.database import Hub
from tasks.hub.products import CatalogOutcome, import_catalog
from tests.documents import make_ticket
from tests.hub.world import NOW, World, make_settings, nothing_refused

SELLERCLOUD = (
    "ProductID;ProductName;UPC;EAN;SitePrice;StorePrice;ListPrice;SiteCost;ProductTypeName;CategoryName;"
    "DefaultVendor;DefaultVendorSKU;ShadowOf;IsKit;Status;BrandName\r\n"
    "MUG;Mug, blue;036000291452;4006381333931;12.50;11.99;15;4.1234;Kitchen;Mugs;Potter Ltd;P-77;;0;1;"
    "Acme\r\n"
    'SET;"Mug ""set""";;;40;0;0;0;Kitchen;;;;;1;0;\r\n'
)


@pytest.fixture(params=["sqlite"])
def hub_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where nothing depends on the server, one database is enough."""
    return f"sqlite:///{tmp_path / 'hub.db'}"


def take(world: World, content: str | bytes, *, name: str = "c.csv", **options: Any) -> CatalogOutcome:
    """Import a file of this content by its contract."""
    file = world.folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return import_catalog(world.hub, world.settings, file, now=NOW, **options)


def quickly(world: World, content: str, **options: Any) -> CatalogOutcome:
    """The same by a contract that everything passes."""
    return take(world, content, check=nothing_refused, **options)


def product(world: World, sku: str, *columns: str) -> tuple[Any, ...]:
    (row,) = world.rows(f"SELECT {', '.join(columns)} FROM reporting_products WHERE sku = :sku", sku=sku)
    return row


def written(world: World) -> list[tuple[Any, ...]]:
    """Everything a catalogue import may write."""
    return world.rows(
        "SELECT (SELECT COUNT(*) FROM catalogs), (SELECT COUNT(*) FROM events), "
        "(SELECT COUNT(*) FROM products), (SELECT MAX(changed_version) FROM products), "
        "(SELECT COUNT(*) FROM product_aliases), (SELECT MAX(digest) FROM catalogs)"
    )


def test_file_of_sellercloud_is_taken_with_all_a_till_needs(world: World) -> None:
    outcome = take(world, SELLERCLOUD)

    assert (outcome.created, outcome.changed, outcome.refused) == (2, 0, 0)
    assert outcome.ignored == ("BrandName",)
    assert [reason.rule for reason in outcome.warnings] == []
    columns = "name", "upc", "price", "store_price", "msrp", "cost", "department_name", "is_kit", "active"
    assert product(world, "MUG", *columns) == (
        "Mug, blue", "036000291452", "12.50", "11.99", "15.00", "4.1234", "Kitchen", 0, 1,
    )  # fmt: skip
    assert product(world, "SET", "name", "is_kit", "active") == ('Mug "set"', 1, 0)
    found = "SELECT category_name, supplier_name, reorder_number FROM products WHERE sku = 'MUG'"
    assert world.rows(found) == [("Mugs", "Potter Ltd", "P-77")]
    assert world.rows("SELECT alias_key, sku_key, alias FROM product_aliases") == [
        ("4006381333931", "MUG", "4006381333931")
    ]


def test_same_file_again_writes_nothing(world: World) -> None:
    take(world, SELLERCLOUD)
    before = written(world)

    again = take(world, SELLERCLOUD)

    assert (again.created, again.changed, again.unchanged) == (0, 0, 2)
    assert written(world) == before
    assert again.moved is False


def test_file_that_was_imported_last_is_known_by_its_content_and_mapping(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    quickly(world, "sku,name\nNEW,New\n")
    monkeypatch.setattr(hub_products, "_contract", lambda: pytest.fail("it was looked at again"))

    again = take(world, "sku,name\nNEW,New\n", skip_same=True)

    assert (again.already, again.unchanged, again.moved) == (True, 1, False)
    monkeypatch.undo()
    assert not quickly(world, "sku,name\nNEW,Other\n", skip_same=True).already


def test_other_file_that_says_the_same_is_cheap_the_next_time(world: World) -> None:
    quickly(world, "sku,name\nNEW,New\n")
    versions = world.rows("SELECT COUNT(*), MAX(version) FROM catalogs")

    assert not quickly(world, "sku,name\n\nNEW, New \n", skip_same=True).already
    assert quickly(world, "sku,name\n\nNEW, New \n", skip_same=True).already
    assert world.rows("SELECT COUNT(*), MAX(version) FROM catalogs") == versions


def test_scheduled_file_that_is_as_it_was_does_not_undo_one_that_came_by_hand(world: World) -> None:
    """Within a quarter of an hour the old prices were back."""
    quickly(world, "sku,name,price\nNEW,New,1\n", name="scheduled.csv")
    quickly(world, "sku,price\nNEW,2\n", name="by-hand.csv")

    again = quickly(world, "sku,name,price\nNEW,New,1\n", name="scheduled.csv", skip_same=True)

    assert (again.already, product(world, "NEW", "price")) == (True, ("2.00",))
    changed = quickly(world, "sku,name,price\nNEW,New,3\n", name="scheduled.csv", skip_same=True)
    assert (changed.changed, product(world, "NEW", "price")) == (1, ("3.00",))


def test_only_what_changed_is_written_and_told(world: World) -> None:
    quickly(world, "sku,name,price,active,aliases\nA,a,1,true,X1\nB,b,2,true,\nC,c,3,true,\n")

    outcome = quickly(world, "sku,name,price,active,aliases\nA,a,1,true,X1\nB,b,2.50,false,Y1|Y2\nD,d,4,,\n")

    assert (outcome.created, outcome.changed, outcome.unchanged, outcome.deactivated) == (1, 1, 1, 1)
    events = world.rows(
        "SELECT type, sku, payload FROM events WHERE store = '(hub)' ORDER BY number DESC LIMIT 2"
    )
    assert [(kind, sku, json.loads(payload)) for kind, sku, payload in events] == [
        ("product_created", "D", {"active": True}),
        ("product_changed", "B", {"fields": ["price", "active", "aliases"]}),
    ]
    versions = "SELECT sku, changed_version FROM products WHERE sku IN ('A', 'B', 'C', 'D') ORDER BY sku"
    assert world.rows(versions) == [("A", 2), ("B", 3), ("C", 2), ("D", 3)]


def test_warnings_are_told_of_what_is_new_or_changed_and_once_a_rule(world: World) -> None:
    long = "A name that no till can show whole"
    first = take(world, f"sku,name,price\nA,{long},1\nB,{long},1\n")
    second = take(world, f"sku,name,price\nA,{long},1\nB,{long},2\n")

    assert [(count, reason.rule, reason.document) for count, reason in first.to_look_at] == [
        (2, "name_long", "line 2")
    ]
    assert [(count, reason.document) for count, reason in second.to_look_at] == [(1, "line 3")]


def test_columns_that_the_file_lacks_leave_what_the_hub_has(world: World) -> None:
    take(world, SELLERCLOUD)

    outcome = quickly(world, "ProductID,StorePrice\nmug,10.9900\n")

    assert outcome.changed == 1
    assert product(world, "MUG", "name", "upc", "store_price", "cost", "active") == (
        "Mug, blue", "036000291452", "10.99", "4.1234", 1,
    )  # fmt: skip
    assert world.rows("SELECT COUNT(*) FROM product_aliases WHERE sku_key = 'MUG'") == [(1,)]


def test_product_that_fails_is_left_out_and_stays_as_it_was(world: World) -> None:
    quickly(world, "sku,name,price\nA,first,1\nB,first,1\n")

    outcome = take(
        world, "sku,name,price\nA,second,1.234,50\n".replace("1.234,50", '"1.234,50"') + "B,second,2\n"
    )

    assert (outcome.changed, outcome.refused) == (1, 1)
    assert [reason.message for reason in outcome.reasons] == ["Line 2, `A` has no exact amount in: price."]
    assert world.rows("SELECT sku, name FROM products WHERE sku IN ('A', 'B') ORDER BY sku") == [
        ("A", "first"),
        ("B", "second"),
    ]


def test_code_of_another_product_is_refused_and_its_owner_named(world: World) -> None:
    quickly(world, "sku,upc,aliases\nA,036000291452,OLD\n")

    outcome = take(world, "sku,upc,aliases\nB,036000291452,\nC,,old\nD,,sku-1\nE,,FREE\n")

    assert [reason.message for reason in outcome.reasons] == [
        "Line 2, `B`: its code 036000291452 is a code of `A` already.",
        "Line 3, `C`: its code OLD is a code of `A` already.",
        "Line 4, `D`: its code SKU-1 is a code of `SKU-1` already.",
    ]
    assert outcome.created == 1


def test_code_that_a_refused_product_was_to_give_away_stays_taken(world: World) -> None:
    quickly(world, "sku,upc,price\nA,036000291452,1\n")

    outcome = take(world, "sku,upc,price\nA,,x\nB,036000291452,1\n")

    assert [reason.rule for reason in outcome.reasons] == ["amount_form", "code_taken"]
    assert world.rows("SELECT sku FROM products WHERE upc = '036000291452'") == [("A",)]


def test_aliases_change_hands_within_one_file(world: World) -> None:
    quickly(world, "sku,aliases\nA,ONE\nB,TWO\n")

    quickly(world, "sku,aliases\nA,TWO\nB,ONE\n")

    assert world.rows("SELECT alias_key, sku_key FROM product_aliases ORDER BY alias_key") == [
        ("ONE", "B"),
        ("TWO", "A"),
    ]


def test_dry_run_says_the_same_and_writes_nothing(world: World) -> None:
    before = written(world)

    outcome = take(world, SELLERCLOUD, dry_run=True)

    assert (outcome.created, outcome.dry_run) == (2, True)
    assert written(world) == before


def test_file_of_which_too_much_fails_changes_nothing(world: World) -> None:
    before = written(world)
    lines = "".join(f"P{at},x\n" for at in range(30))

    outcome = take(world, f"sku,price\nOK,1\n{lines}")

    assert (outcome.rejected, outcome.refused, outcome.created) == (True, 31, 0)
    assert "30 of 31 products fail, more than 20%" in outcome.reasons[0].message
    assert written(world) == before


def test_ticket_that_waits_for_an_alias_leaves_the_quarantine(world: World) -> None:
    world.orders(make_ticket(1, [("0012345", 1, "1.00")]))
    assert world.rows("SELECT rule, state FROM quarantine") == [("unknown_sku", "open")]

    assert quickly(world, "sku,aliases\nSKU-1,0012345\n").cleared == 1
    assert world.rows("SELECT sku, source_sku FROM reporting_order_lines") == [("SKU-1", "0012345")]


def test_same_file_still_clears_what_a_killed_import_left_in_quarantine(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.orders(make_ticket(1, [("NEW", 1, "1.00")]))

    def die(point: str) -> None:
        if point == "hub.catalog.after_commit":
            raise RuntimeError(point)

    monkeypatch.setattr(faults, "hook", die)
    with pytest.raises(RuntimeError):
        quickly(world, "sku\nNEW\n")
    monkeypatch.setattr(faults, "hook", None)

    again = quickly(world, "sku\nNEW\n", skip_same=True)

    assert (again.already, again.cleared) == (True, 1)


def test_upc_of_a_parent_and_its_shadow_names_the_parent(world: World) -> None:
    quickly(world, "sku,upc,shadow_of\nMUG-2,036000291452,MUG\nMUG,036000291452,\n")

    world.orders(make_ticket(1, [("036000291452", 1, "1.00")]))

    assert world.rows("SELECT sku FROM reporting_order_lines") == [("MUG",)]


def test_catalogue_that_came_in_meanwhile_is_judged_with(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two files at once: what the second one was held against is no longer the hub's catalogue."""
    quickly(world, "sku,name,price\nA,old,1\n")
    looked: list[int] = []

    def check(*rows: object, **known: Any) -> Any:
        looked.append(1)
        if len(looked) == 1:
            quickly(world, "sku,name\nA,new\n")
            (world.folder / "c.csv").write_text("sku,price\nA,2\n", encoding="utf-8")
        return nothing_refused()

    outcome = take(world, "sku,price\nA,2\n", check=check)

    assert (len(looked), outcome.changed) == (2, 1)
    assert product(world, "A", "name", "price") == ("new", "2.00")


@pytest.mark.parametrize(
    ("content", "message", "next_step"),
    [
        (b"sku,name\nA,caf\xe9\n", "is not UTF-8 in line 2, probably the encoding of Windows", "CSV UTF-8"),
        ("sku,name\nA,a\n".encode("utf-16"), "is UTF-16", "CSV UTF-8"),
        (b"name,price\nA,1\n", "line 1, has the header name, price, without a column of SKUs", "columns"),
        (b"\n", "line 1, has the header , without a column of SKUs", "columns"),
        (b"sku,name\nA\n", "line 2, has 1 cells, the header has 2", "mend that line"),
        (b'sku,name\nA,"a\nB,b\n', "cannot be read", "mend that line"),
        (b"sku,sku\nA,B\n", "line 1, has the column `sku` twice", "rename"),
    ],
)
def test_file_that_is_no_table_is_refused_with_its_line(
    world: World, content: bytes, message: str, next_step: str
) -> None:
    before = written(world)

    with pytest.raises(ConfigurationError, match=message) as caught:
        take(world, content)

    assert next_step in caught.value.next_step
    assert written(world) == before


@pytest.mark.parametrize(
    "content",
    [
        '\ufeffsku,name\r\nNEW,"Mug, blue"\r\n'.encode(),
        b"sku\tname\nNEW\tMug, blue\n",
        "\n".join(["sku;name", "NEW;Mug, blue", ";", ""]).encode(),
    ],
)
def test_what_spreadsheets_save_is_read(world: World, content: bytes) -> None:
    assert quickly(world, content.decode()).created == 1
    assert product(world, "NEW", "name") == ("Mug, blue",)


@pytest.mark.parametrize(
    "so_far", [b"", b"sku,pri", b"sku,price\nA,12", b'sku,name\nA,"a', b"sku,name\nA,\xc3"]
)
def test_file_that_is_still_being_written_waits_until_it_is_whole(world: World, so_far: bytes) -> None:
    """12 of a price of 12.50 went to every till."""
    before = written(world)

    with pytest.raises(NotYetArrived, match=r"may still be being written\. Nothing was imported"):
        take(world, so_far)

    assert written(world) == before


def test_file_whose_last_line_does_not_end_is_taken_once_nobody_writes_to_it(world: World) -> None:
    file = world.folder / "c.csv"
    file.write_bytes(b"sku,price\nA,12.50")
    os.utime(file, (0, 0))

    outcome = import_catalog(world.hub, world.settings, file, check=nothing_refused, now=NOW)

    assert (outcome.created, product(world, "A", "price")) == (1, ("12.50",))


def test_column_of_the_settings_that_the_file_lacks_is_named(world: World) -> None:
    world.settings = make_settings(catalog={"columns": {"department_name": "Brand"}})

    with pytest.raises(ConfigurationError, match=r"no column `Brand`, which \[catalog.columns\] names"):
        take(world, "sku,name\nA,a\n")


def test_hub_of_an_older_version_keeps_its_products(world: World) -> None:
    """What the migration adds has a value for products that were there before."""
    with world.hub.writing() as connection:
        connection.execute(
            text(
                "INSERT INTO products (sku_key, sku, name, upc, price, item_type, active) "
                "VALUES ('OLD', 'OLD', 'Old', '', 0, 7, true)"
            )
        )

    outcome = quickly(world, "sku,name,item_type\nOLD,Old,7\n")

    assert (outcome.unchanged, outcome.changed) == (1, 0)


def test_files_of_every_order_lead_to_the_same_catalogue(hub: Hub, tmp_path: Path) -> None:
    """Files that speak of different columns may come in any order."""
    files = ("sku,name\nA,a\nB,b\n", "sku,price\nB,2\nA,1\n", "sku,aliases\nA,X|Y\n")

    def end(order: Sequence[int]) -> list[tuple[Any, ...]]:
        world = World(hub, tmp_path)
        for at in order:
            quickly(world, files[at])
        rows = world.rows("SELECT sku, name, price FROM products ORDER BY sku")
        rows += world.rows("SELECT alias_key, sku_key FROM product_aliases ORDER BY alias_key")
        with hub.writing() as connection:
            for table in ("products", "product_aliases", "catalogs"):
                connection.execute(text(f"DELETE FROM {table}"))
        return rows

    # A file without names names a new product by its SKU until one comes that has them.
    assert end((0, 1, 2)) == end((2, 1, 0)) == end((1, 0, 2))
