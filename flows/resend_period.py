"""resend-period: some days, a batch or some numbers once more, changing nothing that is right."""

from __future__ import annotations

from prefect import flow

from data_contracts.parameters import DryRun, ResendScope
from flows import events, reporting
from tasks import steps
from tasks.settings import load_settings
from tasks.use_cases.resending import ResendReport


@flow(name="resend-period", flow_run_name="resend-{scope.label}", persist_result=False)
def resend_period(scope: ResendScope, dry_run: DryRun = True) -> ResendReport:
    """Read documents of the store anew and publish them as new batches.

    Runs where the store's database is, by hand. What the hub has already is seen before and changes nothing
    there, and the store's next export goes on where it would have. With `dry_run`, as it stands unless it is
    switched off, it reads and reports what would go but publishes nothing.
    """
    report = steps.resend_period(load_settings(), scope, dry_run)
    reporting.show_resend(scope.label, report)
    events.resent(report)
    return report
