"""export-orders: new and changed tickets of one store, since its resume mark, into batches."""

from __future__ import annotations

from prefect import flow

from data_contracts.parameters import DryRun, ExportScope
from flows import events, reporting
from tasks import steps
from tasks.settings import load_settings
from tasks.use_cases.exporting import ExportReport


@flow(name="export-orders", flow_run_name="export-{scope.store}", persist_result=False)
def export_orders(scope: ExportScope, dry_run: DryRun = False) -> ExportReport:
    """Publish what the store has rung since its newest batch.

    Runs where the store's database is. Safe at any time and any number of times: it goes on from the
    newest manifest in the exchange folder. With `dry_run` it reads and reports but publishes nothing.
    """
    report = steps.export_store(load_settings(), scope, dry_run)
    reporting.show_export(scope.store, report)
    events.exported(report)
    return report
