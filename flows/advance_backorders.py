"""advance-backorders: what waits of backorders is applied; free stock goes to the oldest first."""

from __future__ import annotations

from prefect import flow

from data_contracts.codes import BACKORDER
from data_contracts.parameters import DryRun, HubScope
from flows import reporting
from flows.side_by_side import SIDE_BY_SIDE, raise_failures, results, texts, until_done
from tasks import steps
from tasks.settings import load_settings
from tasks.use_cases.advancing import AdvanceReport, AllocatedOrder, together

_EVERYTHING = HubScope()


@flow(
    name="advance-backorders",
    flow_run_name="advance-backorders-{scope.label}",
    persist_result=False,
    task_runner=SIDE_BY_SIDE,
)
def advance_backorders(scope: HubScope = _EVERYTHING, dry_run: DryRun = False) -> AdvanceReport:
    """Apply newer snapshots and pick-ups of backorders, then give out stock that is free, oldest first.

    Runs at the hub, at any time and any number of times. A store that fails does not hold up the others;
    it is named at the end and the run fails. With `dry_run` all is worked out and nothing is written.
    """
    settings = load_settings()
    failures: dict[str, BaseException] = {}
    found = until_done(
        settings.chosen_stores(scope.stores),
        lambda store, _: steps.advance_store.submit(settings, store, BACKORDER, dry_run),
        lambda store: bool(store.applied) and not dry_run,
        failures,
    )
    allocated: list[AllocatedOrder] = []
    while given := results(
        {"stock": steps.give_out_stock.submit(settings, scope.stores, dry_run)}, failures
    ).get("stock"):
        allocated += given
        if dry_run:
            break
    stores = tuple(together(looks) for looks in found.values())
    report = AdvanceReport(BACKORDER, stores, tuple(allocated), dry_run, texts(failures))
    reporting.show_advance(report)
    raise_failures(failures)
    return report
