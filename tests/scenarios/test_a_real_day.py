"""The promise of the whole: every ticket in the hub once, or in quarantine with a sentence."""

from __future__ import annotations

import json
import re
from pathlib import Path

from sqlalchemy import text

from data_contracts.amounts import SCALE
from tasks.use_cases.catalog import import_catalog
from tasks.use_cases.exporting import export_orders
from tasks.use_cases.importing import import_waiting
from tests.scenarios.installation import in_hub, install, on_hand


def test_a_real_day_ends_with_every_ticket_unit_and_cent_in_the_hub(tmp_path: Path, hub_url: str) -> None:
    story = install(tmp_path, hub_url)
    story.go_live()

    story.ring_all()
    summary = story.cycle()

    result = story.reconcile()
    assert result.sentence.startswith("0 unexplained: ")
    assert result.findings == ()
    assert summary.quarantined == summary.pending == 0
    for code in ("S1", "S2"):
        stated = story.ask_rms(
            code, 'SELECT count(*), sum(Total), sum(SalesTax) FROM "Transaction" WHERE TransactionNumber > 20'
        )
        booked = story.ask(
            "SELECT count(*), sum(total), sum(tax) FROM reporting_orders WHERE store = :s", s=code
        )
        count, total, tax = booked[0]
        assert (count, round(total * SCALE), round(tax * SCALE)) == stated[0]
        # What the hub holds is what the shop's own computer says is on the shelf.
        assert in_hub(story, code) == on_hand(story, code)


def test_every_sale_is_charged_shipped_cash_and_walk_in(tmp_path: Path, hub_url: str) -> None:
    story = install(tmp_path, hub_url, invoices=20)
    story.go_live()
    ((sku,),) = story.ask_rms("S1", "SELECT min(ItemLookupCode) FROM Item WHERE ItemType = 0")
    with story.shop("S1") as shop:
        rung = shop.ring_sale([(sku, 2)])
    story.cycle()

    row = story.ask(
        "SELECT kind, source_order_id, past_source_order_ids, channel, order_type, order_status, "
        "payment_status, shipping_status, customer, warehouse FROM reporting_orders "
        "WHERE store = 'S1' AND source_order_id = :number",
        number=str(rung.number),
    )

    assert row == [
        (
            "sale",
            str(rung.number),
            "[]",
            "RMS",
            "retail",
            "Completed",
            "Charged",
            "FullyShipped",
            "RMSWalkinCustomer@Sellercloud.com",
            "S1",
        )
    ]


def test_an_unknown_sku_waits_whole_and_clears_itself_when_its_product_arrives(
    tmp_path: Path, hub_url: str
) -> None:
    story = install(tmp_path, hub_url, invoices=20)
    story.go_live()
    with story.shop("S1") as shop:
        number, sku = shop.ring_unknown_item()
    story.cycle()
    document = f"S1/1/ticket/{number}"
    assert story.ask("SELECT document, rule, state FROM reporting_quarantine") == [
        (document, "unknown_sku", "open")
    ]
    assert story.ask("SELECT count(*) FROM reporting_stock_movements WHERE document = :d", d=document) == [
        (0,)
    ]
    assert story.reconcile().unexplained == 0

    catalog = tmp_path / "new.csv"
    catalog.write_text(f"sku,name,upc,price,item_type,active\n{sku},New,,9.9900,0,true\n", encoding="utf-8")
    assert import_catalog(story.settings, catalog).cleared == 1

    assert story.ask("SELECT state FROM reporting_quarantine") == [("cleared",)]
    assert story.ask("SELECT count(*) FROM reporting_orders WHERE order_id = :d", d=document) == [(1,)]
    assert story.reconcile().explained == ()


def test_a_late_ticket_with_an_old_number_arrives_and_a_late_change_of_an_old_one_with_the_sweep(
    tmp_path: Path, hub_url: str
) -> None:
    story = install(tmp_path, hub_url, invoices=120, lookback=0)
    story.go_live()
    story.ring_all(count=30)
    story.cycle()
    story.ring_all()
    story.cycle()
    late = """
        SELECT count(*) FROM "TransactionEntry" AS late WHERE "TransactionNumber" <
        (SELECT max("TransactionNumber") FROM "TransactionEntry" AS before WHERE before."ID" < late."ID")
    """
    assert story.ask_rms("S1", late) > [(0,)], "the script has no late ticket; the test would prove nothing"
    assert story.reconcile().unexplained == 0

    with story.shop("S1") as shop, shop.engine.begin() as connection:
        connection.execute(
            text('UPDATE "TenderEntry" SET "TenderID" = 3 - "TenderID" WHERE "TransactionNumber" = 25')
        )
    assert story.cycle().accepted == 0
    assert story.reconcile().unexplained > 0

    assert story.cycle(sweep=True).accepted == 1
    swept = story.reconcile()
    assert [store.missing for store in swept.stores] == [(), ()]
    assert swept.unexplained == 0


