"""receive-stock: goods that arrived, from a file into the hub's warehouses and on to waiting backorders."""

from __future__ import annotations

from prefect import flow

from data_contracts.parameters import DryRun, ReceiptScope
from flows import events, reporting
from tasks import steps
from tasks.settings import load_settings
from tasks.use_cases.receiving import ReceiptReport


@flow(name="receive-stock", flow_run_name="receive-{scope.label}", persist_result=False)
def receive_stock(scope: ReceiptScope, dry_run: DryRun = False) -> ReceiptReport:
    """Book the lines of a CSV `warehouse,sku,quantity` as stock received, all or nothing, once.

    Runs at the hub, by hand. Backorders that wait for these goods are given them, oldest first. With
    `dry_run` the file is checked and everything worked out, and nothing is written.
    """
    report = steps.receive_stock(load_settings(), scope, dry_run)
    reporting.show_receipt(report)
    events.stock_received(report)
    return report
