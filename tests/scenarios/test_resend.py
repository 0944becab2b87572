"""A batch that the hub rejected has a way forward, and sending again harms nobody."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from data_contracts.codes import LAYAWAY
from tasks.use_cases.advancing import advance_backorders, advance_layaways
from tasks.use_cases.exporting import export_orders
from tasks.use_cases.importing import import_waiting
from tasks.use_cases.resending import resend
from tests.scenarios.installation import Installation, install


def test_a_rejected_batch_is_sent_again_until_nothing_is_unexplained(tmp_path: Path, hub_url: str) -> None:
    story = install(tmp_path, hub_url, invoices=20)
    story.go_live()
    story.ring_all()
    for code in story.settings.stores:
        export_orders(story.settings, code)
    orders = tmp_path / "exchange" / "S1" / "orders"
    tickets = next(orders.glob("*.tickets.csv"))
    tickets.write_bytes(tickets.read_bytes()[:-100])
    import_waiting(story.settings)
    lost = story.reconcile()
    assert lost.unexplained > 0
    assert any("run `tillbridge resend S1 --numbers" in text for text in lost.findings)
    ack = json.loads(next((orders / "acks").glob("*.ack.json")).read_text())
    assert ack["reasons"][0]["fix"] == "run `tillbridge resend S1 --batch 1` at the store"

    report = resend(story.settings, "S1", batch=1)

    (booked,) = import_waiting(story.settings).batches
    assert (booked.path, booked.state) == (report.batches[0], "accepted")
    assert booked.accepted == report.tickets > 0
    result = story.reconcile()
    assert (result.unexplained, result.findings) == (0, ())
    assert story.cycle().batches == ()


@pytest.mark.slow
def test_a_whole_period_of_everything_sent_again_changes_nothing_that_is_right(
    tmp_path: Path, hub_url: str
) -> None:
    """Sales, returns, voids, corrections, layaways, pick-ups, backorders and what is in quarantine."""
    story = install(tmp_path, hub_url, invoices=24, orders=True, open_orders=2)
    story.go_live()
    story.ring_all()
    trade(story, "S1")
    story.cycle()
    apply_all(story)
    pick_up(story, "S1")
    story.cycle(sweep=True)
    apply_all(story)
    before = figures(story)
    assert {kind for (kind,) in story.ask("SELECT DISTINCT kind FROM orders")} >= {
        "sale",
        "return",
        "void",
        "layaway",
        "backorder",
    }
    assert story.ask("SELECT rule FROM reporting_quarantine WHERE state = 'open'") == [("unknown_sku",)]

    for selection in ({"dates": (date.min, date.max)}, {"batch": 1}, {"orders": (1, 1_000)}):
        for code in story.settings.stores:
            assert resend(story.settings, code, **selection).batches
        again = import_waiting(story.settings)
        assert again.failures == {}
        assert again.accepted == 0
        apply_all(story)

        assert figures(story) == before

    assert story.cycle(sweep=True).accepted == 0
    assert figures(story) == before
    assert story.reconcile().unexplained == 0


def trade(story: Installation, code: str) -> None:
    """What the script may not have: a return, a void, a correction, an unknown item, goods set aside."""
    with story.shop(code) as shop:
        with shop.engine.connect() as connection:
            query = "SELECT ItemLookupCode FROM Item WHERE ItemType = 0 AND Quantity > 9 ORDER BY ID LIMIT 2"
            stocked, other = connection.execute(text(query)).scalars()
        sold = [shop.ring_sale([(stocked, 2), (other, 1)]).number for _ in range(3)]
        shop.ring_return(sold[0], part=True)
        shop.ring_void(sold[1])
        shop.correct_tender(sold[2])
        shop.ring_unknown_item()
        shop.open_layaway([(stocked, 2)], deposit=10_000)
        shop.open_layaway([(other, 1)], deposit=10_000)
        shop.open_backorder([(other, 1_000)])


def pick_up(story: Installation, code: str) -> None:
    """One layaway is picked up whole, another cancelled; a sale is corrected after it was exported."""
    with story.shop(code) as shop:
        layaways = [order.number for order in shop.open_orders() if order.kind == LAYAWAY]
        shop.pick_up(layaways[-2])
        shop.cancel_order(layaways[-1])
        with shop.engine.connect() as connection:
            paid = 'SELECT max(TransactionNumber) FROM "TenderEntry" WHERE TransactionNumber < 30'
            number = connection.execute(text(paid)).scalar_one()
        shop.correct_tender(number)


def apply_all(story: Installation) -> None:
    for advance in (advance_layaways, advance_backorders):
        assert advance(story.settings).failures == {}


def figures(story: Installation) -> dict[str, Any]:
    """All the hub knows; and how much it has told others of orders and stock."""
    told = story.ask(
        "SELECT store, type, count(*) FROM events WHERE type NOT IN ('batch_imported', 'batch_replaced') "
        "GROUP BY store, type ORDER BY store, type"
    )
    return {**story.figures(), "events": told}


def test_sending_everything_again_changes_nothing_in_the_hub(tmp_path: Path, hub_url: str) -> None:
    story = install(tmp_path, hub_url, invoices=40)
    story.go_live()
    story.ring_all()
    story.cycle()
    before = story.figures()

    for code in story.settings.stores:
        resend(story.settings, code, dates=(date.min, date.max))
        resend(story.settings, code, batch=1)
    again = import_waiting(story.settings)

    assert again.accepted == again.quarantined == again.pending == 0
    assert sum(batch.seen_before for batch in again.batches) == sum(b.documents for b in again.batches) > 0
    assert story.figures() == before
    assert story.reconcile().unexplained == 0