def test_a_second_export_and_import_of_everything_changes_nothing(tmp_path: Path, hub_url: str) -> None:
    story = install(tmp_path, hub_url, invoices=40)
    story.go_live()
    story.ring_all()
    story.cycle()
    before = story.figures()

    again = story.cycle(sweep=True)

    assert again.accepted == again.quarantined == 0
    assert sum(batch.seen_before for batch in again.batches) > 0
    assert story.figures() == before


def test_a_spoiled_batch_is_rejected_with_a_reason_and_its_tickets_are_missed_by_name(
    tmp_path: Path, hub_url: str
) -> None:
    story = install(tmp_path, hub_url, invoices=20)
    story.go_live()
    story.ring_all()
    for code in story.settings.stores:
        export_orders(story.settings, code)
    lines = next((tmp_path / "exchange" / "S1" / "orders").glob("*.ticket_lines.csv"))
    lines.write_bytes(lines.read_bytes()[:-100])

    summary = import_waiting(story.settings)

    states = {batch.path.split("/")[0]: batch.state for batch in summary.batches}
    assert states == {"S1": "rejected", "S2": "accepted"}
    ack = json.loads(next((tmp_path / "exchange" / "S1" / "orders" / "acks").glob("*.ack.json")).read_text())
    assert ack["state"] == "rejected"
    assert "bytes" in ack["reasons"][0]["message"]
    result = story.reconcile()
    assert result.unexplained > 0
    assert all(text.startswith("S1: ") for text in result.findings)
    assert any("missing: the store has " in text for text in result.findings)


def test_a_manifest_that_cannot_be_read_holds_up_no_later_batch(tmp_path: Path) -> None:
    story = install(tmp_path, f"sqlite:///{tmp_path / 'hub.db'}", invoices=20)
    story.go_live()
    story.ring_all(count=3)
    export_orders(story.settings, "S1")
    manifest = next((tmp_path / "exchange" / "S1" / "orders").glob("*.manifest.json"))
    manifest.write_bytes(b"{")
    story.ring_all(count=3)
    export_orders(story.settings, "S1")

    summary = import_waiting(story.settings, ["S1"])

    assert [batch.state for batch in summary.batches] == ["rejected", "accepted"]
    assert summary.failures == {}
    assert import_waiting(story.settings, ["S1"]).batches == ()
    assert story.reconcile().findings[0].startswith("S1: 3 tickets 21 to 23 missing")


def test_a_manifest_whose_sums_are_not_those_of_its_files_is_rejected(tmp_path: Path) -> None:
    story = install(tmp_path, f"sqlite:///{tmp_path / 'hub.db'}", invoices=20)
    story.go_live()
    story.ring_all(count=3)
    export_orders(story.settings, "S1")
    manifest = next((tmp_path / "exchange" / "S1" / "orders").glob("*.manifest.json"))
    manifest.write_bytes(re.sub(rb'"money": (-?[0-9]+)', rb'"money": 10000', manifest.read_bytes()))

    summary = import_waiting(story.settings, ["S1"])

    assert [batch.state for batch in summary.batches] == ["rejected"]
    assert "says 10,000 money, in ten-thousandths" in summary.batches[0].reasons[0].message
    assert story.ask("SELECT count(*) FROM reporting_orders") == [(0,)]


def test_cards_customers_comments_and_passwords_of_rms_reach_neither_exchange_nor_hub(
    tmp_path: Path,
) -> None:
    story = install(tmp_path, f"sqlite:///{tmp_path / 'hub.db'}", invoices=20)
    story.go_live()
    story.ring_all()
    canaries = ("4111111111111111", "CANARY-CUSTOMER", "CANARY-COMMENT", "CANARY-REFERENCE")
    card, customer, comment, reference = canaries
    with story.shop("S1") as shop, shop.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE TenderEntry SET CreditCardNumber = ?, AccountHolder = ?", (card, customer)
        )
        connection.exec_driver_sql(
            'UPDATE "Transaction" SET Comment = ?, ReferenceNumber = ?', (comment, reference)
        )
    story.cycle()
    story.reconcile()

    found = [
        (file.name, canary)
        for file in [*(tmp_path / "exchange").rglob("*"), *tmp_path.glob("hub.db*")]
        if file.is_file()
        for canary in canaries
        if canary.encode() in file.read_bytes()
    ]

    assert found == []
    assert any(re.search("tickets.csv$", file.name) for file in (tmp_path / "exchange").rglob("*"))


def test_two_stores_with_the_same_ticket_number_stay_two_orders(tmp_path: Path, hub_url: str) -> None:
    story = install(tmp_path, hub_url, invoices=20)
    story.go_live()
    story.ring_all(count=5)
    story.cycle()

    rows = story.ask("SELECT store FROM reporting_orders WHERE source_order_id = '21' ORDER BY store")

    assert rows == [("S1",), ("S2",)]
