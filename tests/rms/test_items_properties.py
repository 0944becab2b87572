"""Whatever arrives in whatever order: an item is what the newest batch says, by the table of ownership."""

from __future__ import annotations

import shutil
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, update

from data_contracts.documents import sku_key
from data_contracts.products import FIELDS, Owner
from data_contracts.till_items import Policy, Product, fit
from tasks import faults
from tasks.rms import tables
from tasks.rms.item_writing import ItemWriter, open_items
from tests.hub_products import product
from tests.rms_database import Till, rms_rows, stock_up

CLOCK = datetime(2026, 11, 23, 13, 0)  # noqa: DTZ001 - RMS keeps local times

SKUS = ("SKU-1", "sku-2", "New", "NEW-2")
CODES = ("111", "222", "SKU-1", "own-3")
NAMES = ("Mug", "A mug with a name of more than thirty letters", "Mug 2")


@st.composite
def products(draw: st.DrawFn) -> Product:
    sku = draw(st.sampled_from(SKUS))
    return product(
        sku,
        *draw(st.lists(st.sampled_from(CODES), max_size=2)),
        name=draw(st.sampled_from(NAMES)),
        sub_description_1=draw(st.sampled_from(("", "red"))),
        price=draw(st.sampled_from(("1.00", "2.50"))),
        cost=draw(st.sampled_from(("0.50", "0.75"))),
        active=draw(st.booleans()),
        department_code=draw(st.sampled_from(("", "HOME", "NEW"))),
        category_code=draw(st.sampled_from(("", "LAMPS"))),
        tax_code=draw(st.sampled_from(("TAX", "TAX", "NONE"))),
    )


class Killed(Exception):
    """Not an error of ours: nothing catches it."""


@st.composite
def batches(draw: st.DrawFn) -> tuple[list[Product], int | None, bool]:
    """Products, each SKU once; after how many fault points the run is killed; whether it comes twice."""
    found = draw(st.lists(products(), max_size=4, unique_by=lambda p: p.key))
    return found, draw(st.none() | st.integers(0, 11)), draw(st.booleans())


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("template") / "rms.db"
    till = Till(f"sqlite:///{file}")
    till.create()
    stock_up(till)
    with till.writing() as connection:
        connection.execute(insert(tables.alias).values(ItemID=3, Alias="OWN-3"))
        connection.execute(update(tables.item).values(Quantity=4.25, QuantityCommitted=1.0, BinLocation="A"))
    return file


# Every example is a database: shrinking one would take minutes.
@settings(
    max_examples=25,
    deadline=None,
    phases=(Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(story=st.lists(batches(), min_size=1, max_size=4))
def test_an_item_is_what_the_newest_batch_says_and_the_shop_s_own_stays(
    template: Path, tmp_path_factory: pytest.TempPathFactory, story: list[Any]
) -> None:
    file = tmp_path_factory.mktemp("story") / "rms.db"
    shutil.copy(template, file)
    till = Till(f"sqlite:///{file}")
    before = rms_rows(till)
    newest: dict[str, Product] = {}
    for sent, killed_after, twice in story:
        for _ in range(1 + twice):
            answers = delivered(till, sent, killed_after)
            for given_product, answer in zip(sent, answers, strict=True):
                if answer.at_till:
                    newest[given_product.key] = given_product
        assert [answer.state for answer in delivered(till, sent, None) if answer.at_till] == [
            "unchanged" for answer in answers if answer.at_till
        ]

    after = rms_rows(till)
    items = {sku_key(row["ItemLookupCode"]): row for row in after["Item"].values()}
    for key, said in newest.items():
        if key not in items:
            assert said.row["active"] is False
            continue
        for name, value in fit(said, Policy("S1"), creating=False).values.items():
            assert items[key][name] == value, (key, name)
    for row_id, row in before["Item"].items():
        for entry in FIELDS:
            if entry.owner is not Owner.HUB:
                assert after["Item"][row_id][entry.name] == row[entry.name], entry.name
    assert set(before["Alias"]) <= set(after["Alias"])
    taken = Counter(sku_key(row["ItemLookupCode"]) for row in after["Item"].values())
    taken += Counter(sku_key(row["Alias"]) for row in after["Alias"].values())
    assert set(taken.values()) == {1}
    for row in after["Item"].values():
        category = after["Category"].get(row["CategoryID"])
        assert row["DepartmentID"] in (0, *after["Department"])
        assert category is None or category["DepartmentID"] == row["DepartmentID"]
    file.unlink()


def delivered(till: Till, sent: list[Product], killed_after: int | None) -> list[Any]:
    """The answers of a run, which comes again if it was killed."""
    left = killed_after

    def stop(name: str) -> None:
        nonlocal left
        if left == 0:
            raise Killed(name)
        left = None if left is None else left - 1

    for hook in (stop, None):
        faults.hook = hook
        try:
            with open_items(till.url, "S1") as connection:
                return ItemWriter(connection, Policy("S1"), CLOCK).apply(sent)
        except Killed:
            continue
        finally:
            faults.hook = None
    raise AssertionError("the second run is not killed")
