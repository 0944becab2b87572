"""A batch that the hub rejected has a way forward, and sending again harms nobody."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

from tasks.use_cases.exporting import export_orders
from tasks.use_cases.importing import import_waiting
from tasks.use_cases.resending import resend
from tests.scenarios.installation import install


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
    ack = json.loads(next((orders / "acks").glob("*.json")).read_text())
    assert ack["reasons"][0]["fix"] == "run `tillbridge resend S1 --batch 1` at the store"

    report = resend(story.settings, "S1", batch=1)

    (booked,) = import_waiting(story.settings).batches
    assert (booked.path, booked.state) == (report.batches[0], "accepted")
    assert booked.accepted == report.tickets > 0
    result = story.reconcile()
    assert (result.unexplained, result.findings) == (0, ())
    assert story.cycle().batches == ()


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
