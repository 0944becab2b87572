"""Orders that live longer than a ticket, from two tills to a reconciled hub."""

from __future__ import annotations

import random
from contextlib import ExitStack
from pathlib import Path

import pytest

from data_contracts.amounts import SCALE, format_amount
from deployments.sample_store.store import SampleStore
from tasks.use_cases.advancing import advance_backorders, advance_layaways
from tasks.use_cases.finding import find_order
from tasks.use_cases.receiving import receive_stock
from tests.rms_database import RMS_VARIABLE, rms_url
from tests.scenarios.installation import STORES, Installation, in_hub, install, on_hand


def advance(story: Installation) -> None:
    """Both flows, without Prefect."""
    for run in (advance_layaways, advance_backorders):
        assert run(story.settings).failures == {}


def receive(story: Installation, code: str, reference: str) -> None:
    """What purchase orders brought into a shop is received in the hub as well, once."""
    with story.shop(code) as shop:
        receipts = shop.receipts()
    if not receipts:
        return
    lines = [f"{code},{receipt.sku},{format_amount(receipt.units)}" for receipt in receipts]
    file = story.folder / f"{reference}.csv"
    file.write_text("\n".join(["warehouse,sku,quantity", *lines]) + "\n", encoding="utf-8")
    receive_stock(story.settings, file, reference=reference)


def reserved(story: Installation, code: str) -> dict[str, int]:
    rows = story.ask(
        "SELECT sku, reserved FROM reporting_stock WHERE warehouse = :w AND reserved <> 0", w=code
    )
    return {sku.upper(): round(units * SCALE) for sku, units in rows}


def committed(story: Installation, code: str, kind: int) -> dict[str, int]:
    """What open orders of a type have outstanding, by the shop's own rows."""
    rows = story.ask_rms(
        code,
        "SELECT i.ItemLookupCode, SUM(e.QuantityOnOrder) FROM OrderEntry e "
        'JOIN "Order" o ON o.ID = e.OrderID JOIN Item i ON i.ID = e.ItemID '
        f"WHERE o.Closed = 0 AND o.Type = {kind} AND i.ItemType = 0 GROUP BY i.ItemLookupCode",
    )
    return {sku.upper(): round(units * SCALE) for sku, units in rows if units}


@pytest.mark.slow
def test_days_of_orders_in_all_their_fates_end_explained(tmp_path: Path, hub_url: str) -> None:
    story = install(tmp_path, hub_url, invoices=260, history=20, orders=True, open_orders=3)
    story.go_live()
    for _ in range(3):
        story.ring_all(70)
        story.cycle()
        advance(story)
    story.ring_all()
    story.cycle(sweep=True)
    for code in STORES:
        receive(story, code, f"receipts of {code}")
    advance(story)

    result = story.reconcile()
    assert result.findings == ()
    assert result.sentence.startswith("0 unexplained: ")
    for code in STORES:
        assert in_hub(story, code) == on_hand(story, code)
        waiting = story.ask(
            "SELECT UPPER(l.sku), SUM(l.backorder_quantity) FROM order_lines l JOIN orders o "
            "ON o.order_id = l.order_id WHERE o.store = :s GROUP BY UPPER(l.sku)",
            s=code,
        )
        held = committed(story, code, 5)
        for sku, units in committed(story, code, 4).items():
            held[sku] = held.get(sku, 0) + units
        for sku, units in waiting:
            held[sku] = held.get(sku, 0) - _whole(units, hub_url)
        assert reserved(story, code) == {sku: units for sku, units in held.items() if units}
    states = {state for (state,) in story.ask("SELECT DISTINCT state FROM life_cycles")}
    assert states >= {"open", "picked up", "cancelled", "partly picked up"}
    assert story.ask("SELECT rule, message FROM quarantine WHERE state = 'open'") == []


def _whole(units: object, hub_url: str) -> int:
    """Ten-thousandths of a column: SQLite holds them as they are."""
    return int(units) if hub_url.startswith("sqlite") else round(units * SCALE)  # type: ignore[call-overload, operator]


def a_line(shop: SampleStore, rng: random.Random) -> str:
    """A SKU that the shop has in stock."""
    with shop.engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT ItemLookupCode FROM Item WHERE ItemType = 0 AND Quantity > 20 ORDER BY ItemLookupCode"
        ).all()
    return str(rng.choice(rows)[0])


def test_a_layaway_is_found_by_both_numbers_and_a_backorder_gets_its_stock(
    tmp_path: Path, hub_url: str
) -> None:
    story = install(tmp_path, hub_url, invoices=30)
    story.go_live()
    rng = random.Random(1)
    with story.shop("S1") as shop:
        sku = a_line(shop, rng)
        layaway = shop.open_layaway([(sku, 3)], deposit=20_000)
        backorder = shop.open_backorder([(sku, 500)])
    story.cycle()
    advance(story)
    (found,) = find_order(story.settings, str(backorder), "S1").orders
    assert found.state == "waiting"

    with story.shop("S1") as shop:
        shop.receive(sku, 500)
        picked_up = shop.pick_up(layaway)
    story.cycle()
    receive(story, "S1", "PO 1")
    advance(story)
    for number in (layaway, picked_up.number):
        orders = [o for o in find_order(story.settings, str(number), "S1").orders if o.kind == "layaway"]
        assert [(o.source_order_id, o.state) for o in orders] == [(str(picked_up.number), "picked up")]
    (found,) = find_order(story.settings, str(backorder), "S1").orders
    assert found.state == "open"

    with story.shop("S1") as shop:
        shop.pick_up(backorder)
    story.cycle()
    advance(story)

    result = story.reconcile()
    assert result.findings == ()
    assert in_hub(story, "S1") == on_hand(story, "S1")


@pytest.mark.slow
@pytest.mark.postgres
def test_shops_on_a_database_server_end_explained(tmp_path: Path) -> None:
    """On the server that the variable names: PostgreSQL as a stand-in, or SQL Server itself."""
    with ExitStack() as stack:
        urls = [stack.enter_context(rms_url("server", tmp_path)) for _ in STORES]
        shops = {code: url for code, url in zip(STORES, urls, strict=True) if url is not None}
        if len(shops) < len(STORES):
            pytest.skip(f"{RMS_VARIABLE} names no server")
        hub = f"sqlite:///{tmp_path / 'hub.db'}"
        story = install(tmp_path, hub, invoices=90, orders=True, open_orders=3, rms_urls=shops)
        story.go_live()
        story.ring_all(30)
        story.cycle()
        advance(story)
        story.ring_all()
        story.cycle(sweep=True)
        advance(story)

        result = story.reconcile()

    assert result.findings == ()
    assert result.tickets > 90
