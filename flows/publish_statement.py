"""publish-statement: what the store says it has, for the hub to compare with."""

from __future__ import annotations

from prefect import flow

from data_contracts.parameters import DryRun, StatementScope
from flows import events, reporting
from tasks import steps
from tasks.settings import load_settings
from tasks.use_cases.stating import StatementReport


@flow(name="publish-statement", flow_run_name="statement-{scope.store}", persist_result=False)
def publish_statement(scope: StatementScope, dry_run: DryRun = False) -> StatementReport:
    """Publish control totals per business day and Z batch, and every ticket number.

    Runs where the store's database is. With `dry_run` it computes and reports but publishes nothing.
    """
    report = steps.state_store(load_settings(), scope, dry_run)
    reporting.show_statement(scope.store, report)
    events.stated(report)
    return report
