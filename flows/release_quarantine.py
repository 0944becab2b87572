"""release-quarantine: what a person decides about documents in quarantine, with a form."""

from __future__ import annotations

from prefect import flow

from data_contracts.parameters import DeskScope, DryRun
from flows import reporting
from tasks import steps
from tasks.settings import load_settings
from tasks.use_cases.quarantine import DeskReport


@flow(name="release-quarantine", flow_run_name="quarantine-{scope.label}", persist_result=False)
def release_quarantine(scope: DeskScope, dry_run: DryRun = True) -> DeskReport:
    """Release, discard or edit documents of the quarantine, or judge all that waits again.

    Runs at the hub, by hand. It begins as a dry run, which works everything out and writes nothing: look at
    its artifact, then run it again with `dry_run` off. Each decision is kept with who made it and why.
    """
    report = steps.visit_desk(load_settings(), scope, dry_run)
    reporting.show_desk(report)
    return report
