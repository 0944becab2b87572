"""A sample store takes products from the hub and sells them the same day, at the price the till has."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from data_contracts.errors import ConfigurationError
from data_contracts.till_items import Policy
from deployments.sample_store.build import build_store
from deployments.sample_store.store import ItemAtTill, SampleStore
from deployments.sample_store.tickets import read_invoices
from tasks.rms import tables as rms
from tasks.rms.item_writing import ItemWriter, open_items
from tests.hub_products import product

CLOCK = datetime(2010, 12, 1, 9, 0)  # noqa: DTZ001 - RMS keeps local times


def test_a_product_that_arrives_is_sold_at_its_price_and_then_at_the_next_one(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'rms.db'}"
    build_store(url, store_id=1, invoices=read_invoices()[:3], seed=7)
    filed = {"department_code": "GIFTS", "category_name": "Seasonal", "supplier_code": "abbey"}

    def send(price: str, active: bool = True) -> tuple[str, tuple[str, ...]]:
        with open_items(url, "S1") as connection:
            given = product("NEW-MUG", "2100000000012", name="New mug", price=price, active=active, **filed)
            (answer,) = ItemWriter(connection, Policy("S1"), CLOCK).apply([given])
            return answer.state, answer.notes

    with SampleStore.open(url) as shop:
        assert shop.read_item("NEW-MUG") is None
        assert send("6.50") == ("created", ())
        first = shop.ring_sale([("new-mug", 2)])
        assert send("5.95")[0] == "updated"
        second = shop.ring_sale([("2100000000012", 2)])

        assert shop.read_item("2100000000012") == ItemAtTill("NEW-MUG", "New mug", 59_500, False, -4.0)
        ticket = rms.transaction.c
        with shop.engine.connect() as connection:
            totals = dict(connection.execute(select(ticket.TransactionNumber, ticket.Total)).tuples().all())
        assert totals == {first.number: 130_000, second.number: 119_000}
        assert send("5.95", active=False)[0] == "updated"
        found = shop.read_item("NEW-MUG")
        assert found is not None
        assert (found.inactive, found.quantity) == (True, -4.0)
        with pytest.raises(ConfigurationError, match="no item `NEVER`"):
            shop.ring_sale([("NEVER", 1)])
