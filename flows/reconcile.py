"""reconcile: the stores' statements against the hub; anything unexplained fails the run."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect import flow

from data_contracts.errors import FinalError
from data_contracts.parameters import HubScope
from flows import events, reporting
from tasks import steps
from tasks.settings import load_settings
from tasks.use_cases.reconciling import Reconciliation

_EVERYTHING = HubScope()


@flow(name="reconcile", flow_run_name="reconcile-{scope.label}", persist_result=False)
def reconcile(scope: HubScope = _EVERYTHING) -> Reconciliation:
    """Compare the hub with each store's newest statement; writes nothing.

    The run fails, after it has written its report, when anything is unexplained.
    """
    settings = load_settings()
    result = steps.reconcile(settings, scope.stores)
    reporting.show_reconciliation(result)
    events.reconciled(
        result,
        steps.watch_stores(settings, scope.stores),
        now=datetime.now(UTC),
        quarantine_hours=settings.alerts.quarantine_hours,
    )
    if result.unexplained:
        raise FinalError(
            f"{result.unexplained} unexplained: " + "; ".join(result.findings[:5]),
            next_step="read the run's artifact, or `tillbridge reconcile`, for all of them",
        )
    return result
