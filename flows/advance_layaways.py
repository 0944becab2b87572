"""advance-layaways: what waits of layaways is applied: changed, picked up, cancelled, expired."""

from __future__ import annotations

from prefect import flow

from data_contracts.codes import LAYAWAY
from data_contracts.parameters import DryRun, HubScope
from flows import events, reporting
from flows.side_by_side import SIDE_BY_SIDE, raise_failures, texts, until_done
from tasks import steps
from tasks.settings import load_settings
from tasks.use_cases.advancing import AdvanceReport, together

_EVERYTHING = HubScope()


@flow(
    name="advance-layaways",
    flow_run_name="advance-layaways-{scope.label}",
    persist_result=False,
    task_runner=SIDE_BY_SIDE,
)
def advance_layaways(scope: HubScope = _EVERYTHING, dry_run: DryRun = False) -> AdvanceReport:
    """Apply newer snapshots and pick-ups of layaways, and note which have expired.

    Runs at the hub, at any time and any number of times. A store that fails does not hold up the others;
    it is named at the end and the run fails. With `dry_run` all is worked out and nothing is written.
    """
    settings = load_settings()
    failures: dict[str, BaseException] = {}
    found = until_done(
        settings.chosen_stores(scope.stores),
        lambda store, _: steps.advance_store.submit(settings, store, LAYAWAY, dry_run),
        lambda store: bool(store.applied) and not dry_run,
        failures,
    )
    stores = tuple(together(looks) for looks in found.values())
    report = AdvanceReport(LAYAWAY, stores, dry_run=dry_run, failures=texts(failures))
    reporting.show_advance(report)
    events.advanced(report)
    raise_failures(failures)
    return report
